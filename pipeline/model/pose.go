package model

import (
	"fmt"
	"math"

	"perch/pipeline"
)

// cocoKeypoints is the number of COCO's key points of a person.
const cocoKeypoints = 17

// coco17 are COCO's key points, in the order in which networks give them.
func coco17() []string {
	return []string{
		"nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow", "right elbow",
		"left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle",
	}
}

func poseFamilies() []family {
	moveNetInput := func(*Input) {}
	return []family{
		{
			name:  "movenet",
			about: "one output [1,1,17,3]: y x score from 0 to 1 of the key points of one person (MoveNet SinglePose Lightning and Thunder)",
			task:  Keypoints, head: moveNetHead, input: moveNetInput, points: cocoKeypoints, open: openMoveNet,
			match: func(outs []pipeline.TensorInfo, _ *Input, _ *Head) (int, bool) {
				return 1, len(outs) == 1 && dims(outs[0].Shape, 1, 1, cocoKeypoints, 3)
			},
		}, {
			name:  "movenet-multi",
			about: "one output [1,N,56]: y x score from 0 to 1 of 17 key points, then y1 x1 y2 x2 score, of N persons at most 100 (MoveNet MultiPose)",
			task:  Keypoints, head: moveNetHead, input: moveNetInput, points: cocoKeypoints, open: openMoveNetMulti,
			match: func(outs []pipeline.TensorInfo, _ *Input, _ *Head) (int, bool) {
				return 1, len(outs) == 1 && dims(outs[0].Shape, 1, -1, moveNetRow) && outs[0].Shape[1] <= 100 && outs[0].Shape[2] > 0
			},
		}, {
			name:  "yolov8-pose",
			about: "one output [1,4+C+K,N]: as yolov8, then x y score of each key point in pixels, 17 unless the metadata or the manifest say otherwise (YOLOv8, v11)",
			task:  Keypoints, head: poseHead, input: yoloInput, points: anyPoints,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				classes, ok := matchColumns(outs, in, 4+h.pointColumns())
				// Without a word on key points a detector of 52 classes looks the same as
				// a pose of one; of more classes, any detector does.
				return classes, ok && (len(h.Keypoints) > 0 || classes == 1)
			},
			open: func(m *Manifest) decodeFunc {
				return func(d *Decoder, outs []Tensor) error {
					t, err := shaped(outs, 1, -1, -1)
					if err != nil {
						return err
					}
					return d.columns(m, t, m.Head.pointColumns())
				}
			},
		}, {
			name:  "yolo26-pose",
			about: "one output [1,N,6+K]: x1 y1 x2 y2 score class, then x y score of each key point in pixels, N at most 1000, no suppression needed (YOLO26)",
			task:  Keypoints, head: endToEndPoseHead, input: yoloInput, points: anyPoints,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				return 0, len(h.Keypoints) > 0 && hasFew(outs, 6+h.pointColumns()) // else it may be rtdetr-ultralytics
			},
			open: func(m *Manifest) decodeFunc {
				return func(d *Decoder, outs []Tensor) error {
					t, err := shaped(outs, 1, -1, 6+m.Head.pointColumns())
					if err != nil {
						return err
					}
					d.sixes(m, t)
					return nil
				}
			},
		},
	}
}

func poseHead(h *Head, _ *Input) {
	orDefault(&h.Units, Pixels)
	orDefault(&h.PointValues, 3)
	if len(h.Keypoints) == 0 {
		h.Keypoints = coco17()
	}
}

func endToEndPoseHead(h *Head, in *Input) {
	poseHead(h, in)
	endToEndHead(h, in)
}

func moveNetHead(h *Head, _ *Input) {
	orDefault(&h.IoU, 1)
	if len(h.Keypoints) == 0 {
		h.Keypoints = coco17()
	}
}

// pointColumns is how many values all key points of an object have, as far as
// the head says; COCO's if it does not.
func (h *Head) pointColumns() int {
	points, values := len(h.Keypoints), h.PointValues
	if points == 0 {
		points = cocoKeypoints
	}
	if values == 0 {
		values = 3
	}
	return points * values
}

// addPoints adds the key points of a candidate that was kept. Value v of it is
// at values[v*step+first]; those of each point are x, y and a score, or the
// candidate's score where there is none.
func (d *Decoder) addPoints(m *Manifest, values []float32, first, step int, score float32) {
	ux, uy := m.unit()
	each := m.Head.PointValues
	for k := range m.Head.Keypoints {
		at := k*each*step + first
		p := pipeline.Keypoint{Point: pipeline.Point{X: values[at] * ux, Y: values[at+step] * uy}, Score: score}
		if each > 2 {
			p.Score = values[at+2*step]
		}
		d.points = append(d.points, d.sane(p))
	}
}

// sane replaces a key point that is no number by one of score 0.
func (d *Decoder) sane(p pipeline.Keypoint) pipeline.Keypoint {
	if sum := (p.X - p.X) + (p.Y - p.Y) + (p.Score - p.Score); sum != 0 {
		d.stats.Invalid++
		return pipeline.Keypoint{}
	}
	return p
}

// A key point of MoveNet that scores more is one that is seen: TensorFlow.js
// takes the same for a person's score (MIN_CROP_KEYPOINT_SCORE).
const moveNetSeen = 0.2

// moveNetRow is a person in MoveNet MultiPose: points, box, score.
const moveNetRow = 3*cocoKeypoints + 5

// moveNetPoints adds the key points of a person, y x score each from 0 to 1.
func (d *Decoder) moveNetPoints(m *Manifest, r []float32) {
	w, h := float32(m.Input.Width), float32(m.Input.Height)
	for k := 0; k+2 < len(r); k += 3 {
		d.points = append(d.points, d.sane(pipeline.Keypoint{Point: pipeline.Point{X: r[k+1] * w, Y: r[k] * h}, Score: r[k+2]}))
	}
}

// openMoveNet decodes one person, who has neither a box nor a score: the box is
// that around the key points that are seen, the score is their mean.
func openMoveNet(m *Manifest) decodeFunc {
	return func(d *Decoder, outs []Tensor) error {
		t, err := shaped(outs, 1, 1, cocoKeypoints, 3)
		if err != nil {
			return err
		}
		inf := float32(math.Inf(1))
		b, sum, seen := pipeline.Box{X0: inf, Y0: inf, X1: -inf, Y1: -inf}, float32(0), 0
		for k := 0; k < len(t.Data); k += 3 {
			y, x, score := t.Data[k], t.Data[k+1], t.Data[k+2]
			if !(score > moveNetSeen) {
				continue
			}
			b = pipeline.Box{X0: min(b.X0, x), Y0: min(b.Y0, y), X1: max(b.X1, x), Y1: max(b.Y1, y)}
			sum += score
			seen++
		}
		if seen == 0 {
			return nil
		}
		if d.add(scaled(b, float32(m.Input.Width), float32(m.Input.Height)), sum/float32(seen), 0, 0) {
			d.moveNetPoints(m, t.Data)
		}
		return nil
	}
}

func openMoveNetMulti(m *Manifest) decodeFunc {
	return func(d *Decoder, outs []Tensor) error {
		t, err := shaped(outs, 1, -1, moveNetRow)
		if err != nil {
			return err
		}
		for i := range int(t.Shape[1]) {
			r := t.Data[i*moveNetRow:][:moveNetRow]
			box := r[3*cocoKeypoints:]
			b := pipeline.Box{X0: box[1], Y0: box[0], X1: box[3], Y1: box[2]}
			if d.add(scaled(b, float32(m.Input.Width), float32(m.Input.Height)), box[4], 0, i) {
				d.moveNetPoints(m, r[:3*cocoKeypoints])
			}
		}
		return nil
	}
}

// pointNames are the names of n key points of which nobody says what they are.
func pointNames(n int) []string {
	if n == cocoKeypoints {
		return coco17()
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("point %d", i)
	}
	return names
}
