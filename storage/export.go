package storage

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"perch/pipeline"
)

// A Format is a way to export a run.
type Format string

// The formats of [Store.Export]; storage/README.md describes each.
const (
	CSV   Format = "csv"
	JSONL Format = "jsonl"
	COCO  Format = "coco"
)

// CSVHeader names the columns of [CSV].
const CSVHeader = "frame,pts_s,time,label,class,score,x0,y0,x1,y1,track"

// Export writes the kept results of a run to w, in bounded memory.
func (s *Store) Export(ctx context.Context, w io.Writer, run string, format Format) error {
	var export func(context.Context, *bufio.Writer, string) error
	switch format {
	case CSV:
		export = s.exportCSV
	case JSONL:
		export = s.exportJSONL
	case COCO:
		export = s.exportCOCO
	default:
		return &pipeline.Error{Op: "export run", On: run, Kind: pipeline.BadConfig, Err: fmt.Errorf("unknown format %q", format), Hint: "use csv, jsonl or coco"}
	}
	b := bufio.NewWriterSize(w, 64<<10)
	if err := export(ctx, b, run); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("export run %s: %w", run, err)
	}
	return nil
}

// exportCSV writes a line a detection, and one with empty cells for a frame
// without any.
func (s *Store) exportCSV(ctx context.Context, w *bufio.Writer, run string) error {
	if _, err := w.WriteString(CSVHeader + "\n"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	cells := make([]string, 11)
	for r, err := range s.Results(ctx, run) {
		if err != nil {
			return err
		}
		clear(cells)
		cells[0] = strconv.FormatUint(r.Frame.Seq, 10)
		cells[1] = number(seconds(r.Frame.PTS))
		cells[2] = r.Frame.Wall.Format(time.RFC3339Nano)
		if len(r.Detections) == 0 {
			if err := out.Write(cells); err != nil {
				return err
			}
		}
		for i := range r.Detections {
			d := &r.Detections[i]
			cells[3], cells[4], cells[5] = harmless(d.Label), strconv.Itoa(d.Class), number(score(d.Score))
			for j, v := range corners(d.Box) {
				cells[6+j] = number(v)
			}
			cells[10] = ""
			if d.Track != 0 {
				cells[10] = strconv.FormatUint(uint64(d.Track), 10)
			}
			if err := out.Write(cells); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// harmless keeps spreadsheets from taking text for a formula: what begins like
// one gets an apostrophe in front, which they do not show.
func harmless(text string) string {
	if text == "" {
		return ""
	}
	switch text[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return "'" + text
	}
	return text
}

// jsonFrame is a line of [JSONL].
type jsonFrame struct {
	Frame      uint64          `json:"frame"`
	PTS        float64         `json:"pts_s"`
	Time       time.Time       `json:"time"`
	Detections []jsonDetection `json:"detections"`
	Outputs    json.RawMessage `json:"outputs,omitempty"` // of the workflow, without pictures
	Errors     []string        `json:"errors,omitempty"`
}

type jsonDetection struct {
	Label     string       `json:"label"`
	Class     int          `json:"class"`
	Score     float64      `json:"score"`
	Box       [4]float64   `json:"box"`
	Track     uint64       `json:"track,omitempty"`
	Keypoints [][3]float64 `json:"keypoints,omitempty"` // x, y, score
}

func (s *Store) exportJSONL(ctx context.Context, w *bufio.Writer, run string) error {
	out := json.NewEncoder(w)
	for r, err := range s.Results(ctx, run) {
		if err != nil {
			return err
		}
		f := jsonFrame{Frame: r.Frame.Seq, PTS: seconds(r.Frame.PTS), Time: r.Frame.Wall, Detections: make([]jsonDetection, len(r.Detections)), Outputs: r.Data, Errors: r.Errors}
		for i := range r.Detections {
			d := &r.Detections[i]
			f.Detections[i] = jsonDetection{Label: d.Label, Class: d.Class, Score: score(d.Score), Box: corners(d.Box), Track: uint64(d.Track)}
			for _, k := range d.Keypoints {
				f.Detections[i].Keypoints = append(f.Detections[i].Keypoints, [3]float64{float64(k.X), float64(k.Y), score(k.Score)})
			}
		}
		if err := out.Encode(f); err != nil {
			return fmt.Errorf("export frame %d: %w", f.Frame, err)
		}
	}
	return nil
}

func corners(b pipeline.Box) [4]float64 {
	return [4]float64{float64(b.X0), float64(b.Y0), float64(b.X1), float64(b.Y1)} // eighths: exact
}

// score drops the digits that the packed form does not have.
func score(v float32) float64 { return math.Round(float64(v)*1e5) / 1e5 }

func seconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e6 }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
