package model

import (
	"math"

	"perch/pipeline"
)

// Colours are tabulated by the quarter that they round to, from -320 to 704, so
// that a table look-up clamps, scales and normalises.
const (
	tableSize = 4096
	tableBias = 320 * 4 // index of 0
)

// Colours are summed from one table for each of Y, U and V. A table's entry has
// the three channels of the output side by side: laneBits each, of which the
// upper twelve are the index of the table above and the rest a fraction.
const (
	laneBits = 21
	fracBits = laneBits - 12
)

// quarters is the size of a table of samples, which are rounded to quarters.
const quarters = 1024

// colourTables are what a sampled Y, U or V adds to each channel. The first sum
// of the three tables is that of the channel in the lowest bits.
type colourTables struct {
	y, u, v [quarters]uint64
}

// newColourTables follows ITU-R BT.601 and BT.709: with Kr and Kb of the matrix
// and Kg = 1-Kr-Kb,
//
//	R = Y' + 2(1-Kr) Cr,  B = Y' + 2(1-Kb) Cb,
//	G = Y' - 2 Kr(1-Kr)/Kg Cr - 2 Kb(1-Kb)/Kg Cb,
//
// where Y' = (Y-16)/219, C = (c-128)/224 for limited range and Y' = Y/255,
// C = (c-128)/255 for full range. Grey is Y'.
func newColourTables(matrix pipeline.ColourMatrix, fullRange bool, order Colour) *colourTables {
	kr, kb := 0.299, 0.114
	if matrix == pipeline.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	kg := 1 - kr - kb
	yScale, yZero, cScale := 255.0/219, 16.0, 255.0/224
	if fullRange {
		yScale, yZero, cScale = 1, 0, 1
	}
	red := [2]float64{0, 2 * (1 - kr)} // from U, from V
	green := [2]float64{-2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg}
	blue := [2]float64{2 * (1 - kb), 0}
	channels := [3][2]float64{red, green, blue}
	switch order {
	case BGR:
		channels = [3][2]float64{blue, green, red}
	case Grey:
		channels = [3][2]float64{}
	}
	t := new(colourTables)
	for c, from := range channels {
		// No entry is negative: each chroma table is lifted by what it may take
		// away, and luma makes up the difference to the bias.
		// An eighth makes the sum round instead of being cut off.
		liftU, liftV := math.Abs(from[0])*cScale*128, math.Abs(from[1])*cScale*128
		rest := tableBias/4 - liftU - liftV + 0.125
		shift := c * laneBits
		fixed := func(v float64) uint64 { return uint64(math.Round(v*(4<<fracBits))) << shift }
		for i := range quarters {
			v := float64(i) / 4
			t.y[i] += fixed((v-yZero)*yScale + rest)
			t.u[i] += fixed((v-128)*cScale*from[0] + liftU)
			t.v[i] += fixed((v-128)*cScale*from[1] + liftV)
		}
	}
	return t
}

// element is what a model's input may be made of; uint16 holds IEEE half floats.
type element interface {
	float32 | uint8 | int32 | uint16
}

// newTables makes one table a channel: (clamp(v, 0, 255)*scale - mean) / std.
// Channels that are treated alike share theirs, which spares the cache.
func newTables[T element](in *Input, as func(float64) T) *[3]*[tableSize]T {
	var tables [3]*[tableSize]T
	for c := range in.Colour.channels() {
		if c > 0 && in.mean(c) == in.mean(c-1) && in.std(c) == in.std(c-1) {
			tables[c] = tables[c-1]
			continue
		}
		tables[c] = new([tableSize]T)
		for i := range tables[c] {
			v := min(max(float64(i-tableBias)/4, 0), 255)
			tables[c][i] = as((v*in.Scale - in.mean(c)) / in.std(c))
		}
	}
	return &tables
}

func asFloat(v float64) float32 { return float32(v) }

// asUint8 and asInt32 round to the nearest value that the type has.
func asUint8(v float64) uint8 { return uint8(min(max(math.Floor(v+0.5), 0), 255)) }
func asInt32(v float64) int32 {
	return int32(min(max(math.Floor(v+0.5), math.MinInt32), math.MaxInt32))
}

// asHalf gives the bits of the nearest IEEE 754 half float, ties to even.
func asHalf(v float64) uint16 {
	sign := uint16(0)
	if math.Signbit(v) {
		sign, v = 0x8000, -v
	}
	switch {
	case v >= 65520: // rounds to infinity
		return sign | 0x7c00
	case v < 1.0/(1<<14): // subnormal: multiples of 2^-24
		return sign | uint16(math.RoundToEven(v*(1<<24)))
	}
	frac, exp := math.Frexp(v) // frac in [0.5, 1)
	bits := math.RoundToEven(frac * (1 << 11))
	// A mantissa that rounds up to 2^11 carries into the exponent by itself.
	return sign | uint16((exp+14)<<10+int(bits)-(1<<10))
}
