package visual

import (
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func blur() *workflow.Manifest {
	m := manifest("blur_visualization@v1", "BlurVisualization", "Blur Visualization", "Blurs the boxes of detections.",
		predictions(workflow.AnyDetections()...), whole("kernel_size", 15, 1, 1023, "side of the square that each pixel becomes the mean of"))
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newPainter(p)
		return &blurBlock{base, p.In("predictions"), p.In("kernel_size")}, err
	}
	return m
}

type blurBlock struct {
	painter
	predictions, kernel workflow.In
}

// Run implements [workflow.Block].
func (b *blurBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	d, kernel := r.detections(b.predictions), r.int(b.kernel)
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	for i := range d.Items {
		b.Blur(img.Picture, draw.Area{Box: d.Items[i].Box}, kernel)
	}
	return nil
}
