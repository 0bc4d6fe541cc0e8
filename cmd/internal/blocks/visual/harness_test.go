package visual_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"perch/cmd/internal/blocks/visual"
	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

const width, height = 160, 120

// graph is a workflow with detections, a value, and one step of the given
// type and properties, whose image is the output.
func graph(typ, properties string) string {
	if properties != "" {
		properties = ", " + properties
	}
	return fmt.Sprintf(`{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowParameter", "name": "p"}],
	"steps": [
		{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"},
		{"type": "test/value@v1", "name": "v"},
		{"type": "roboflow_core/%s", "name": "s", "image": "$inputs.image"%s}],
	"outputs": [{"type": "JsonField", "name": "image", "selector": "$steps.s.image"}]}`, typ, properties)
}

const found = `"predictions": "$steps.d.predictions"`

func with(properties string) string {
	if properties == "" {
		return found
	}
	return found + ", " + properties
}

func library(values []workflow.Value, frames ...[]workflow.Detection) []*workflow.Manifest {
	if len(values) == 0 {
		values = []workflow.Value{workflow.IntOf(7)}
	}
	return []*workflow.Manifest{workflowtest.Detections(frames...), workflowtest.Values(values...)}
}

func start(t testing.TB, spec string, values []workflow.Value, frames ...[]workflow.Detection) *workflowtest.Harness {
	t.Helper()
	o := workflow.Options{Parameters: map[string]workflow.Value{"p": workflow.IntOf(3)}}
	return workflowtest.New(t, spec, nil, o, nil, visual.All(), library(values, frames...))
}

// shot runs one grey frame (luma 128) and returns the picture.
func shot(t testing.TB, h *workflowtest.Harness) pipeline.Picture {
	t.Helper()
	in := workflowtest.Picture(width, height, 128)
	h.Frame(in)
	for i, want := range workflowtest.Picture(width, height, 128).Planes {
		if !bytes.Equal(in.Planes[i], want) {
			t.Fatal("the frame itself was drawn on")
		}
	}
	img, ok := h.Value("image").Image()
	if !ok {
		t.Fatal("there is no image")
	}
	return img.Picture
}

// try is one frame with one step.
func try(t testing.TB, typ, properties string, dets ...workflow.Detection) pipeline.Picture {
	t.Helper()
	return shot(t, start(t, graph(typ, properties), nil, dets))
}

// luma and colours in the tests' pictures: BT.601, 16 to 235.
const (
	untouched = 128
	white     = 235
	black     = 16
)

// probe is a sample's place and the luma it must have.
type probe struct {
	x, y int
	want uint8
}

func check(t testing.TB, p pipeline.Picture, probes ...probe) {
	t.Helper()
	for _, q := range probes {
		if got := p.Planes[0][q.y*p.Strides[0]+q.x]; max(got, q.want)-min(got, q.want) > 1 {
			t.Errorf("luma at (%d, %d) is %d, want %d", q.x, q.y, got, q.want)
		}
	}
}

// changed counts the samples of a rectangle that are not as they were.
func changed(p pipeline.Picture, x0, y0, x1, y1 int) int {
	n := 0
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			if p.Planes[0][y*p.Strides[0]+x] != untouched {
				n++
			}
		}
	}
	return n
}

func same(a, b pipeline.Picture) bool {
	return bytes.Equal(a.Planes[0], b.Planes[0]) && bytes.Equal(a.Planes[1], b.Planes[1]) && bytes.Equal(a.Planes[2], b.Planes[2])
}

// custom makes class 0 white, 1 black and 2 grey (luma 126).
const custom = `"color_palette": "CUSTOM", "custom_colors": ["WHITE", "#000", "rgb(128, 128, 128)"]`

func det(x0, y0, x1, y1 float32, class int) workflow.Detection {
	return workflowtest.Det(x0, y0, x1, y1, class, "person", 0.87, 0)
}

// masked is a detection with a mask of rows of '#' at its upper left corner.
func masked(d workflow.Detection, rows ...string) workflow.Detection {
	d.Mask = pipeline.NewMask(int(d.Box.X0), int(d.Box.Y0), len(rows[0]), len(rows))
	for y, row := range rows {
		for x, c := range row {
			if c == '#' {
				d.Mask.Set(d.Mask.X+x, d.Mask.Y+y)
			}
		}
	}
	return d
}

// block is a mask's rows, all of them full.
func block(w, h int) []string {
	rows := make([]string, h)
	for i := range rows {
		rows[i] = strings.Repeat("#", w)
	}
	return rows
}

// stripes is a picture of vertical stripes, two samples wide, of luma 100 and
// 120.
func stripes() pipeline.Picture {
	p := workflowtest.Picture(width, height, 100)
	for i := range p.Planes[0] {
		if i%width%4 >= 2 {
			p.Planes[0][i] = 120
		}
	}
	return p
}
