package model

import (
	"fmt"
	"math"

	"perch/pipeline"
)

func faceFamilies() []family {
	return []family{
		{
			name:  "yunet",
			about: "twelve outputs: cls_8, obj_8, bbox_8, kps_8 and the same for 16 and 32 (YuNet, Wu et al., Machine Intelligence Research 2023)",
			task:  Faces, head: yunetHead, points: 5,
			input: func(in *Input) { in.Colour, in.Position = BGR, TopLeft },
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				return 1, infoNamed(outs, "cls_8", "obj_8", "bbox_8", "kps_8", "cls_32", "obj_32", "bbox_32", "kps_32")
			},
			open: openYuNet,
		}, {
			name:  "blazeface",
			about: "outputs [1,N,1] (logits) and [1,N,16] (box and six points), N = 896 anchors, in one pair or in several (BlazeFace, Bazarevsky et al., arXiv:1907.05047)",
			task:  Faces, head: blazeFaceHead, points: 6,
			input: func(in *Input) { in.Scale, in.Mean = 1/127.5, []float64{1} },
			match: matchBlazeFace, open: openBlazeFace,
		},
	}
}

func yunetHead(h *Head, in *Input) {
	gridHead(h, in)
	orDefault(&h.Confidence, 0.6)
	orDefault(&h.IoU, 0.3)
	if len(h.Keypoints) == 0 {
		h.Keypoints = []string{"right eye", "left eye", "nose", "right mouth corner", "left mouth corner"}
	}
}

func blazeFaceHead(h *Head, in *Input) {
	orDefault(&h.Confidence, 0.5)
	orDefault(&h.IoU, 0.3)
	if len(h.Strides) == 0 && in.Width >= 16 {
		s := in.Width / 16
		h.Strides = []int{s, 2 * s, 2 * s, 2 * s}
	}
	if len(h.Keypoints) == 0 {
		h.Keypoints = []string{"right eye", "left eye", "nose", "mouth", "right ear", "left ear"}
	}
}

// openYuNet decodes a grid whose points are the corners of cells. A face's score
// is the geometric mean of class and object score.
func openYuNet(m *Manifest) decodeFunc {
	gs, _ := grids(&m.Input, m.Head.Strides)
	names := make([][4]string, len(gs))
	for i, g := range gs {
		for k, role := range []string{"cls", "obj", "bbox", "kps"} {
			names[i][k] = fmt.Sprintf("%s_%d", role, g.stride)
		}
	}
	const points = 5
	return func(d *Decoder, outs []Tensor) error {
		for i, g := range gs {
			var part [4][]float32
			for k, width := range [4]int{1, 1, 4, 2 * points} {
				t, err := named(outs, names[i][k])
				if err != nil {
					return err
				}
				if len(t.Data) != g.cells()*width {
					return mismatch(outs, fmt.Sprintf("%q float32[1,%d,%d]", t.Name, g.cells(), width))
				}
				part[k] = t.Data
			}
			d.yunetLevel(g, part[0], part[1], part[2], part[3])
		}
		return nil
	}
}

func (d *Decoder) yunetLevel(g grid, cls, obj, boxes, kps []float32) {
	s := float32(g.stride)
	for i := range cls {
		score := float32(math.Sqrt(float64(min(max(cls[i], 0), 1)) * float64(min(max(obj[i], 0), 1))))
		if score < d.params.Confidence {
			continue
		}
		x, y := g.at(i)
		r, k := boxes[4*i:][:4], kps[10*i:][:10]
		if d.add(centred((r[0]+x)*s, (r[1]+y)*s, exp(r[2])*s, exp(r[3])*s), score, 0, g.first+i) {
			for j := 0; j < len(k); j += 2 {
				d.points = append(d.points, pipeline.Keypoint{Point: pipeline.Point{X: (k[j] + x) * s, Y: (k[j+1] + y) * s}, Score: score})
			}
		}
	}
}

// blazeAnchors is the number of anchors at each cell of each layer.
const blazeAnchors = 2

// blazeFaceLayout gives the centres of the anchors in pixels: layers of the same
// stride share their cells.
func blazeFaceLayout(in *Input, strides []int) (centres []pipeline.Point) {
	for i := 0; i < len(strides); {
		n := 0
		s := strides[i]
		for ; i < len(strides) && strides[i] == s; i++ {
			n += blazeAnchors
		}
		gs, _ := grids(in, []int{s})
		for c := range gs[0].cells() {
			x, y := gs[0].at(c)
			for range n {
				centres = append(centres, pipeline.Point{X: (x + 0.5) * float32(s), Y: (y + 0.5) * float32(s)})
			}
		}
	}
	return centres
}

const blazeRow = 16 // x y w h and six points

func matchBlazeFace(outs []pipeline.TensorInfo, in *Input, _ *Head) (int, bool) {
	h := Head{}
	blazeFaceHead(&h, in)
	if in.Width%16 != 0 || len(outs)%2 != 0 {
		return 0, false
	}
	want := len(blazeFaceLayout(in, h.Strides))
	var rows, scores int
	for _, o := range outs {
		switch {
		case dims(o.Shape, 1, -1, blazeRow) && o.Shape[1] > 0 && o.Shape[2] > 0:
			rows += int(o.Shape[1])
		case dims(o.Shape, 1, -1, 1) && o.Shape[1] > 0 && o.Shape[2] > 0:
			scores += int(o.Shape[1])
		}
	}
	return 1, rows == want && scores == want
}

// openBlazeFace decodes offsets from anchors, in pixels; sizes are absolute.
// The parts of a head that comes in several are joined in order.
func openBlazeFace(m *Manifest) decodeFunc {
	centres := blazeFaceLayout(&m.Input, m.Head.Strides)
	return func(d *Decoder, outs []Tensor) error {
		// The scores of part k belong to the boxes of part k.
		first, at := 0, 0
		for i := range outs {
			if outs[i].Data == nil || !dims(outs[i].Shape, 1, -1, 1) {
				continue
			}
			scores := outs[i].Data
			for at < len(outs) && (outs[at].Data == nil || !dims(outs[at].Shape, 1, -1, blazeRow)) {
				at++
			}
			if at == len(outs) || len(outs[at].Data) != blazeRow*len(scores) || first+len(scores) > len(centres) {
				return mismatch(outs, m.family().about)
			}
			d.blazeFacePart(centres[first:], scores, outs[at].Data, first)
			first += len(scores)
			at++
		}
		if first != len(centres) {
			return mismatch(outs, fmt.Sprintf("scores and boxes for %d anchors", len(centres)))
		}
		return nil
	}
}

func (d *Decoder) blazeFacePart(centres []pipeline.Point, scores, rows []float32, first int) {
	least := logit(d.params.Confidence)
	for i, v := range scores {
		if v < least {
			continue
		}
		c, r := centres[i], rows[i*blazeRow:][:blazeRow]
		score := sigmoid(v)
		if !d.add(centred(r[0]+c.X, r[1]+c.Y, r[2], r[3]), score, 0, first+i) {
			continue
		}
		for j := 4; j < blazeRow; j += 2 {
			d.points = append(d.points, pipeline.Keypoint{Point: pipeline.Point{X: r[j] + c.X, Y: r[j+1] + c.Y}, Score: score})
		}
	}
}
