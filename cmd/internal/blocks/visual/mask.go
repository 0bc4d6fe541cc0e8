package visual

import (
	"cmp"
	"slices"

	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func mask() *workflow.Manifest {
	m := manifest("mask_visualization@v1", "MaskVisualization", "Mask Visualization", "Tints the masks of detections. Where masks overlap, the smaller one's colour shows; a detection without a mask is left out.",
		append(coloured(predictions(workflow.InstanceMasks)), fraction("opacity", 0.5, "strength of the colour, 0 to 1"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &maskBlock{colourist: base, opacity: p.In("opacity")}, err
	}
	return m
}

type maskBlock struct {
	colourist
	opacity workflow.In
	masks   []sized     // reused
	areas   []draw.Area // reused
}

type sized struct {
	draw.Area
	pixels int
}

// Run implements [workflow.Block].
func (b *maskBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	opacity := r.float(b.opacity)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	b.masks, b.areas = b.masks[:0], b.areas[:0]
	for i := range s.found {
		if m := s.found[i].Mask; m != nil {
			b.masks = append(b.masks, sized{s.area(i), m.Area()})
		}
	}
	slices.SortStableFunc(b.masks, func(x, y sized) int { return cmp.Compare(y.pixels, x.pixels) })
	for _, m := range b.masks {
		b.areas = append(b.areas, m.Area)
	}
	b.Overlay(s.Picture, b.areas, opacity)
	return nil
}
