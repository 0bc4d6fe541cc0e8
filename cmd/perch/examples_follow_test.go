package main

import (
	"encoding/json"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The lines that people on the sample walk over, one in both directions, and
// the zone that they stand in.
const (
	slope = "[[200,150],[768,350]]"
	line  = "[[650,0],[650,576]]"
	zone  = "[[200,100],[500,100],[500,400],[200,400]]"
)

// The examples that follow people and draw, on seven seconds of the sample.
func TestExamplesThatFollow(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	broker := startMosquitto(t, "")
	ear := broker.listen(t)
	s := newStage(t, "mqtt: {url: \""+broker.url()+"\"}\n")
	s.film(t, 0, 66)
	in := s.pictures(t, s.clip, 768, 576, 66)

	t.Run("01 line counter", func(t *testing.T) { s.countsCrossings(t, in, ear) })
	t.Run("02 time in zone", func(t *testing.T) { s.timesStays(t, in) })
	t.Run("06 webhook report", func(t *testing.T) { s.reports(t, in) })
	t.Run("07 rate limiter", func(t *testing.T) { s.drawsNowAndThen(t, in) })
	t.Run("10 static crop", func(t *testing.T) { s.crops(t, in) })
}

type crossed struct {
	Frames [][]object
	Events []occurrence
	Counts [][2]int
}

func (s *stage) countsCrossings(t *testing.T, in []*image.YCbCr, ear *ear) {
	want := expect[crossed](t, s, "crossings", map[string]any{"score": 0.6, "fps": rate, "line": json.RawMessage(slope)})
	out := filepath.Join(s.dir, "01.mp4")
	run, frames := s.process(t, s.variant(t, "01_line_counter", more("counts", "$steps.line_counter.*")...), "--param", "line="+slope, "--out", out)
	who := followed(t, want.Frames, frames)
	s.crossings(t, run.Run, who, want)
	for i, f := range frames {
		if is, should := string(f.Outputs["counts"]), fmt.Sprintf(`{"count_in":%d,"count_out":%d}`, want.Counts[i][0], want.Counts[i][1]); is != should {
			t.Errorf("frame %d: %s, expected %s", f.Frame, is, should)
		}
	}
	heard := 0
	for _, m := range ear.on("/events") {
		if strings.Contains(m.payload, run.Run) && strings.Contains(m.payload, `"kind":"line.crossed"`) {
			heard++
		}
	}
	if heard != len(want.Events) {
		t.Errorf("the broker was told of %d crossings, expected %d", heard, len(want.Events))
	}
	got := s.pictures(t, out, 768, 576, len(in))
	beside := []image.Rectangle{image.Rect(100, 130, 300, 170)} // the counts, at the line's first point
	veil, base := [3]float64{}, [3]float64{}
	const steps = 71
	for i := range steps {
		x, y := 200+8*i, 150+200*8*i/568
		beside = append(beside, image.Rect(x-4, y-6, x+12, y+10))
		for k := range veil {
			at := image.Rect(x, y, x+1, y+1)
			veil[k] += mean(got[20], at)[k] / steps
			base[k] += mean(in[20], at)[k] / steps
		}
	}
	s.drawn(t, in, got, want.Frames, look{labels: true, beside: beside})
	// The line is a veil, three tenths of #5bb573, two samples wide: chroma has
	// half of them, so not all of the colour is left.
	if should := veiled(base); distance(veil, should) > 0.75*distance(base, should) {
		t.Errorf("the line is %.0f, expected %.0f, was %.0f", veil, should, base)
	}
}

// crossings checks the events of a run.
func (s *stage) crossings(t *testing.T, run string, who *names, want crossed) {
	t.Helper()
	got := s.events(t, run)
	if len(got) != len(want.Events) || len(got) < 3 {
		t.Fatalf("%d events, expected %d: %+v", len(got), len(want.Events), got)
	}
	for i, e := range got {
		w := want.Events[i]
		if e.Frame != w.Frame || !who.same(w.Track, e.Track) || e.Kind != "line.crossed" || e.Class != w.Class || e.Direction != w.Direction {
			t.Errorf("event %+v, expected %+v", e, w)
		}
	}
}

func (s *stage) timesStays(t *testing.T, in []*image.YCbCr) {
	want := expect[struct {
		Tracks, Frames [][]object
		Events         []occurrence
	}](t, s, "stays", map[string]any{"score": 0.6, "fps": rate, "zone": json.RawMessage(zone)})
	out := filepath.Join(s.dir, "02.mp4")
	run, frames := s.process(t, s.variant(t, "02_time_in_zone", more("timed", "$steps.time_in_zone.*")...), "--param", "zone="+zone, "--out", out)
	who := followed(t, want.Frames, frames)
	longest := 0.0
	for i, f := range frames {
		var timed struct {
			Detections struct {
				Predictions []struct {
					Track   int     `json:"tracker_id"`
					Seconds float64 `json:"time_in_zone"`
				}
			} `json:"timed_detections"`
		}
		if err := json.Unmarshal(f.Outputs["timed"], &timed); err != nil {
			t.Fatal(err)
		}
		for _, p := range timed.Detections.Predictions {
			k := slices.IndexFunc(want.Frames[i], func(o object) bool { return who.theirs[o.ID] == p.Track })
			if k < 0 || math.Abs(want.Frames[i][k].Seconds-p.Seconds) > 1e-6 {
				t.Errorf("frame %d: track %d for %v s, expected %+v", f.Frame, p.Track, p.Seconds, want.Frames[i])
			}
			longest = max(longest, p.Seconds)
		}
	}
	if longest < 3 {
		t.Errorf("nobody stays longer than %v s", longest)
	}
	var visits []occurrence
	for _, w := range want.Events { // who is out of sight is looked for once a second
		if !w.Gone {
			visits = append(visits, w)
		}
	}
	got := slices.DeleteFunc(s.events(t, run.Run), func(e occurrence) bool { return e.Gone })
	if len(got) != len(visits) || len(got) < 5 {
		t.Fatalf("%d events, expected %d", len(got), len(visits))
	}
	for i, e := range got {
		if w := visits[i]; e.Frame != w.Frame || e.Kind != w.Kind || !who.same(w.Track, e.Track) || math.Abs(e.Seconds-w.Seconds) > 0.001 {
			t.Errorf("event %+v, expected %+v", e, w)
		}
	}
	s.drawn(t, in, s.pictures(t, out, 768, 576, len(in)), want.Frames, look{labels: true, zone: image.Rect(200, 100, 501, 401)})
}

func (s *stage) drawsNowAndThen(t *testing.T, in []*image.YCbCr) {
	found := expect[[][]object](t, s, "objects", map[string]any{"score": 0.5})
	for name, file := range map[string]string{
		"by the clock": example("07_rate_limiter"),
		// The same with the time of the video, which the clock of a test is not.
		"by the video": s.variant(t, "07_rate_limiter", `"cooldown_seconds": 1,`, `"cooldown_seconds": 1, "video_reference_image": "$inputs.image",`),
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "07.mp4")
			run, _ := s.process(t, file, "--out", out)
			got := s.pictures(t, out, 768, 576, 0)
			var drawn []int
			for i := range got {
				if i < len(in) && hasBoxes(in[i], got[i]) {
					drawn = append(drawn, i+1)
				}
			}
			if name == "by the video" {
				if want := []int{1, 11, 21, 31, 41, 51, 61}; !slices.Equal(drawn, want) {
					t.Errorf("frames %v are drawn on, expected %v", drawn, want)
				}
				s.drawn(t, in[:1], got[:1], found, look{})
				return
			}
			if most := 1 + int(run.EndedAt.Sub(run.StartedAt)/time.Second); len(drawn) == 0 || drawn[0] != 1 || len(drawn) > most {
				t.Errorf("frames %v are drawn on, expected the first and at most one a second: %d", drawn, most)
			}
		})
	}
}

func (s *stage) crops(t *testing.T, in []*image.YCbCr) {
	out := filepath.Join(s.dir, "10.mp4")
	s.process(t, example("10_webrtc_e2e_passthrough"), "--out", out)
	got := s.pictures(t, out, 80, 80, 0)
	if len(got) != len(in) {
		t.Fatalf("%d pictures of 80x80", len(got))
	}
	for i, p := range got {
		if d := (look{}).unlike(in[i], p, p.Rect, make([]bool, 80*80)); d > 4 {
			t.Errorf("frame %d: the crop differs from the frame's corner by %.1f", i+1, d)
		}
	}
}
