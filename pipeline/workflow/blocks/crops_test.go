package blocks_test

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func TestStaticCrops(t *testing.T) {
	for name, c := range map[string]struct {
		step string
		want string // place, size, and the first sample of each plane, of a ramp of 32 x 16; "" for none
	}{
		"middle":         {`"type": "AbsoluteStaticCrop", "x_center": 16, "y_center": 8, "width": 8, "height": 4`, "12,6 8x4 54 6 3"},
		"odd":            {`"type": "AbsoluteStaticCrop", "x_center": 5, "y_center": 5, "width": 3, "height": 3`, "4,4 3x3 20 2 2"},                    // 3.5 is rounded to the even 4
		"odd, the other": {`"type": "roboflow_core/absolute_static_crop@v1", "x_center": 6, "y_center": 6, "width": 3, "height": 3`, "4,4 3x3 20 2 2"}, // 4.5 is
		"over the edge":  {`"type": "AbsoluteStaticCrop", "x_center": 30, "y_center": 1, "width": 8, "height": 4`, "26,0 6x3 104 13 0"},
		"outside":        {`"type": "AbsoluteStaticCrop", "x_center": 50, "y_center": 1, "width": 8, "height": 4`, ""},
		"half":           {`"type": "RelativeStaticCrop", "x_center": 0.5, "y_center": 0.5, "width": 0.5, "height": 0.5`, "8,4 16x8 36 4 2"},
		"all":            {`"type": "roboflow_core/relative_statoic_crop@v1", "x_center": 0.5, "y_center": 0.5, "width": 1, "height": 1`, "0,0 32x16 0 0 0"},
		"a corner":       {`"type": "RelativeStaticCrop", "x_center": 1, "y_center": 1, "width": 0.5, "height": 0.5`, "24,12 8x4 108 12 6"},
		"nothing":        {`"type": "RelativeStaticCrop", "x_center": 0.5, "y_center": 0.5, "width": 0, "height": 0.5`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := run(t, graphOf(c.step+`, "images": "$inputs.image"`, "crops"), nil)
			h.Frame(ramp(32, 16))
			got := ""
			if !h.Value("crops").IsNull() {
				img := image(t, h, "crops")
				o, p := img.Origin, img.Picture
				got = fmt.Sprintf("%d,%d %dx%d %d %d %d", o.X, o.Y, p.Width, p.Height, p.Planes[0][0], p.Planes[1][0], p.Planes[2][0])
				if o.Root != "image" || o.RootWidth != 32 || o.RootHeight != 16 || o.Width != p.Width || o.Height != p.Height || o.IsRoot() {
					t.Errorf("%+v", o)
				}
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	if s := refused(t, graphOf(`"type": "RelativeStaticCrop", "images": "$inputs.image", "x_center": 0.5, "y_center": 0.5, "width": 50, "height": 0.5`)); !strings.Contains(s, `property "width"`) || !strings.Contains(s, "0 to 1") {
		t.Error(s)
	}
}

const cropStep = `"type": "Crop", "image": "$inputs.image", "detections": "$steps.source.predictions"`

// list is an output below a step that makes lists.
func list(t testing.TB, h *workflowtest.Harness, output string) []workflow.Value {
	t.Helper()
	items, ok := h.Value(output).Items()
	if !ok {
		t.Fatalf("output %s is %s", output, h.Value(output).Describe())
	}
	return items
}

func TestDynamicCrop(t *testing.T) {
	cat, dog := workflowtest.Det(4, 2, 12, 8, 0, "cat", .9, 3), workflowtest.Det(20.4, 4.6, 40, 11.5, 1, "dog", .8, 0)
	cat.Keypoints = []pipeline.Keypoint{{Point: pipeline.Point{X: 6, Y: 5}, Score: .5}}
	cat.Polygon, cat.Has = []pipeline.Point{{X: 4, Y: 2}, {X: 12, Y: 2}, {X: 12, Y: 8}}, workflow.HasPolygon
	away, flat := workflowtest.Det(50, 50, 60, 60, 2, "away", .7, 0), workflowtest.Det(5, 5, 5, 9, 3, "flat", .6, 0)
	h := run(t, graphOf(cropStep, "crops", "predictions"), []workflow.Detection{cat, dog, away, flat})
	for range 2 { // the second frame uses the memory of the first
		h.Frame(ramp(32, 16))
		crops, own := list(t, h, "crops"), list(t, h, "predictions")
		if len(crops) != 4 || len(own) != 4 {
			t.Fatalf("%d crops, %d predictions", len(crops), len(own))
		}
		for i, want := range []string{
			"4,2 8x6 18 2 1 cat 0,0,8,6",            // luma 4 x 4 + 2
			"20,5 12x7 85 10 2 dog 0.4,-0.4,20,6.5", // 11.5 is rounded to the even 12, 20.4 to 20, 4.6 to 5
			"null", "null",
		} {
			got := "null"
			if img, ok := crops[i].Image(); ok {
				d, _ := own[i].Detections()
				o, p := img.Origin, img.Picture
				got = fmt.Sprintf("%d,%d %dx%d %d %d %d %s", o.X, o.Y, p.Width, p.Height, p.Planes[0][0], p.Planes[1][0], p.Planes[2][0], boxes(d))
				if o.Name != d.Items[0].ID.String() || d.Origin != o || len(d.Items) != 1 {
					t.Errorf("%+v, %+v", o, d.Origin)
				}
			}
			if got != want {
				t.Errorf("crop %d: %s, want %s", i, got, want)
			}
		}
		d, _ := own[0].Detections()
		if it := d.Items[0]; it.Track != 3 || it.Keypoints[0].X != 2 || it.Keypoints[0].Y != 3 || it.Polygon[1] != (pipeline.Point{X: 8}) {
			t.Errorf("%+v", it)
		}
		if cat.Keypoints[0].X != 6 || cat.Polygon[0].X != 4 {
			t.Fatal("the step changed what it was given")
		}
	}
	// Moved back to the frame the detections are where they were.
	if got := h.JSON("predictions"); !strings.Contains(got, `"x":8.0,"y":5.0,"confidence":0.9`) || !strings.Contains(got, `"x":6.0,"y":5.0}]`) {
		t.Error(got)
	}
}

func TestDynamicCropOfNothing(t *testing.T) {
	h := run(t, graphOf(cropStep, "crops", "predictions"), nil)
	h.Frame(ramp(32, 16))
	if got := h.JSON("predictions"); got != "[]" || len(list(t, h, "crops")) != 0 {
		t.Error(got)
	}
}

func TestDynamicCropCoversTheBackground(t *testing.T) {
	d := workflowtest.Det(4, 4, 8, 8, 0, "cat", .9, 0)
	d.Mask = pipeline.NewMask(3, 2, 9, 9) // begins outside of the box
	for y := 2; y < 11; y++ {
		for x := 3; x < 6; x++ { // its left three columns, of which two lie in the box
			d.Mask.Set(x, y)
		}
	}
	for _, c := range []struct {
		fields         string
		inside, at, uv int // luma inside and outside of the mask, chroma U outside
	}{
		{``, 100, 100, 128}, {`, "mask_opacity": 1`, 100, 16, 128}, {`, "mask_opacity": 0.5`, 100, 58, 128},
		{`, "mask_opacity": 1, "background_color": "#fff"`, 100, 235, 128}, {`, "mask_opacity": 1, "background_color": [0, 0, 255]`, 100, 41, 240}, // BT.601: 16 + 219 x 0.114, 128 + 112
		{`, "mask_opacity": 1, "background_color": "(0, 0, 255)"`, 100, 41, 240}, {`, "mask_opacity": 0.5, "background_color": "rgb(0,0,255)"`, 100, 71, 184},
	} {
		h := run(t, graphOf(cropStep+c.fields, "crops", "predictions"), []workflow.Detection{d})
		h.Frame(workflowtest.Picture(16, 16, 100))
		img, _ := list(t, h, "crops")[0].Image()
		p := img.Picture
		if in, out, uIn, uOut := int(p.Planes[0][1]), int(p.Planes[0][2]), int(p.Planes[1][0]), int(p.Planes[1][1]); in != c.inside || max(out-c.at, c.at-out) > 1 || uIn != 128 || max(uOut-c.uv, c.uv-uOut) > 1 {
			t.Errorf("%s: luma %d and %d, chroma %d and %d", c.fields, in, out, uIn, uOut)
		}
		own, _ := list(t, h, "predictions")[0].Detections()
		if m := own.Items[0].Mask; m.Area() != 8 || !m.At(0, 0) || !m.At(1, 3) || m.At(2, 0) {
			t.Errorf("the mask on the crop: %+v", m)
		}
	}
	for _, colour := range []string{`"#12"`, `"#+12345"`, `"blue-ish"`, `"(1, 2)"`, `[1, 2, 300]`, `["a", 2, 3]`} {
		if s := refused(t, graphOf(cropStep+`, "background_color": `+colour)); !strings.Contains(s, "is no colour") {
			t.Errorf("%s: %s", colour, s)
		}
	}
}

func TestDetectionOffset(t *testing.T) {
	const step = `"type": "DetectionOffset", "predictions": "$steps.source.predictions", `
	found1 := []workflow.Detection{workflowtest.Det(20, 10, 30, 20, 0, "cat", .9, 4), workflowtest.Det(1, 1, 63, 47, 0, "wall", .9, 0)}
	for name, c := range map[string]struct {
		fields string
		given  []workflow.Detection
		want   string
	}{
		"pixels":  {`"offset_width": 6, "offset_height": 4`, found1, "cat 17,8,33,22; wall 0,0,64,48"},
		"aliases": {`"offset_x": 6, "offset_y": 4`, found1, "cat 17,8,33,22; wall 0,0,64,48"},
		"odd":     {`"offset_width": 7, "offset_height": 5`, found1, "cat 17,8,33,22; wall 0,0,64,48"},
		"percent": {`"offset_width": 10, "offset_height": 10, "units": "Percent (%)"`, found1, "cat 17,8,33,22; wall 0,0,64,48"}, // of 64 x 48: 3.2 and 2.4
		"nobody":  {`"offset_width": 10, "offset_height": 10`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := run(t, graphOf(step+c.fields, "predictions"), c.given)
			h.Blank()
			d := found(t, h, "predictions")
			if got := boxes(d); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			for i := range d.Items {
				if d.Items[i].ID == c.given[i].ID || d.Items[i].Track != c.given[i].Track {
					t.Errorf("%+v", d.Items[i])
				}
			}
		})
	}
	for _, fields := range []string{`"offset_width": 0, "offset_height": 4`, `"offset_width": 1.5, "offset_height": 4`, `"offset_width": 1`, `"offset_width": 1, "offset_height": 4, "units": "%"`} {
		refused(t, graphOf(step+fields))
	}
}

// What compares frames cannot be given several crops of one.
func TestStepsThatRememberTakeNoCrops(t *testing.T) {
	cats := []workflow.Detection{workflowtest.Det(4, 2, 12, 8, 0, "cat", .9, 3), workflowtest.Det(14, 2, 22, 8, 0, "cat", .9, 4)}
	for _, step := range []string{motionStep, logStep} {
		doc := strings.NewReplacer(`"$inputs.image"`, `"$steps.crop.crops"`, "$steps.source.predictions", "$steps.crop.predictions").Replace(step)
		doc = strings.Replace(graphOf(doc), `{"name": "it"`, `{"name": "crop", `+cropStep+`}, {"name": "it"`, 1)
		h := run(t, doc, cats)
		if _, err := h.Try(ramp(32, 16)); err == nil || !strings.Contains(err.Error(), "several crops") {
			t.Errorf("%s: %v", step, err)
		}
		h = run(t, doc, cats[:1])
		h.Frame(ramp(32, 16))
	}
}

// Each image of a list has its own perspective.
func TestPerspectiveOfCrops(t *testing.T) {
	cats := []workflow.Detection{workflowtest.Det(4, 2, 14, 12, 0, "cat", .9, 3), workflowtest.Det(14, 2, 24, 12, 0, "cat", .9, 4)}
	doc := graphOf(`"type": "PerspectiveCorrection", "image": "$steps.crop.crops", "predictions": "$steps.crop.predictions", "transformed_rect_width": 19, "transformed_rect_height": 19, "perspective_polygons": [[0, 0], [9, 0], [9, 9], [0, 9]]`, "corrected_coordinates")
	h := run(t, strings.Replace(doc, `{"name": "it"`, `{"name": "crop", `+cropStep+`}, {"name": "it"`, 1), cats)
	for range 2 {
		h.Frame(ramp(32, 16))
		for i, v := range list(t, h, "corrected_coordinates") {
			if d, _ := v.Detections(); boxes(d) != "cat 0,0,20,20" {
				t.Errorf("crop %d: %s", i, boxes(d))
			}
		}
	}
}
