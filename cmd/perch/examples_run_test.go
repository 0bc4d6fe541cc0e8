package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The examples that write, on six black frames and thirty of the sample.
func TestExamplesThatWrite(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	s := newStage(t, "")
	s.film(t, 6, 30)
	best := func(more map[string]any) map[string]any { // what nanodet-416's manifest recommends
		o := map[string]any{"score": 0.5}
		for k, v := range more {
			o[k] = v
		}
		return o
	}

	t.Run("03 zone filter, delta, CSV", func(t *testing.T) {
		all := [][2]int{{0, 0}, {0, 1000}, {1000, 1000}, {1000, 0}}
		s.writesChanges(t, example("03_zone_filter_delta_csv"), "all", best(map[string]any{"zone": all}))
	})
	// The example's zone is larger than the picture: a smaller one leaves out.
	t.Run("03 with a smaller zone", func(t *testing.T) {
		file := s.variant(t, "03_zone_filter_delta_csv", "1000", "430")
		half := [][2]int{{0, 0}, {0, 430}, {430, 430}, {430, 0}}
		s.writesChanges(t, file, "half", best(map[string]any{"zone": half}))
	})
	t.Run("04 files and aggregates", func(t *testing.T) { s.writesAggregates(t, best(nil)) })
	t.Run("05 two stages", func(t *testing.T) { s.classifiesCrops(t, best(map[string]any{"label": "person"})) })
	t.Run("08 CSV if there is somebody", func(t *testing.T) { s.writesIfThere(t, best(map[string]any{"label": "person"})) })
}

// written are the files that a workflow wrote into a folder, in order.
func (s *stage) written(t *testing.T, folder, pattern string) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.files, folder, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files { // in the order of their names, which begin with the time
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
		name := filepath.Base(file)
		stamp := name[strings.Index(name, "_20")+1 : strings.LastIndex(name, ".")]
		if i := strings.LastIndex(stamp, "_"); i < 0 || len(stamp)-i != 7 {
			t.Errorf("%s does not end with microseconds", name)
		} else if at, err := time.ParseInLocation("2006_01_02_15_04_05", stamp[:i], time.Local); err != nil || time.Since(at) > time.Hour {
			t.Errorf("%s: %v", name, err)
		}
	}
	return texts
}

// table reads CSV whose last column is a time, and returns the others.
func table(t *testing.T, text string) (rows [][]string) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v: %q", err, text)
	}
	for i, row := range all {
		last := len(row) - 1
		if _, err := time.Parse("2006-01-02T15:04:05.999999-07:00", row[last]); i > 0 && err != nil || i == 0 && row[last] != "timestamp" {
			t.Errorf("row %d ends with %q", i, row[last])
		}
		rows = append(rows, row[:last])
	}
	return rows
}

func (s *stage) writesChanges(t *testing.T, file, folder string, options map[string]any) {
	want := expect[[]struct {
		Frame   int
		Classes []string
	}](t, s, "changes", options)
	_, frames := s.process(t, file, "--param", "target_directory="+folder)
	rows := [][]string{{"Class Name"}}
	for _, w := range want {
		cell := "[]" // a list as Python prints it, which the block does upstream
		if len(w.Classes) > 0 {
			cell = "['" + strings.Join(w.Classes, "', '") + "']"
		}
		rows = append(rows, []string{cell})
	}
	texts := s.written(t, folder, "csv_containing_changes_*.csv")
	if len(texts) != 1 {
		t.Fatalf("%d files", len(texts))
	}
	if got := table(t, texts[0]); fmt.Sprint(got) != fmt.Sprint(rows) || len(rows) < 5 {
		t.Errorf("the file has %q\nexpected %q", got, rows)
	}
	var said []int
	for _, f := range frames {
		if text, ok := f.Outputs["csv"]; ok && string(text) != "null" {
			said = append(said, f.Frame)
		}
	}
	var changed []int
	for _, w := range want {
		changed = append(changed, w.Frame)
	}
	if !slices.Equal(said, changed) {
		t.Errorf("the output is there on frames %v, expected %v", said, changed)
	}
}

func (s *stage) writesAggregates(t *testing.T, options map[string]any) {
	want := expect[struct {
		Frames [][]object
		Rows   [][4]int
	}](t, s, "aggregates", options)
	s.process(t, example("04_file_sink_aggregation"), "--param", "target_directory=sums")
	rows := [][]string{{"number_of_distinct_classes", "min_number_of_bounding_boxes", "max_number_of_bounding_boxes", "total_number_of_bounding_boxes"}}
	for _, r := range want.Rows {
		rows = append(rows, strings.Fields(strings.Trim(fmt.Sprint(r), "[]")))
	}
	reports := s.written(t, "sums", "aggregation_report_*.csv")
	if len(reports) != 1 {
		t.Fatalf("%d reports", len(reports))
	}
	if got := table(t, reports[0]); fmt.Sprint(got) != fmt.Sprint(rows) || len(rows) != 7 {
		t.Errorf("the report has %v\nexpected %v", got, rows)
	}
	files := s.written(t, "sums", "prediction_*.json")
	if len(files) != len(want.Frames) {
		t.Fatalf("%d files, expected %d", len(files), len(want.Frames))
	}
	for i, text := range files {
		sameObjects(t, fmt.Sprintf("file %d", i+1), []byte(text), want.Frames[i])
	}
}

// sameObjects checks detections in the form in which workflows hand them out.
func sameObjects(t *testing.T, what string, text []byte, want []object) {
	t.Helper()
	var got struct {
		Image       struct{ Width, Height *int }
		Predictions []struct {
			X, Y, Width, Height, Confidence float64
			ClassID                         int `json:"class_id"`
			Class                           string
			ID                              string `json:"detection_id"`
			Parent                          string `json:"parent_id"`
		}
	}
	if err := json.Unmarshal(text, &got); err != nil || len(got.Predictions) != len(want) {
		t.Errorf("%s: %d objects, expected %d; %v", what, len(got.Predictions), len(want), err)
		return
	}
	if w := got.Image.Width; len(want) > 0 && (w == nil || *w != 768) || len(want) == 0 && w != nil {
		t.Errorf("%s: the image is %s", what, text)
	}
	for i, p := range got.Predictions {
		is := object{X: p.X, Y: p.Y, Width: p.Width, Height: p.Height, Score: p.Confidence, Class: p.ClassID, Label: p.Class}
		should := want[i]
		should.ID, should.Box = 0, [4]float64{}
		if is != should || len(p.ID) != 36 || p.Parent != "image" {
			t.Errorf("%s: object %d is %+v, expected %+v", what, i, is, should)
		}
	}
}

func (s *stage) classifiesCrops(t *testing.T, options map[string]any) {
	// Nobody in the sample is a dog.
	_, frames := s.process(t, s.variant(t, "05_two_stage_flow_control", `"dog"`, `"person"`))
	options["pixels"], options["width"], options["height"] = s.pixels(t, s.clip), 768, 576
	want := expect[[][][3]float64](t, s, "colours", options)
	seen, clear, unclear := map[string]int{}, 0, 0
	for i, f := range frames {
		var got []*string
		if text, ok := f.Outputs["class_name"]; ok {
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("frame %d: %v", f.Frame, err)
			}
		}
		if len(got) != len(want[i]) {
			t.Errorf("frame %d: %d crops, expected %d", f.Frame, len(got), len(want[i]))
			continue
		}
		for k, scores := range want[i] {
			best := slices.Max(scores[:])
			name := []string{"red", "green", "blue"}[slices.Index(scores[:], best)]
			rest := slices.Clone(scores[:])
			slices.Sort(rest)
			// The model sees 64 by 64 samples of the crop, not each pixel.
			if math.Abs(best-0.35) < 0.004 || best > 0.35 && best-rest[1] < 0.008 {
				unclear++
				continue
			}
			if best < 0.35 {
				name = "nothing"
			}
			is := "nothing"
			if got[k] != nil {
				is = *got[k]
			}
			seen[is]++
			clear++
			if is != name {
				t.Errorf("frame %d, crop %d: %s, expected %s of %.4f", f.Frame, k, is, name, scores)
			}
		}
	}
	if seen["nothing"] < 10 || seen["red"]+seen["green"]+seen["blue"] < 10 || unclear*2 > clear {
		t.Errorf("the test shows little: %v, %d too close to tell", seen, unclear)
	}
}

func (s *stage) writesIfThere(t *testing.T, options map[string]any) {
	want := expect[[][]object](t, s, "objects", options)
	_, frames := s.process(t, example("08_csv_continue_if"), "--param", "output_directory=logs", "--param", `names=["=gate"]`)
	files := s.written(t, "logs", "detection_log_*.csv")
	for i, objects := range want {
		message := string(bytes.Trim(frames[i].Outputs["save_message"], `"`))
		if len(objects) == 0 {
			if message != "" {
				t.Errorf("frame %d: there is nobody, and it says %q", i+1, message)
			}
			continue
		}
		if message != "Data saved successfully" || len(files) == 0 {
			t.Fatalf("frame %d: %q, %d files are left", i+1, message, len(files))
		}
		rows := [][]string{{"num_detections", "name"}, {fmt.Sprint(len(objects)), "'=gate"}} // which a spreadsheet does not take for a formula
		if got := table(t, files[0]); fmt.Sprint(got) != fmt.Sprint(rows) {
			t.Errorf("frame %d: %v, expected %v", i+1, got, rows)
		}
		files = files[1:]
	}
	if len(files) > 0 || len(want[0]) > 0 {
		t.Errorf("%d files too many; the first frame has %d objects", len(files), len(want[0]))
	}
}
