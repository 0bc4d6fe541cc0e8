package infer

import (
	"slices"
	"testing"
	"unsafe"
)

// TestSilentOutput: a file need not say how large its outputs are. What can be
// inferred is read in place, and what depends on the picture is not.
func TestSilentOutput(t *testing.T) {
	for name, batch := range map[string]int64{"one picture": 1, "any number": -1} {
		dims := []int64{batch, 3, 4, 4}
		s := open(t, network{
			nodes:     []node{{op: "Mul", in: []string{"x", "two"}, out: []string{"y"}}},
			constants: []constant{{name: "two", f: []float32{2}}},
			ins:       []value{{"x", tFloat, dims}}, outs: []value{{"y", tFloat, nil}},
		}.bytes(), Options{Slots: 1})
		if got := s.Graph().Outputs[0].Shape; !slices.Equal(got, dims) {
			t.Errorf("%s: the shape is %v, want %v", name, got, dims)
		}
		var where *float32
		for i := range 3 {
			slot := run(t, s, func(sl *Slot) { sl.Float32()[47] = float32(i) })
			out := slot.Outputs()[0]
			if !slices.Equal(out.Shape, []int64{1, 3, 4, 4}) || out.Data[47] != float32(2*i) {
				t.Errorf("%s: %v %v", name, out.Shape, out.Data[47])
			}
			if at := unsafe.SliceData(out.Data); where != nil && at != where {
				t.Errorf("%s: the output was copied", name)
			} else {
				where = at
			}
			slot.Release()
		}
	}

	s := open(t, network{
		nodes: []node{{op: "NonZero", in: []string{"x"}, out: []string{"where"}}},
		ins:   []value{{"x", tFloat, []int64{1, 1, 2, 3}}}, outs: []value{{"where", tInt64, nil}},
	}.bytes(), Options{})
	for n := 1; n <= 6; n++ {
		slot := run(t, s, func(sl *Slot) {
			for i := range n {
				sl.Float32()[i] = 1
			}
			clear(sl.Float32()[n:])
		})
		if out := slot.Outputs()[0]; !slices.Equal(out.Shape, []int64{4, int64(n)}) || len(out.Data) != 4*n {
			t.Errorf("%d pixels: %v with %d elements", n, out.Shape, len(out.Data))
		}
		slot.Release()
	}
}
