package model

import (
	"math"

	"perch/pipeline"
)

func nanodetFamily() family {
	return family{
		name: "nanodet",
		about: "per stride one output of C class scores [1,cells,C] and one of distances [1,cells,4*(reg_max+1)], " +
			"or all in one [1,cells,C+4*(reg_max+1)] (NanoDet, NanoDet-Plus; generalised focal loss, Li et al., arXiv:2006.04388)",
		task: Detection, head: nanodetHead,
		input: func(in *Input) {
			in.Colour = BGR
			in.Mean, in.Std = []float64{103.53, 116.28, 123.675}, []float64{57.375, 57.12, 58.395}
		},
		match: matchNanoDet, open: openNanoDet,
	}
}

func nanodetHead(h *Head, in *Input) {
	gridHead(h, in)
	orDefault(&h.RegMax, 7)
	if h.Offset == nil {
		// NanoDet's points are the centres of cells, those of NanoDet-Plus, which
		// has a level more, their corners.
		offset := 0.5
		if len(h.Strides) == 4 {
			offset = 0
		}
		h.Offset = &offset
	}
}

// cocoClasses is how many classes the published networks have.
const cocoClasses = 80

func matchNanoDet(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
	plus, plain := []int{8, 16, 32, 64}, []int{8, 16, 32}
	for _, o := range outs {
		// All in one: with 64 in the strides no other family has as many rows;
		// without, the columns of the COCO networks tell it from YOLOX.
		for _, regMax := range []int{7, 10} {
			sides := 4 * (regMax + 1)
			_, n := grids(in, plus)
			if dims(o.Shape, 1, n, -1) && o.Shape[1] > 0 && (int(o.Shape[2]) == cocoClasses+sides || regMax == 7 && int(o.Shape[2]) > sides) {
				h.Strides, h.RegMax = plus, regMax
				return int(o.Shape[2]) - sides, true
			}
			_, n = grids(in, plain)
			if dims(o.Shape, 1, n, cocoClasses+sides) && o.Shape[1] > 0 && o.Shape[2] > 0 {
				h.Strides, h.RegMax = plain, regMax
				return cocoClasses, true
			}
		}
	}
	for _, strides := range [][]int{plus, plain} {
		if classes, sides, ok := nanodetPairs(outs, in, strides); ok {
			h.Strides, h.RegMax = strides, sides/4-1
			return classes, true
		}
	}
	return 0, false
}

// nanodetPairs looks for two outputs a stride, scores before distances.
func nanodetPairs(outs []pipeline.TensorInfo, in *Input, strides []int) (classes, sides int, ok bool) {
	if len(outs) != 2*len(strides) {
		return 0, 0, false
	}
	gs, _ := grids(in, strides)
	for _, g := range gs {
		var last []int
		for _, o := range outs {
			if dims(o.Shape, 1, g.cells(), -1) && o.Shape[1] > 0 {
				last = append(last, int(o.Shape[2]))
			}
		}
		if len(last) != 2 || classes != 0 && (last[0] != classes || last[1] != sides) {
			return 0, 0, false
		}
		classes, sides = last[0], last[1]
	}
	return classes, sides, classes > 0 && sides >= 8 && sides%4 == 0
}

// openNanoDet decodes class scores (after sigmoid) and, for each of the sides
// left, top, right, bottom, a distribution over the distances 0 to reg_max
// strides, whose expectation is the distance from the cell's point.
func openNanoDet(m *Manifest) decodeFunc {
	gs, cells := grids(&m.Input, m.Head.Strides)
	bins := m.Head.RegMax + 1
	sides := 4 * bins
	return func(d *Decoder, outs []Tensor) error {
		if len(outs) < 2*len(gs) {
			t, err := shaped(outs, 1, cells, -1)
			if err != nil {
				return err
			}
			row := int(t.Shape[2])
			if err := m.checkClasses(row - sides); err != nil {
				return err
			}
			for _, g := range gs {
				part := t.Data[g.first*row : (g.first+g.cells())*row]
				d.nanodetLevel(g, part, part[row-sides:], row-sides, row, row, bins)
			}
			return nil
		}
		for _, g := range gs {
			scores, dists := levelPair(outs, g.cells(), sides)
			if scores == nil || dists == nil {
				return mismatch(outs, m.family().about)
			}
			classes := int(scores.Shape[2])
			if err := m.checkClasses(classes); err != nil {
				return err
			}
			d.nanodetLevel(g, scores.Data, dists.Data, classes, classes, sides, bins)
		}
		return nil
	}
}

// levelPair finds the scores and the distances of one level. Scores come first
// where there are as many classes as distances.
func levelPair(outs []Tensor, cells, sides int) (scores, dists *Tensor) {
	for i := range outs {
		t := &outs[i]
		if t.Data == nil || !dims(t.Shape, 1, cells, -1) {
			continue
		}
		if t.Shape[2] == int64(sides) && (scores != nil || dists == nil && !hasOther(outs[i+1:], cells, sides)) {
			dists = t
		} else if scores == nil {
			scores = t
		}
	}
	return scores, dists
}

// hasOther reports whether one more output could be the distances of a level.
func hasOther(outs []Tensor, cells, sides int) bool {
	for i := range outs {
		if dims(outs[i].Shape, 1, cells, sides) {
			return true
		}
	}
	return false
}

// nanodetLevel reads one level: rows of class scores, scoreStep apart, and of
// distances, distStep apart.
func (d *Decoder) nanodetLevel(g grid, scores, dists []float32, classes, scoreStep, distStep, bins int) {
	least := d.threshold()
	s, offset := float32(g.stride), float32(*d.m.manifest.Head.Offset)
	for i := range g.cells() {
		best, class := float32(-1), 0
		for c, v := range scores[i*scoreStep:][:classes] {
			if math.Float32bits(v) < least {
				continue
			}
			switch {
			case v > best:
				best, class = v, c
			case v != v:
				d.stats.Invalid++
			}
		}
		if best < d.params.Confidence {
			continue
		}
		var side [4]float32
		for k := range side {
			side[k] = expectation(dists[i*distStep+k*bins:][:bins]) * s
		}
		x, y := g.at(i)
		x, y = (x+offset)*s, (y+offset)*s
		d.add(pipeline.Box{X0: x - side[0], Y0: y - side[1], X1: x + side[2], Y1: y + side[3]}, best, class, g.first+i)
	}
}

// expectation is the mean of 0, 1, 2 ... under the softmax of logits.
func expectation(logits []float32) float32 {
	top := logits[0]
	for _, v := range logits {
		top = max(top, v)
	}
	var sum, mean float64
	for i, v := range logits {
		e := math.Exp(float64(v - top))
		sum += e
		mean += e * float64(i)
	}
	return float32(mean / sum)
}
