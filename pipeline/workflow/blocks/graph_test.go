package blocks_test

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

// graphOf is a workflow of given detections ("source"), a given value ("v") and
// one step ("it"), whose outputs are the workflow's.
func graphOf(step string, outputs ...string) string {
	var outs []string
	for _, o := range outputs {
		outs = append(outs, fmt.Sprintf(`{"type": "JsonField", "name": %q, "selector": "$steps.it.%s"}`, o, o))
	}
	return fmt.Sprintf(`{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [{"type": "test/detections@v1", "name": "source", "image": "$inputs.image"}, {"type": "test/value@v1", "name": "v"}, {"name": "it", %s}],
	"outputs": [%s]}`, step, strings.Join(outs, ","))
}

// run prepares a graph of [graphOf] whose source finds the same on every frame.
func run(t testing.TB, doc string, found []workflow.Detection, values ...workflow.Value) *workflowtest.Harness {
	t.Helper()
	if len(values) == 0 {
		values = []workflow.Value{{}}
	}
	return workflowtest.New(t, doc, nil, workflow.Options{}, nil, blocks.All(), []*workflow.Manifest{workflowtest.Detections(found), workflowtest.Values(values...)})
}

// refused is what compiling a graph of [graphOf] finds wrong.
func refused(t testing.TB, doc string) string {
	t.Helper()
	_, err := workflow.Compile([]byte(doc), workflow.NewLibrary(blocks.All(), []*workflow.Manifest{workflowtest.Detections(nil), workflowtest.Values(workflow.Value{})}), nil)
	if err == nil {
		t.Errorf("%s was accepted", doc)
		return ""
	}
	return err.Error()
}

// found are the detections of an output of the last frame.
func found(t testing.TB, h *workflowtest.Harness, output string) *workflow.Detections {
	t.Helper()
	d, ok := h.Value(output).Detections()
	if !ok {
		t.Fatalf("output %s is %s", output, h.Value(output).Describe())
	}
	return d
}

// boxes lists label and box of each detection.
func boxes(d *workflow.Detections) string {
	var s []string
	for i := range d.Items {
		b := d.Items[i].Box
		s = append(s, fmt.Sprintf("%s %.4g,%.4g,%.4g,%.4g", d.Items[i].Label, b.X0, b.Y0, b.X1, b.Y1))
	}
	return strings.Join(s, "; ")
}

// ramp is a picture in which luma is 4 x column + row, and chroma the column
// and the row of its sample.
func ramp(w, h int) pipeline.Picture {
	p := pipeline.NewPicture(w, h)
	for y := range h {
		for x := range w {
			p.Planes[0][y*w+x] = uint8(4*x + y)
		}
	}
	cw := (w + 1) / 2
	for y := range (h + 1) / 2 {
		for x := range cw {
			p.Planes[1][y*cw+x], p.Planes[2][y*cw+x] = uint8(x), uint8(y)
		}
	}
	return p
}

// image is an output of the last frame that is an image.
func image(t testing.TB, h *workflowtest.Harness, output string) *workflow.Image {
	t.Helper()
	img, ok := h.Value(output).Image()
	if !ok {
		t.Fatalf("output %s is %s", output, h.Value(output).Describe())
	}
	if err := img.Picture.Check(); err != nil {
		t.Fatal(err)
	}
	return img
}
