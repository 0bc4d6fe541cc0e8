package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What users get wrong, on the command line: each error says where, what was
// found and what would do.
func TestMistakesInWorkflows(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	s := newStage(t, "")
	const tracked = "$steps.byte_tracker.tracked_detections"
	for name, c := range map[string]struct {
		replace []string
		args    []string
		want    []string
	}{
		"a cycle": {
			[]string{`"$steps.label_visualization.image"`, `"$steps.zone_visualization.image"`}, nil,
			[]string{"go round in a circle: bbox_visualization → zone_visualization → bbox_visualization"},
		},
		"a dangling selector": {
			[]string{tracked, "$steps.byte_trakcer.tracked_detections"}, nil,
			[]string{"3 things are wrong", `step "line_counter" (roboflow_core/line_counter@v1), property "detections": $steps.byte_trakcer.tracked_detections: there is no step "byte_trakcer"`, `did you mean "byte_tracker"?`},
		},
		"an output that a step does not have": {
			[]string{tracked, "$steps.byte_tracker.tracked"}, nil, []string{`step "byte_tracker" (roboflow_core/byte_tracker@v1) has no output "tracked"`, "tracked_detections"},
		},
		"a wrong kind": {
			[]string{`"metadata": "$inputs.video_metadata"`, `"metadata": "$inputs.image"`}, nil,
			[]string{`step "byte_tracker" (roboflow_core/byte_tracker@v1), property "metadata": $inputs.image is image (it takes a selector of video_metadata)`},
		},
		"untracked detections": {
			[]string{tracked, "$steps.people_detector.predictions"}, nil,
			[]string{`step "line_counter"`, "carry no track ids", "put a roboflow_core/byte_tracker@v3 step between"},
		},
		"a block of a newer engine": {
			[]string{"byte_tracker@v1", "byte_tracker@v9"}, nil,
			[]string{`step "byte_tracker" (roboflow_core/byte_tracker@v9): there is no such block here (the nearest is roboflow_core/byte_tracker@v3; perch workflow blocks lists`},
		},
		"a newer engine": {[]string{`"version": "1.0"`, `"version": "2.0"`}, nil, []string{"written for version 2.0 of the execution engine; this one understands 1.x"}},
		"out of range":   {[]string{`"confidence": 0.6`, `"confidence": 6`}, nil, []string{`step "people_detector" (ObjectDetectionModel), property "confidence": it is 6, out of range (it takes a number from 0 to 1`}},
		"no such model": {
			[]string{"yolov8n-640", "yolov9x"}, nil, []string{`property "model_id": "yolov9x": there is no such model`, `workflows.models: {"yolov9x": `},
		},
		"no JSON":                   {[]string{`"steps"`, `"steps`}, nil, []string{"the document cannot be read: line 1"}},
		"a parameter of no name":    {nil, []string{"--param", "lime=3"}, []string{`parameter "lime": the workflow has none of that name (did you mean "line"?)`}},
		"a parameter of wrong kind": {nil, []string{"--param", "line=left"}, []string{`property "line_segment": parameter "line": "left" is no list of points [x, y]`}},
	} {
		t.Run(name, func(t *testing.T) {
			file := s.variant(t, "01_line_counter", c.replace...)
			got := finish(t, perch(t, t.Context(), s.dir, append([]string{"workflow", "check", "--config", s.conf, file}, c.args...)...))
			if got.status != exitConfig || got.out != "" || !strings.HasPrefix(got.errOut, "perch: compile "+file+": ") {
				t.Errorf("exit status %d\n%s%s", got.status, got.out, got.errOut)
			}
			for _, want := range c.want {
				if !strings.Contains(got.errOut, want) {
					t.Errorf("%s\nlacks %s", got.errOut, want)
				}
			}
		})
	}
}

func TestMistakesAboutWorkflows(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	s := newStage(t, "")
	in, lines := clip(t, s.dir), example("01_line_counter")
	for name, c := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"a missing parameter":    {[]string{"process", "--workflow", lines, in}, exitConfig, `parameter "line": the workflow needs it, and it has no default and was given no value (set it in`},
		"missing on a picture":   {[]string{"workflow", "run", "--image", portrait(t, s.dir), lines}, exitConfig, `parameter "line": the workflow needs it`},
		"no such file":           {[]string{"workflow", "check", "absent.json"}, exitNotFound, "read workflow absent.json: no such file or directory"},
		"nothing to check":       {[]string{"workflow", "check"}, exitUsage, "one workflow file"},
		"no picture":             {[]string{"workflow", "run", lines}, exitUsage, "--image is needed"},
		"a picture that is none": {[]string{"workflow", "run", "--image", lines, lines, "--param", "line=" + line}, exitBadInput, "01_line_counter.json"},
		"a parameter's form":     {[]string{"process", "--workflow", lines, "--param", "line", in}, exitUsage, "--param line must be name=value"},
		"workflow and model":     {[]string{"process", "--workflow", lines, "--model", "nanodet-416", in}, exitUsage, "--workflow says which models run"},
		"parameters of nothing":  {[]string{"process", "--param", "line=3", in}, exitUsage, "--param is for the workflow"},
		"a block's name":         {[]string{"workflow", "blocks", "line_conter"}, exitNotFound, "the nearest is roboflow_core/line_counter@v2"},
		"a camera's name":        {[]string{"workflow", "show", "gate"}, exitNotFound, "no camera of that name (it has no cameras)"},
		"no times":               {[]string{"workflow", "bench", "--image", in, "--frames", "0", lines}, exitUsage, "--frames is 1 to 1000000, not 0"},
		"a file that may not be": {[]string{"process", "--workflow", example("03_zone_filter_delta_csv"), "--param", "target_directory=/etc", in}, exitConfig, "lies outside of the folders that may be written to"},
	} {
		t.Run(name, func(t *testing.T) {
			got := finish(t, perch(t, t.Context(), s.dir, append([]string{"--config", s.conf}, c.args...)...))
			if got.status != c.status || !strings.Contains(got.errOut, c.want) {
				t.Errorf("exit status %d, expected %d\n%s\nlacks %s", got.status, c.status, got.errOut, c.want)
			}
		})
	}
}

// portrait is a picture of nothing.
func portrait(t *testing.T, dir string) string {
	return media(t, filepath.Join(dir, "nothing.jpg"), "videotestsrc num-buffers=1 pattern=black ! video/x-raw,width=320,height=240 ! jpegenc")
}

func TestWorkflowBlocks(t *testing.T) {
	t.Parallel()
	s := newStage(t, "")
	all := s.perch(t, "workflow", "blocks")
	for _, want := range []string{"MODEL\n", "TRACKING\n", "SINK\n", "roboflow_core/byte_tracker@v3 ", "roboflow_core/relative_statoic_crop@v1 ", "roboflow_enterprise/mqtt_writer_sink@v1 "} {
		if !strings.Contains(all, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	for _, name := range []string{"roboflow_core/line_counter@v2", "line_counter@v2", "line_counter"} {
		one := s.perch(t, "workflow", "blocks", name)
		for _, want := range []string{"roboflow_core/line_counter@v2: Line Counter\n", "\n  triggering_anchor  ", "line_segment (required)", "\nOutputs\n", "  count_in "} {
			if !strings.Contains(one, want) {
				t.Errorf("%s: lacks %q:\n%s", name, want, one)
			}
		}
	}
	if one := s.perch(t, "workflow", "blocks", "byte_tracker"); !strings.Contains(one, "lost_track_buffer (default 30) ") {
		t.Errorf("no default:\n%s", one)
	}
	var schema struct {
		Schema     string `json:"$schema"`
		Properties map[string]any
	}
	if err := json.Unmarshal([]byte(s.perch(t, "workflow", "blocks", "--schema")), &schema); err != nil || schema.Schema == "" || schema.Properties["steps"] == nil {
		t.Errorf("schema %q, %v", schema.Schema, err)
	}
}

func TestWorkflowShow(t *testing.T) {
	t.Parallel()
	s := newStage(t, "cameras:\n  gate: {url: /nowhere/x.mp4, confidence: 0.3, classes: [person], lines: {door: [[0, 1], [2, 3]]}, zones: {yard: [[0, 0], [9, 0], [9, 9]]}}\n"+
		"  yard: {url: /nowhere/y.mp4, workflow: "+mustAbs(t, example("10_webrtc_e2e_passthrough"))+"}\n")
	text := s.perch(t, "workflow", "show", "--config", s.conf, "gate")
	for _, want := range []string{`"confidence": 0.3`, `"byte_tracker`, `"line_door"`, `"zone_yard"`, `"BOTTOM_CENTER"`} {
		if !strings.Contains(strings.ReplaceAll(text, `"roboflow_core/`, `"`), want) {
			t.Errorf("it lacks %s:\n%s", want, text)
		}
	}
	// What is shown is a workflow itself.
	file := write(t, filepath.Join(s.dir, "shown.json"), text)
	if out := s.perch(t, "workflow", "check", "--config", s.conf, file); out != "The workflow is good. Outputs: predictions, line_door_in, line_door_out, zone_yard\nPictures: shrunk to what its models need, where the platform does that\n" {
		t.Error(out)
	}
	want, err := os.ReadFile(example("10_webrtc_e2e_passthrough"))
	if err != nil {
		t.Fatal(err)
	}
	if text := s.perch(t, "workflow", "show", "--config", s.conf, "yard"); strings.TrimSpace(text) != strings.TrimSpace(string(want)) {
		t.Errorf("it is not the file: %s", text)
	}
}

// What is checked is the workflow: parameters may come later, and are named.
func TestWorkflowCheckNamesWhatARunMustGive(t *testing.T) {
	t.Parallel()
	s := newStage(t, "")
	file := write(t, filepath.Join(s.dir, "line.json"), `{"version": "1.0",
	"inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowParameter", "name": "line"}, {"type": "WorkflowParameter", "name": "colour"},
		{"type": "WorkflowParameter", "name": "unread"}, {"type": "WorkflowParameter", "name": "in", "default_value": 0}],
	"steps": [{"type": "roboflow_core/line_counter_visualization@v1", "name": "draw", "image": "$inputs.image", "zone": "$inputs.line", "color": "$inputs.colour", "count_in": "$inputs.in"}],
	"outputs": [{"type": "JsonField", "name": "drawn", "selector": "$steps.draw.image"}]}`)
	const good = "The workflow is good. Outputs: drawn\nPictures: whole frames, for step \"draw\"\n"
	for _, c := range []struct {
		params []string
		want   string
	}{
		{nil, good + "Parameters it needs, which a run must give: line, colour\n"},
		{[]string{"--param", "line=[[0, 1], [2, 3]]"}, good + "Parameters it needs, which a run must give: colour\n"},
		{[]string{"--param", "line=[[0, 1], [2, 3]]", "--param", "colour=red"}, good},
	} {
		if out := s.perch(t, append([]string{"workflow", "check", "--config", s.conf, file}, c.params...)...); out != c.want {
			t.Errorf("%v: %s", c.params, out)
		}
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// One picture of the sample, and what two examples make of it.
func TestWorkflowRunAndBench(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	s := newStage(t, "")
	pic := media(t, filepath.Join(s.dir, "street.jpg"), "filesrc location="+os.Getenv("PERCH_TEST_CLIP")+" ! avidemux ! avdec_msmpeg4 ! identity eos-after=2 ! jpegenc")
	files := []string{"--param", "target_directory=here"}
	var found struct {
		Predictions struct {
			Predictions []struct{ Class string }
		}
	}
	text := s.perch(t, append(files, "workflow", "run", "--config", s.conf, "--image", pic, example("04_file_sink_aggregation"))...)
	if err := json.Unmarshal([]byte(text), &found); err != nil || len(found.Predictions.Predictions) < 3 || found.Predictions.Predictions[0].Class != "person" {
		t.Errorf("%v: %s", err, text)
	}
	if _, err := os.Stat(s.files); err == nil {
		t.Error("a sink was run")
	}

	table := s.perch(t, append(files, "workflow", "bench", "--config", s.conf, "--frames", "3", "--image", pic, example("04_file_sink_aggregation"))...)
	for _, step := range []string{"model", "json_formatter", "predictions_sink", "data_aggregation", "csv_formatter", "reports_sink", "all steps"} {
		if !regexp.MustCompile(`(?m)^ *` + step + ` .*\d\.\d{3}\s*$`).MatchString(table) {
			t.Errorf("%s is not in\n%s", step, table)
		}
	}

	// The picture's corner, as JSON and as a file.
	out := filepath.Join(s.dir, "corner.jpg")
	text = s.perch(t, "workflow", "run", "--config", s.conf, "--image", pic, "--out", out, example("10_webrtc_e2e_passthrough"))
	if !strings.HasPrefix(text, `{"absolute_static_crop":{"type":"base64","value":"/9j/`) {
		t.Errorf("%.80s", text)
	}
	full, corner := picture(t, pic), picture(t, out)
	if corner.Rect != image.Rect(0, 0, 80, 80) {
		t.Fatalf("the corner is %v", corner.Rect)
	}
	for y := 4; y < 80; y += 8 {
		for x := 4; x < 80; x += 8 {
			r := image.Rect(x-4, y-4, x+4, y+4)
			if d := distance(mean(full, r), mean(corner, r)); d > 6 {
				t.Errorf("at (%d, %d) the corner differs by %.0f", x, y, d)
			}
		}
	}
}

func picture(t *testing.T, path string) *image.YCbCr {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := jpeg.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*image.YCbCr) // what jpeg makes of all but grey pictures
}

// Example 9 on a picture of our own: a white board, which the segmentation
// model cuts out by its brightness, is straightened into a square.
func TestTheNinthExampleStraightensABoard(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	s := newStage(t, "")
	board := image.Rect(168, 168, 600, 408) // in the box that the model knows, (144, 144) to (624, 432)
	scene := image.NewRGBA(image.Rect(0, 0, 768, 576))
	for y := range 576 {
		for x := range 768 {
			c := color.RGBA{A: 255, B: 90, G: 90}
			if image.Pt(x, y).In(board) {
				c = color.RGBA{255, uint8(255 * (x - 168) / 432), 255, 255} // greener to the right
			}
			scene.SetRGBA(x, y, c)
		}
	}
	f, err := os.Create(filepath.Join(s.dir, "scene.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, scene); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// The graph of ours knows light and dark things and no cars, and is never sure.
	file := s.variant(t, "09_dynamic_zone_perspective", `"car"`, `"light"`, `"model_id": "yolov8n-seg-640"`, `"model_id": "yolov8n-seg-640", "confidence_mode": "custom", "custom_confidence": 0.1`)
	out := filepath.Join(s.dir, "straight.jpg")
	text := s.perch(t, "workflow", "run", "--config", s.conf, "--image", f.Name(), "--out", out, file)
	if !strings.HasPrefix(text, `{"label_visualization":`) {
		t.Fatalf("%.200s", text)
	}
	got := picture(t, out)
	if got.Rect.Dx() != 1000 || got.Rect.Dy() != 1000 {
		t.Fatalf("the picture is %v", got.Rect)
	}
	// The mask is coarse (12 pixels a sample), so the corners may be off by some.
	for x := 150; x < 900; x += 150 {
		r, g, b, _ := got.At(x, 700).RGBA()
		if want := uint32(255 * x / 1000); r>>8 < 215 || b>>8 < 215 || g>>8 > want+25 || g>>8+25 < want {
			t.Errorf("at (%d, 700): %s, expected red and blue with green %d", x, fmt.Sprint(r>>8, g>>8, b>>8), want)
		}
	}
}
