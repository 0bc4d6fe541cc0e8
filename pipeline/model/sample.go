package model

import "encoding/binary"

// Sampled values have eight fractional bits; adding this rounds them to quarters.
const toQuarter = 1 << (sampleShift + 16 - 1)

// quarter samples the nodes x = a | b<<16: an index of colourTables.
func quarter(x uint64, weights uint32) uint64 {
	return (x*uint64(weights) + toQuarter) >> (16 + sampleShift) & (quarters - 1)
}

// spread makes a | b<<16 of two neighbouring bytes.
func spread(x uint16) uint64 { return (uint64(x) | uint64(x)<<8) & 0x00ff00ff }

// sampleLuma samples a row of grey pixels.
func sampleLuma(sums []uint64, row []byte, taps []tap, table *[quarters]uint64) {
	taps = taps[:len(sums)]
	for i := range sums {
		t := taps[i]
		sums[i] = table[quarter(spread(binary.LittleEndian.Uint16(row[t.at:])), t.weights)]
	}
}

// addLuma is sampleLuma with a colour for each pixel.
func addLuma(sums, colours []uint64, row []byte, taps []tap, table *[quarters]uint64) {
	taps, colours = taps[:len(sums)], colours[:len(sums)]
	for i := range sums {
		t := taps[i]
		sums[i] = table[quarter(spread(binary.LittleEndian.Uint16(row[t.at:])), t.weights)] + colours[i]
	}
}

// addLumaPairs is addLuma with a colour for every two pixels.
func addLumaPairs(sums, colours []uint64, row []byte, taps []tap, table *[quarters]uint64) {
	taps = taps[:len(sums)]
	for i := range sums {
		t := taps[i]
		sums[i] = table[quarter(spread(binary.LittleEndian.Uint16(row[t.at:])), t.weights)] + colours[i/2]
	}
}

// sampleChroma samples the colours of a row, from a row each of U and V.
func sampleChroma(colours []uint64, us, vs []byte, taps []tap, c *colourTables) {
	taps = taps[:len(colours)]
	for i := range colours {
		t := taps[i]
		u := quarter(spread(binary.LittleEndian.Uint16(us[t.at:])), t.weights)
		v := quarter(spread(binary.LittleEndian.Uint16(vs[t.at:])), t.weights)
		colours[i] = c.u[u] + c.v[v]
	}
}

// sampleChromaPairs is sampleChroma for a row of U, V, U, V.
func sampleChromaPairs(colours []uint64, uv []byte, taps []tap, c *colourTables) {
	taps = taps[:len(colours)]
	for i := range colours {
		t := taps[i]
		x := uint64(binary.LittleEndian.Uint32(uv[t.at:]))
		colours[i] = c.u[quarter(x&0x00ff00ff, t.weights)] + c.v[quarter(x>>8&0x00ff00ff, t.weights)]
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
