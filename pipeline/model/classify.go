package model

import (
	"math"

	"perch/pipeline"
)

const multiLabelFamily = "multi-label"

func classifierFamilies() []family {
	stretched := func(in *Input) { in.Scale, in.Resize = 1.0/255, Stretch }
	return []family{
		{
			name:  "classification",
			about: "one output [1,C], C at least 2: a logit or probability for each class",
			task:  Classification,
			head: func(h *Head, _ *Input) {
				orDefault(&h.Activation, Auto)
				orDefault(&h.Confidence, 0.1)
			},
			input: stretched, match: matchClassifier, open: openClassifier,
		}, {
			name: multiLabelFamily, like: "classification",
			about: "one output [1,C], C at least 2: a logit for each class, of which several may be right (the same output as classification)",
			task:  MultiLabel,
			head:  func(h *Head, _ *Input) { orDefault(&h.Activation, Sigmoid) },
			input: stretched, open: openClassifier,
		},
	}
}

func matchClassifier(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
	if len(outs) != 1 {
		return 0, false
	}
	s := outs[0].Shape
	if len(s) < 2 || s[0] > 1 || s[1] < 2 {
		return 0, false
	}
	for _, d := range s[2:] {
		if d != 1 {
			return 0, false
		}
	}
	return int(s[1]), true
}

func openClassifier(m *Manifest) decodeFunc {
	return func(d *Decoder, outs []Tensor) error {
		if len(outs) != 1 || len(outs[0].Data) < 2 {
			return mismatch(outs, m.family().about)
		}
		values := outs[0].Data
		if err := m.checkClasses(len(values)); err != nil {
			return err
		}
		top, factor := float64(0), float64(1)
		soft := m.Head.Activation == Softmax || m.Head.Activation == Auto && !probabilities(values)
		if soft {
			top, factor = softmax(values)
		}
		whole := pipeline.Box{X1: float32(m.Input.Width), Y1: float32(m.Input.Height)}
		for i, v := range values {
			switch {
			case soft:
				v = float32(math.Exp(float64(v)-top) * factor)
			case m.Head.Activation == Sigmoid:
				v = sigmoid(v)
			}
			if v < d.params.Confidence {
				continue
			}
			d.add(whole, v, i, i)
		}
		return nil
	}
}

// probabilities reports whether values are a distribution already.
func probabilities(values []float32) bool {
	var sum float64
	for _, v := range values {
		if !(v >= 0 && v <= 1) {
			return false
		}
		sum += float64(v)
	}
	return math.Abs(sum-1) <= 0.01
}

// softmax returns what makes scores of logits: exp(v-top) * factor.
func softmax(logits []float32) (top, factor float64) {
	top = math.Inf(-1)
	for _, v := range logits {
		top = max(top, float64(v))
	}
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return top, 1 / sum
}
