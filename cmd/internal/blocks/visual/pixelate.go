package visual

import (
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func pixelate() *workflow.Manifest {
	m := manifest("pixelate_visualization@v1", "PixelateVisualization", "Pixelate Visualization", "Turns the boxes of detections into coarse squares.",
		predictions(workflow.AnyDetections()...), whole("pixel_size", 20, 1, 1023, "side of the squares"))
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newPainter(p)
		return &pixelateBlock{base, p.In("predictions"), p.In("pixel_size")}, err
	}
	return m
}

type pixelateBlock struct {
	painter
	predictions, size workflow.In
}

// Run implements [workflow.Block].
func (b *pixelateBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	d, size := r.detections(b.predictions), r.int(b.size)
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	for i := range d.Items {
		b.Pixelate(img.Picture, draw.Area{Box: d.Items[i].Box}, size)
	}
	return nil
}
