package model

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"perch/pipeline"
)

func openFamily(t *testing.T, family string, change func(m *Manifest)) *Model {
	t.Helper()
	m := testManifest(family, 64, 64)
	if change != nil {
		change(&m)
	}
	opened, err := Open(m)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func tensor(name string, shape []int64, data ...float32) Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	full := make([]float32, n)
	copy(full, data)
	return Tensor{Name: name, Shape: shape, Data: full}
}

func decodeAll(t *testing.T, m *Model, p Params, outs ...Tensor) []pipeline.Detection {
	t.Helper()
	dets, err := m.NewDecoder().Decode(outs, newTransform(&m.manifest.Input, 64, 64), p)
	if err != nil {
		t.Fatal(err)
	}
	return dets
}

// keepAll are parameters that keep nearly everything.
func keepAll() Params { return Params{Confidence: 0.1, IoU: 1, MaxDetections: 100} }

func TestClassificationActivation(t *testing.T) {
	logits := []float32{1, 3, 2}
	soft := []float32{0.66524, 0.24473}
	probabilities := []float32{0.2, 0.7, 0.1}
	for name, c := range map[string]struct {
		activation Activation
		in, want   []float32
	}{
		"auto, logits":           {Auto, logits, soft},
		"auto, probabilities":    {Auto, probabilities, []float32{0.7, 0.2, 0.1}},
		"auto, sum is not one":   {Auto, []float32{0.9, 0.9, 0.9}, []float32{0.33333, 0.33333, 0.33333}},
		"softmax, probabilities": {Softmax, probabilities, []float32{0.46396, 0.28140, 0.25463}},
		"none":                   {None, []float32{0.9, 0.05, 0.8}, []float32{0.9, 0.8}},
		"huge logits":            {Auto, []float32{1000, 999, -1000}, []float32{0.73106, 0.26894}},
	} {
		m := openFamily(t, "classification", func(m *Manifest) { m.Head.Activation = c.activation })
		dets := decodeAll(t, m, keepAll(), tensor("y", []int64{1, 3}, c.in...))
		got := scoresOf(dets)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if !near(got[i], c.want[i], 1e-4) || dets[i].Box != (pipeline.Box{X1: 64, Y1: 64}) {
				t.Errorf("%s: %+v, want %v", name, dets[i], c.want[i])
			}
		}
	}
	d := openFamily(t, "classification", nil).NewDecoder()
	dets, err := d.Decode([]Tensor{tensor("y", []int64{1, 2}, float32(math.NaN()), 1)}, newTransform(&Input{Width: 64, Height: 64}, 64, 64), keepAll())
	if err != nil || len(dets) != 0 || d.Stats().Invalid != 2 {
		t.Errorf("NaN: %+v %v %+v", dets, err, d.Stats())
	}
}

func TestSSDCount(t *testing.T) {
	outs := func(num float32) []Tensor {
		return []Tensor{
			tensor("detection_boxes", []int64{1, 3, 4}, 0.25, 0.5, 0.5, 1, 0, 0, 1, 1, 0, 0, 1, 1),
			tensor("detection_classes", []int64{1, 3}, 1, 2, 3),
			tensor("detection_scores", []int64{1, 3}, 0.9, 0.8, 0.7),
			tensor("num_detections", []int64{1}, num),
		}
	}
	m := openFamily(t, "ssd", nil)
	for num, want := range map[float32]int{0: 0, 1: 1, 3: 3, 99: 3, -1: 3, float32(math.Inf(1)): 3} {
		if got := decodeAll(t, m, keepAll(), outs(num)...); len(got) != want {
			t.Errorf("num_detections %v: %d detections, want %d", num, len(got), want)
		}
	}
	got := decodeAll(t, m, keepAll(), outs(1)...)[0]
	if got.Box != (pipeline.Box{X0: 32, Y0: 16, X1: 64, Y1: 32}) || got.Class != 0 {
		t.Errorf("%+v", got)
	}
	zero := 0
	m = openFamily(t, "ssd", func(m *Manifest) { m.Head.FirstClass = &zero })
	if got := decodeAll(t, m, keepAll(), outs(1)...)[0]; got.Class != 1 {
		t.Errorf("numbered from 0: %+v", got)
	}
	if got := decodeAll(t, m, keepAll(), outs(0)[:3]...); len(got) != 3 {
		t.Errorf("without num_detections: %d", len(got))
	}
}

func TestUnits(t *testing.T) {
	row := []float32{0.25, 0.5, 0.75, 1, 0.9, 2}
	m := openFamily(t, "yolov10", func(m *Manifest) { m.Head.Units = Normalised })
	if got := decodeAll(t, m, keepAll(), tensor("o", []int64{1, 1, 6}, row...)); got[0].Box != (pipeline.Box{X0: 16, Y0: 32, X1: 48, Y1: 64}) {
		t.Errorf("%+v", got)
	}
	m = openFamily(t, "yolov8", func(m *Manifest) { m.Head.Units = Normalised })
	if got := decodeAll(t, m, keepAll(), tensor("o", []int64{1, 5, 1}, 0.5, 0.5, 0.5, 0.25, 0.9)); got[0].Box != (pipeline.Box{X0: 16, Y0: 24, X1: 48, Y1: 40}) {
		t.Errorf("%+v", got)
	}
}

// TestRFDETRPairs keeps each pair of query and class.
func TestRFDETRPairs(t *testing.T) {
	m := openFamily(t, "rfdetr", nil)
	dets := decodeAll(t, m, keepAll(), tensor("dets", []int64{1, 2, 4}, 0.5, 0.5, 1, 1, 0.25, 0.25, 0.5, 0.5), tensor("labels", []int64{1, 2, 3}, 2, -9, 0, -9, 1, -9))
	var classes []int
	for _, d := range dets {
		classes = append(classes, d.Class)
	}
	if !reflect.DeepEqual(classes, []int{0, 1, 2}) || !near(dets[1].Score, 0.731059, 1e-5) || dets[1].Box != (pipeline.Box{X1: 32, Y1: 32}) {
		t.Errorf("%+v", dets)
	}
}

func TestExpectation(t *testing.T) {
	for want, logits := range map[float32][]float32{
		1:   {0, 0, 0},
		2:   {-1e4, -1e4, 1e4},
		0.5: {3, 3, -1e30},
	} {
		if got := expectation(logits); !near(got, want, 1e-6) {
			t.Errorf("%v: %v, want %v", logits, got, want)
		}
	}
	if got := expectation([]float32{float32(math.NaN()), 1}); got == got {
		t.Errorf("NaN became %v", got)
	}
}

// TestNanoDetSameWidth: as many classes as distances; scores come first.
func TestNanoDetSameWidth(t *testing.T) {
	m := openFamily(t, "nanodet", func(m *Manifest) { m.Head.Strides, m.Head.RegMax = []int{32}, 1 })
	scores := tensor("a", []int64{1, 4, 8})
	scores.Data[8+3] = 0.9 // cell 1, class 3
	dists := tensor("b", []int64{1, 4, 8})
	got := decodeAll(t, m, keepAll(), scores, dists)
	// Even logits are half a stride: 16 pixels to each side of (48, 16).
	if len(got) != 1 || got[0].Class != 3 || got[0].Box != (pipeline.Box{X0: 32, X1: 64, Y1: 32}) {
		t.Errorf("%+v", got)
	}
}

func TestBlazeFaceAnchors(t *testing.T) {
	centres := blazeFaceLayout(&Input{Width: 128, Height: 128}, []int{8, 16, 16, 16})
	if len(centres) != 896 || centres[0] != centres[1] || centres[1] != (pipeline.Point{X: 4, Y: 4}) || centres[2] != (pipeline.Point{X: 12, Y: 4}) ||
		centres[512] != (pipeline.Point{X: 8, Y: 8}) || centres[517] != centres[512] || centres[895] != (pipeline.Point{X: 120, Y: 120}) {
		t.Errorf("%d anchors, %v", len(centres), centres[:3])
	}
	m, err := Open(testManifest("blazeface", 128, 128))
	if err != nil {
		t.Fatal(err)
	}
	scores, rows := tensor("s", []int64{1, 896, 1}), tensor("r", []int64{1, 896, 16})
	for i := range scores.Data {
		scores.Data[i] = -50
	}
	scores.Data[895] = 3
	copy(rows.Data[895*16:], []float32{1, 2, 20, 10, 5, 6})
	d := m.NewDecoder()
	dets, err := d.Decode([]Tensor{rows, scores}, newTransform(&m.manifest.Input, 128, 128), keepAll())
	if err != nil || len(dets) != 1 || dets[0].Box != (pipeline.Box{X0: 111, Y0: 117, X1: 128, Y1: 127}) || dets[0].Keypoints[0].Point != (pipeline.Point{X: 125, Y: 126}) {
		t.Errorf("%+v %v", dets, err)
	}
}

// TestMissingOutputs: each head names what it misses.
func TestMissingOutputs(t *testing.T) {
	for family, want := range map[string]string{
		"yolox": "[1,84,?]", "rtdetr": `"labels"`, "dfine": `"labels"`, "rfdetr": `"dets"`, "ssd": `"detection_boxes"`, "yunet": `"cls_8"`,
		"blazeface": "896 anchors", "nanodet": "[1,84,?]", "classification": "one output", "centernet": "[1,?,6]", "yolov5": "[1,?,?]",
	} {
		m := openFamily(t, family, nil)
		_, err := m.NewDecoder().Decode([]Tensor{tensor("odd", []int64{2, 2, 2, 2})}, newTransform(&m.manifest.Input, 64, 64), keepAll())
		if family == "classification" {
			_, err = m.NewDecoder().Decode([]Tensor{tensor("odd", []int64{1})}, newTransform(&m.manifest.Input, 64, 64), keepAll())
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"odd" float32[`) {
			t.Errorf("%s: %v", family, err)
		}
	}
}

// TestIntegerOutputs: labels come as int64 in RT-DETR and as floats in others.
func TestIntegerOutputs(t *testing.T) {
	m := openFamily(t, "rtdetr", func(m *Manifest) { m.Labels = []string{"a", "b", "c"} })
	boxes, scores := tensor("boxes", []int64{1, 1, 4}, 1, 2, 30, 40), tensor("scores", []int64{1, 1}, 0.8)
	for _, labels := range []Tensor{{Name: "labels", Shape: []int64{1, 1}, Ints: []int64{2}}, tensor("labels", []int64{1, 1}, 2)} {
		got := decodeAll(t, m, keepAll(), scores, labels, boxes)
		if len(got) != 1 || got[0].Label != "c" || got[0].Box != (pipeline.Box{X0: 1, Y0: 2, X1: 30, Y1: 40}) {
			t.Errorf("%+v", got)
		}
	}
}
