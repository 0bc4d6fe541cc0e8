package infer

import (
	"fmt"
	"runtime"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// maxElements bounds one tensor; a graph that asks for more is refused rather
// than left to run the machine out of memory.
const maxElements = 1 << 26

// A buffer is the memory of one tensor. ONNX Runtime keeps its address for as
// long as a value over it exists, so it is pinned and held by the session.
type buffer struct {
	elem elementType
	raw  []byte
}

// newBuffer allocates n elements on a cache line's boundary.
func newBuffer(t pipeline.TensorType, n int, pin *runtime.Pinner) (*buffer, error) {
	elem, err := findType(t)
	if err != nil {
		return nil, err
	}
	if n <= 0 || n > maxElements {
		return nil, fmt.Errorf("a tensor of %d elements, which is not between 1 and %d", n, maxElements)
	}
	const line = 64
	mem := make([]byte, n*elem.size+line)
	pin.Pin(&mem[0])
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & (line - 1)
	return &buffer{elem: elem, raw: mem[skip : skip+n*elem.size : skip+n*elem.size]}, nil
}

// value makes an ONNX Runtime value over the first elements of b.
func (b *buffer) value(shape []int64) (ort.Value, error) {
	return ort.NewCustomDataTensor(ort.NewShape(shape...), b.raw[:elements(shape)*b.elem.size], b.elem.ort)
}

// row is the memory of frame i of those that b holds, each of n elements.
func (b *buffer) row(i, n int) []byte {
	size := n * b.elem.size
	return b.raw[i*size : (i+1)*size]
}

// elements is the product of shape, 0 if a dimension is open and more than
// maxElements if it would overflow.
func elements(shape []int64) int {
	n := int64(1)
	for _, d := range shape {
		if d <= 0 {
			return 0
		}
		if n *= d; n > maxElements {
			return maxElements + 1
		}
	}
	return int(n)
}

// withRows is shape for n frames.
func withRows(shape []int64, n int) []int64 {
	s := append([]int64(nil), shape...)
	s[0] = int64(n)
	return s
}

// copied is an output that ONNX Runtime allocated, as float32. The binding has
// already copied it into Go memory, which outlives the value.
func copied(v ort.Value) (data []float32, shape []int64, err error) {
	shape = v.GetShape()
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	if n > maxElements {
		return nil, nil, fmt.Errorf("an output of %d elements, more than the %d that are taken", n, maxElements)
	}
	switch t := v.(type) {
	case *ort.Tensor[float32]:
		return t.GetData(), shape, nil
	case *ort.Tensor[float64]:
		return converted(t.GetData()), shape, nil
	case *ort.Tensor[int64]:
		return converted(t.GetData()), shape, nil
	case *ort.Tensor[int32]:
		return converted(t.GetData()), shape, nil
	case *ort.Tensor[int16]:
		return converted(t.GetData()), shape, nil
	case *ort.Tensor[uint16]:
		return converted(t.GetData()), shape, nil
	case *ort.Tensor[uint8]:
		return converted(t.GetData()), shape, nil
	case *ort.Tensor[int8]:
		return converted(t.GetData()), shape, nil
	case *ort.Tensor[bool]:
		data = make([]float32, n)
		for i, b := range t.GetData() {
			if b {
				data[i] = 1
			}
		}
		return data, shape, nil
	}
	return nil, nil, fmt.Errorf("an output of a type that is not read: %T", v)
}

func converted[T number](src []T) []float32 {
	dst := make([]float32, len(src))
	convert(dst, src)
	return dst
}

// clear sets whole numbers to one and the rest to zero.
func (b *buffer) clear() {
	switch b.elem.name {
	case pipeline.Int64:
		fill(view[int64](b.raw), 1)
	case pipeline.Int32:
		fill(view[int32](b.raw), 1)
	default:
		clear(b.raw)
	}
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}
