package infer

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"perch/pipeline"
)

func TestRunOneFrame(t *testing.T) {
	s := open(t, doubled(1, 4), Options{})
	slot := run(t, s, func(sl *Slot) {
		for i := range sl.Float32() {
			sl.Float32()[i] = float32(i)
		}
	})
	defer slot.Release()
	outs := slot.Outputs()
	if len(outs) != 1 || outs[0].Name != "y" || !slices.Equal(outs[0].Shape, []int64{1, 3, 4, 4}) {
		t.Fatalf("outputs: %+v", outs)
	}
	for i, v := range outs[0].Data {
		if v != float32(2*i) {
			t.Fatalf("y[%d] = %v", i, v)
		}
	}
	if slot.Uint8() != nil || slot.Int32() != nil {
		t.Error("a float32 input has a view of another type")
	}
	if st := s.Stats(); st.Frames != 1 || st.Batches != 1 || st.Provider != CPU || st.InUse != 1 || st.Busy <= 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestSessionDescribesItself(t *testing.T) {
	s := open(t, doubled(-1, 4), Options{MaxBatch: 3})
	in, out := s.Inputs(), s.Outputs()
	want := pipeline.TensorInfo{Name: "x", Type: pipeline.Float32, Shape: []int64{1, 3, 4, 4}}
	if len(in) != 1 || in[0].Name != want.Name || in[0].Type != want.Type || !slices.Equal(in[0].Shape, want.Shape) {
		t.Errorf("inputs: %+v", in)
	}
	if len(out) != 1 || !slices.Equal(out[0].Shape, want.Shape) {
		t.Errorf("outputs: %+v", out)
	}
	if n, why := s.MaxBatch(); n != 3 || why != "" {
		t.Errorf("batch of %d, %q", n, why)
	}
	if s.Metadata()["task"] != "detect" || len(s.Digest()) != len("sha256:")+64 {
		t.Errorf("metadata %v, digest %q", s.Metadata(), s.Digest())
	}
	if s.Graph().Inputs[0].Shape[0] != -1 {
		t.Errorf("graph: %+v", s.Graph().Inputs)
	}
}

// Every element type that a model may have, in and out.
func TestElementTypes(t *testing.T) {
	cast := func(from, to int) []byte {
		dims := []int64{1, 1, 2, 2}
		return network{
			nodes: []node{{op: "Cast", in: []string{"x"}, out: []string{"y"}, attr: "to", val: int64(to)}},
			ins:   []value{{"x", from, dims}}, outs: []value{{"y", to, dims}},
		}.bytes()
	}
	for _, c := range []struct {
		name     string
		from, to int
		fill     func(*Slot)
		want     []float32
	}{
		{"float16 out", tFloat, tHalf, func(sl *Slot) { copy(sl.Float32(), []float32{0.5, -2, 65504, 1e-7}) }, []float32{0.5, -2, 65504, 1.1920929e-07}},
		{"float16 in", tHalf, tFloat, func(sl *Slot) { copy(sl.Float32(), []float32{0.5, -2, 65504, 0.1}) }, []float32{0.5, -2, 65504, 0.099975586}},
		{"int64 out", tFloat, tInt64, func(sl *Slot) { copy(sl.Float32(), []float32{1, -2, 3, 1 << 24}) }, []float32{1, -2, 3, 1 << 24}},
		{"int64 in", tInt64, tFloat, func(sl *Slot) { copy(sl.Input().Int64(), []int64{1, -2, 3, 4}) }, []float32{1, -2, 3, 4}},
		{"int32 both", tInt32, tInt32, func(sl *Slot) { copy(sl.Int32(), []int32{1, -2, 3, 4}) }, []float32{1, -2, 3, 4}},
		{"uint8 both", tUint8, tUint8, func(sl *Slot) { copy(sl.Uint8(), []uint8{1, 2, 255, 0}) }, []float32{1, 2, 255, 0}},
		{"bool out", tFloat, tBool, func(sl *Slot) { copy(sl.Float32(), []float32{1, 0, -3, 0}) }, []float32{1, 0, 1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			slot := run(t, open(t, cast(c.from, c.to), Options{}), c.fill)
			defer slot.Release()
			if got := slot.Outputs()[0].Data; !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// A DETR-like graph: an image and the frame's size, boxes scaled by it.
func TestExtraInput(t *testing.T) {
	data := network{
		nodes: []node{
			{op: "Cast", in: []string{"size"}, out: []string{"f"}, attr: "to", val: tFloat},
			{op: "Mul", in: []string{"images", "f"}, out: []string{"boxes"}},
		},
		ins:  []value{{"size", tInt64, []int64{1, 2}}, {"images", tFloat, []int64{1, 1, 1, 2}}},
		outs: []value{{"boxes", tFloat, []int64{1, 1, 1, 2}}},
	}.bytes()
	s := open(t, data, Options{})
	if in := s.Inputs(); in[0].Name != "images" || in[1].Name != "size" {
		t.Errorf("the image does not come first: %+v", in)
	}
	slot := run(t, s, func(sl *Slot) {
		copy(sl.Float32(), []float32{0.5, 0.25})
		size, ok := sl.Extra("size")
		if !ok || size.Int64() == nil || size.Float32() != nil {
			t.Fatalf("extra: %+v %v", size, ok)
		}
		copy(size.Int64(), []int64{640, 480})
		if _, ok := sl.Extra("colour"); ok {
			t.Error("the model has an input that it has not")
		}
	})
	defer slot.Release()
	if got := slot.Outputs()[0].Data; !slices.Equal(got, []float32{320, 120}) {
		t.Errorf("boxes: %v", got)
	}
}

// NonZero gives as many columns as there are non-zero elements: a shape that
// no warm-up can know.
func TestOutputOfOpenShape(t *testing.T) {
	data := network{
		nodes: []node{{op: "NonZero", in: []string{"x"}, out: []string{"where"}}},
		ins:   []value{{"x", tFloat, []int64{1, 1, 2, 3}}}, outs: []value{{"where", tInt64, []int64{4, -1}}},
	}.bytes()
	s := open(t, data, Options{})
	if got := s.Outputs()[0].Shape; !slices.Equal(got, []int64{4, -1}) {
		t.Errorf("shape is %v", got)
	}
	for _, in := range [][]float32{{0, 1, 0, 0, 0, 7}, {0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}} {
		n := 0
		for _, v := range in {
			if v != 0 {
				n++
			}
		}
		slot := run(t, s, func(sl *Slot) { copy(sl.Float32(), in) })
		if out := slot.Outputs()[0]; !slices.Equal(out.Shape, []int64{4, int64(n)}) || len(out.Data) != 4*n {
			t.Errorf("%v: %v with %d elements", in, out.Shape, len(out.Data))
		}
		slot.Release()
	}
}

func TestOpenDimensionsNeedASize(t *testing.T) {
	data := network{
		nodes: []node{{op: "Identity", in: []string{"x"}, out: []string{"y"}}},
		ins:   []value{{"x", tFloat, []int64{-1, 3, -2, -3}}}, outs: []value{{"y", tFloat, []int64{-1, 3, -2, -3}}},
	}.bytes()
	rt := testRuntime(t)
	for _, shape := range [][]int64{nil, {1, 3, 8}, {1, 4, 8, 8}, {1, 3, 0, 8}} {
		_, err := rt.Open(t.Context(), Model{Data: data}, Options{InputShape: shape})
		wantKind(t, err, pipeline.BadConfig)
	}
	_, err := rt.Open(t.Context(), Model{Data: data}, Options{InputShape: []int64{1, 3, 1 << 20, 1 << 20}})
	wantKind(t, err, pipeline.BadInput)

	s := open(t, data, Options{InputShape: []int64{1, 3, 2, 5}})
	slot := run(t, s, func(sl *Slot) { sl.Float32()[29] = 9 })
	defer slot.Release()
	if out := slot.Outputs()[0]; !slices.Equal(out.Shape, []int64{1, 3, 2, 5}) || out.Data[29] != 9 {
		t.Errorf("output: %+v", out)
	}
}

// While one frame waits for its turn the next is filled: the slots are
// separate memory and bounded in number.
func TestSlotsOverlapAndAreBounded(t *testing.T) {
	s := open(t, doubled(1, 2), Options{Slots: 3})
	var slots []*Slot
	for i := range 3 {
		sl := lease(t, s)
		sl.Float32()[0] = float32(i + 1)
		slots = append(slots, sl)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Lease(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("fourth lease of three: %v", err)
	}
	for _, sl := range slots {
		sl.Submit()
	}
	for i, sl := range slots {
		if _, err := sl.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sl.Outputs()[0].Data[0]; got != float32(2*(i+1)) {
			t.Errorf("slot %d: %v", i, got)
		}
		sl.Release()
	}
	if st := s.Stats(); st.InUse != 0 || st.Frames != 3 {
		t.Errorf("stats: %+v", st)
	}
}

func TestMisusePanics(t *testing.T) {
	s := open(t, doubled(1, 2), Options{})
	panics := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", name)
			}
		}()
		f()
	}
	slot := run(t, s, func(*Slot) {})
	panics("second Submit", slot.Submit)
	slot.Release()
	panics("second Release", slot.Release)
	panics("use after Release", func() { slot.Float32() })
	if slot.Outputs() != nil {
		t.Error("outputs after Release")
	}
	fresh := lease(t, s)
	if fresh.Outputs() != nil {
		t.Error("outputs before Submit")
	}
	fresh.Release()
}

func TestManyCallers(t *testing.T) {
	s := open(t, doubled(-1, 8), Options{MaxBatch: 4})
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := range 100 {
				slot, err := s.Lease(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				want := float32(c*1000 + i)
				for j := range slot.Float32() {
					slot.Float32()[j] = want
				}
				slot.Submit()
				if _, err := slot.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				for _, v := range slot.Outputs()[0].Data {
					if v != 2*want {
						t.Errorf("caller %d, frame %d: got %v, want %v", c, i, v, 2*want)
						break
					}
				}
				slot.Release()
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.Frames != 400 || st.Failures != 0 || st.Cancelled != 0 || st.InUse != 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		f := halfToFloat(uint16(h))
		if math.IsNaN(float64(f)) {
			if h>>10&31 != 31 || h&1023 == 0 {
				t.Fatalf("%#x became %v", h, f)
			}
			continue
		}
		if back := floatToHalf(f); back != uint16(h) {
			t.Fatalf("%#x became %v and then %#x", h, f, back)
		}
	}
	for _, c := range []struct {
		in   float32
		want uint16
	}{
		{65519, 0x7bff}, {65520, 0x7c00}, {-1e9, 0xfc00}, {1 + 1.0/2048, 0x3c00}, {1 + 3.0/2048, 0x3c02}, {1e-9, 0},
		{float32(math.NaN()), 0x7e00}, {5.9e-8, 1}, {6.1035e-05, 0x0400},
	} {
		if got := floatToHalf(c.in); got != c.want {
			t.Errorf("%v became %#x, want %#x", c.in, got, c.want)
		}
	}
}
