package infer

import (
	"fmt"
	"math"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// The element types that outputs may have besides those in pipeline.
const (
	float64Type pipeline.TensorType = "float64"
	int8Type    pipeline.TensorType = "int8"
	uint16Type  pipeline.TensorType = "uint16"
	int16Type   pipeline.TensorType = "int16"
	boolType    pipeline.TensorType = "bool"
)

// typeName names an element type by its number in onnx.proto, which ONNX
// Runtime's own enumeration repeats.
func typeName(n int64) pipeline.TensorType {
	for _, t := range elementTypes() {
		if int64(t.ort) == n {
			return t.name
		}
	}
	return pipeline.TensorType(fmt.Sprintf("ONNX type %d", n))
}

type elementType struct {
	name pipeline.TensorType
	ort  ort.TensorElementDataType
	size int // bytes
}

func elementTypes() []elementType {
	return []elementType{
		{pipeline.Float32, ort.TensorElementDataTypeFloat, 4},
		{pipeline.Uint8, ort.TensorElementDataTypeUint8, 1},
		{pipeline.Float16, ort.TensorElementDataTypeFloat16, 2},
		{pipeline.Int32, ort.TensorElementDataTypeInt32, 4},
		{pipeline.Int64, ort.TensorElementDataTypeInt64, 8},
		{float64Type, ort.TensorElementDataTypeDouble, 8},
		{int8Type, ort.TensorElementDataTypeInt8, 1},
		{uint16Type, ort.TensorElementDataTypeUint16, 2},
		{int16Type, ort.TensorElementDataTypeInt16, 2},
		{boolType, ort.TensorElementDataTypeBool, 1},
	}
}

func findType(name pipeline.TensorType) (elementType, error) {
	for _, t := range elementTypes() {
		if t.name == name {
			return t, nil
		}
	}
	return elementType{}, fmt.Errorf("element type %s is not supported", name)
}

type number interface {
	~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~int64 | ~float32 | ~float64
}

// view is raw as a slice of another type. raw is aligned for it, see newBuffer.
func view[T any](raw []byte) []T {
	if len(raw) == 0 {
		return nil
	}
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(&raw[0])), len(raw)/int(unsafe.Sizeof(t)))
}

func convert[T number](dst []float32, src []T) {
	for i, v := range src {
		dst[i] = float32(v)
	}
}

// toFloat32 converts raw elements. int64 and int32 lose what float32 cannot
// hold: whole numbers above 2^24.
func toFloat32(dst []float32, t pipeline.TensorType, raw []byte) {
	switch t {
	case pipeline.Float32:
		copy(dst, view[float32](raw))
	case pipeline.Float16:
		for i, h := range view[uint16](raw) {
			dst[i] = halfToFloat(h)
		}
	case pipeline.Uint8, boolType: // ONNX Runtime stores true as 1
		convert(dst, raw)
	case pipeline.Int32:
		convert(dst, view[int32](raw))
	case pipeline.Int64:
		convert(dst, view[int64](raw))
	case float64Type:
		convert(dst, view[float64](raw))
	case int8Type:
		convert(dst, view[int8](raw))
	case uint16Type:
		convert(dst, view[uint16](raw))
	case int16Type:
		convert(dst, view[int16](raw))
	}
}

// halfToFloat widens an IEEE 754 binary16; every value is exact in float32.
func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0: // zero or subnormal: frac times 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(f))
	case 31: // infinity or not a number
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// floatToHalf narrows to binary16, rounding to nearest, ties to even.
func floatToHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	abs := b &^ (1 << 31)
	switch {
	case abs > 0x7f800000: // not a number stays one
		return sign | 0x7e00
	case abs >= 0x477ff000: // 65520 and more round to infinity
		return sign | 0x7c00
	case abs < 0x38800000: // below 2^-14: the adder rounds to a multiple of 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(abs)+0.5)-0x3f000000)
	}
	abs += 0xfff + abs>>13&1
	return sign | uint16(abs>>13-112<<10)
}
