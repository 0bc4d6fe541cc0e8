package visual

import (
	"cmp"
	"slices"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// maxPlates bounds how many classes are written.
const maxPlates = 50

func classificationLabel() *workflow.Manifest {
	at := position("text_position", "TOP_LEFT", "where on the image the plates are")
	at.Enum = without(track.AnchorNames(), "CENTER_OF_MASS")
	m := manifest("classification_label_visualization@v1", "", "Classification Label Visualization",
		"Writes the class of an image on a plate, or all that hold, the most likely first.",
		append(coloured(predictions(workflow.Classification)), append([]workflow.Field{
			{
				Name: "text", Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: []string{"Class", "Confidence", "Class and Confidence"},
				Default: workflow.StringOf("Class"), Doc: "what the plates say",
			},
			at,
		}, plateFields()...)...)...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		if err != nil {
			return nil, err
		}
		b := &classificationBlock{colourist: base}
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

type classificationBlock struct {
	colourist
	plate
	says    setting[string]
	at      anchor
	classes []workflow.Detection // reused: the classes as detections without a place
	buf     []byte               // reused
}

// Run implements [workflow.Block].
func (b *classificationBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	says, at, style := b.says.of(&r), b.at.of(&r), b.style(&r)
	b.list(r.classes(b.predictions))
	s := b.scene(&r, b.classes)
	if r.err != nil {
		return r.err
	}
	gap := style.Padding / 2
	total := -gap
	for i := range b.classes {
		_, h := b.measure(i, says, style)
		total += h + gap
	}
	place := at.At(pipeline.Box{X1: float32(s.Picture.Width), Y1: float32(s.Picture.Height)})
	y := near(place.Y - float32(total)*place.Y/float32(s.Picture.Height))
	for i := range b.classes {
		style.Plate = s.colour(i)
		w, h := b.measure(i, says, style)
		x := near(place.X - float32(w)*place.X/float32(s.Picture.Width))
		b.Text(s.Picture, x, max(y, 0), b.buf, style)
		y = max(y, 0) + h + gap
	}
	return nil
}

// measure puts what is said of class i into b.buf.
func (b *classificationBlock) measure(i int, says string, style draw.TextStyle) (w, h int) {
	b.buf = appendLabel(b.buf[:0], says, i, &b.classes[i])
	return b.Measure(b.buf, style)
}

// list puts the classes that count into b.classes.
func (b *classificationBlock) list(k *workflow.Classes) {
	b.classes = b.classes[:0]
	hold := k.Picked
	if !k.Multi {
		hold = k.Items[:min(len(k.Items), 1)]
	}
	for _, c := range hold {
		b.classes = append(b.classes, workflow.Detection{Detection: pipeline.Detection{Class: c.Class, Label: c.Label, Score: c.Score}})
	}
	slices.SortStableFunc(b.classes, func(x, y workflow.Detection) int { return cmp.Compare(y.Score, x.Score) })
	b.classes = b.classes[:min(len(b.classes), maxPlates)]
}
