package visual

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"perch/pipeline/workflow"
)

// labelTexts are what a label can say.
func labelTexts() []string {
	return []string{
		"Class", "Confidence", "Class and Confidence", "Index", "Dimensions", "Area", "Area (mask)", "Area (converted)", "Tracker Id", "Time In Zone",
	}
}

func label() *workflow.Manifest {
	m := manifest("label_visualization@v1", "LabelVisualization", "Label Visualization",
		"Writes what is known of each detection on a plate beside it. A plate that would leave the image is moved inside.",
		append(coloured(predictions(workflow.AnyDetections()...)), append([]workflow.Field{
			{
				Name: "text", Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: labelTexts(), Default: workflow.StringOf("Class"),
				Doc: "what the label says",
			},
			position("text_position", "TOP_LEFT", "where on the detection the label is"),
		}, plateFields()...)...)...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		if err != nil {
			return nil, err
		}
		b := &labelBlock{colourist: base}
		if b.says, err = newSetting(p, "text", parseLabel); err != nil {
			return nil, err
		}
		if b.at, err = newAnchor(p, "text_position"); err != nil {
			return nil, err
		}
		b.plate, err = newPlate(p, "border_radius")
		return b, err
	}
	return m
}

func parseLabel(v workflow.Value) (string, error) {
	s, err := text(v)
	if err == nil && !slices.Contains(labelTexts(), s) {
		err = fmt.Errorf("there is no label text %s; it is one of %s", v.Describe(), strings.Join(labelTexts(), ", "))
	}
	return s, err
}

type labelBlock struct {
	colourist
	plate
	says setting[string]
	at   anchor
	buf  []byte // reused
}

// Run implements [workflow.Block].
func (b *labelBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	says, at, style := b.says.of(&r), b.at.of(&r), b.style(&r)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	for i := range s.found {
		d := &s.found[i]
		b.buf = appendLabel(b.buf[:0], says, i, d)
		style.Plate = s.colour(i)
		w, h := b.Measure(b.buf, style)
		x, y := beside(at, at.Of(&d.Detection), w, h)
		x, y = inside(s.Picture, x, y, w, h)
		b.Text(s.Picture, x, y, b.buf, style)
	}
	return nil
}

// appendLabel writes what Roboflow's block writes.
func appendLabel(dst []byte, says string, i int, d *workflow.Detection) []byte {
	switch says {
	case "Confidence":
		return appendScore(dst, d.Score)
	case "Class and Confidence":
		return appendScore(append(append(dst, d.Label...), ' '), d.Score)
	case "Index":
		return strconv.AppendInt(dst, int64(i), 10)
	case "Dimensions":
		return appendDimensions(dst, d)
	case "Area":
		if d.Mask != nil {
			return strconv.AppendInt(dst, int64(d.Mask.Area()), 10)
		}
		return strconv.AppendInt(dst, int64((d.Box.X1-d.Box.X0)*(d.Box.Y1-d.Box.Y0)), 10)
	case "Area (mask)":
		return appendKnown(append(dst, "Area (mask): "...), d.Has&workflow.HasArea != 0, d.AreaPX)
	case "Area (converted)":
		return appendKnown(append(dst, "Area (conv): "...), d.Has&workflow.HasConvertedArea != 0, d.AreaConverted)
	case "Tracker Id":
		if d.Track == 0 {
			return append(dst, "No Tracker ID"...)
		}
		return strconv.AppendUint(dst, uint64(d.Track), 10)
	case "Time In Zone":
		return appendTime(append(dst, "In zone: "...), d)
	}
	return append(dst, d.Label...)
}

func appendScore(dst []byte, score float32) []byte {
	return strconv.AppendFloat(dst, float64(score), 'f', 2, 64)
}

func appendDimensions(dst []byte, d *workflow.Detection) []byte {
	b := d.Box
	dst = strconv.AppendInt(dst, int64((b.X0+b.X1)/2), 10)
	dst = strconv.AppendInt(append(dst, ", "...), int64((b.Y0+b.Y1)/2), 10)
	dst = strconv.AppendInt(append(dst, ' '), int64(b.X1-b.X0), 10)
	return strconv.AppendInt(append(dst, 'x'), int64(b.Y1-b.Y0), 10)
}

func appendKnown(dst []byte, known bool, v float64) []byte {
	if !known {
		return append(dst, "N/A"...)
	}
	return strconv.AppendFloat(dst, v, 'f', 2, 64)
}

// appendTime writes seconds as Python does: 1.25, 1.5, 2.0.
func appendTime(dst []byte, d *workflow.Detection) []byte {
	if d.Has&workflow.HasTimeInZone == 0 || d.TimeInZone == 0 {
		return append(dst, "N/A"...)
	}
	dst = strconv.AppendFloat(dst, d.TimeInZone, 'f', 2, 64)
	if bytes.HasSuffix(dst, []byte("0")) {
		dst = dst[:len(dst)-1]
	}
	return append(dst, 's')
}
