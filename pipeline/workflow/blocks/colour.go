package blocks

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// rgb is a colour in sRGB.
type rgb struct{ r, g, b uint8 }

// colourOf reads "#rrggbb", "#rgb", "(r, g, b)", "rgb(r, g, b)" or a list of
// three numbers from 0 to 255.
func colourOf(v workflow.Value) (rgb, error) {
	wrong := fmt.Errorf(`%s is no colour: write "#rrggbb", "#rgb", "(r, g, b)" or [r, g, b] with numbers from 0 to 255`, v.Describe())
	var parts []float64
	if items, ok := v.Items(); ok {
		for _, item := range items {
			f, isNumber := item.Float()
			if !isNumber {
				return rgb{}, wrong
			}
			parts = append(parts, f)
		}
	} else if s, ok := v.Str(); ok {
		s = strings.TrimSpace(strings.ToLower(s))
		if hex, isHex := strings.CutPrefix(s, "#"); isHex {
			return colourOfHex(hex, wrong)
		}
		s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(s, "rgb"), "("), ")")
		for part := range strings.SplitSeq(s, ",") {
			f, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
			if err != nil {
				return rgb{}, wrong
			}
			parts = append(parts, f)
		}
	}
	if len(parts) != 3 {
		return rgb{}, wrong
	}
	for _, f := range parts {
		if !(f >= 0 && f <= 255) {
			return rgb{}, wrong
		}
	}
	return rgb{uint8(parts[0]), uint8(parts[1]), uint8(parts[2])}, nil
}

func colourOfHex(hex string, wrong error) (rgb, error) {
	n, err := strconv.ParseUint(hex, 16, 32)
	switch {
	case err != nil || strings.HasPrefix(hex, "+"):
	case len(hex) == 6:
		return rgb{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
	case len(hex) == 3:
		return rgb{uint8(n>>8) * 17, uint8(n>>4&15) * 17, uint8(n&15) * 17}, nil
	}
	return rgb{}, wrong
}

// yuv returns a colour as a picture stores it (ITU-R BT.601, 2.5, or BT.709, 3.2
// and 3.3, in 8 bits).
func (c rgb) yuv(pic pipeline.Picture) (y, u, v uint8) {
	kr, kb := 0.299, 0.114
	if pic.Matrix == pipeline.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	r, g, b := float64(c.r)/255, float64(c.g)/255, float64(c.b)/255
	luma := kr*r + (1-kr-kb)*g + kb*b
	low, scale, chroma := 16.0, 219.0, 224.0
	if pic.FullRange {
		low, scale, chroma = 0, 255, 255
	}
	return whole(low + scale*luma), whole(128 + chroma*(b-luma)/(2*(1-kb))), whole(128 + chroma*(r-luma)/(2*(1-kr)))
}

// whole is a sample of the nearest value.
func whole(x float64) uint8 { return uint8(math.Round(min(max(x, 0), 255))) }
