// Command ours runs Perch's tracker over detections that perch export wrote,
// for packaging/bench/track: one setting of settings.json, one label.
//
//	go run ./packaging/bench/track/ours -setting block < detections.jsonl > tracks.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"perch/pipeline"
	"perch/pipeline/track"
)

// A frame is one line of perch export --format jsonl, as far as it matters.
type frame struct {
	Frame      int         `json:"frame"`
	PTS        float64     `json:"pts_s"`
	Detections []detection `json:"detections"`
}

type detection struct {
	Label string     `json:"label"`
	Class int        `json:"class"`
	Score float32    `json:"score"`
	Box   [4]float32 `json:"box"`
}

type found struct {
	ID  pipeline.TrackID `json:"id"`
	Box [4]float32       `json:"box"`
}

func main() {
	settings := flag.String("settings", "packaging/bench/track/settings.json", "file of settings")
	setting := flag.String("setting", "block", "name of the setting")
	label := flag.String("label", "person", "class to follow")
	fps := flag.Float64("fps", 10, "frame rate of the stream")
	clock := flag.String("clock", "stream", "stream: frames have their time; none: they follow each other without gaps")
	flag.Parse()
	o, err := options(*settings, *setting, *fps)
	if err == nil {
		err = run(o, *label, *clock == "none", os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func run(o track.Options, label string, gapless bool, in io.Reader, out io.Writer) error {
	t, err := track.New(o)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	enc, dec := json.NewEncoder(w), json.NewDecoder(in)
	for {
		var f frame
		if err := dec.Decode(&f); errors.Is(err, io.EOF) {
			return w.Flush()
		} else if err != nil {
			return fmt.Errorf("read detections after frame %d: %w", t.Stats().Frames, err)
		}
		var dets []pipeline.Detection
		for _, d := range f.Detections {
			if d.Label == label {
				dets = append(dets, pipeline.Detection{
					Label: d.Label, Class: d.Class, Score: d.Score,
					Box: pipeline.Box{X0: d.Box[0], Y0: d.Box[1], X1: d.Box[2], Y1: d.Box[3]},
				})
			}
		}
		at := time.Duration(f.PTS * float64(time.Second))
		if gapless {
			at = time.Duration(float64(t.Stats().Frames) / o.FrameRate * float64(time.Second))
		}
		tracks := []found{}
		for _, d := range t.Update(dets, at) {
			tracks = append(tracks, found{d.Track, [4]float32{d.Box.X0, d.Box.Y0, d.Box.X1, d.Box.Y1}})
		}
		if err := enc.Encode(map[string]any{"frame": f.Frame, "tracks": tracks}); err != nil {
			return err
		}
	}
}

// options reads a setting; its buffer is in frames of the stream.
func options(path, name string, fps float64) (track.Options, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return track.Options{}, err
	}
	var all map[string]struct {
		High, Low, Begin, Match, Second, Unconfirmed float32
		Buffer                                       int
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return track.Options{}, fmt.Errorf("read %s: %w", path, err)
	}
	s, ok := all[name]
	if !ok {
		return track.Options{}, fmt.Errorf("%s has no setting %q", path, name)
	}
	o := track.Defaults()
	o.ActivationThreshold, o.LowScore, o.BeginThreshold = s.High, s.Low, s.Begin
	o.MatchingThreshold, o.LowThreshold, o.UnconfirmedThreshold = s.Match, s.Second, s.Unconfirmed
	o.FrameRate, o.LostBuffer, o.DropUntracked = fps, int(float64(s.Buffer)*30/fps+0.5), true
	return o, nil
}
