package model

import "perch/pipeline"

// A plan holds what sampling needs to know about one size and kind of picture,
// and the rows that it is blended into. Its memory serves the next plan too: the
// crops of a frame have a size each.
type plan struct {
	Transform
	nv12       bool
	fx, fy     int // luma samples averaged for one node
	nodeCols   int
	lumaCols   []tap
	lumaRows   []rowTap
	chromaCols []tap // of U, and of V in its own row
	chromaRows []rowTap
	luma       []byte    // blended row, see blend.go
	chroma     [2][]byte // the same: U and V; for NV12 they share their memory
	boxes      []uint32  // for blendBoxes only, else nil
	boxRow     []uint32  // its memory
	block      int       // output columns and rows that share one sample of chroma
	colours    []uint64  // one row of samples of chroma: sums of colourTables
	sums       []uint64  // one output row: the same with luma
}

// lay makes the plan for a picture.
func (p *plan) lay(in *Input, pic pipeline.Picture) {
	t := newTransform(in, pic.Width, pic.Height)
	p.Transform = t
	if nv12 := pic.Format == pipeline.NV12; nv12 != p.nv12 {
		p.nv12, p.chroma = nv12, [2][]byte{} // the rows share memory in one case only
	}
	p.fx = min(boxFactor(float64(pic.Width)/float64(t.Width)), pic.Width)
	p.fy = min(boxFactor(float64(pic.Height)/float64(t.Height)), pic.Height)
	p.lumaCols, p.lumaRows = sized(p.lumaCols, t.Width), sized(p.lumaRows, t.Height)
	p.luma, p.sums = sized(p.luma, rowBytes(pic.Width)), sized(p.sums, t.Width)
	p.nodeCols = pic.Width / p.fx
	p.boxes = nil
	offset := splitOffset
	if p.fx > 1 || p.fy > 2 {
		offset = plainOffset
	}
	one := 256 / float64(p.fx*p.fy) // the weights of fx*fy samples add up to 256
	if p.fx > 2 || p.fy > 2 {
		one = 256
		p.boxRow = sized(p.boxRow, pic.Width+8)
		p.boxes = p.boxRow
	}
	full := sited{step: 1}
	columns(p.lumaCols, pic.Width, t.Width, 1, p.nodeCols, p.fx, full, offset)
	rows(p.lumaRows, pic.Height, t.Height, 1, pic.Height/p.fy, p.fy, full, one)
	if in.Colour == Grey {
		return
	}

	// Where the picture shrinks to half or less, chroma is sampled once for each
	// block of two by two, as in a 4:2:0 picture of the model's size.
	p.block = 1
	if 2*t.Width <= pic.Width && 2*t.Height <= pic.Height {
		p.block = 2
	}
	p.chromaCols = sized(p.chromaCols, (t.Width+p.block-1)/p.block)
	p.chromaRows = sized(p.chromaRows, (t.Height+p.block-1)/p.block)
	p.colours = sized(p.colours, len(p.chromaCols))
	cw, ch := (pic.Width+1)/2, (pic.Height+1)/2
	centred := sited{step: 2}
	across := centred
	if !pic.FullRange {
		across.shift = -0.5
	}
	offset = splitOffset
	if p.nv12 {
		offset = evenOffset
		p.chroma[0] = sized(p.chroma[0], rowBytes(2*cw))
		p.chroma[1] = p.chroma[0][oddOffset:]
	} else {
		p.chroma[0], p.chroma[1] = sized(p.chroma[0], rowBytes(cw)), sized(p.chroma[1], rowBytes(cw))
	}
	columns(p.chromaCols, pic.Width, t.Width, p.block, cw, 1, across, offset)
	rows(p.chromaRows, pic.Height, t.Height, p.block, ch, 1, centred, 256)
}

// sample returns the colours of output row j, which are valid until the next
// call. Rows come in order, from 0.
func (p *plan) sample(pic *pipeline.Picture, j int, c *colourTables) []uint64 {
	p.blendLuma(pic, p.lumaRows[j])
	if p.chromaCols == nil {
		sampleLuma(p.sums, p.luma, p.lumaCols, &c.y)
		return p.sums
	}
	if j%p.block == 0 {
		p.blendChroma(pic, p.chromaRows[j/p.block])
		sampleChroma(p.colours, p.chroma[0], p.chroma[1], p.chromaCols, c)
	}
	if p.block == 1 {
		addLuma(p.sums, p.colours, p.luma, p.lumaCols, &c.y)
	} else {
		addLumaPairs(p.sums, p.colours, p.luma, p.lumaCols, &c.y)
	}
	return p.sums
}

// blendLuma makes the row of luma that an output row is sampled from.
func (p *plan) blendLuma(pic *pipeline.Picture, r rowTap) {
	a, b := r.a*p.fy, r.b*p.fy
	y := func(row int) []byte { return pic.Planes[0][row*pic.Strides[0]:][:pic.Width] }
	switch {
	case p.boxes != nil:
		blendBoxes(p.luma, pic.Planes[0], pic.Strides[0], p.nodeCols, p.fx, p.fy, a, b, uint32(r.w), p.boxes)
	case p.fx == 1 && p.fy == 1:
		blend2(p.luma, y(a), y(b), r.w)
	case p.fx == 1:
		blend4(p.luma, y(a), y(a+1), y(b), y(b+1), r.w)
	case p.fy == 1:
		blendPairs2(p.luma, y(a), y(b), r.w)
	default:
		blendPairs4(p.luma, y(a), y(a+1), y(b), y(b+1), r.w)
	}
}

// blendChroma makes the rows of U and V that an output row is sampled from.
func (p *plan) blendChroma(pic *pipeline.Picture, r rowTap) {
	planes, width := 2, (pic.Width+1)/2
	if p.nv12 {
		planes, width = 1, 2*width
	}
	for i := range planes {
		c := func(row int) []byte { return pic.Planes[1+i][row*pic.Strides[1+i]:][:width] }
		blend2(p.chroma[i], c(r.a), c(r.b), r.w)
	}
}
