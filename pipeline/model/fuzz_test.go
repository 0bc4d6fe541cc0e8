package model

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"perch/pipeline"
)

// shapesFrom turns fuzzed bytes into shapes: a rank, then dimensions, of which
// some are those that heads look for.
func shapesFrom(data []byte, n int) (shapes [][]int64) {
	telling := []int64{-1, 0, 1, 2, 3, 4, 5, 6, 10, 16, 21, 44, 80, 84, 85, 91, 100, 112, 300, 416, -9, 1 << 40, 1 << 62}
	next := func() int {
		if len(data) == 0 {
			return 1
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	for range n {
		shape := make([]int64, next()%5)
		for i := range shape {
			shape[i] = telling[next()%len(telling)]
		}
		shapes = append(shapes, shape)
	}
	return shapes
}

// FuzzInspect: no graph, however odd, may make Inspect panic, and whatever it
// accepts must open and fit itself.
func FuzzInspect(f *testing.F) {
	f.Add([]byte{4, 2, 4, 19, 19, 3, 2, 13, 18}, "images", "output0", "{0: 'a'}", uint8(1), uint8(1))
	f.Add([]byte{4, 0, 4, 0, 0, 3, 2, 13, 0}, "images", "detection_boxes", "", uint8(2), uint8(4))
	f.Fuzz(func(t *testing.T, data []byte, in, out, names string, ins, outs uint8) {
		var g Graph
		shapes := shapesFrom(data, int(ins%4)+int(outs%13))
		types := []pipeline.TensorType{pipeline.Float32, pipeline.Uint8, pipeline.Int64, "odd"}
		for i, s := range shapes {
			typ := types[(i+len(data))%len(types)]
			if i < int(ins%4) {
				g.Inputs = append(g.Inputs, pipeline.TensorInfo{Name: in, Type: typ, Shape: s})
				continue
			}
			g.Outputs = append(g.Outputs, pipeline.TensorInfo{Name: out, Type: typ, Shape: s})
		}
		g.Metadata = map[string]string{"names": names, "task": "", "imgsz": fmt.Sprintf("[%d, %d]", int(ins)*8, int(outs)*8)}
		m, err := Inspect(g)
		if err != nil {
			return
		}
		opened, err := Open(m)
		if err != nil {
			t.Fatalf("%+v cannot be opened: %v", m, err)
		}
		opened.NewDecoder()
	})
}

// FuzzDecode: no outputs, however odd, may make a decoder panic.
func FuzzDecode(f *testing.F) {
	names := slices.Sorted(maps.Keys(Families()))
	f.Add([]byte{3, 2, 13, 10}, uint8(0), "output0", uint8(1), float32(0.5))
	for i := range names {
		f.Add([]byte{3, 2, 4, 5}, uint8(i), "labels", uint8(3), float32(0))
	}
	// Boxes of all sizes, with prototypes or masks of their own.
	f.Add([]byte{3, 2, 4, 10, 4, 2, 4, 6, 6}, uint8(slices.Index(names, "yolo26-seg")), "output0", uint8(2), float32(0.3))
	f.Add([]byte{3, 2, 13, 5, 4, 2, 4, 6, 6}, uint8(slices.Index(names, "yolov8-seg")), "output0", uint8(2), float32(0.3))
	tensors := []string{"labels", "boxes", "scores", "dets", "detection_boxes", "detection_classes", "detection_scores", "num_detections", "cls_8", "obj_8", "bbox_8", "kps_8", "masks"}
	f.Fuzz(func(t *testing.T, data []byte, which uint8, name string, n uint8, value float32) {
		family := names[int(which)%len(names)]
		m, err := Open(testManifest(family, 32, 32))
		if err != nil {
			t.Fatal(err)
		}
		var outs []Tensor
		for i, shape := range shapesFrom(data, int(n%13)) {
			size := int64(1)
			for _, d := range shape {
				if d < 0 || d > 1000 || size*d > 100_000 {
					size = 1 // a shape that lies about its data
					break
				}
				size *= d
			}
			o := Tensor{Name: tensors[(i+len(name))%len(tensors)], Shape: shape}
			if i%5 == 4 {
				o.Ints = make([]int64, size)
			} else {
				o.Data = make([]float32, size)
				for k := range o.Data {
					o.Data[k] = value * float32(k%7)
				}
			}
			outs = append(outs, o)
		}
		d := m.NewDecoder()
		for _, confidence := range []float32{0, 0.5, 1} {
			dets, err := d.Decode(outs, newTransform(&m.manifest.Input, 640, 480), Params{Confidence: confidence, IoU: 0.5, MaxDetections: 50, Masks: MaskMode(n % 3)})
			if err == nil && len(dets) > 50 {
				t.Fatalf("%s gave %d detections", family, len(dets))
			}
			for _, x := range dets {
				if !(x.Score >= confidence) || !(x.Box.X0 >= 0 && x.Box.X1 <= 640 && x.Box.X0 < x.Box.X1 && x.Box.Y0 < x.Box.Y1) {
					t.Fatalf("%s gave %+v", family, x)
				}
				if k := x.Mask; k != nil && (k.X < 0 || k.Y < 0 || k.X+k.Width > 640 || k.Y+k.Height > 480 || k.Area() > k.Width*k.Height) {
					t.Fatalf("%s gave mask %d,%d %dx%d", family, k.X, k.Y, k.Width, k.Height)
				}
			}
		}
	})
}
