package model

import "encoding/binary"

// Rows are blended eight bytes at a time: the even and the odd bytes of a
// 64-bit word become four 16-bit lanes each, which are summed and multiplied
// together. No lane overflows, because the weights of all samples in a sum add
// up to 256 and 255*256 < 1<<16. A blended row holds 16-bit nodes, exactly 256
// times their value, and keeps the order in which the lanes fall out: see the
// functions ending in Offset.

const lanes = 0x00ff00ff00ff00ff

// rowBytes is the length of a blended row of n bytes.
func rowBytes(n int) int { return (n + 7) / 8 * 16 }

// splitOffset is where node k is when eight bytes became two words of four
// nodes: the even ones, then the odd ones.
func splitOffset(k int) int { return k/8*16 + k%2*8 + k%8/2*2 }

// evenOffset is where U of pair k is when eight bytes U, V, U, V ... became two
// words: four of U, then four of V, which is oddOffset bytes further.
func evenOffset(k int) int { return k/4*16 + k%4*2 }

const oddOffset = 8

// plainOffset is where node k is when four pairs of bytes became one word.
func plainOffset(k int) int { return 2 * k }

// blend2 blends rows a and b into dst, b with weight w of 256; its order is that
// of splitOffset and evenOffset.
func blend2(dst, a, b []byte, w uint64) {
	v := 256 - w
	n := len(a) / 8
	for i := range n {
		x := binary.LittleEndian.Uint64(a[i*8 : i*8+8 : i*8+8])
		y := binary.LittleEndian.Uint64(b[i*8 : i*8+8 : i*8+8])
		d := dst[i*16 : i*16+16 : i*16+16]
		binary.LittleEndian.PutUint64(d, (x&lanes)*v+(y&lanes)*w)
		binary.LittleEndian.PutUint64(d[8:], (x>>8&lanes)*v+(y>>8&lanes)*w)
	}
	if rest := len(a) % 8; rest > 0 {
		var x, y [8]byte
		copy(x[:], a[n*8:])
		copy(y[:], b[n*8:])
		blend2(dst[n*16:], x[:], y[:], w)
	}
}

// blend4 is blend2 for nodes of two rows each; w is of 128.
func blend4(dst, a0, a1, b0, b1 []byte, w uint64) {
	v := 128 - w
	n := len(a0) / 8
	for i := range n {
		p := binary.LittleEndian.Uint64(a0[i*8 : i*8+8 : i*8+8])
		q := binary.LittleEndian.Uint64(a1[i*8 : i*8+8 : i*8+8])
		r := binary.LittleEndian.Uint64(b0[i*8 : i*8+8 : i*8+8])
		s := binary.LittleEndian.Uint64(b1[i*8 : i*8+8 : i*8+8])
		d := dst[i*16 : i*16+16 : i*16+16]
		binary.LittleEndian.PutUint64(d, (p&lanes+q&lanes)*v+(r&lanes+s&lanes)*w)
		binary.LittleEndian.PutUint64(d[8:], (p>>8&lanes+q>>8&lanes)*v+(r>>8&lanes+s>>8&lanes)*w)
	}
	if rest := len(a0) % 8; rest > 0 {
		var p, q, r, s [8]byte
		copy(p[:], a0[n*8:])
		copy(q[:], a1[n*8:])
		copy(r[:], b0[n*8:])
		copy(s[:], b1[n*8:])
		blend4(dst[n*16:], p[:], q[:], r[:], s[:], w)
	}
}

// blendPairs2 is blend2 for nodes of two columns each; w is of 128. Its order is
// that of plainOffset.
func blendPairs2(dst, a, b []byte, w uint64) {
	v := 128 - w
	n := len(a) / 8
	for i := range n {
		x := binary.LittleEndian.Uint64(a[i*8 : i*8+8 : i*8+8])
		y := binary.LittleEndian.Uint64(b[i*8 : i*8+8 : i*8+8])
		binary.LittleEndian.PutUint64(dst[i*8:i*8+8:i*8+8], (x&lanes+x>>8&lanes)*v+(y&lanes+y>>8&lanes)*w)
	}
	if rest := len(a) % 8; rest > 0 {
		var x, y [8]byte
		copy(x[:], a[n*8:])
		copy(y[:], b[n*8:])
		blendPairs2(dst[n*8:], x[:], y[:], w)
	}
}

// blendPairs4 is blend2 for nodes of two rows and two columns; w is of 64.
func blendPairs4(dst, a0, a1, b0, b1 []byte, w uint64) {
	v := 64 - w
	n := len(a0) / 8
	for i := range n {
		p := binary.LittleEndian.Uint64(a0[i*8 : i*8+8 : i*8+8])
		q := binary.LittleEndian.Uint64(a1[i*8 : i*8+8 : i*8+8])
		r := binary.LittleEndian.Uint64(b0[i*8 : i*8+8 : i*8+8])
		s := binary.LittleEndian.Uint64(b1[i*8 : i*8+8 : i*8+8])
		sum := (p&lanes+p>>8&lanes+q&lanes+q>>8&lanes)*v + (r&lanes+r>>8&lanes+s&lanes+s>>8&lanes)*w
		binary.LittleEndian.PutUint64(dst[i*8:i*8+8:i*8+8], sum)
	}
	if rest := len(a0) % 8; rest > 0 {
		var p, q, r, s [8]byte
		copy(p[:], a0[n*8:])
		copy(q[:], a1[n*8:])
		copy(r[:], b0[n*8:])
		copy(s[:], b1[n*8:])
		blendPairs4(dst[n*8:], p[:], q[:], r[:], s[:], w)
	}
}

// blendBoxes is the general case: count nodes of fx columns and fy rows, of
// which the first rows are a and b; w is of 256. sums has room for a row and 8.
// The order is that of plainOffset.
func blendBoxes(dst, plane []byte, stride, count, fx, fy, a, b int, w uint32, sums []uint32) {
	width := count * fx
	for x := 0; x < width; x += 8 {
		even, odd := sumRows(plane[a*stride+x:], stride, fy, width-x)
		even2, odd2 := sumRows(plane[b*stride+x:], stride, fy, width-x)
		s := sums[x : x+8 : x+8]
		for i := 0; i < 8; i += 2 {
			s[i] = uint32(even&0xffff)*(256-w) + uint32(even2&0xffff)*w
			s[i+1] = uint32(odd&0xffff)*(256-w) + uint32(odd2&0xffff)*w
			even, odd, even2, odd2 = even>>16, odd>>16, even2>>16, odd2>>16
		}
	}
	area := uint64(fx * fy)
	for i := range count {
		var sum uint64
		for _, v := range sums[i*fx : i*fx+fx] {
			sum += uint64(v)
		}
		binary.LittleEndian.PutUint16(dst[2*i:], uint16((sum+area/2)/area))
	}
}

// maxBox is how many rows sumRows can sum up without overflow of a lane.
const maxBox = 256

// sumRows sums eight columns, or the n there are, of rows a stride apart.
func sumRows(p []byte, stride, rows, n int) (even, odd uint64) {
	for k := range rows {
		var x uint64
		if n >= 8 {
			x = binary.LittleEndian.Uint64(p[k*stride:])
		} else {
			var rest [8]byte
			copy(rest[:], p[k*stride:][:n])
			x = binary.LittleEndian.Uint64(rest[:])
		}
		even += x & lanes
		odd += x >> 8 & lanes
	}
	return even, odd
}
