package model

import (
	"fmt"
	"math"
	"slices"

	"perch/pipeline"
)

// The size of a picture as RT-DETR and D-FINE want it.
const sizeInputName = "orig_target_sizes"

func detrFamilies() []family {
	imageNet := func(in *Input) {
		in.Scale, in.Resize = 1.0/255, Stretch
		in.Mean, in.Std = []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
	}
	stretched := func(in *Input) { in.Scale, in.Resize = 1.0/255, Stretch }
	threeHead := func(h *Head, in *Input) {
		endToEndHead(h, in)
		orDefault(&h.SizeInput, sizeInputName)
	}
	three := "outputs labels [1,N], boxes [1,N,4] (x1 y1 x2 y2) and scores [1,N], and a second input orig_target_sizes int64 [1,2] "
	return []family{
		{
			name: "rtdetr", about: three + "(RT-DETR's own export, arXiv:2304.08069)",
			task: Detection, head: threeHead, input: stretched, open: openThree,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				return 0, infoNamed(outs, "labels", "boxes", "scores")
			},
		}, {
			name: "dfine", like: "rtdetr", about: three + "(D-FINE, arXiv:2410.13842; the same as rtdetr)",
			task: Detection, head: threeHead, input: stretched, open: openThree,
		}, {
			name: "rfdetr-seg", about: "outputs as of rfdetr, and masks [1,N,H/4,W/4] (logits, one for each box) (RF-DETR Seg)",
			task: Segmentation, head: normalisedEndToEnd, input: imageNet, open: openRFDETRSeg,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				i := slices.IndexFunc(outs, func(t pipeline.TensorInfo) bool { return t.Name == "masks" && len(t.Shape) == 4 })
				if i < 0 {
					return 0, false
				}
				return matchRFDETR(outs)
			},
		}, {
			name: "rfdetr", about: "outputs dets [1,N,4] (cx cy w h from 0 to 1) and labels [1,N,C] (logits) (RF-DETR, LW-DETR, arXiv:2406.03459)",
			task: Detection, head: normalisedEndToEnd, input: imageNet, open: openRFDETR,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) { return matchRFDETR(outs) },
		},
	}
}

func matchRFDETR(outs []pipeline.TensorInfo) (int, bool) {
	if !infoNamed(outs, "dets", "labels") {
		return 0, false
	}
	i := slices.IndexFunc(outs, func(t pipeline.TensorInfo) bool { return t.Name == "labels" })
	if s := outs[i].Shape; len(s) == 3 {
		return int(max(s[2], 0)), true
	}
	return 0, false
}

// openThree decodes boxes that the graph has chosen itself. It was told that the
// picture is as large as the model's input (see Model.ExtraInputs), so boxes are
// in pixels of the input.
func openThree(m *Manifest) decodeFunc {
	ux, uy := m.unit()
	return func(d *Decoder, outs []Tensor) error {
		labels, err := named(outs, "labels")
		if err != nil {
			return err
		}
		boxes, err := named(outs, "boxes")
		if err != nil {
			return err
		}
		scores, err := named(outs, "scores")
		if err != nil {
			return err
		}
		n := len(scores.Data)
		if len(boxes.Data) != 4*n || max(len(labels.Data), len(labels.Ints)) != n {
			return mismatch(outs, "one label, four coordinates and one score for each of N boxes")
		}
		for i, score := range scores.Data {
			if score < d.params.Confidence {
				continue
			}
			r := boxes.Data[4*i:][:4]
			d.addClass(scaled(pipeline.Box{X0: r[0], Y0: r[1], X1: r[2], Y1: r[3]}, ux, uy), score, labels.value(i), i)
		}
		return nil
	}
}

// openRFDETR decodes queries that may each be several classes. As in the
// original's post-processing, the best of all pairs of query and class are kept
// (suppress sorts and bounds them).
func openRFDETR(m *Manifest) decodeFunc {
	ux, uy := m.unit()
	return func(d *Decoder, outs []Tensor) error {
		boxes, err := named(outs, "dets")
		if err != nil {
			return err
		}
		logits, err := named(outs, "labels")
		if err != nil {
			return err
		}
		if !dims(boxes.Shape, 1, -1, 4) || boxes.Data == nil || logits.Data == nil ||
			!dims(logits.Shape, 1, int(boxes.Shape[1]), -1) || logits.Shape[2] < 1 {
			return mismatch(outs, "dets [1,N,4] and labels [1,N,C] of float32")
		}
		n, classes := int(boxes.Shape[1]), int(logits.Shape[2])
		if err := m.checkClasses(classes); err != nil {
			return err
		}
		least := logit(d.params.Confidence)
		for i := range n {
			r := boxes.Data[4*i:][:4]
			b := scaled(centred(r[0], r[1], r[2], r[3]), ux, uy)
			for class, v := range logits.Data[i*classes:][:classes] {
				if v < least {
					continue
				}
				d.add(b, sigmoid(v), class, i)
			}
		}
		return nil
	}
}

// openRFDETRSeg decodes the same queries, each with a mask of its own. As in the
// original's post-processing the mask is cut at a logit of 0 after it was
// interpolated; what it has outside its box is left out.
func openRFDETRSeg(m *Manifest) decodeFunc {
	boxes := openRFDETR(m)
	return func(d *Decoder, outs []Tensor) error {
		t, err := named(outs, "masks")
		if err != nil {
			return err
		}
		if err := boxes(d, outs); err != nil {
			return err
		}
		dets, err := named(outs, "dets")
		if err != nil {
			return err
		}
		if t.Data == nil || !dims(t.Shape, 1, int(dets.Shape[1]), -1, -1) || len(t.Data) == 0 {
			return mismatch(outs, "masks float32[1,N,H,W] for N boxes")
		}
		d.masks = maskHead{planes: t.Data, count: int(t.Shape[1]), height: int(t.Shape[2]), width: int(t.Shape[3])}
		return nil
	}
}

// logit is a little less than the inverse of sigmoid, so that rounding loses
// nothing that add would keep.
func logit(p float32) float32 {
	q := float64(p)
	return float32(math.Log(q/(1-q)) - 1e-4)
}

func ssdFamily() family {
	return family{
		name:  "ssd",
		about: "outputs detection_boxes [1,N,4] (y1 x1 y2 x2 from 0 to 1), detection_classes, detection_scores [1,N] and num_detections [1] (TensorFlow's object detection interface)",
		task:  Detection,
		head: func(h *Head, in *Input) {
			normalisedEndToEnd(h, in)
			if h.FirstClass == nil {
				one := 1
				h.FirstClass = &one
			}
		},
		input: func(in *Input) { in.Resize = Stretch },
		match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
			return 0, infoNamed(outs, "detection_boxes", "detection_classes", "detection_scores")
		},
		open: openSSD,
	}
}

// openSSD decodes boxes that the graph has chosen itself. num_detections, where
// there is one, says how many rows count.
func openSSD(m *Manifest) decodeFunc {
	ux, uy := m.unit()
	first := float32(*m.Head.FirstClass)
	return func(d *Decoder, outs []Tensor) error {
		boxes, err := named(outs, "detection_boxes")
		if err != nil {
			return err
		}
		classes, err := named(outs, "detection_classes")
		if err != nil {
			return err
		}
		scores, err := named(outs, "detection_scores")
		if err != nil {
			return err
		}
		n := len(scores.Data)
		if len(boxes.Data) != 4*n || max(len(classes.Data), len(classes.Ints)) != n {
			return mismatch(outs, "four coordinates, one class and one score for each of N boxes")
		}
		if num, err := named(outs, "num_detections"); err == nil {
			if max(len(num.Data), len(num.Ints)) != 1 {
				return fmt.Errorf("output %s is not one number", num)
			}
			// The comparison also refuses what is not a number.
			if v := num.value(0); v >= 0 && v < float32(n) {
				n = int(v)
			}
		}
		for i, score := range scores.Data[:n] {
			if score < d.params.Confidence {
				continue
			}
			r := boxes.Data[4*i:][:4]
			b := pipeline.Box{X0: r[1], Y0: r[0], X1: r[3], Y1: r[2]}
			d.addClass(scaled(b, ux, uy), score, classes.value(i)-first, i)
		}
		return nil
	}
}
