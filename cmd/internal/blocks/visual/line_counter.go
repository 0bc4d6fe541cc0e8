package visual

import (
	"strconv"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func lineCounter() *workflow.Manifest {
	count := func(name, doc string) workflow.Field {
		return workflow.Field{Name: name, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Default: workflow.IntOf(0), Doc: doc}
	}
	m := manifest("line_counter_visualization@v1", "", "Line Counter Visualization", "Draws a counting line and, at its first point, how many have crossed it.",
		workflow.Field{
			Name: "zone", Required: true, Kinds: []workflow.Kind{workflow.ListKind, workflow.ZoneKind}, Literal: workflow.PointsLiteral, MinItems: 2,
			Doc: "the line, [[x1, y1], [x2, y2]]",
		},
		colourField("color", "#5bb573", "colour of the line"),
		thickness("thickness", 2, "width of the line"),
		bold("text_thickness", 1),
		scale("text_scale", 1),
		count("count_in", "how many crossed inwards"),
		count("count_out", "how many crossed outwards"),
		fraction("opacity", 0.3, "strength of the line's colour, 0 to 1"))
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newPainter(p)
		if err != nil {
			return nil, err
		}
		b := &lineCounterBlock{
			painter: base, thickness: p.In("thickness"), bold: p.In("text_thickness"), scale: p.In("text_scale"),
			in: p.In("count_in"), out: p.In("count_out"), opacity: p.In("opacity"),
		}
		if b.line, err = newSetting(p, "zone", parseSegment); err != nil {
			return nil, err
		}
		b.colour, err = newTint(p, "color")
		return b, err
	}
	return m
}

type lineCounterBlock struct {
	painter
	line                                     setting[[]pipeline.Point]
	colour                                   tint
	thickness, bold, scale, in, out, opacity workflow.In
	buf                                      []byte // reused
}

// Run implements [workflow.Block].
func (b *lineCounterBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	line, colour, thickness, opacity := b.line.of(&r), b.colour.of(&r), r.int(b.thickness), r.float(b.opacity)
	style := draw.TextStyle{Scale: r.float(b.scale), Bold: r.int(b.bold) > 1, Plate: draw.Colour{R: 255, G: 255, B: 255}, PlateOpacity: 1}
	in, out := r.int(b.in), r.int(b.out)
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	b.Line(img.Picture, line[0], line[1], colour, thickness, opacity)
	b.buf = strconv.AppendInt(append(b.buf[:0], "in: "...), int64(in), 10)
	b.buf = strconv.AppendInt(append(b.buf, ", out: "...), int64(out), 10)
	w, h := b.Measure(b.buf, style)
	x, y := inside(img.Picture, near(line[0].X)-w/2, near(line[0].Y)-h/2, w, h)
	b.Text(img.Picture, x, y, b.buf, style)
	return nil
}
