package visual

import (
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func halo() *workflow.Manifest {
	m := manifest("halo_visualization@v1", "HaloVisualization", "Halo Visualization", "Lets detections glow: around their masks, or their boxes where they have none, their colour fades.",
		append(coloured(predictions(workflow.AnyDetections()...)),
			fraction("opacity", 0.8, "strength of the glow, 0 to 1"),
			whole("kernel_size", 40, 1, 1023, "the glow reaches half of this far"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &haloBlock{colourist: base, opacity: p.In("opacity"), kernel: p.In("kernel_size")}, err
	}
	return m
}

type haloBlock struct {
	colourist
	opacity, kernel workflow.In
	areas           []draw.Area // reused
}

// Run implements [workflow.Block].
func (b *haloBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	opacity, kernel := r.float(b.opacity), r.int(b.kernel)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	b.areas = b.areas[:0]
	for i := range s.found {
		b.areas = append(b.areas, s.area(i))
	}
	b.Halo(s.Picture, b.areas, opacity, kernel)
	return nil
}
