package model

import (
	"fmt"
	"math"

	"perch/pipeline"
)

// yoloInput is what networks of this kind are trained with.
func yoloInput(in *Input) { in.Scale, in.Pad = 1.0/255, 114 }

func yoloFamilies() []family {
	return []family{
		{
			name:  "yolox",
			about: "one output [1,N,5+C]: x y w h relative to the grid of N cells, object score, C class scores (Ge et al., arXiv:2107.08430)",
			task:  Detection, head: gridHead,
			input: func(in *Input) { in.Colour, in.Position, in.Pad = BGR, TopLeft, 114 },
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				return matchRows(outs, in, h, 1, 5, [][]int{{8, 16, 32}})
			},
			open: openYOLOX,
		}, {
			name:  "yolov5",
			about: "one output [1,3N,5+C]: cx cy w h in pixels, object score, C class scores (YOLOv5, YOLOv7)",
			task:  Detection, head: plainHead, input: yoloInput,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				return matchRows(outs, in, h, 3, 5, [][]int{{8, 16, 32}, {8, 16, 32, 64}})
			},
			open: openRows(5, true),
		}, {
			name:  "yolov8",
			about: "one output [1,4+C,N]: cx cy w h in pixels and C class scores, each a row (YOLOv8, v9, v11 and what exports like them)",
			task:  Detection, head: plainHead, input: yoloInput,
			match: func(outs []pipeline.TensorInfo, in *Input, _ *Head) (int, bool) { return matchColumns(outs, in, 4) },
			open:  openYOLOv8,
		}, {
			name:  "yolov10",
			about: "one output [1,N,6]: x1 y1 x2 y2 score class, N at most 1000, no suppression needed (YOLOv10, YOLO26, YOLOv8 with NMS inside)",
			task:  Detection, head: endToEndHead, input: yoloInput,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				return 0, in.Layout == NCHW && hasFew(outs, 6)
			},
			open: openSix,
		}, {
			name:  "centernet",
			about: "one output [1,N,6]: x1 y1 x2 y2 score class, from an input in NHWC (Zhou et al., arXiv:1904.07850, decoded in the graph)",
			task:  Detection, head: endToEndHead, input: func(*Input) {},
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				return 0, in.Layout == NHWC && hasFew(outs, 6)
			},
			open: openSix,
		}, {
			name:  "rtdetr-ultralytics",
			about: "one output [1,N,4+C]: cx cy w h from 0 to 1 and C class scores, N at most 1000 (RT-DETR as Ultralytics exports it)",
			task:  Detection, head: normalisedEndToEnd,
			input: func(in *Input) { in.Scale, in.Resize = 1.0/255, Stretch },
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				for _, o := range outs {
					if dims(o.Shape, 1, -1, -1) && o.Shape[1] > 0 && o.Shape[1] <= 1000 && o.Shape[2] > 4 && o.Shape[2] < o.Shape[1] {
						return int(o.Shape[2]) - 4, true
					}
				}
				return 0, false
			},
			open: openRows(4, false),
		},
	}
}

func plainHead(h *Head, _ *Input) { orDefault(&h.Units, Pixels) }

func gridHead(h *Head, _ *Input) {
	orDefault(&h.Units, Pixels)
	if len(h.Strides) == 0 {
		h.Strides = []int{8, 16, 32}
	}
}

func endToEndHead(h *Head, _ *Input) {
	orDefault(&h.Units, Pixels)
	orDefault(&h.IoU, 1)
}

func normalisedEndToEnd(h *Head, in *Input) {
	orDefault(&h.Units, Normalised)
	endToEndHead(h, in)
}

// matchRows looks for [1, per*N, fixed+C], where N is the number of cells of one
// of the sets of strides.
func matchRows(outs []pipeline.TensorInfo, in *Input, h *Head, per, fixed int, sets [][]int) (int, bool) {
	for _, strides := range sets {
		_, n := grids(in, strides)
		for _, o := range outs {
			if dims(o.Shape, 1, per*n, -1) && o.Shape[1] > 0 && int(o.Shape[2]) > fixed {
				h.Strides = nil
				if per == 1 {
					h.Strides = strides
				}
				return int(o.Shape[2]) - fixed, true
			}
		}
	}
	return 0, false
}

// matchColumns looks for [1,fixed+C,N], where N is the number of cells of one of
// the usual sets of strides.
func matchColumns(outs []pipeline.TensorInfo, in *Input, fixed int) (int, bool) {
	for _, strides := range [][]int{{8, 16, 32}, {8, 16, 32, 64}, {4, 8, 16, 32}} {
		_, n := grids(in, strides)
		for _, o := range outs {
			if dims(o.Shape, 1, -1, n) && int(o.Shape[1]) > fixed {
				return int(o.Shape[1]) - fixed, true
			}
		}
	}
	return 0, false
}

// hasFew looks for the rows of a network that chooses its boxes itself.
func hasFew(outs []pipeline.TensorInfo, row int) bool {
	for _, o := range outs {
		if dims(o.Shape, 1, -1, row) && int(o.Shape[2]) == row && o.Shape[1] <= 1000 {
			return true
		}
	}
	return false
}

// checkClasses compares the outputs' classes with the labels.
func (m *Manifest) checkClasses(n int) error {
	if n < 1 || len(m.Labels) > 0 && n != len(m.Labels) {
		return fmt.Errorf("the outputs have %d classes, the manifest names %d", n, len(m.Labels))
	}
	return nil
}

// openYOLOX decodes a grid: x, y are (value + cell) * stride, w, h are
// exp(value) * stride, unless the export has done so.
func openYOLOX(m *Manifest) decodeFunc {
	gs, cells := grids(&m.Input, m.Head.Strides)
	return func(d *Decoder, outs []Tensor) error {
		t, err := shaped(outs, 1, cells, -1)
		if err != nil {
			return err
		}
		row := int(t.Shape[2])
		if err := m.checkClasses(row - 5); err != nil {
			return err
		}
		for _, g := range gs {
			s := float32(g.stride)
			for i := range g.cells() {
				r := t.Data[(g.first+i)*row:][:row]
				class, score, ok := d.bestOfRow(r, 5, true)
				if !ok {
					continue
				}
				b := centred(r[0], r[1], r[2], r[3])
				if !m.Head.Decoded {
					x, y := g.at(i)
					b = centred((r[0]+x)*s, (r[1]+y)*s, exp(r[2])*s, exp(r[3])*s)
				}
				d.add(b, score, class, g.first+i)
			}
		}
		return nil
	}
}

// openRows decodes rows of cx cy w h and, from column fixed on, class scores.
func openRows(fixed int, object bool) func(m *Manifest) decodeFunc {
	return func(m *Manifest) decodeFunc {
		return func(d *Decoder, outs []Tensor) error {
			t, err := shaped(outs, 1, -1, -1)
			if err != nil {
				return err
			}
			return d.rows(m, t, fixed, 0, object)
		}
	}
}

// rows decodes [1,N,fixed+C+tail], of which the last tail values belong to
// something else than boxes.
func (d *Decoder) rows(m *Manifest, t *Tensor, fixed, tail int, object bool) error {
	n, row := int(t.Shape[1]), int(t.Shape[2])
	if err := m.checkClasses(row - fixed - tail); err != nil {
		return err
	}
	ux, uy := m.unit()
	for i := range n {
		r := t.Data[i*row:][:row-tail]
		if class, score, ok := d.bestOfRow(r, fixed, object); ok {
			d.add(scaled(centred(r[0], r[1], r[2], r[3]), ux, uy), score, class, i)
		}
	}
	return nil
}

// bestOfRow is the best class of a row, times its object score where it has one
// (in column 4), and whether that reaches the confidence.
func (d *Decoder) bestOfRow(r []float32, fixed int, object bool) (class int, score float32, ok bool) {
	factor := float32(1)
	if object {
		factor = r[4]
		if math.Float32bits(factor) < d.threshold() {
			return 0, 0, false // class scores are at most 1
		}
	}
	score = float32(math.Inf(-1))
	for i, v := range r[fixed:] {
		if v > score {
			class, score = i, v
		}
		if v != v {
			d.stats.Invalid++
		}
	}
	score *= factor
	if score != score {
		d.stats.Invalid++
	}
	return class, score, score >= d.params.Confidence
}

// openYOLOv8 decodes [1,4+C,N].
func openYOLOv8(m *Manifest) decodeFunc {
	return func(d *Decoder, outs []Tensor) error {
		t, err := shaped(outs, 1, -1, -1)
		if err != nil {
			return err
		}
		return d.columns(m, t, 0)
	}
}

// columns decodes [1,4+C+tail,N], of which the last tail values belong to
// something else than boxes: key points where the model has some. Each class is
// one row of N, which is read in the order of memory; nearly every value is
// below the threshold and costs one comparison.
func (d *Decoder) columns(m *Manifest, t *Tensor, tail int) error {
	n, classes := int(t.Shape[2]), int(t.Shape[1])-4-tail
	if err := m.checkClasses(classes); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	ux, uy := m.unit()
	x, y, w, h := t.Data[:n], t.Data[n:2*n], t.Data[2*n:3*n], t.Data[3*n:4*n]
	end := (4 + classes) * n
	d.scanColumns(t.Data[4*n:end], n)
	for i, score := range d.best {
		if score >= 0 && d.add(scaled(centred(x[i], y[i], w[i], h[i]), ux, uy), score, int(d.bestOf[i]), i) {
			d.addPoints(m, t.Data[end:], i, n, score)
		}
	}
	return nil
}

// scanColumns finds the best row of each of n columns, and its value, in d.best
// and d.bestOf; -1 where none reaches the confidence.
func (d *Decoder) scanColumns(data []float32, n int) {
	if cap(d.best) < n {
		d.best, d.bestOf = make([]float32, n), make([]int32, n)
	}
	d.best, d.bestOf = d.best[:n], d.bestOf[:n]
	for i := range d.best {
		d.best[i] = -1
	}
	least := d.threshold()
	for class := 0; len(data) >= n; class++ {
		row := data[:n]
		data = data[n:]
		for i, v := range row {
			if math.Float32bits(v) < least {
				continue
			}
			switch {
			case v > d.best[i]:
				d.best[i], d.bestOf[i] = v, int32(class)
			case v != v:
				d.stats.Invalid++
			}
		}
	}
}

// openSix decodes rows of x1 y1 x2 y2 score class.
func openSix(m *Manifest) decodeFunc {
	return func(d *Decoder, outs []Tensor) error {
		t, err := shaped(outs, 1, -1, 6)
		if err != nil {
			return err
		}
		d.sixes(m, t)
		return nil
	}
}

// sixes decodes [1,N,6+T]: x1 y1 x2 y2 score class, and T values that belong to
// something else than boxes, key points where the model has some.
func (d *Decoder) sixes(m *Manifest, t *Tensor) {
	ux, uy := m.unit()
	row := int(t.Shape[2])
	for i := range int(t.Shape[1]) {
		r := t.Data[i*row:][:row]
		if r[4] < d.params.Confidence {
			continue
		}
		if d.addClass(scaled(pipeline.Box{X0: r[0], Y0: r[1], X1: r[2], Y1: r[3]}, ux, uy), r[4], r[5], i) {
			d.addPoints(m, r[6:], 0, 1, r[4])
		}
	}
}
