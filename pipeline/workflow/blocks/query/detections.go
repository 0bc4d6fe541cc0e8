package query

import (
	"slices"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// like returns empty detections on the image of d.
func like(st *state, d *workflow.Detections) *workflow.Detections {
	out := st.host.NewDetections(d.Origin)
	out.Keypoints = d.Keypoints
	return out
}

// filter keeps the detections for which test holds.
type filter struct {
	test test
	one  workflow.Detections
}

func buildFilter(c *compiler, n node) (op, error) {
	outer := c.filter
	c.filter = true
	defer func() { c.filter = outer }()
	t, err := c.group(n.at("filter_operation"), n.get("filter_operation"))
	if err != nil {
		return nil, err
	}
	return (&filter{test: t}).run, nil
}

func (f *filter) run(st *state, v workflow.Value) (workflow.Value, error) {
	d, err := detections(v, "DetectionsFilter")
	if err != nil {
		return v, err
	}
	out := like(st, d)
	outer := st.one
	st.one = &f.one
	defer func() { st.one, f.one.Items = outer, nil }()
	f.one.Origin, f.one.Keypoints = d.Origin, d.Keypoints
	for i := range d.Items {
		f.one.Items = d.Items[i : i+1 : i+1]
		keep, err := f.test(st)
		if err != nil {
			return v, err
		}
		if keep {
			out.Items = append(out.Items, d.Items[i])
		}
	}
	return workflow.DetectionsOf(out), st.spend(len(d.Items))
}

func buildSelection(_ *compiler, n node) (op, error) {
	mode, err := n.word("mode", []string{"left_most", "right_most", "top_confidence", "first", "last"})
	if err != nil {
		return nil, err
	}
	pick := [...]func(items []workflow.Detection) int{
		func(items []workflow.Detection) int { return least(items, centerX) },
		func(items []workflow.Detection) int {
			return least(items, func(it *workflow.Detection) float64 { return -centerX(it) })
		},
		func(items []workflow.Detection) int {
			return least(items, func(it *workflow.Detection) float64 { return -float64(it.Score) })
		},
		func([]workflow.Detection) int { return 0 },
		func(items []workflow.Detection) int { return len(items) - 1 },
	}[mode]
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		d, err := detections(v, "DetectionsSelection")
		if err != nil {
			return v, err
		}
		out := like(st, d)
		if len(d.Items) > 0 {
			out.Items = append(out.Items, d.Items[pick(d.Items)])
		}
		return workflow.DetectionsOf(out), st.spend(len(d.Items))
	}, nil
}

// least is the first of the items with the smallest key.
func least(items []workflow.Detection, key func(*workflow.Detection) float64) int {
	best := 0
	for i := range items {
		if key(&items[i]) < key(&items[best]) {
			best = i
		}
	}
	return best
}

func centerX(it *workflow.Detection) float64 { x, _ := center(it.Box); return x }
func centerY(it *workflow.Detection) float64 { _, y := center(it.Box); return y }

// sorter sorts detections by a key.
type sorter struct {
	key       func(*workflow.Detection) float64
	ascending bool
	order     []sortKey // kept for the next frame
}

type sortKey struct {
	key float64
	i   int
}

func buildSort(_ *compiler, n node) (op, error) {
	mode, err := n.word("mode", []string{"confidence", "x_min", "x_max", "y_min", "y_max", "size", "center_x", "center_y"})
	if err != nil {
		return nil, err
	}
	ascending, err := n.boolOr("ascending", true)
	if err != nil {
		return nil, err
	}
	key := [...]func(it *workflow.Detection) float64{
		func(it *workflow.Detection) float64 { return float64(it.Score) },
		func(it *workflow.Detection) float64 { return float64(it.Box.X0) },
		func(it *workflow.Detection) float64 { return float64(it.Box.X1) },
		func(it *workflow.Detection) float64 { return float64(it.Box.Y0) },
		func(it *workflow.Detection) float64 { return float64(it.Box.Y1) },
		boxArea, centerX, centerY,
	}[mode]
	return (&sorter{key: key, ascending: ascending}).run, nil
}

func (s *sorter) run(st *state, v workflow.Value) (workflow.Value, error) {
	d, err := detections(v, "SortDetections")
	if err != nil {
		return v, err
	}
	s.order = s.order[:0]
	for i := range d.Items {
		s.order = append(s.order, sortKey{s.key(&d.Items[i]), i})
	}
	slices.SortFunc(s.order, func(a, b sortKey) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return a.i - b.i
	})
	if !s.ascending {
		slices.Reverse(s.order)
	}
	out := like(st, d)
	for _, k := range s.order {
		out.Items = append(out.Items, d.Items[k.i])
	}
	return workflow.DetectionsOf(out), st.spend(len(d.Items))
}

// maxPixels bounds by how much boxes are moved: beyond it, float32 has no
// whole pixels any more.
const maxPixels = 1 << 23

// boxes compiles an operation that changes every box.
func boxes(what string, change func(b *pipeline.Box)) op {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		d, err := detections(v, what)
		if err != nil {
			return v, err
		}
		out := like(st, d)
		out.Items = append(out.Items, d.Items...)
		for i := range out.Items {
			change(&out.Items[i].Box)
		}
		return workflow.DetectionsOf(out), st.spend(len(d.Items))
	}
}

func buildOffset(_ *compiler, n node) (op, error) {
	x, errX := n.integer("offset_x", -maxPixels, maxPixels)
	y, errY := n.integer("offset_y", -maxPixels, maxPixels)
	if err := first(errX, errY); err != nil {
		return nil, err
	}
	dx, dy := float32(x)/2, float32(y)/2
	return boxes("DetectionsOffset", func(b *pipeline.Box) {
		b.X0, b.Y0, b.X1, b.Y1 = b.X0-dx, b.Y0-dy, b.X1+dx, b.Y1+dy
	}), nil
}

func buildShift(_ *compiler, n node) (op, error) {
	x, errX := n.integer("shift_x", -maxPixels, maxPixels)
	y, errY := n.integer("shift_y", -maxPixels, maxPixels)
	if err := first(errX, errY); err != nil {
		return nil, err
	}
	dx, dy := float32(x), float32(y)
	return boxes("DetectionsShift", func(b *pipeline.Box) {
		b.X0, b.Y0, b.X1, b.Y1 = b.X0+dx, b.Y0+dy, b.X1+dx, b.Y1+dy
	}), nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func buildPick(_ *compiler, n node) (op, error) {
	parent, err := n.str("parent_class")
	if err != nil {
		return nil, err
	}
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		d, err := detections(v, "PickDetectionsByParentClass")
		if err != nil {
			return v, err
		}
		out := like(st, d)
		for i := range d.Items {
			if d.Items[i].Label == parent {
				out.Items = append(out.Items, d.Items[i])
			}
		}
		parents := len(out.Items)
		for i := range d.Items {
			if d.Items[i].Label != parent && within(&d.Items[i], out.Items[:parents]) {
				out.Items = append(out.Items, d.Items[i])
			}
		}
		return workflow.DetectionsOf(out), st.spend(len(d.Items) * max(parents, 1))
	}, nil
}

// within reports whether the centre of a detection lies in one of the boxes,
// edges included.
func within(it *workflow.Detection, boxes []workflow.Detection) bool {
	x, y := center(it.Box)
	for i := range boxes {
		b := boxes[i].Box
		if float64(b.X0) <= x && x <= float64(b.X1) && float64(b.Y0) <= y && y <= float64(b.Y1) {
			return true
		}
	}
	return false
}
