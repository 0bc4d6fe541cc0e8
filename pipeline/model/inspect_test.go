package model

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
)

func info(name string, typ pipeline.TensorType, shape ...int64) pipeline.TensorInfo {
	return pipeline.TensorInfo{Name: name, Type: typ, Shape: shape}
}

func infos(ts ...pipeline.TensorInfo) []pipeline.TensorInfo { return ts }

// nchw is a picture's input as most exports have it.
func nchw(name string, size int64) []pipeline.TensorInfo {
	return infos(info(name, pipeline.Float32, 1, 3, size, size))
}

func levels(name string, n []int64, last int64) (ts []pipeline.TensorInfo) {
	for i, c := range n {
		ts = append(ts, info(fmt.Sprintf("%s%d", name, i), pipeline.Float32, 1, c, last))
	}
	return ts
}

// publishedGraphs are the inputs and outputs of published exports, and those of
// the networks in the golden tests.
func publishedGraphs() map[string]struct {
	g      Graph
	family string
	labels int
} {
	type entry = struct {
		g      Graph
		family string
		labels int
	}
	f32 := pipeline.Float32
	ultralytics := map[string]string{"task": "detect", "stride": "32", "imgsz": "[640, 480]", "names": "{0: 'person', 1: \"driver's seat\"}"}
	yunet := infos()
	for _, role := range []struct {
		name string
		n    int64
	}{{"cls", 1}, {"obj", 1}, {"bbox", 4}, {"kps", 10}} {
		for s, n := range map[int]int64{8: 1600, 16: 400, 32: 100} {
			yunet = append(yunet, info(fmt.Sprintf("%s_%d", role.name, s), f32, 1, n, role.n))
		}
	}
	raw := []int64{2704, 676, 169}
	three := infos(info("labels", pipeline.Int64, -1, 300), info("boxes", f32, -1, 300, 4), info("scores", f32, -1, 300))
	sized := append(nchw("images", 640), info("orig_target_sizes", pipeline.Int64, 1, 2))
	return map[string]entry{
		"nanodet-416":           {Graph{Inputs: nchw("images", 416), Outputs: infos(info("output0", f32, 1, 84, 3549))}, "yolov8", 80},
		"nanodet-raw":           {Graph{Inputs: nchw("input_1", 416), Outputs: append(levels("Identity", raw, 80), levels("Identity_", raw, 44)...)}, "nanodet", 80},
		"nanodet-plus":          {Graph{Inputs: nchw("data", 416), Outputs: infos(info("output", f32, 1, 3598, 112))}, "nanodet", 80},
		"nanodet merged":        {Graph{Inputs: nchw("input.1", 320), Outputs: infos(info("output", f32, 1, 2100, 112))}, "nanodet", 80},
		"yolox-nano":            {Graph{Inputs: nchw("images", 416), Outputs: infos(info("output", f32, 1, 3549, 85))}, "yolox", 80},
		"centernet-512":         {Graph{Inputs: infos(info("tower_0/images", f32, 1, 512, 512, 3)), Outputs: infos(info("tower_0/detections", f32, 1, 100, 6), info("tower_0/keypoints", f32, 1, 128, 128, 80), info("tower_0/wh", f32, 1, 128, 128, 4))}, "centernet", 0},
		"yunet-320":             {Graph{Inputs: nchw("input", 320), Outputs: yunet}, "yunet", 1},
		"blazeface-256":         {Graph{Inputs: infos(info("input:0", f32, 1, 256, 256, 3)), Outputs: infos(info("a", f32, 1, 512, 1), info("b", f32, 1, 384, 1), info("c", f32, 1, 512, 16), info("d", f32, 1, 384, 16))}, "blazeface", 1},
		"blazeface-128":         {Graph{Inputs: infos(info("input", f32, 1, 128, 128, 3)), Outputs: infos(info("regressors", f32, 1, 896, 16), info("classificators", f32, 1, 896, 1))}, "blazeface", 1},
		"emotion":               {Graph{Inputs: infos(info("input_1", f32, 1, 64, 64, 1)), Outputs: infos(info("Identity", f32, 1, 7))}, "classification", 0},
		"resnet":                {Graph{Inputs: nchw("x", 224), Outputs: infos(info("logits", f32, -1, 1000))}, "classification", 0},
		"yolov5":                {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 25200, 85))}, "yolov5", 80},
		"yolov5 P6":             {Graph{Inputs: nchw("images", 1280), Outputs: infos(info("output0", f32, 1, 102000, 85))}, "yolov5", 80},
		"yolov7 with levels":    {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output", f32, 1, 25200, 85), info("l0", f32, 1, 3, 80, 80, 85))}, "yolov5", 80},
		"yolov8, named classes": {Graph{Inputs: infos(info("images", f32, 1, 3, 640, 480)), Outputs: infos(info("output0", f32, 1, 6, 6300)), Metadata: ultralytics}, "yolov8", 2},
		"yolov8, batch of 4":    {Graph{Inputs: infos(info("images", f32, 4, 3, 640, 640)), Outputs: infos(info("output0", f32, 4, 84, 8400))}, "yolov8", 80},
		"yolov8, open size":     {Graph{Inputs: infos(info("images", f32, -1, 3, -1, -1)), Outputs: infos(info("output0", f32, -1, 6, -1)), Metadata: ultralytics}, "yolov8", 2},
		"yolov8, halves":        {Graph{Inputs: infos(info("images", pipeline.Float16, 1, 3, 640, 640)), Outputs: infos(info("output0", pipeline.Float16, 1, 84, 8400))}, "yolov8", 80},
		"yolov10":               {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 300, 6)), Metadata: map[string]string{"task": "detect", "names": "{0: 'a'}"}}, "yolov10", 1},
		"rtdetr, ultralytics":   {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 300, 84))}, "rtdetr-ultralytics", 80},
		"rtdetr, D-FINE":        {Graph{Inputs: sized, Outputs: three}, "rtdetr", 0},
		"yolov5-seg":            {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 25200, 117), info("output1", f32, 1, 32, 160, 160))}, "yolov5-seg", 80},
		"yolov8-seg":            {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 116, 8400), info("output1", f32, 1, 32, 160, 160))}, "yolov8-seg", 80},
		"yolo11-seg, batch of 2": {Graph{Inputs: infos(info("images", f32, 2, 3, 640, 640)), Outputs: infos(info("output0", f32, 2, 38, 8400), info("output1", f32, 2, 32, 160, 160)),
			Metadata: map[string]string{"task": "segment", "names": "{0: 'a', 1: 'b'}"}}, "yolov8-seg", 2},
		"yolo26-seg": {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 300, 38), info("output1", f32, 1, 32, 160, 160)),
			Metadata: map[string]string{"task": "segment", "names": "{0: 'a'}"}}, "yolo26-seg", 1},
		"rf-detr-seg":                {Graph{Inputs: nchw("input", 432), Outputs: infos(info("dets", f32, 1, 200, 4), info("labels", f32, 1, 200, 91), info("masks", f32, 1, 200, 108, 108))}, "rfdetr-seg", 91},
		"yolov8-pose":                {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 56, 8400)), Metadata: map[string]string{"task": "pose", "kpt_shape": "[17, 3]", "names": "{0: 'person'}"}}, "yolov8-pose", 1},
		"yolov8-pose, silent":        {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 56, 8400))}, "yolov8-pose", 1},
		"tiger pose":                 {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 29, 8400)), Metadata: map[string]string{"task": "pose", "kpt_shape": "[12, 2]", "names": "{0: 'tiger'}"}}, "yolov8-pose", 1},
		"yolo26-pose":                {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 300, 57)), Metadata: map[string]string{"task": "pose", "kpt_shape": "[17, 3]", "names": "{0: 'person'}"}}, "yolo26-pose", 1},
		"rtdetr of 53 classes":       {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 300, 57))}, "rtdetr-ultralytics", 0},
		"yolov8 of 52 classes, told": {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 56, 8400)), Metadata: map[string]string{"task": "detect"}}, "yolov8", 0},
		"movenet-lightning":          {Graph{Inputs: infos(info("input", pipeline.Int32, 1, 192, 192, 3)), Outputs: infos(info("Identity", f32, 1, 1, 17, 3))}, "movenet", 1},
		"movenet multipose":          {Graph{Inputs: infos(info("input", pipeline.Int32, 1, 256, 256, 3)), Outputs: infos(info("output_0", f32, 1, 6, 56))}, "movenet-multi", 1},
		"rf-detr":                    {Graph{Inputs: nchw("input", 384), Outputs: infos(info("dets", f32, 1, 300, 4), info("labels", f32, 1, 300, 91))}, "rfdetr", 91},
		"ssd": {Graph{Inputs: infos(info("input_tensor", pipeline.Uint8, 1, 320, 320, 3)), Outputs: infos(
			info("detection_boxes", f32, 1, 100, 4), info("detection_classes", f32, 1, 100), info("detection_scores", f32, 1, 100), info("num_detections", f32, 1))}, "ssd", 0},
	}
}

func TestInspect(t *testing.T) {
	for name, c := range publishedGraphs() {
		m, err := Inspect(c.g)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Head.Family != c.family || len(m.Labels) != c.labels {
			t.Errorf("%s: family %s with %d labels, want %s with %d", name, m.Head.Family, len(m.Labels), c.family, c.labels)
		}
		opened, err := Open(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := opened.Check(c.g); err != nil {
			t.Errorf("%s does not fit itself: %v", name, err)
		}
		if c.g.Inputs[0].Type != m.Input.Type || len(m.Guessed) == 0 {
			t.Errorf("%s: type %s, guessed %q", name, m.Input.Type, m.Guessed)
		}
	}
}

func TestInspectDetails(t *testing.T) {
	graphs := publishedGraphs()
	m, err := Inspect(graphs["yolov8, named classes"].g)
	if err != nil || m.Input.Width != 480 || m.Input.Height != 640 || m.Labels[1] != "driver's seat" || m.Input.Layout != NCHW {
		t.Errorf("%+v %v", m, err)
	}
	m, err = Inspect(graphs["emotion"].g)
	if err != nil || m.Input.Colour != Grey || m.Input.Layout != NHWC || m.Task != Classification {
		t.Errorf("%+v %v", m, err)
	}
	m, err = Inspect(graphs["nanodet-raw"].g)
	if err != nil || m.Head.RegMax != 10 || *m.Head.Offset != 0.5 {
		t.Errorf("%+v %v", m, err)
	}
	m, err = Inspect(graphs["nanodet-plus"].g)
	if err != nil || m.Head.RegMax != 7 || *m.Head.Offset != 0 || len(m.Head.Strides) != 4 {
		t.Errorf("%+v %v", m, err)
	}
	m, err = Inspect(graphs["rtdetr, D-FINE"].g)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(m)
	if err != nil {
		t.Fatal(err)
	}
	extra := opened.ExtraInputs()
	if len(extra) != 1 || extra[0].Name != "orig_target_sizes" || extra[0].Type != pipeline.Int64 || fmt.Sprint(extra[0].Shape, extra[0].Ints) != "[1 2] [640 640]" {
		t.Errorf("%+v", extra)
	}
	m, err = Inspect(graphs["tiger pose"].g)
	if err != nil || len(m.Head.Keypoints) != 12 || m.Head.Keypoints[11] != "point 11" || m.Head.PointValues != 2 || m.Labels[0] != "tiger" {
		t.Errorf("%+v %v", m.Head, err)
	}
	m, err = Inspect(graphs["yolov8-pose, silent"].g)
	if err != nil || m.Head.Keypoints[16] != "right ankle" || m.Labels[0] != "person" || !strings.Contains(strings.Join(m.Guessed, "; "), "52 classes") {
		t.Errorf("%+v %v", m, err)
	}
	m, err = Inspect(graphs["movenet-lightning"].g)
	if err != nil || m.Task != Keypoints || m.Input.Layout != NHWC || m.Input.Type != pipeline.Int32 || m.Input.Scale != 1 || m.Input.Resize != Letterbox {
		t.Errorf("%+v %v", m, err)
	}
	m, err = Inspect(graphs["rf-detr"].g)
	if err != nil || m.Labels[1] != "person" || m.Labels[90] != "toothbrush" || m.Labels[44] != "bottle" {
		t.Errorf("%q %v", m.Labels, err)
	}
}

func TestInspectRefuses(t *testing.T) {
	f32 := pipeline.Float32
	for name, c := range map[string]struct {
		g    Graph
		want []string
	}{
		"hands": {Graph{Inputs: infos(info("input", pipeline.Int32, 1, 192, 192, 3)), Outputs: infos(info("Identity", f32, 1, 1, 21, 3))},
			[]string{`"input" int32[1,192,192,3]`, `"Identity" float32[1,1,21,3]`, "yolox", "yunet", "classification"}},
		"mask":      {Graph{Inputs: infos(info("input_1", f32, 1, 256, 256, 3)), Outputs: infos(info("act", f32, 1, 256, 256, 1))}, []string{`"act" float32[1,256,256,1]`}},
		"open size": {Graph{Inputs: infos(info("x", f32, -1, 3, -1, -1)), Outputs: infos(info("y", f32, -1, 1, -1, -1))}, []string{"leaves its size open", "[?,3,?,?]", "fixed size"}},
		"prototypes missing": {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 116, 8400)), Metadata: map[string]string{"task": "segment"}},
			[]string{`"segment"`, `"output0" float32[1,116,8400]`, "prototypes [1,P,H/4,W/4]", "rfdetr-seg"}},
		"pose of another shape": {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 56, 8400)), Metadata: map[string]string{"task": "pose", "kpt_shape": "[21, 3]"}},
			[]string{`"pose"`, "[1,56,8400]"}},
		"oriented boxes": {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 20, 8400)), Metadata: map[string]string{"task": "obb"}}, []string{`"obb"`}},
		"mismatch":       {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 84, 8400)), Metadata: map[string]string{"names": "{0: 'a'}"}}, []string{"names 1 classes", "80"}},
		"bad names":      {Graph{Inputs: nchw("images", 640), Outputs: infos(info("output0", f32, 1, 84, 8400)), Metadata: map[string]string{"names": "{1: 'a'}"}}, []string{"class 0 is missing"}},
		"two inputs":     {Graph{Inputs: append(nchw("images", 640), info("prompt", f32, 1, 512)), Outputs: infos(info("output0", f32, 1, 84, 8400))}, []string{`"prompt"`}},
		"no input":       {Graph{Outputs: infos(info("y", f32, 1, 2))}, []string{"no input is a picture"}},
		"tiny":           {Graph{Inputs: nchw("x", 4), Outputs: infos(info("y", f32, 1, 2))}, []string{"between 16 and 4096"}},
		"huge":           {Graph{Inputs: nchw("x", 1<<40), Outputs: infos(info("y", f32, 1, 2))}, []string{"between 16 and 4096"}},
	} {
		_, err := Inspect(c.g)
		if err == nil || pipeline.KindOf(err) != pipeline.Unsupported {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not name %q", name, err, w)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	g := Graph{Inputs: nchw("images", 416), Outputs: infos(info("output0", pipeline.Float32, 1, 84, 3549))}
	for name, c := range map[string]struct {
		change func(m *Manifest)
		want   string
	}{
		"name":   {func(m *Manifest) { m.Input.Name = "x" }, "input.name"},
		"type":   {func(m *Manifest) { m.Input.Type = pipeline.Uint8 }, "input.type"},
		"size":   {func(m *Manifest) { m.Input.Width = 640 }, "416"},
		"layout": {func(m *Manifest) { m.Input.Layout = NHWC }, "1,416,416,3"},
		"grey":   {func(m *Manifest) { m.Input.Colour = Grey }, "1,1,416,416"},
		"family": {func(m *Manifest) { m.Head.Family = "yolov5" }, "head.family"},
		"labels": {func(m *Manifest) { m.Labels = m.Labels[:79] }, "79"},
	} {
		m, err := Inspect(g)
		if err != nil {
			t.Fatal(err)
		}
		c.change(&m)
		opened, err := Open(m)
		if err != nil {
			t.Fatal(name, err)
		}
		if err := opened.Check(g); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClassNames(t *testing.T) {
	good := map[string]string{
		"": "[]", "{}": "[]", "{0: 'a'}": `["a"]`, `{0:"it's", 1 : 'b\'c' , 2: 'x: {y}, z',}`: `["it's" "b'c" "x: {y}, z"]`, "{0: 'Löwe'}": `["Löwe"]`,
	}
	for s, want := range good {
		if got, err := classNames(s); err != nil || fmt.Sprintf("%q", got) != want {
			t.Errorf("%s: %q %v", s, got, err)
		}
	}
	for _, s := range []string{"x", "{", "{0}", "{0:}", "{0: a}", "{0: 'a}", "{0: 'a' 1: 'b'}", "{0: 'a', 2: 'b'}", "{0: ''}", "{-1: 'a'}"} {
		if got, err := classNames(s); err == nil {
			t.Errorf("%s was read as %q", s, got)
		}
	}
}
