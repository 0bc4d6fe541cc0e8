package blocks

import (
	"fmt"
	"slices"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// maxKept bounds one value that is kept from frame to frame, in bytes.
const maxKept = 64 << 20

// keep copies a value, which belongs to one frame, so that it outlives that
// frame. It reuses the picture of old, a copy that is no longer needed, and
// returns roughly how many bytes the copy takes.
func keep(v, old workflow.Value) (workflow.Value, int, error) {
	k := keeper{left: maxKept}
	v, err := k.copy(v, old)
	return v, maxKept - k.left, err
}

type keeper struct{ left int }

func (k *keeper) take(n int) error {
	if k.left -= n; k.left < 0 {
		return fmt.Errorf("a value takes more than %d MB, which is too much to be kept from frame to frame", maxKept>>20)
	}
	return nil
}

func (k *keeper) copy(v, old workflow.Value) (workflow.Value, error) {
	if err := k.take(64); err != nil {
		return v, err
	}
	switch v.Type() {
	case workflow.List:
		items, _ := v.Items()
		items, err := k.all(items)
		return workflow.ListOf(items), err
	case workflow.Object:
		f, _ := v.Fields()
		values, err := k.all(f.Values)
		return workflow.ObjectOf(&workflow.Fields{Keys: slices.Clone(f.Keys), Values: values}), err
	case workflow.Bytes:
		b, _ := v.Bytes()
		return workflow.BytesOf(slices.Clone(b)), k.take(len(b))
	case workflow.ImageType:
		return k.image(v, old)
	case workflow.DetectionsType:
		return k.detections(v)
	case workflow.ClassesType:
		c, _ := v.Classes()
		d := *c
		d.Items, d.Picked = slices.Clone(c.Items), slices.Clone(c.Picked)
		return workflow.ClassesOf(&d), k.take(32 * (len(d.Items) + len(d.Picked)))
	case workflow.MetadataType:
		return v, fmt.Errorf("video metadata belongs to its frame and cannot be kept")
	}
	s, _ := v.Str()
	return v, k.take(len(s))
}

func (k *keeper) all(items []workflow.Value) ([]workflow.Value, error) {
	out := make([]workflow.Value, len(items))
	for i, item := range items {
		var err error
		if out[i], err = k.copy(item, workflow.Value{}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (k *keeper) image(v, old workflow.Value) (workflow.Value, error) {
	img, _ := v.Image()
	if err := k.take(img.Picture.Width * img.Picture.Height * 3 / 2); err != nil {
		return v, err
	}
	out := &workflow.Image{}
	if o, ok := old.Image(); ok {
		out = o
	}
	out.Picture, out.Origin = pipeline.CopyPicture(out.Picture, img.Picture, 1), img.Origin
	return workflow.ImageOf(out), nil
}

func (k *keeper) detections(v workflow.Value) (workflow.Value, error) {
	d, _ := v.Detections()
	out := &workflow.Detections{Origin: d.Origin, Keypoints: d.Keypoints, Items: slices.Clone(d.Items)}
	for i := range out.Items {
		it := &out.Items[i]
		it.Keypoints, it.Polygon = slices.Clone(it.Keypoints), slices.Clone(it.Polygon)
		n := 400 + 12*len(it.Keypoints) + 8*len(it.Polygon)
		if it.Mask != nil {
			m := *it.Mask
			m.Bits = slices.Clone(m.Bits)
			it.Mask = &m
			n += len(m.Bits)
		}
		if err := k.take(n); err != nil {
			return v, err
		}
	}
	return workflow.DetectionsOf(out), nil
}

// same reports whether two values are the same to somebody who looks at what
// was seen: detections by their boxes, classes, scores and tracks, in order.
// Their ids are new on each frame and do not count.
func same(a, b workflow.Value) bool {
	if a.Type() != b.Type() {
		return a.Equal(b)
	}
	switch a.Type() {
	case workflow.List:
		x, _ := a.Items()
		y, _ := b.Items()
		return slices.EqualFunc(x, y, same)
	case workflow.Object:
		x, _ := a.Fields()
		y, _ := b.Fields()
		return slices.Equal(x.Keys, y.Keys) && slices.EqualFunc(x.Values, y.Values, same)
	case workflow.DetectionsType:
		x, _ := a.Detections()
		y, _ := b.Detections()
		return slices.EqualFunc(x.Items, y.Items, func(p, q workflow.Detection) bool {
			return p.Box == q.Box && p.Class == q.Class && p.Label == q.Label && p.Score == q.Score && p.Track == q.Track
		})
	case workflow.ClassesType:
		x, _ := a.Classes()
		y, _ := b.Classes()
		return slices.Equal(x.Items, y.Items) && slices.Equal(x.Picked, y.Picked)
	}
	return a.Equal(b)
}
