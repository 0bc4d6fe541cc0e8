package infer

import (
	"slices"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// gate holds each run back until it is told to go on. It must be set before
// the first Submit.
func gate(s *Session) (goOn chan<- struct{}) {
	g := make(chan struct{})
	run := s.now.run
	s.now.run = func(ins, outs []ort.Value, ro *ort.RunOptions) error {
		<-g
		return run(ins, outs, ro)
	}
	return g
}

func submitted1(t *testing.T, s *Session, v float32) *Slot {
	t.Helper()
	sl := lease(t, s)
	for i := range sl.Float32() {
		sl.Float32()[i] = v
	}
	sl.Submit()
	return sl
}

// One frame runs, five more come meanwhile, then four of these run together
// and one after them.
func TestWaitingFramesRunTogether(t *testing.T) {
	s := open(t, doubled(-1, 4), Options{MaxBatch: 4, Slots: 6})
	goOn := gate(s)
	slots := []*Slot{submitted1(t, s, 1)}
	goOn <- struct{}{} // the owner has taken the first alone
	for i := range 5 {
		slots = append(slots, submitted1(t, s, float32(i+2)))
	}
	close(goOn)
	for i, sl := range slots {
		if _, err := sl.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		out := sl.Outputs()[0]
		if !slices.Equal(out.Shape, []int64{1, 3, 4, 4}) || len(out.Data) != 48 {
			t.Errorf("frame %d: shape %v, %d elements", i, out.Shape, len(out.Data))
		}
		for _, v := range out.Data {
			if v != float32(2*(i+1)) {
				t.Fatalf("frame %d got %v", i, v)
			}
		}
		sl.Release()
	}
	// The five may have met the owner between two runs, so three runs is what
	// is sure at most, and two at least.
	if st := s.Stats(); st.Frames != 6 || st.Batches > 3 || st.Batches < 2 || st.MeanBatch() < 2 {
		t.Errorf("stats: %+v", st)
	}
}

// A graph that takes four frames gets four, whether they are there or not.
func TestFixedBatch(t *testing.T) {
	s := open(t, doubled(4, 2), Options{Slots: 6})
	if in := s.Inputs()[0].Shape; !slices.Equal(in, []int64{1, 3, 2, 2}) {
		t.Errorf("input of one frame: %v", in)
	}
	for range 3 {
		a, b := submitted1(t, s, 3), submitted1(t, s, 4)
		for sl, want := range map[*Slot]float32{a: 6, b: 8} {
			if _, err := sl.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if out := sl.Outputs()[0]; out.Data[0] != want || out.Data[11] != want || out.Shape[0] != 1 {
				t.Errorf("got %+v, want %v", out, want)
			}
			sl.Release()
		}
	}
}

// Batches of every output that has to be handed out row by row: other types,
// extra inputs, and shapes that only ONNX Runtime knows.
func TestBatchSplitsEveryKindOfOutput(t *testing.T) {
	dims := []int64{-1, 1, 1, 2}
	data := network{
		nodes: []node{
			{op: "Cast", in: []string{"size"}, out: []string{"f"}, attr: "to", val: tFloat},
			{op: "Mul", in: []string{"x", "f"}, out: []string{"y"}},
			{op: "Cast", in: []string{"y"}, out: []string{"half"}, attr: "to", val: tHalf},
			{op: "Cast", in: []string{"y"}, out: []string{"whole"}, attr: "to", val: tInt64},
			{op: "Tile", in: []string{"y", "repeats"}, out: []string{"open"}},
		},
		constants: []constant{{name: "repeats", dims: []int64{4}, i: []int64{1, 1, 1, 3}}},
		ins:       []value{{"x", tFloat, dims}, {"size", tInt64, []int64{-1, 1, 1, 2}}},
		outs:      []value{{"y", tFloat, dims}, {"half", tHalf, dims}, {"whole", tInt64, dims}, {"open", tFloat, []int64{-1, 1, 1, -2}}},
	}.bytes()
	s := open(t, data, Options{MaxBatch: 3, Slots: 4, Input: "x"})
	goOn := gate(s)
	var slots []*Slot
	submit := func(v int64) {
		sl := lease(t, s)
		copy(sl.Float32(), []float32{1, 2})
		size, _ := sl.Extra("size")
		copy(size.Int64(), []int64{v, v})
		sl.Submit()
		slots = append(slots, sl)
	}
	submit(1)
	goOn <- struct{}{}
	for v := range int64(3) {
		submit(v + 2)
	}
	close(goOn)
	for i, sl := range slots {
		if _, err := sl.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		v := float32(i + 1)
		for _, out := range sl.Outputs() {
			want := []float32{v, 2 * v}
			if out.Name == "open" {
				want = []float32{v, 2 * v, v, 2 * v, v, 2 * v}
			}
			if !slices.Equal(out.Data, want) || out.Shape[0] != 1 {
				t.Errorf("frame %d, %s: %v %v, want %v", i, out.Name, out.Shape, out.Data, want)
			}
		}
		sl.Release()
	}
	if st := s.Stats(); st.Batches > 3 {
		t.Errorf("stats: %+v", st)
	}
}

// Graphs that claim an open batch dimension and cannot use it run frame by
// frame, and say why.
func TestBatchThatCannotBe(t *testing.T) {
	dims := []int64{-1, 1, 1, 4}
	reshape := network{ // an exporter that baked the one in
		nodes:     []node{{op: "Reshape", in: []string{"x", "shape"}, out: []string{"y"}}},
		constants: []constant{{name: "shape", dims: []int64{2}, i: []int64{1, 4}}},
		ins:       []value{{"x", tFloat, dims}}, outs: []value{{"y", tFloat, []int64{-1, 4}}},
	}
	pooled := network{ // the boxes of all frames in one list
		nodes:     []node{{op: "Reshape", in: []string{"x", "shape"}, out: []string{"y"}}},
		constants: []constant{{name: "shape", dims: []int64{2}, i: []int64{-1, 2}}},
		ins:       []value{{"x", tFloat, dims}}, outs: []value{{"y", tFloat, []int64{-2, 2}}},
	}
	common := network{ // a threshold for all frames
		nodes: []node{{op: "Mul", in: []string{"x", "k"}, out: []string{"y"}}},
		ins:   []value{{"x", tFloat, dims}, {"k", tFloat, []int64{1}}}, outs: []value{{"y", tFloat, dims}},
	}
	for name, c := range map[string]struct {
		n    network
		want string
	}{
		"reshape": {reshape, "two frames at a time failed"},
		"pooled":  {pooled, `output "y" has shape [2 2] for one frame`},
		"common":  {common, `input "k" has no open batch dimension`},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, c.n.bytes(), Options{MaxBatch: 4})
			if n, why := s.MaxBatch(); n != 1 || !strings.Contains(why, c.want) {
				t.Errorf("batch of %d: %q", n, why)
			}
			slot := run(t, s, func(sl *Slot) {
				if k, ok := sl.Extra("k"); ok {
					k.Float32()[0] = 1
				}
				copy(sl.Float32(), []float32{1, 2, 3, 4})
			})
			defer slot.Release()
			if got := slot.Outputs()[0].Data; !slices.Equal(got, []float32{1, 2, 3, 4}) {
				t.Errorf("output %v", got)
			}
		})
	}
	common.ins[0].dims, common.outs[0].dims = []int64{2, 1, 1, 4}, []int64{2, 1, 1, 4}
	_, err := testRuntime(t).Open(t.Context(), Model{Data: common.bytes()}, Options{})
	wantKind(t, err, pipeline.Unsupported)
}

// The binding copies one byte an element of float16, so such a graph must be
// refused rather than read wrong.
func TestHalfOutputOfOpenShape(t *testing.T) {
	data := network{
		nodes: []node{
			{op: "NonZero", in: []string{"x"}, out: []string{"where"}},
			{op: "Cast", in: []string{"where"}, out: []string{"y"}, attr: "to", val: tHalf},
		},
		ins: []value{{"x", tFloat, []int64{1, 1, 2, 2}}}, outs: []value{{"y", tHalf, []int64{4, -1}}},
	}.bytes()
	_, err := testRuntime(t).Open(t.Context(), Model{Data: data}, Options{})
	if err == nil {
		t.Fatal("want an error")
	}
	wantKind(t, err, pipeline.Unsupported)
}
