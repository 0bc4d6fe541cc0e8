package workflow_test

import (
	"fmt"
	"slices"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// eye samples images; side is how large a picture does.
func eye() *workflow.Manifest {
	return &workflow.Manifest{
		Type: "test/eye@v1",
		Fields: []workflow.Field{
			{Name: "images", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.SampledPixels},
			{Name: "side", Literal: workflow.IntegerLiteral, Default: workflow.IntOf(100)},
			{Name: "which", Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels},
		},
		Outputs: []workflow.Output{{Name: "width", Kinds: []workflow.Kind{workflow.IntegerKind}}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			v, _ := p.Const("side")
			side, _ := v.Int()
			return &eyeBlock{images: p.In("images"), side: int(side)}, nil
		},
	}
}

type eyeBlock struct {
	images workflow.In
	side   int
}

func (b *eyeBlock) Enough(pipeline.Size) pipeline.Size {
	return pipeline.Size{Width: b.side, Height: b.side / 2}
}

// Run tells the width of the image, whatever its picture has.
func (b *eyeBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.images)
	if err != nil {
		return err
	}
	c.Set(0, workflow.IntOf(int64(img.Origin.Width)))
	return nil
}

func TestAGraphSaysWhatItNeedsOfAFrame(t *testing.T) {
	const at = `"images": "$inputs.image"`
	look := func(name, field string) string {
		return fmt.Sprintf(`{"type": "test/eye@v1", "name": %q, %s}`, name, field)
	}
	crop := `{"type": "AbsoluteStaticCrop", "name": "crop", ` + at + `, "x_center": 10, "y_center": 10, "width": 8, "height": 8}`
	for name, tt := range map[string]struct {
		outputs []string
		steps   []string
		whole   []string
		needs   pipeline.Size
	}{
		"nothing":               {nil, nil, nil, pipeline.Size{Width: 2, Height: 2}},
		"a model":               {[]string{"w=$steps.a.width"}, []string{look("a", at)}, nil, pipeline.Size{Width: 100, Height: 50}},
		"two models":            {nil, []string{look("a", at), look("b", at+`, "side": 300`)}, nil, pipeline.Size{Width: 300, Height: 150}},
		"which frame it is":     {nil, []string{look("a", at+`, "which": "$inputs.image"`)}, nil, pipeline.Size{Width: 100, Height: 50}},
		"a crop":                {nil, []string{look("a", at), crop}, []string{`step "crop"`}, pipeline.Size{}},
		"a model of a crop":     {nil, []string{crop, look("a", `"images": "$steps.crop.crops"`)}, []string{`step "crop"`}, pipeline.Size{}},
		"the frame is given":    {[]string{"frame=$inputs.image"}, []string{look("a", at)}, []string{`output "frame"`}, pipeline.Size{}},
		"a step takes anything": {nil, []string{`{"type": "test/echo@v1", "name": "e", "value": "$inputs.image"}`}, []string{`step "e"`}, pipeline.Size{}},
	} {
		t.Run(name, func(t *testing.T) {
			h := harness(t, doc(tt.outputs, tt.steps...), workflow.Options{}, eye())
			if got := h.Graph.WholeFrames(); !slices.Equal(got, tt.whole) {
				t.Errorf("whole frames are for %v, want %v", got, tt.whole)
			}
			if got := h.Engine.Needs(pipeline.Size{Width: 1920, Height: 1080}); got != tt.needs {
				t.Errorf("needs %v, want %v", got, tt.needs)
			}
		})
	}
}
