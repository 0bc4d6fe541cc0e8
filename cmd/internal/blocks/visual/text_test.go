package visual_test

import (
	"bytes"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// drawn is what the drawer itself writes on a grey picture.
func drawn(t testing.TB, x, y int, text string, s draw.TextStyle) pipeline.Picture {
	t.Helper()
	d, err := draw.New()
	if err != nil {
		t.Fatal(err)
	}
	p := workflowtest.Picture(width, height, 128)
	d.Text(p, x, y, []byte(text), s)
	return p
}

func size(t testing.TB, text string, s draw.TextStyle) (w, h int) {
	t.Helper()
	d, err := draw.New()
	if err != nil {
		t.Fatal(err)
	}
	return d.Measure([]byte(text), s)
}

var (
	whiteColour = draw.Colour{R: 255, G: 255, B: 255}
	violet      = draw.Colour{R: 0xa3, G: 0x51, B: 0xfb} // the first of DEFAULT
)

func TestLabelIsBesideItsBox(t *testing.T) {
	style := draw.TextStyle{Scale: 1, Colour: whiteColour, Plate: violet, PlateOpacity: 1, Padding: 10}
	_, h := size(t, "person", style)
	if !same(try(t, "label_visualization@v1", found, det(40, 60, 100, 90, 0)), drawn(t, 40, 60-h, "person", style)) {
		t.Error("the label is not above the box's upper left corner")
	}
	if !same(try(t, "label_visualization@v1", found, det(40, 3, 100, 90, 0)), drawn(t, 40, 0, "person", style)) {
		t.Error("the label that has no room above is not at the image's edge")
	}
	small := draw.TextStyle{Scale: 0.5, Bold: true, Colour: draw.Colour{R: 255}, Plate: violet, PlateOpacity: 1, Padding: 2, Radius: 3}
	got := try(t, "label_visualization@v1", with(`"text": "Class and Confidence", "text_position": "BOTTOM_LEFT", "text_scale": 0.5, "text_thickness": 2, "text_padding": 2, "border_radius": 3, "text_color": "rgb(255, 0, 0)"`), det(40, 20, 100, 60, 0))
	if !same(got, drawn(t, 40, 60, "person 0.87", small)) {
		t.Error("the label's fields are not heeded")
	}
}

func TestLineCounter(t *testing.T) {
	p := try(t, "line_counter_visualization@v1", `"zone": [[80, 100], [150, 100]], "color": "WHITE", "count_in": "$steps.v.value", "count_out": "$inputs.p", "text_scale": 0.5, "opacity": 0.5, "thickness": 4`)
	check(t, p, probe{140, 98, 182}, probe{140, 101, 182}, probe{140, 102, untouched}, probe{140, 97, untouched})
	style := draw.TextStyle{Scale: 0.5, Plate: whiteColour, PlateOpacity: 1}
	w, h := size(t, "in: 7, out: 3", style)
	want := drawn(t, 80-w/2, 100-h/2, "in: 7, out: 3", style)
	for y := range height {
		for x := range 80 { // right of it is the line
			if got, w := p.Planes[0][y*p.Strides[0]+x], want.Planes[0][y*want.Strides[0]+x]; got != w && y != 98 && y != 99 && y != 100 && y != 101 {
				t.Fatalf("luma at (%d, %d) is %d, want %d", x, y, got, w)
			}
		}
	}
}

func TestPolygonZones(t *testing.T) {
	const one = `"zone": [[20, 20], [60, 20], [60, 60], [20, 60]]`
	for _, c := range []struct {
		name, properties string
		values           []workflow.Value
		probes           []probe
	}{
		{"one", one + `, "color": "WHITE", "opacity": 0.5`, nil, []probe{{20, 20, 182}, {59, 59, 182}, {60, 60, untouched}}},
		{"two", `"color": "BLACK", "opacity": 1, "zone": [[[0, 0], [10, 0], [10, 10], [0, 10]], [[100, 100], [120, 100], [120, 110]]]`, nil,
			[]probe{{5, 5, black}, {118, 102, black}, {101, 109, untouched}, {50, 50, untouched}}},
		{"none", `"zone": "$steps.v.value"`, []workflow.Value{workflow.ListOf(nil)}, []probe{{20, 20, untouched}}},
		{"one of two points, from a step", `"zone": "$steps.v.value"`, []workflow.Value{workflow.ValueOfPoints([]pipeline.Point{{X: 1, Y: 1}, {X: 99, Y: 99}})}, []probe{{50, 50, untouched}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, shot(t, start(t, graph("polygon_zone_visualization@v1", c.properties), c.values)), c.probes...)
		})
	}
}

// A step may hand out the same list with other points in it.
func TestZoneFromAStepIsReadEachTime(t *testing.T) {
	points := func(x float64) []workflow.Value {
		var items []workflow.Value
		for _, p := range [][2]float64{{x, 0}, {x + 20, 0}, {x + 20, 20}, {x, 20}} {
			items = append(items, workflow.ListOf([]workflow.Value{workflow.FloatOf(p[0]), workflow.FloatOf(p[1])}))
		}
		return items
	}
	items := points(0)
	h := start(t, graph("polygon_zone_visualization@v1", `"zone": "$steps.v.value", "color": "WHITE", "opacity": 1`), []workflow.Value{workflow.ListOf(items)})
	check(t, shot(t, h), probe{10, 10, white}, probe{90, 10, untouched})
	copy(items, points(80))
	check(t, shot(t, h), probe{10, 10, untouched}, probe{90, 10, white})
}

func TestTextDisplay(t *testing.T) {
	plain := draw.TextStyle{Scale: 1, Bold: true, Colour: whiteColour, PlateOpacity: 1, Padding: 10}
	right := draw.TextStyle{Scale: 0.5, Colour: draw.Colour{G: 255}, Plate: draw.Colour{R: 255}, PlateOpacity: 0.5, Padding: 3, Radius: 2, Align: draw.Right}
	bare := plain
	bare.PlateOpacity = 0
	w, h := size(t, "7\nlong line", right)
	for _, c := range []struct {
		name, properties, text string
		x, y                   int
		style                  draw.TextStyle
	}{
		{"words", `"text": "Hello"`, "Hello", 10, 10, plain},
		{"a value", `"text": "{{ $parameters.n }} in {{$parameters.who}}", "text_parameters": {"n": "$steps.v.value", "who": "hall"}`, "7 in hall", 10, 10, plain},
		{"operations", `"text": "n={{ $parameters.n }}", "text_parameters": {"n": "$steps.d.predictions"}, "text_parameters_operations": {"n": [{"type": "SequenceLength"}]}`, "n=1", 10, 10, plain},
		{"absolute", `"text": "Hi", "position_mode": "absolute", "position_x": 30, "position_y": 40, "offset_x": 99, "background_color": "Transparent"`, "Hi", 30, 40, bare},
		{
			"everything", `"text": "{{ $parameters.n }}\nlong line", "text_parameters": {"n": "$steps.v.value"}, "text_color": "GREEN", "background_color": "RED", "background_opacity": 0.5,
			"font_scale": 0.5, "font_thickness": 1, "padding": 3, "text_align": "right", "border_radius": 2, "anchor": "bottom_right", "offset_x": -5, "offset_y": -6`,
			"7\nlong line", width - w - 5, height - h - 6, right,
		},
		{"moved inside", `"text": "Hi", "offset_x": -500, "offset_y": -500`, "Hi", 0, 0, plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := try(t, "text_display@v1", c.properties, det(1, 1, 9, 9, 0))
			if !same(got, drawn(t, c.x, c.y, c.text, c.style)) {
				t.Error("the text is another one, or elsewhere")
			}
		})
	}
}

func TestKeypoints(t *testing.T) {
	d := det(0, 0, 100, 100, 0)
	d.Keypoints = []pipeline.Keypoint{
		{Point: pipeline.Point{X: 20, Y: 20}, Score: 0.9}, {Point: pipeline.Point{X: 100, Y: 20}, Score: 0.8}, {Point: pipeline.Point{X: 60, Y: 100}}, // the last is missing
	}
	p := try(t, "keypoint_visualization@v1", with(`"color": "WHITE", "edges": [[1, 2], [2, 3], [1, 9]]`), d)
	check(t, p, probe{60, 19, white}, probe{60, 20, white}, probe{80, 60, untouched}, probe{60, 22, untouched})
	p = try(t, "keypoint_visualization@v1", with(`"color": "WHITE", "annotator_type": "vertex", "radius": 5`), d)
	check(t, p, probe{20, 20, white}, probe{100, 16, white}, probe{60, 100, untouched}, probe{60, 20, untouched})
	p = try(t, "keypoint_visualization@v1", with(`"color": "WHITE", "annotator_type": "vertex_label", "text_padding": 2, "radius": 0`), d)
	style := draw.TextStyle{Scale: 0.5, Plate: whiteColour, PlateOpacity: 1, Padding: 2}
	w, h := size(t, "0", style)
	check(t, p, probe{20 - w/2, 20 - h/2, white}, probe{20 - w/2 - 1, 20, untouched}, probe{60, 100, untouched})
	// Without edges three points are no skeleton that is known; 17 are a person.
	if p = try(t, "keypoint_visualization@v1", found, d); changed(p, 0, 0, width, height) != 0 {
		t.Error("lines between points of which nothing is known")
	}
	d.Keypoints = make([]pipeline.Keypoint, 17)
	d.Keypoints[5], d.Keypoints[6] = pipeline.Keypoint{Point: pipeline.Point{X: 40, Y: 50}, Score: 1}, pipeline.Keypoint{Point: pipeline.Point{X: 90, Y: 50}, Score: 1}
	p = try(t, "keypoint_visualization@v1", with(`"color": "WHITE"`), d)
	check(t, p, probe{65, 49, white}, probe{65, 50, white}, probe{65, 53, untouched}) // the shoulders
}

// classes is a block whose output is a classification.
func classes(k workflow.Classes) *workflow.Manifest {
	return workflowtest.Values(workflow.ClassesOf(&k))
}

func TestClassificationLabels(t *testing.T) {
	cat, dog, fox := workflow.Class{Class: 0, Label: "cat", Score: 0.2}, workflow.Class{Class: 1, Label: "dog", Score: 0.7}, workflow.Class{Class: 2, Label: "fox", Score: 0.6}
	style := draw.TextStyle{Scale: 0.5, Colour: whiteColour, PlateOpacity: 1, Padding: 4}
	palette, err := draw.NewPalette("DEFAULT", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, position string
		k              workflow.Classes
		want           []string
		of             []int
	}{
		{"the most likely one", "TOP_LEFT", workflow.Classes{Items: []workflow.Class{dog, fox, cat}}, []string{"dog 0.70"}, []int{1}},
		{"all that hold", "BOTTOM_RIGHT", workflow.Classes{Multi: true, Items: []workflow.Class{cat, dog, fox}, Picked: []workflow.Class{fox, dog}}, []string{"dog 0.70", "fox 0.60"}, []int{1, 2}},
		{"none", "CENTER", workflow.Classes{Multi: true, Items: []workflow.Class{cat}}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := graph("classification_label_visualization@v1", `"predictions": "$steps.v.value", "text": "Class and Confidence", "text_scale": 0.5, "text_padding": 4, "text_position": "`+c.position+`"`)
			h := workflowtest.New(t, spec, nil, workflow.Options{}, nil, all(), []*workflow.Manifest{workflowtest.Detections(), classes(c.k)})
			got := shot(t, h)
			want := workflowtest.Picture(width, height, 128)
			d, err := draw.New()
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range c.want {
				style.Plate = palette.Colour(c.of[i])
				w, h := d.Measure([]byte(text), style)
				x, y := 0, 0
				if c.position == "BOTTOM_RIGHT" {
					x, y = width-w, height-(h+2)*(len(c.want)-i)+2
				}
				d.Text(want, x, y, []byte(text), style)
			}
			if !same(got, want) {
				t.Error("the plates are others, or elsewhere")
			}
		})
	}
	h := start(t, graph("classification_label_visualization@v1", `"predictions": "$steps.v.value"`), nil)
	if _, err := h.Try(workflowtest.Picture(width, height, 128)); err == nil || !strings.Contains(err.Error(), "must be a classification") {
		t.Errorf("a number for a classification: %v", err)
	}
}

func TestTextStaysTheSameWhenNothingChanges(t *testing.T) {
	h := start(t, graph("text_display@v1", `"text": "{{ $parameters.n }}", "text_parameters": {"n": "$steps.v.value"}`), []workflow.Value{workflow.IntOf(1), workflow.IntOf(1), workflow.IntOf(8)})
	var frames [3][]byte
	for i := range frames {
		frames[i] = bytes.Clone(shot(t, h).Planes[0])
	}
	if !bytes.Equal(frames[0], frames[1]) || bytes.Equal(frames[1], frames[2]) {
		t.Error("the text does not follow its value")
	}
}
