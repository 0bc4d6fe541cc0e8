package workflow

import (
	"fmt"

	"perch/pipeline"
)

// What is made of one frame is bounded: a few steps that cut crops out of crops
// would otherwise take all memory there is.
const (
	maxElements = 10_000    // of one dimension: crops of all crops
	maxMade     = 512 << 20 // bytes of all images and values: 170 pictures of 1080p
)

// valueBytes is what a [Value] takes by itself.
const valueBytes = 48

// charge accounts for bytes that are needed for the frame.
func (w *work) charge(n int) error {
	if w.made += n; w.made > maxMade {
		return fmt.Errorf("images and values of one frame take more than %d MB, which is as much as there may be: make fewer or smaller crops", maxMade>>20)
	}
	return nil
}

func pictureBytes(p pipeline.Picture) int { return p.Width * p.Height * 3 / 2 }

// weight is roughly how many bytes a value takes besides [valueBytes]. Images are
// counted where they are made.
func (v Value) weight() int {
	switch v.typ {
	case String:
		return len(v.str)
	case Bytes:
		b, _ := v.Bytes()
		return len(b)
	case List:
		items, _ := v.Items()
		return valueBytes * len(items)
	case Object:
		f, _ := v.Fields()
		return 2 * valueBytes * len(f.Keys)
	case DetectionsType:
		d, _ := v.Detections()
		return 400 * len(d.Items)
	}
	return 0
}
