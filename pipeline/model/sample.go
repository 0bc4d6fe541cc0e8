package model

import "unsafe"

// quarter samples a blended row: an index of colourTables. The sum of two nodes
// of 256 times their value, with weights of 256, has 16 fractional bits.
//
// It runs three times for each pixel, where bounds checks cost as much again: the
// offsets of taps are those of nodes of the row that they were made for (see
// columns), which plan.lay makes together. The row is little-endian, as every
// processor that Perch is built for.
func quarter(row unsafe.Pointer, t tap) uint64 {
	a := uint64(*(*uint16)(unsafe.Add(row, t&tapMask)))
	b := uint64(*(*uint16)(unsafe.Add(row, t>>24&tapMask)))
	return (a<<8 + (b-a)*uint64(t>>48) + 1<<13) >> 14 & (quarters - 1)
}

// sampleLuma samples a row of grey pixels.
func sampleLuma(sums []uint64, row []byte, taps []tap, table *[quarters]uint64) {
	taps = taps[:len(sums)]
	p := unsafe.Pointer(unsafe.SliceData(row))
	for i := range sums {
		sums[i] = table[quarter(p, taps[i])]
	}
}

// addLuma is sampleLuma with a colour for each pixel.
func addLuma(sums, colours []uint64, row []byte, taps []tap, table *[quarters]uint64) {
	taps, colours = taps[:len(sums)], colours[:len(sums)]
	p := unsafe.Pointer(unsafe.SliceData(row))
	for i := range sums {
		sums[i] = table[quarter(p, taps[i])] + colours[i]
	}
}

// addLumaPairs is addLuma with a colour for every two pixels.
func addLumaPairs(sums, colours []uint64, row []byte, taps []tap, table *[quarters]uint64) {
	taps = taps[:len(sums)]
	p := unsafe.Pointer(unsafe.SliceData(row))
	for i := range sums {
		sums[i] = table[quarter(p, taps[i])] + colours[i/2]
	}
}

// sampleChroma samples the colours of a row, from a row each of U and V.
func sampleChroma(colours []uint64, us, vs []byte, taps []tap, c *colourTables) {
	taps = taps[:len(colours)]
	u, v := unsafe.Pointer(unsafe.SliceData(us)), unsafe.Pointer(unsafe.SliceData(vs))
	for i := range colours {
		t := taps[i]
		colours[i] = c.u[quarter(u, t)] + c.v[quarter(v, t)]
	}
}

// planarRow writes one row of three planes.
func planarRow[T element](o0, o1, o2 []T, sums []uint64, tables *[3]*[tableSize]T) {
	t0, t1, t2 := tables[0], tables[1], tables[2]
	o0, o1, o2 = o0[:len(sums)], o1[:len(sums)], o2[:len(sums)]
	for i, s := range sums {
		o0[i] = t0[s>>fracBits&(tableSize-1)]
		o1[i] = t1[s>>(fracBits+laneBits)&(tableSize-1)]
		o2[i] = t2[s>>(fracBits+2*laneBits)&(tableSize-1)]
	}
}

// interleavedRow writes one row of pixels of three channels.
func interleavedRow[T element](px []T, sums []uint64, tables *[3]*[tableSize]T) {
	t0, t1, t2 := tables[0], tables[1], tables[2]
	for i, s := range sums {
		o := px[i*3 : i*3+3 : i*3+3]
		o[0] = t0[s>>fracBits&(tableSize-1)]
		o[1] = t1[s>>(fracBits+laneBits)&(tableSize-1)]
		o[2] = t2[s>>(fracBits+2*laneBits)&(tableSize-1)]
	}
}

// greyRow writes one row of one channel: luma alone.
func greyRow[T element](px []T, sums []uint64, table *[tableSize]T) {
	px = px[:len(sums)]
	for i, s := range sums {
		px[i] = table[s>>fracBits&(tableSize-1)]
	}
}
