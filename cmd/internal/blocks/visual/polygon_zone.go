package visual

import (
	"fmt"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

func polygonZone() *workflow.Manifest {
	m := manifest("polygon_zone_visualization@v1", "", "Polygon Zone Visualization", "Tints a zone, or several. Without a zone nothing is drawn.",
		workflow.Field{
			Name: "zone", Required: true, Kinds: []workflow.Kind{workflow.ListKind, workflow.ZoneKind}, Literal: workflow.AnyLiteral,
			Doc: "the zone, [[x, y], ...] with three points or more, or a list of zones",
		},
		colourField("color", "#5bb573", "colour of the zone"),
		fraction("opacity", 0.3, "strength of the colour, 0 to 1"))
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newPainter(p)
		if err != nil {
			return nil, err
		}
		b := &polygonZoneBlock{painter: base, opacity: p.In("opacity")}
		if b.zones, err = newSetting(p, "zone", parseZones); err != nil {
			return nil, err
		}
		for i, zone := range b.zones.value {
			if len(zone) < 3 {
				return nil, p.Fault("zone", fmt.Sprintf("zone %d has %d points", i+1, len(zone)), "a zone has three points or more")
			}
		}
		b.colour, err = newTint(p, "color")
		return b, err
	}
	return m
}

type polygonZoneBlock struct {
	painter
	zones   setting[[][]pipeline.Point]
	colour  tint
	opacity workflow.In
}

// Run implements [workflow.Block].
func (b *polygonZoneBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	zones, colour, opacity := b.zones.of(&r), b.colour.of(&r), r.float(b.opacity)
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	for _, zone := range zones {
		b.Polygon(img.Picture, zone, colour, opacity)
	}
	return nil
}
