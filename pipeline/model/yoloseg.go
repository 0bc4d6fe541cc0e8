package model

import "perch/pipeline"

func yoloSegFamilies() []family {
	const prototypes = ", and prototypes [1,P,H/4,W/4]"
	return []family{
		{
			name:  "yolov5-seg",
			about: "one output [1,3N,5+C+P]: as yolov5, then P mask coefficients" + prototypes + " (YOLOv5, YOLOv7)",
			task:  Segmentation, head: plainHead, input: yoloInput,
			match: func(outs []pipeline.TensorInfo, in *Input, h *Head) (int, bool) {
				p, ok := matchPrototypes(outs, in)
				if !ok {
					return 0, false
				}
				return matchRows(outs, in, h, 3, 5+p, [][]int{{8, 16, 32}, {8, 16, 32, 64}})
			},
			open: openSegmentation(func(d *Decoder, m *Manifest, t *Tensor) error {
				masks := &d.masks
				row := int(t.Shape[2])
				masks.first, masks.row, masks.step = row-masks.count, row, 1
				return d.rows(m, t, 5, masks.count, true)
			}),
		}, {
			name:  "yolov8-seg",
			about: "one output [1,4+C+P,N]: as yolov8, then P mask coefficients" + prototypes + " (YOLOv8, v9, v11)",
			task:  Segmentation, head: plainHead, input: yoloInput,
			match: func(outs []pipeline.TensorInfo, in *Input, _ *Head) (int, bool) {
				p, ok := matchPrototypes(outs, in)
				if !ok {
					return 0, false
				}
				return matchColumns(outs, in, 4+p)
			},
			open: openSegmentation(func(d *Decoder, m *Manifest, t *Tensor) error {
				masks := &d.masks
				n := int(t.Shape[2])
				masks.first, masks.row, masks.step = (int(t.Shape[1])-masks.count)*n, 1, n
				return d.columns(m, t, masks.count)
			}),
		}, {
			name:  "yolo26-seg",
			about: "one output [1,N,6+P]: x1 y1 x2 y2 score class, then P mask coefficients, N at most 1000, no suppression needed" + prototypes + " (YOLO26)",
			task:  Segmentation, head: endToEndHead, input: yoloInput,
			match: func(outs []pipeline.TensorInfo, in *Input, _ *Head) (int, bool) {
				p, ok := matchPrototypes(outs, in)
				return 0, ok && hasFew(outs, 6+p)
			},
			open: openSegmentation(func(d *Decoder, m *Manifest, t *Tensor) error {
				masks := &d.masks
				row := int(t.Shape[2])
				if row != 6+masks.count {
					return mismatch([]Tensor{*t}, "x1 y1 x2 y2 score class and a coefficient for each prototype in a row")
				}
				masks.first, masks.row, masks.step = 6, row, 1
				d.sixes(m, t)
				return nil
			}),
		},
	}
}

// matchPrototypes looks for mask prototypes, which are a quarter of the input,
// and counts them.
func matchPrototypes(outs []pipeline.TensorInfo, in *Input) (count int, ok bool) {
	for _, o := range outs {
		if dims(o.Shape, 1, -1, in.Height/4, in.Width/4) && o.Shape[1] > 0 {
			return int(o.Shape[1]), true
		}
	}
	return 0, false
}

// openSegmentation decodes boxes and remembers where their masks are. boxes
// also says where in its tensor the coefficients are.
func openSegmentation(boxes func(d *Decoder, m *Manifest, t *Tensor) error) func(m *Manifest) decodeFunc {
	return func(m *Manifest) decodeFunc {
		return func(d *Decoder, outs []Tensor) error {
			if err := d.masks.prototypes(outs); err != nil {
				return err
			}
			t, err := shaped(outs, 1, -1, -1)
			if err != nil {
				return err
			}
			d.masks.coefs = t.Data
			return boxes(d, m, t)
		}
	}
}
