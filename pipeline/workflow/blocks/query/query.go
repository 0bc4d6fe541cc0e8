package query

import (
	"errors"
	"fmt"

	"perch/pipeline/workflow"
)

// A Host is what operations need from the step that they are part of;
// [*workflow.Call] is one.
type Host interface {
	// NewDetections returns empty detections, valid until the next frame.
	NewDetections(o workflow.Origin) *workflow.Detections
	Frame() *workflow.Frame
	Env() *workflow.Env
}

// Operations are a compiled list of operations. It is used by one goroutine at
// a time.
type Operations struct {
	names int
	ops   []op
	out   kinds
	st    state
}

// op turns one value into another.
type op func(st *state, v workflow.Value) (workflow.Value, error)

// state is one evaluation.
type state struct {
	host   Host
	params []workflow.Value
	one    *workflow.Detections // the detection at hand inside a filter: exactly one item
	work   int
}

var errTooMuch = errors.New("it is too much work for one frame: the lists or texts are too long for what is done with each element")

// spend accounts for n items that are gone through.
func (st *state) spend(n int) error {
	if st.work -= n; st.work < 0 {
		return errTooMuch
	}
	return nil
}

// read accounts for n bytes of text, of which about 16 cost as much as an item.
func (st *state) read(n int) error { return st.spend(n/16 + 1) }

func (st *state) begin(h Host, params []workflow.Value, names int) error {
	if len(params) != names {
		return fmt.Errorf("%d parameters are given to operations that have %d", len(params), names)
	}
	*st = state{host: h, params: params, work: maxWork}
	return nil
}

// end drops what must not be kept beyond the frame.
func (st *state) end() { st.host, st.params, st.one = nil, nil, nil }

// Apply applies the operations from left to right. Params are the values of
// the names that [Compile] was given, in that order. The result may refer to v
// and, like everything made by h, is valid until the next frame.
func (o *Operations) Apply(h Host, v workflow.Value, params ...workflow.Value) (workflow.Value, error) {
	if o == nil || len(o.ops) == 0 {
		return v, nil
	}
	if err := o.st.begin(h, params, o.names); err != nil {
		return workflow.Value{}, err
	}
	defer o.st.end()
	return run(&o.st, o.ops, v)
}

// run applies ops one after the other.
func run(st *state, ops []op, v workflow.Value) (_ workflow.Value, err error) {
	for _, f := range ops {
		if v, err = f(st, v); err != nil {
			return workflow.Value{}, err
		}
	}
	return v, nil
}

// MayYieldDetections reports whether detections can come out: false means that
// the last operation makes something else.
func (o *Operations) MayYieldDetections() bool { return o == nil || o.out&kDetections != 0 }

// Empty reports whether there are no operations.
func (o *Operations) Empty() bool { return o == nil || len(o.ops) == 0 }

// A Condition is a compiled StatementGroup. It is used by one goroutine at a
// time.
type Condition struct {
	names int
	test  test
	st    state
}

// Eval reports whether the condition holds. Params are the values of the names
// that [CompileGroup] was given, in that order.
func (c *Condition) Eval(h Host, params ...workflow.Value) (bool, error) {
	if err := c.st.begin(h, params, c.names); err != nil {
		return false, err
	}
	defer c.st.end()
	return c.test(&c.st)
}
