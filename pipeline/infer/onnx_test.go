package infer

import (
	"encoding/binary"
	"math"
)

// A proto writes protobuf, enough for the ModelProto of small test graphs.
type proto struct{ b []byte }

func (p *proto) key(field, wire int) { p.b = binary.AppendUvarint(p.b, uint64(field<<3|wire)) }

func (p *proto) num(field int, v int64) {
	p.key(field, 0)
	p.b = binary.AppendUvarint(p.b, uint64(v))
}

func (p *proto) str(field int, s string) {
	p.key(field, 2)
	p.b = binary.AppendUvarint(p.b, uint64(len(s)))
	p.b = append(p.b, s...)
}

func (p *proto) msg(field int, m proto) { p.str(field, string(m.b)) }

// Element types by their number in onnx.proto.
const (
	tFloat = 1
	tUint8 = 2
	tInt32 = 6
	tInt64 = 7
	tText  = 8
	tBool  = 9
	tHalf  = 10
)

// A value is an input or output; a negative dimension is open and named by its
// number, so that equal numbers are the same symbol.
type value struct {
	name string
	typ  int
	dims []int64
}

func (v value) proto() proto {
	var shape, tensor, typ, info proto
	for _, d := range v.dims {
		var dim proto
		if d >= 0 {
			dim.num(1, d)
		} else {
			dim.str(2, "d"+string(rune('0'-d)))
		}
		shape.msg(1, dim)
	}
	tensor.num(1, int64(v.typ))
	if v.dims != nil {
		tensor.msg(2, shape)
	}
	typ.msg(1, tensor)
	info.str(1, v.name)
	info.msg(2, typ)
	return info
}

// A node is one operator; its only attribute, if any, is a whole number.
type node struct {
	op      string
	in, out []string
	attr    string
	val     int64
}

func (n node) proto() proto {
	var p proto
	for _, s := range n.in {
		p.str(1, s)
	}
	for _, s := range n.out {
		p.str(2, s)
	}
	p.str(4, n.op)
	if n.attr != "" {
		var a proto
		a.str(1, n.attr)
		a.num(3, n.val)
		a.num(20, 2) // INT
		p.msg(5, a)
	}
	return p
}

// A constant is an initialiser of float32 or int64.
type constant struct {
	name string
	dims []int64
	f    []float32
	i    []int64
}

func (c constant) proto() proto {
	var p proto
	for _, d := range c.dims {
		p.num(1, d)
	}
	var raw []byte
	typ := tFloat
	for _, v := range c.f {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	if c.i != nil {
		typ = tInt64
	}
	for _, v := range c.i {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	p.num(2, int64(typ))
	p.str(8, c.name)
	p.str(9, string(raw))
	return p
}

// A network is a model under construction.
type network struct {
	nodes     []node
	constants []constant
	ins, outs []value
	meta      map[string]string
	opset     int64 // 0 is 13
}

func (n network) bytes() []byte {
	var graph, model, opset proto
	for _, x := range n.nodes {
		graph.msg(1, x.proto())
	}
	graph.str(2, "test")
	for _, c := range n.constants {
		graph.msg(5, c.proto())
	}
	for _, v := range n.ins {
		graph.msg(11, v.proto())
	}
	for _, v := range n.outs {
		graph.msg(12, v.proto())
	}
	if n.opset == 0 {
		n.opset = 13
	}
	opset.str(1, "")
	opset.num(2, n.opset)
	model.num(1, 8) // IR version
	model.str(2, "perch-test")
	model.str(3, "1")
	model.msg(7, graph)
	model.msg(8, opset)
	for k, v := range n.meta {
		var e proto
		e.str(1, k)
		e.str(2, v)
		model.msg(14, e)
	}
	return model.b
}

// doubled is y = 2x over one image of size by size, of which the batch
// dimension is batch; -1 leaves it open.
func doubled(batch, size int64) []byte {
	dims := []int64{batch, 3, size, size}
	return network{
		nodes:     []node{{op: "Mul", in: []string{"x", "two"}, out: []string{"y"}}},
		constants: []constant{{name: "two", f: []float32{2}}},
		ins:       []value{{"x", tFloat, dims}},
		outs:      []value{{"y", tFloat, dims}},
		meta:      map[string]string{"names": "{0: 'thing'}", "task": "detect"},
	}.bytes()
}

// slow multiplies matrices of 512 by 512 one after the other: a run takes
// steps times about 5 ms and can be stopped after each.
func slow(steps int) []byte {
	dims := []int64{1, 1, 512, 512}
	n := network{ins: []value{{"x", tFloat, dims}}, outs: []value{{"y", tFloat, dims}}}
	from := "x"
	for i := range steps {
		to := "t" + string(rune(0x4e00+i))
		if i == steps-1 {
			to = "y"
		}
		n.nodes = append(n.nodes, node{op: "MatMul", in: []string{from, "x"}, out: []string{to}})
		from = to
	}
	return n.bytes()
}
