package storage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The parts of a COCO detection file. Categories are numbered from 1, as
// tools expect; an image's id is its frame number.
type cocoImage struct {
	ID       uint64    `json:"id"`
	FileName string    `json:"file_name"`
	Width    int       `json:"width"`
	Height   int       `json:"height"`
	Captured time.Time `json:"date_captured"`
	PTS      float64   `json:"pts_s"`
}

type cocoAnnotation struct {
	ID           uint64      `json:"id"`
	Image        uint64      `json:"image_id"`
	Category     int         `json:"category_id"`
	Box          [4]float64  `json:"bbox"` // x, y, width, height
	Area         float64     `json:"area"`
	Segmentation [][]float64 `json:"segmentation"`
	Crowd        int         `json:"iscrowd"`
	Score        float64     `json:"score"`
	Track        uint64      `json:"track_id,omitempty"`
}

type cocoCategory struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
	Kind string `json:"supercategory"`
}

// exportCOCO walks the results twice, because images and annotations are lists
// of their own. Of an open run the second walk goes as far as the first.
func (s *Store) exportCOCO(ctx context.Context, w *bufio.Writer, id string) error {
	run, err := s.Run(ctx, id)
	if err != nil {
		return err
	}
	names, err := s.labels(ctx, &run)
	if err != nil {
		return s.explain("read labels", err)
	}
	info, err := json.Marshal(map[string]any{
		"description": "Perch run " + id + " of " + run.Source.Name, "version": "1.0", "year": run.Started.UTC().Year(),
		"date_created": run.Started.UTC(), "contributor": run.Device, "url": "",
	})
	if err != nil {
		return err
	}
	list := cocoList{w: w}
	fmt.Fprintf(w, `{"info":%s,"licenses":[],"images":[`, info)
	last, err := s.cocoImages(ctx, &list, id)
	if err != nil {
		return err
	}
	fmt.Fprint(w, `],"annotations":[`)
	list.any = false
	if err := s.cocoAnnotations(ctx, &list, id, last); err != nil {
		return err
	}
	fmt.Fprint(w, `],"categories":[`)
	list.any = false
	for _, class := range slices.Sorted(maps.Keys(names)) {
		if err := list.add(cocoCategory{ID: class + 1, Name: names[class]}); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(w, `]}`)
	return err
}

func (s *Store) cocoImages(ctx context.Context, list *cocoList, id string) (last uint64, err error) {
	for r, err := range s.Results(ctx, id) {
		if err != nil {
			return 0, err
		}
		last = r.Frame.Seq
		name := fmt.Sprintf("%s/%08d.jpg", strings.ToLower(id), last)
		if err := list.add(cocoImage{last, name, r.Frame.Width, r.Frame.Height, r.Frame.Wall, seconds(r.Frame.PTS)}); err != nil {
			return 0, err
		}
	}
	return last, nil
}

func (s *Store) cocoAnnotations(ctx context.Context, list *cocoList, id string, last uint64) error {
	n := uint64(0)
	for r, err := range s.Results(ctx, id) {
		if err != nil {
			return err
		}
		if r.Frame.Seq > last {
			return nil
		}
		for i := range r.Detections {
			d := &r.Detections[i]
			c := corners(d.Box)
			width, height := c[2]-c[0], c[3]-c[1]
			n++
			err := list.add(cocoAnnotation{
				ID: n, Image: r.Frame.Seq, Category: d.Class + 1, Box: [4]float64{c[0], c[1], width, height}, Area: width * height,
				Segmentation: [][]float64{}, Score: score(d.Score), Track: uint64(d.Track),
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// A cocoList writes the elements of one JSON array.
type cocoList struct {
	w   *bufio.Writer
	any bool
}

func (l *cocoList) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if l.any {
		if err := l.w.WriteByte(','); err != nil {
			return err
		}
	}
	l.any = true
	if err := l.w.WriteByte('\n'); err != nil {
		return err
	}
	_, err = l.w.Write(b)
	return err
}
