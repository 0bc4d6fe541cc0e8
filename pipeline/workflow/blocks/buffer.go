package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

// The limits of a buffer.
const (
	maxBuffer      = 10_000
	maxBufferBytes = 256 << 20
)

func buffer() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "buffer@v1", Aliases: []string{"Buffer"}, Title: "Buffer", Group: "formatting",
		Doc: "The last values of something as a list, the newest first. At most 256 MB are kept, which is 80 images of 1920x1080 pixels; beyond that the step fails.",
		Fields: []workflow.Field{
			{Name: "data", Required: true, Kinds: workflow.Anything(), Doc: "the value to remember"},
			{Name: "length", Required: true, Literal: workflow.IntegerLiteral, Kinds: workflow.Numbers(), Min: 1, Max: maxBuffer, Doc: "how many values are kept"},
			{Name: "pad", Literal: workflow.BoolLiteral, Default: workflow.BoolOf(false), Doc: "whether the list is filled up with null until there are enough"},
		},
		Outputs: []workflow.Output{{Name: "output", Kinds: []workflow.Kind{workflow.ListKind}, Doc: "the values, the newest first"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			v, _ := p.Const("pad")
			pad, _ := v.Bool()
			return &bufferBlock{data: p.In("data"), length: p.In("length"), pad: pad}, nil
		},
	}
}

type bufferBlock struct {
	data, length workflow.In
	pad          bool
	kept         []keptValue // the newest first
	bytes        int
}

type keptValue struct {
	v     workflow.Value
	bytes int
}

func (b *bufferBlock) Run(c *workflow.Call) error {
	length, err := c.Int(b.length)
	if err != nil {
		return err
	}
	var old keptValue // the oldest goes, and its memory is used again
	for len(b.kept) >= length {
		old = b.kept[len(b.kept)-1]
		b.kept[len(b.kept)-1] = keptValue{}
		b.kept = b.kept[:len(b.kept)-1]
		b.bytes -= old.bytes
	}
	if c.Index() > 0 {
		old.v = workflow.Value{} // it may have been handed out for another element of this frame
	}
	v, n, err := keep(c.Value(b.data), old.v)
	if err != nil {
		return err
	}
	if b.bytes+n > maxBufferBytes {
		return fmt.Errorf("%d values take %d MB, and at most %d are kept: choose a smaller length", len(b.kept)+1, (b.bytes+n)>>20, maxBufferBytes>>20)
	}
	b.bytes += n
	b.kept = append(b.kept, keptValue{})
	copy(b.kept[1:], b.kept)
	b.kept[0] = keptValue{v, n}
	out := make([]workflow.Value, len(b.kept), length)
	for i, k := range b.kept {
		out[i] = k.v
	}
	if b.pad {
		out = out[:length]
	}
	c.Set(0, workflow.ListOf(out))
	return nil
}
