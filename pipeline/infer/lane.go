package infer

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// A lane is the memory of one frame on its way through the model: what a
// [Slot] lends out. All of it is allocated when the model opens, except
// outputs whose shape is not known before they are there.
type lane struct {
	note   any // see Slot.SetNote; owned by who holds the slot
	in     []*buffer
	inVals []ort.Value // one frame each; nil where the graph always takes more
	half   [][]float32 // what the caller fills of a float16 input; nil for others

	out     []*buffer   // nil where the shape is open
	outVals []ort.Value // nil entries are allocated by ONNX Runtime
	f32     [][]float32 // what the caller reads
	shapes  [][]int64
}

func newLane(p *plan, pin *runtime.Pinner) (l *lane, err error) {
	l = &lane{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.destroy())
		}
	}()
	for _, in := range p.inputs {
		b, err := newBuffer(in.typ, elements(in.shape), pin)
		if err != nil {
			return l, fmt.Errorf("input %q: %w", in.name, err)
		}
		b.clear()
		l.in = append(l.in, b)
		var half []float32
		if in.typ == pipeline.Float16 {
			half = make([]float32, elements(in.shape))
		}
		l.half = append(l.half, half)
		if p.fixed {
			continue
		}
		v, err := b.value(in.shape)
		if err != nil {
			return l, err
		}
		l.inVals = append(l.inVals, v)
	}
	for _, o := range p.outputs {
		if err := l.addOutput(o, p.fixed, pin); err != nil {
			return l, fmt.Errorf("output %q: %w", o.name, err)
		}
	}
	return l, nil
}

func (l *lane) addOutput(o outputPlan, fixed bool, pin *runtime.Pinner) error {
	var b *buffer
	var v ort.Value
	var f32 []float32
	if o.shape != nil {
		var err error
		if b, err = newBuffer(o.typ, elements(o.shape), pin); err != nil {
			return err
		}
		if f32 = view[float32](b.raw); o.typ != pipeline.Float32 {
			f32 = make([]float32, elements(o.shape))
		}
		if !fixed {
			if v, err = b.value(o.shape); err != nil {
				return err
			}
		}
	}
	l.out = append(l.out, b)
	l.outVals = append(l.outVals, v)
	l.f32 = append(l.f32, f32)
	l.shapes = append(l.shapes, o.shape)
	return nil
}

func (l *lane) destroy() error { return errors.Join(destroy(l.inVals), destroy(l.outVals)) }

// narrow writes what the caller put into float16 inputs to where the model
// reads it.
func (l *lane) narrow() {
	for i, f := range l.half {
		dst := view[uint16](l.in[i].raw)
		for j, v := range f {
			dst[j] = floatToHalf(v)
		}
	}
}

// widen makes float32 of outputs of other types.
func (l *lane) widen(p *plan) {
	for i, b := range l.out {
		if b != nil && b.elem.name != pipeline.Float32 {
			toFloat32(l.f32[i], p.outputs[i].typ, b.raw)
		}
	}
}

// A stack is the memory of several frames that run together, and the values
// over the first n of them.
type stack struct {
	in, out         []*buffer
	inVals, outVals [][]ort.Value // by number of frames
}

func newStack(p *plan, pin *runtime.Pinner) (st *stack, err error) {
	st = &stack{inVals: make([][]ort.Value, p.batch+1), outVals: make([][]ort.Value, p.batch+1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.destroy())
		}
	}()
	for _, in := range p.inputs {
		b, err := newBuffer(in.typ, p.batch*elements(in.shape), pin)
		if err != nil {
			return st, fmt.Errorf("input %q for %d frames: %w", in.name, p.batch, err)
		}
		b.clear()
		st.in = append(st.in, b)
	}
	for _, o := range p.outputs {
		var b *buffer
		if o.shape != nil {
			if b, err = newBuffer(o.typ, p.batch*elements(o.shape), pin); err != nil {
				return st, fmt.Errorf("output %q for %d frames: %w", o.name, p.batch, err)
			}
		}
		st.out = append(st.out, b)
	}
	first := 2 // one frame runs from its own lane
	if p.fixed {
		first = p.batch
	}
	for n := first; n <= p.batch; n++ {
		if err := st.values(p, n); err != nil {
			return st, err
		}
	}
	return st, nil
}

func (st *stack) values(p *plan, n int) error {
	for i, in := range p.inputs {
		v, err := st.in[i].value(withRows(in.shape, n))
		if err != nil {
			return err
		}
		st.inVals[n] = append(st.inVals[n], v)
	}
	for i, o := range p.outputs {
		var v ort.Value
		if o.shape != nil {
			var err error
			if v, err = st.out[i].value(withRows(o.shape, n)); err != nil {
				return err
			}
		}
		st.outVals[n] = append(st.outVals[n], v)
	}
	return nil
}

func (st *stack) destroy() error {
	var errs []error
	for _, vs := range slices.Concat(st.inVals, st.outVals) {
		errs = append(errs, destroy(vs))
	}
	return errors.Join(errs...)
}

// gather copies the frames' inputs into the stack.
func (st *stack) gather(p *plan, lanes []*lane) {
	for i, in := range p.inputs {
		n := elements(in.shape)
		for k, l := range lanes {
			copy(st.in[i].row(k, n), l.in[i].raw)
		}
	}
}

// split hands the outputs of a run of rows frames to their lanes. outs are the
// values that the run left.
func (st *stack) split(p *plan, lanes []*lane, outs []ort.Value, rows int) error {
	for i, o := range p.outputs {
		if o.shape != nil {
			n := elements(o.shape)
			for k, l := range lanes {
				copy(l.out[i].raw, st.out[i].row(k, n))
			}
			continue
		}
		data, shape, err := copied(outs[i])
		if err != nil {
			return fmt.Errorf("output %q: %w", o.name, err)
		}
		if len(shape) == 0 || shape[0] != int64(rows) {
			return fmt.Errorf("output %q has shape %v for %d frames", o.name, shape, rows)
		}
		each := len(data) / rows
		for k, l := range lanes {
			l.f32[i] = data[k*each : (k+1)*each : (k+1)*each]
			l.shapes[i] = withRows(shape, 1)
		}
	}
	return nil
}
