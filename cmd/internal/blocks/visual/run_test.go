package visual_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"perch/cmd/internal/blocks/visual"
	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func all() []*workflow.Manifest { return visual.All() }

// needed are the properties without which a block has nothing to draw.
func needed(m *workflow.Manifest) string {
	switch strings.TrimPrefix(m.Type, "roboflow_core/") {
	case "line_counter_visualization@v1":
		return `"zone": [[1, 2], [3, 4]]`
	case "polygon_zone_visualization@v1":
		return `"zone": [[1, 2], [3, 4], [5, 60]]`
	case "text_display@v1":
		return `"text": "hello"`
	}
	return found
}

// Every block must cope with whatever a model may say.
func TestNothingThatIsFoundMakesABlockFail(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	odd := []workflow.Detection{
		det(10, 10, 10, 10, 0), det(30, 30, 20, 20, 5), det(-50, -50, -10, -10, -3), det(nan, nan, nan, nan, 0), det(-inf, -inf, inf, inf, 1),
		det(150, 110, 900, 900, 1), masked(det(-3, -3, 5, 5, 0), block(8, 8)...), masked(det(155, 100, 190, 130, 0), block(35, 30)...), {},
	}
	odd[0].Keypoints = []pipeline.Keypoint{{Point: pipeline.Point{X: nan, Y: inf}, Score: 1}, {Score: 1}}
	for i := range odd {
		odd[i].Track = pipeline.TrackID(i) // the first is not tracked
	}
	for _, m := range all() {
		name := strings.TrimPrefix(m.Type, "roboflow_core/")
		if name == "classification_label_visualization@v1" {
			continue // it takes no detections
		}
		t.Run(name, func(t *testing.T) {
			properties := needed(m)
			if strings.Contains(properties, found) && m.Fields[3].Name == "color_palette" {
				properties += `, "color_axis": "TRACK"`
			}
			h := start(t, graph(name, properties), nil, nil, odd, odd, nil)
			for range 4 {
				shot(t, h)
			}
		})
	}
}

func TestWithoutDetectionsNothingIsDrawn(t *testing.T) {
	for _, m := range all() {
		name := strings.TrimPrefix(m.Type, "roboflow_core/")
		if needed(m) != found || name == "background_color_visualization@v1" || name == "classification_label_visualization@v1" {
			continue
		}
		if p := try(t, name, found); changed(p, 0, 0, width, height) != 0 {
			t.Errorf("%s drew something", name)
		}
	}
}

func TestTraceFollowsTracksForItsLength(t *testing.T) {
	for _, every := range []uint64{1, 10} { // its length is of frames that are worked on
		traceIsSoLong(t, every)
	}
}

func traceIsSoLong(t *testing.T, every uint64) {
	t.Helper()
	at := func(x float32, track uint64) workflow.Detection {
		return workflowtest.Det(x-10, 50, x+10, 70, 0, "person", 0.9, track)
	}
	frames := [][]workflow.Detection{
		{at(20, 1), at(20, 0)}, {at(60, 1), at(99, 0)}, {at(100, 1)}, {at(140, 1)}, {}, {}, {}, {at(20, 1)}, {at(30, 1)},
	}
	h := start(t, graph("trace_visualization@v1", with(custom+`, "trace_length": 3, "thickness": 2`)), nil, frames...)
	h.Every = every
	line := func(x int, on bool) probe {
		if on {
			return probe{x, 59, white}
		}
		return probe{x, 59, untouched}
	}
	for i, want := range [][]probe{
		{line(20, false)},                                  // one point is no line
		{line(40, true), line(80, false)},                  // from 20 to 60
		{line(40, true), line(80, true)},                   // three frames
		{line(40, false), line(80, true), line(120, true)}, // the first is forgotten
		{line(80, false), line(120, false)},                // nobody is there
		{line(120, false)}, {line(120, false)},
		{line(80, false), line(25, false)}, // the track comes back after its trace is over
		{line(25, true), line(80, false)},
	} {
		p := shot(t, h)
		for _, q := range want {
			if got := p.Planes[0][q.y*p.Strides[0]+q.x]; got != q.want {
				t.Errorf("frame %d of %d: luma at %d is %d, want %d", i+1, every, q.x, got, q.want)
			}
		}
	}
}

func TestHeatmapCountsWhatMoves(t *testing.T) {
	at := func(x float32, track uint64) workflow.Detection {
		return workflowtest.Det(x-10, 20, x+10, 60, 0, "person", 0.9, track)
	}
	frames := [][]workflow.Detection{{at(30, 1), at(120, 2)}, {at(60, 1), at(121, 2)}, {at(61, 1), at(122, 2)}}
	for _, c := range []struct {
		name, properties string
		left, right      bool
	}{
		{"only what moved", `"radius": 10`, true, false},
		{"all", `"radius": 10, "ignore_stationary": false`, true, true},
		{"moved a little", `"radius": 10, "motion_threshold": 1`, true, true},
		{"moved a lot", `"radius": 10, "motion_threshold": 90`, false, false},
	} {
		h := start(t, graph("heatmap_visualization@v1", with(c.properties+`, "opacity": 0.5`)), nil, frames...)
		var p pipeline.Picture
		for range frames {
			p = shot(t, h)
		}
		left, right := changed(p, 50, 50, 70, 70) > 100, changed(p, 110, 50, 130, 70) > 100
		if left != c.left || right != c.right {
			t.Errorf("%s: left %v, right %v", c.name, left, right)
		}
	}
}

// Two blocks that both draw on the first one's image must not see each other's
// drawings; a chain must show all of them.
func TestWhoSeesWhichDrawing(t *testing.T) {
	const spec = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [
		{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}, {"type": "test/value@v1", "name": "v"},
		{"type": "roboflow_core/bounding_box_visualization@v1", "name": "a", "image": "$inputs.image", "predictions": "$steps.d.predictions", "copy_image": false, ` + custom + `},
		{"type": "roboflow_core/dot_visualization@v1", "name": "b", "image": "$steps.a.image", "predictions": "$steps.d.predictions", "copy_image": false, ` + custom + `},
		{"type": "roboflow_core/corner_visualization@v1", "name": "c", "image": "$steps.b.image", "predictions": "$steps.d.predictions", ` + custom + `},
		{"type": "roboflow_core/color_visualization@v1", "name": "e", "image": "$steps.a.image", "predictions": "$steps.d.predictions", ` + custom + `}],
	"outputs": [{"type": "JsonField", "name": "image", "selector": "$steps.c.image"}, {"type": "JsonField", "name": "other", "selector": "$steps.e.image"}]}`
	h := start(t, spec, nil, []workflow.Detection{det(40, 30, 100, 90, 0)})
	for range 3 {
		p := shot(t, h)
		check(t, p, probe{40, 60, white}, probe{70, 60, white}, probe{38, 28, white}, probe{60, 50, untouched})
		other, _ := h.Value("other").Image()
		check(t, other.Picture, probe{40, 60, white}, probe{70, 60, 182}, probe{38, 28, untouched}, probe{60, 50, 182})
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ typ, properties, want string }{
		{"bounding_box_visualization@v1", with(`"color_palette": "Matplotlib Beauty"`), "Matplotlib Viridis"},
		{"bounding_box_visualization@v1", with(`"color_palette": "CUSTOM"`), "custom_colors has 0 colours"},
		{"bounding_box_visualization@v1", with(`"color_palette": "CUSTOM", "custom_colors": ["reddish"]`), `"reddish" is no colour`},
		{"bounding_box_visualization@v1", with(`"color_axis": "COLUMN"`), "INDEX, CLASS, TRACK"},
		{"bounding_box_visualization@v1", with(`"roundness": 2`), "out of range"},
		{"bounding_box_visualization@v1", with(`"thickness": 0`), "out of range"},
		{"label_visualization@v1", with(`"text": "Everything"`), "Time In Zone"},
		{"label_visualization@v1", with(`"text_color": "light"`), `"light" is no colour`},
		{"label_visualization@v1", with(`"text_position": "MIDDLE"`), "TOP_LEFT"},
		{"line_counter_visualization@v1", `"zone": [[1, 2], [3, 4], [5, 6]]`, "3 points"},
		{"line_counter_visualization@v1", `"zone": [[1, 2]]`, "1 points"},
		{"line_counter_visualization@v1", `"zone": [[1, 2], [3, 4]], "color": [1, 2]`, "no colour"},
		{"polygon_zone_visualization@v1", `"zone": [[1, 2], [3, 4]]`, "three points or more"},
		{"polygon_zone_visualization@v1", `"zone": "hall"`, "list of points"},
		{"text_display@v1", `"text": "{{ $parameters.n }}"`, `there is no value "n"`},
		{"text_display@v1", `"text": "x", "text_parameters": {"n": 1}, "text_parameters_operations": {"n": [{"type": "Magic"}]}`, "Magic"},
		{"text_display@v1", `"text": "x", "anchor": "middle"`, "bottom_right"},
		{"keypoint_visualization@v1", with(`"edges": [[0, 1]]`), "counted from 1"},
		{"keypoint_visualization@v1", with(`"edges": [[1, 2, 3]]`), "two numbers"},
		{"heatmap_visualization@v1", with(`"position": "CENTER_OF_MASS"`), "BOTTOM_CENTER"},
	} {
		_, err := workflow.Compile([]byte(graph(c.typ, c.properties)), workflow.NewLibrary(all(), library(nil)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `step "s"`) {
			t.Errorf("%s with %s: %v", c.typ, c.properties, err)
		}
	}
}

// What a step or parameter says is checked when it is known.
func TestMistakesOnAFrame(t *testing.T) {
	for _, c := range []struct {
		typ, properties string
		v               workflow.Value
		want            string
	}{
		{"bounding_box_visualization@v1", with(`"thickness": "$steps.v.value"`), workflow.StringOf("x"), "thickness"},
		{"bounding_box_visualization@v1", with(`"thickness": "$steps.v.value"`), workflow.IntOf(0), "from 1 to 256"},
		{"bounding_box_visualization@v1", with(`"color_palette": "$steps.v.value"`), workflow.StringOf("beauty"), "there is no such palette"},
		{"bounding_box_visualization@v1", with(`"color_palette": "CUSTOM", "custom_colors": "$steps.v.value"`), workflow.IntOf(1), "custom_colors"},
		{"line_counter_visualization@v1", `"zone": "$steps.v.value"`, workflow.ListOf(nil), "0 points"},
		{"polygon_zone_visualization@v1", `"zone": [[0,0],[1,0],[1,1]], "color": "$steps.v.value"`, workflow.StringOf("light"), "no colour"},
		{"label_visualization@v1", with(`"text_position": "$steps.v.value"`), workflow.StringOf("MIDDLE"), "there is no such anchor"},
		{"label_visualization@v1", with(`"text": "$steps.v.value"`), workflow.StringOf("weight"), "there is no label text"},
		{"text_display@v1", `"text": "x", "text_align": "$steps.v.value"`, workflow.StringOf("top"), "left, center or right"},
		{"text_display@v1", `"text": "x", "position_mode": "$steps.v.value"`, workflow.StringOf("top"), "absolute or relative"},
		{"text_display@v1", `"text": "x", "anchor": "$steps.v.value"`, workflow.StringOf("top"), "no place on an image"},
	} {
		h := start(t, graph(c.typ, c.properties), []workflow.Value{c.v}, []workflow.Detection{det(1, 2, 30, 40, 0)})
		_, err := h.Try(workflowtest.Picture(width, height, 128))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `step "s"`) {
			t.Errorf("%s with %s: %v", c.typ, c.properties, err)
		}
	}
}

func TestColoursThatChange(t *testing.T) {
	h := start(t, graph("bounding_box_visualization@v1", with(`"color_palette": "CUSTOM", "custom_colors": "$steps.v.value"`)), []workflow.Value{
		workflow.ListOf([]workflow.Value{workflow.StringOf("WHITE")}), workflow.ListOf([]workflow.Value{workflow.StringOf("BLACK")}),
	}, []workflow.Detection{det(40, 30, 100, 90, 0)})
	check(t, shot(t, h), probe{40, 60, white})
	check(t, shot(t, h), probe{40, 60, black})
}

func TestEveryBlockIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range all() {
		if m.Doc == "" || m.Title == "" || m.Group != "drawing" || len(m.Outputs) != 1 || seen[m.Type] {
			t.Errorf("%s: its manifest is incomplete, or there are two of them", m.Type)
		}
		seen[m.Type] = true
		for _, f := range m.Fields {
			if f.Doc == "" || !f.Required && f.Form == workflow.One && f.Default.IsNull() && f.Name != "metadata" && f.Name != "edges" && f.Name != "text_parameters_operations" {
				t.Errorf("%s: field %s has no documentation or default", m.Type, f.Name)
			}
		}
	}
	for _, name := range []string{
		"bounding_box", "label", "line_counter", "polygon_zone", "trace", "dot", "corner", "circle", "ellipse", "triangle", "color", "mask", "polygon", "halo",
		"blur", "pixelate", "heatmap", "crop", "background_color", "keypoint", "classification_label",
	} {
		if !seen[fmt.Sprintf("roboflow_core/%s_visualization@v1", name)] {
			t.Errorf("there is no block %s", name)
		}
	}
}

// chain is example 1's drawing and a zone.
const chain = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [
		{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}, {"type": "test/value@v1", "name": "v"},
		{"type": "roboflow_core/polygon_zone_visualization@v1", "name": "z", "image": "$inputs.image", "zone": [[100, 100], [1700, 120], [1800, 1000], [90, 900]]},
		{"type": "roboflow_core/label_visualization@v1", "name": "l", "image": "$steps.z.image", "predictions": "$steps.d.predictions"},
		{"type": "roboflow_core/bounding_box_visualization@v1", "name": "b", "image": "$steps.l.image", "predictions": "$steps.d.predictions"},
		{"type": "roboflow_core/line_counter_visualization@v1", "name": "s", "image": "$steps.b.image", "zone": [[0, 540], [1920, 600]], "count_in": "$steps.v.value"}],
	"outputs": [{"type": "JsonField", "name": "image", "selector": "$steps.s.image"}]}`

func twenty() []workflow.Detection {
	var dets []workflow.Detection
	for i := range 20 {
		x, y := float32(i%5)*380+20, float32(i/5)*260+50
		dets = append(dets, workflowtest.Det(x, y, x+200, y+180, i, "person", 0.8, uint64(i)))
	}
	return dets
}

func TestDrawingAllocatesNothingAtSteadyState(t *testing.T) {
	const bare = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}, {"type": "test/value@v1", "name": "v"}],
	"outputs": [{"type": "JsonField", "name": "n", "selector": "$steps.v.value"}]}`
	pic := workflowtest.Picture(640, 480, 128)
	allocs := func(spec string) float64 {
		h := start(t, spec, nil, twenty())
		h.Frame(pic)
		return testing.AllocsPerRun(20, func() { h.Frame(pic) })
	}
	if without, with := allocs(bare), allocs(chain); with > without {
		t.Errorf("%v allocations a frame with drawing, %v without", with, without)
	}
}

func BenchmarkChain1080p(b *testing.B) {
	h := start(b, chain, nil, twenty())
	pic := workflowtest.Picture(1920, 1080, 128)
	b.ReportAllocs()
	for b.Loop() {
		h.Frame(pic)
	}
}

// split is a block that makes a list of its detections, one element each.
func split() *workflow.Manifest {
	return &workflow.Manifest{
		Type: "test/split@v1", Delta: 1,
		Fields:  []workflow.Field{{Name: "predictions", Required: true, Kinds: workflow.AnyDetections()}},
		Outputs: []workflow.Output{{Name: "each", Kinds: workflow.AnyDetections()}},
		New:     func(p *workflow.Params) (workflow.Block, error) { return splitBlock{p.In("predictions")}, nil },
	}
}

type splitBlock struct{ predictions workflow.In }

func (b splitBlock) Run(c *workflow.Call) error {
	d, err := c.Detections(b.predictions)
	if err != nil {
		return err
	}
	for i := range d.Items {
		each := c.NewDetections(d.Origin)
		each.Items = append(each.Items, d.Items[i])
		if err := c.Add(workflow.DetectionsOf(each)); err != nil {
			return err
		}
	}
	return nil
}

// A step that runs once for each element of a list draws each on a picture of
// its own, although only this step sees the image.
func TestEachElementHasItsOwnPicture(t *testing.T) {
	const spec = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [
		{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}, {"type": "test/value@v1", "name": "v"},
		{"type": "test/split@v1", "name": "split", "predictions": "$steps.d.predictions"},
		{"type": "roboflow_core/text_display@v1", "name": "a", "image": "$inputs.image", "text": "x"},
		{"type": "roboflow_core/bounding_box_visualization@v1", "name": "s", "image": "$steps.a.image", "predictions": "$steps.split.each", ` + custom + `}],
	"outputs": [{"type": "JsonField", "name": "image", "selector": "$steps.s.image"}]}`
	dets := []workflow.Detection{det(60, 60, 80, 80, 0), det(100, 60, 120, 80, 0)}
	h := workflowtest.New(t, spec, nil, workflow.Options{}, nil, all(), library(nil, dets), []*workflow.Manifest{split()})
	h.Frame(workflowtest.Picture(width, height, 128))
	images, ok := h.Value("image").Items()
	if !ok || len(images) != 2 {
		t.Fatalf("the output is %s", h.Value("image").Describe())
	}
	for i, v := range images {
		img, _ := v.Image()
		check(t, img.Picture, probe{60 + 40*i, 70, white}, probe{100 - 40*i, 70, untouched})
	}
}
