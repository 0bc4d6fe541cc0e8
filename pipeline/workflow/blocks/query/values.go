package query

import (
	"fmt"
	"math"
	"unicode/utf8"

	"perch/pipeline/workflow"
)

// Number returns a number as Python counts: a boolean is 0 or 1.
func Number(v workflow.Value) (f float64, ok bool) {
	if b, isBool := v.Bool(); isBool {
		if b {
			f = 1
		}
		return f, true
	}
	return v.Float()
}

// whole reports whether a number counts as an integer.
func whole(v workflow.Value) bool { return v.Type() == workflow.Integer || v.Type() == workflow.Bool }

// NumberOf makes an integer if it shall be one and is one exactly, else a float.
func NumberOf(f float64, integer bool) workflow.Value {
	if integer && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return workflow.IntOf(int64(f))
	}
	return workflow.FloatOf(f)
}

// equal compares as Python's == does.
func (st *state) equal(a, b workflow.Value) (bool, error) {
	if err := st.spend(1); err != nil {
		return false, err
	}
	x, xn := Number(a)
	y, yn := Number(b)
	if xn && yn {
		return x == y, nil
	}
	if a.Type() != b.Type() {
		return false, nil
	}
	switch a.Type() {
	case workflow.List:
		p, _ := a.Items()
		q, _ := b.Items()
		if len(p) != len(q) {
			return false, nil
		}
		for i := range p {
			if same, err := st.equal(p[i], q[i]); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case workflow.Object:
		p, _ := a.Fields()
		q, _ := b.Fields()
		if len(p.Keys) != len(q.Keys) {
			return false, nil
		}
		for i, k := range p.Keys {
			if err := st.spend(len(q.Keys)); err != nil {
				return false, err
			}
			w, ok := q.Get(k)
			if !ok {
				return false, nil
			}
			if same, err := st.equal(p.Values[i], w); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return a.Equal(b), nil
}

// truth is Python's bool().
func truth(v workflow.Value) bool {
	if f, ok := Number(v); ok {
		return f != 0
	}
	if n, ok := length(v); ok {
		return n > 0
	}
	return !v.IsNull()
}

// length is Python's len().
func length(v workflow.Value) (int, bool) {
	switch v.Type() {
	case workflow.List:
		items, _ := v.Items()
		return len(items), true
	case workflow.Object:
		f, _ := v.Fields()
		return len(f.Keys), true
	case workflow.String:
		s, _ := v.Str()
		return utf8.RuneCountInString(s), true
	case workflow.Bytes:
		b, _ := v.Bytes()
		return len(b), true
	case workflow.DetectionsType:
		d, _ := v.Detections()
		return len(d.Items), true
	}
	return 0, false
}

// items lists the elements that Python would iterate over: items of a list,
// keys of an object, letters of a text, detections one by one.
func (st *state) items(v workflow.Value, what string) ([]workflow.Value, error) {
	if list, ok := v.Items(); ok {
		return list, st.spend(len(list))
	}
	n, ok := length(v)
	if !ok || v.Type() == workflow.Bytes {
		return nil, fmt.Errorf("%s is given %s and needs a list", what, v.Describe())
	}
	if n > maxItems {
		return nil, fmt.Errorf("%s is given %d elements, and at most %d are gone through", what, n, maxItems)
	}
	if err := st.spend(n); err != nil {
		return nil, err
	}
	list := make([]workflow.Value, 0, n)
	if s, ok := v.Str(); ok {
		for _, r := range s {
			list = append(list, workflow.StringOf(string(r)))
		}
	}
	if f, ok := v.Fields(); ok {
		for _, k := range f.Keys {
			list = append(list, workflow.StringOf(k))
		}
	}
	if d, ok := v.Detections(); ok {
		for i := range d.Items {
			list = append(list, workflow.DetectionsOf(&workflow.Detections{Origin: d.Origin, Keypoints: d.Keypoints, Items: d.Items[i : i+1 : i+1]}))
		}
	}
	return list, nil
}

// detections returns the value as detections.
func detections(v workflow.Value, what string) (*workflow.Detections, error) {
	if d, ok := v.Detections(); ok {
		return d, nil
	}
	return nil, fmt.Errorf("%s is given %s and needs detections", what, v.Describe())
}
