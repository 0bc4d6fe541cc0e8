package blocks_test

import (
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow/workflowtest"
)

const motionStep = `"type": "roboflow_core/motion_detection@v1", "image": "$inputs.image"`

var motionOutputs = []string{"motion", "alarm", "detections", "motion_zones"}

// scene is grey with a bright square at x, y; none if x is negative.
func scene(w, h, x, y, side int) pipeline.Picture {
	p := workflowtest.Picture(w, h, 100)
	for i := range side {
		for k := range side {
			if x >= 0 && x+i < w && y+k < h {
				p.Planes[0][(y+k)*w+x+i] = 200
			}
		}
	}
	return p
}

// watch plays an empty scene for so many frames and then a square that jumps
// to each of the places, and returns motion and alarm by frame: "a" for an
// alarm, "m" for motion, "." for neither.
func watch(t testing.TB, h *workflowtest.Harness, w, ht, empty, side int, places ...[2]int) string {
	t.Helper()
	var s strings.Builder
	for i := range empty + len(places) {
		x, y := -1, 0
		if i >= empty {
			x, y = places[i-empty][0], places[i-empty][1]
		}
		h.Frame(scene(w, ht, x, y, side))
		switch {
		case h.JSON("alarm") == "true":
			s.WriteByte('a')
		case h.JSON("motion") == "true":
			s.WriteByte('m')
		default:
			s.WriteByte('.')
		}
	}
	return s.String()
}

func TestMotionDetection(t *testing.T) {
	at := [2]int{40, 40}
	for name, c := range map[string]struct {
		fields string
		empty  int
		places [][2]int
		want   string
	}{
		"still":                {"", 35, nil, strings.Repeat(".", 35)},
		"moves":                {"", 31, [][2]int{at, {80, 40}, {-1, 0}, {40, 100}}, strings.Repeat(".", 31) + "am.a"},
		"while it is learning": {"", 5, [][2]int{at, {80, 40}}, "......."},
		"learning may be seen": {`, "suppress_first_detections": false`, 5, [][2]int{at}, "a....a"}, // the very first frame is all new
		"a shorter history":    {`, "history": 5`, 6, [][2]int{at}, "......a"},
		"too small":            {`, "minimum_contour_area": 500`, 31, [][2]int{at}, strings.Repeat(".", 32)}, // 20 x 20; its outline encloses 19 x 19 less four corners, 359
		"just large enough":    {`, "minimum_contour_area": 358`, 31, [][2]int{at}, strings.Repeat(".", 31) + "a"},
		"taken for noise":      {`, "morphological_kernel_size": 31, "minimum_contour_area": 1`, 31, [][2]int{at}, strings.Repeat(".", 32)},
		"more than a picture":  {`, "morphological_kernel_size": 1000000, "minimum_contour_area": 1`, 31, [][2]int{at}, strings.Repeat(".", 32)},
		"in the zone":          {`, "detection_zone": [[30, 30], [30, 70], [70, 70], [70, 30]]`, 31, [][2]int{at}, strings.Repeat(".", 31) + "a"},
		"outside of it":        {`, "detection_zone": "[[30, 30], [30, 70], [70, 70], [70, 30]]"`, 31, [][2]int{{100, 40}}, strings.Repeat(".", 32)},
		"a zone off the frame": {`, "detection_zone": [[3000, 3000], [3001, 3000], [3001, 3001]]`, 31, [][2]int{at}, strings.Repeat(".", 32)},
		"partly in the zone":   {`, "detection_zone": [[50, 0], [50, 119], [159, 119], [159, 0]]`, 31, [][2]int{at}, strings.Repeat(".", 31) + "a"},
		// With 10 frames each weighs a tenth: on the second one the background weighs 0.9 × 0.9 - 0.005 = 0.805, less than
		// the 0.9 of the time that it must be seen, so what comes next in weight is background as well.
		"what stands is learnt": {`, "history": 10`, 11, [][2]int{at, at, at, at, at, at}, strings.Repeat(".", 11) + "a....."},
	} {
		t.Run(name, func(t *testing.T) {
			h := run(t, graphOf(motionStep+c.fields, motionOutputs...), nil)
			got := watch(t, h, 160, 120, c.empty, 20, c.places...)
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestMotionDetectionSaysWhere(t *testing.T) {
	h := run(t, graphOf(motionStep+`, "morphological_kernel_size": 1`, motionOutputs...), nil)
	watch(t, h, 160, 120, 31, 20, [2]int{40, 60})
	if got, want := boxes(found(t, h, "detections")), "motion 40,60,60,80"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := h.JSON("motion_zones"), "[[[40,60],[40,79],[59,79],[59,60]]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := h.JSON("detections"); !strings.Contains(got, `"width":20.0,"height":20.0,"x":50.0,"y":70.0,"confidence":1.0,"class_id":0,"class":"motion"`) {
		t.Error(got)
	}
	// Only what lies in the zone.
	h = run(t, graphOf(motionStep+`, "morphological_kernel_size": 1, "detection_zone": [[50, 0], [50, 119], [159, 119], [159, 0]]`, motionOutputs...), nil)
	watch(t, h, 160, 120, 31, 20, [2]int{40, 60})
	if got, want := boxes(found(t, h, "detections")), "motion 50,60,60,80"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// 1080p is shrunk four times; places are those of the image all the same.
	h = run(t, graphOf(motionStep+`, "history": 3`, motionOutputs...), nil)
	watch(t, h, 1920, 1080, 4, 80, [2]int{400, 600})
	if got, want := boxes(found(t, h, "detections")), "motion 400,600,480,680"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := h.JSON("motion_zones"), "[[[402,602],[402,678],[478,678],[478,602]]]"; got != want { // the middles of the outermost pixels of four
		t.Errorf("%s, want %s", got, want)
	}
	// The size of the picture changes: what was learned is of no use.
	if got := watch(t, h, 160, 120, 4, 20, [2]int{40, 60}); got != "....a" {
		t.Error(got)
	}
}

func TestMotionDetectionMistakes(t *testing.T) {
	for fields, says := range map[string]string{
		`, "threshold": 0`: "threshold", `, "history": 0`: "history", `, "detection_zone": [[1, 1], [2, 2]]`: "three points", `, "detection_zone": "door"`: "no JSON",
		`, "detection_zone": [[1, 1], [2, 2], 3]`: "point 3",
	} {
		if s := refused(t, graphOf(motionStep+fields)); !strings.Contains(s, says) {
			t.Errorf("%s: %s", fields, s)
		}
	}
	h := run(t, graphOf(motionStep, motionOutputs...), nil)
	for range 40 { // a picture of one pixel has nothing that moves
		h.Frame(workflowtest.Picture(1, 1, 100))
	}
	if h.JSON("motion") != "false" || h.JSON("motion_zones") != "[]" {
		t.Error(h.JSON("motion"))
	}
}
