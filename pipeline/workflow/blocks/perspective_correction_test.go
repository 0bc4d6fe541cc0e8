package blocks_test

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// The quadrilateral of these tests is upright, from (10, 20) to (29, 39), and
// becomes a rectangle of 40 x 20: twice as wide, as high as it was, give or
// take the edge: x' = (x - 10) × 39/19, y' = y - 20.
const (
	perspectiveStep = `"type": "PerspectiveCorrection", "image": "$inputs.image", "predictions": "$steps.source.predictions", "transformed_rect_width": 40, "transformed_rect_height": 20, "perspective_polygons": `
	upright         = `[[10, 20], [29, 39], [29, 20], [10, 39]]`
)

var perspectiveOutputs = []string{"corrected_coordinates", "warped_image", "extended_transformed_rect_width", "extended_transformed_rect_height"}

func TestPerspectiveCorrection(t *testing.T) {
	whole := workflowtest.Det(10, 20, 29, 39, 0, "whole", .9, 3)
	mask := masked("mask", 10, 20, 19, 20, 19, 29, 10, 29)
	kp := workflowtest.Det(10, 20, 20, 30, 0, "points", .9, 0)
	kp.Keypoints = []pipeline.Keypoint{{Point: pipeline.Point{X: 29, Y: 39}, Score: .5}}
	for name, c := range map[string]struct {
		fields string
		given  []workflow.Detection
		want   string
		size   string
	}{
		"all of it":        {upright, []workflow.Detection{whole}, "whole 0,0,39,19", "40x20"},
		"half of it":       {upright, []workflow.Detection{workflowtest.Det(10, 20, 19.5, 29, 0, "half", .9, 0)}, "half 0,0,21,9", "40x20"}, // 19.5 is rounded to 20, (20-10) × 39/19 = 20.5 to... 21
		"outside":          {upright, []workflow.Detection{workflowtest.Det(0, 10, 10, 20, 0, "out", .9, 0)}, "out -21,-10,0,0", "40x20"},
		"a mask":           {upright, []workflow.Detection{mask}, "mask 0,0,18,9", "40x20"},
		"the larger one":   {`[[[0, 0], [5, 0], [5, 5], [0, 5]], ` + upright + `, [[0, 0], [50, 0], [50, 50]]]`, []workflow.Detection{whole}, "whole 0,0,39,19", "40x20"},
		"nobody":           {upright, nil, "", "40x20"},
		"extended":         {upright + `, "extend_perspective_polygon_by_detections_anchor": "ALL"`, []workflow.Detection{workflowtest.Det(10, 20, 48, 39, 0, "wide", .9, 0)}, "wide 0,0,79,19", "80x20"},
		"extended, centre": {upright + `, "extend_perspective_polygon_by_detections_anchor": "CENTER"`, []workflow.Detection{whole}, "whole 0,0,39,19", "40x20"},
	} {
		t.Run(name, func(t *testing.T) {
			h := run(t, graphOf(perspectiveStep+c.fields, perspectiveOutputs...), c.given)
			h.Blank()
			d := found(t, h, "corrected_coordinates")
			size := h.JSON("extended_transformed_rect_width") + "x" + h.JSON("extended_transformed_rect_height")
			if got := boxes(d); got != c.want || size != c.size {
				t.Errorf("%s on %s, want %s on %s", got, size, c.want, c.size)
			}
			if fmt.Sprintf("%dx%d", d.Origin.Width, d.Origin.Height) != c.size || !d.Origin.Warped {
				t.Errorf("%+v", d.Origin)
			}
			if img := image(t, h, "warped_image"); img.Picture.Width != 64 {
				t.Error("the picture was moved although nobody asked for it")
			}
		})
	}
	h := run(t, graphOf(perspectiveStep+upright, perspectiveOutputs...), []workflow.Detection{mask, kp})
	h.Blank()
	d := found(t, h, "corrected_coordinates")
	if m := d.Items[0].Mask; !m.At(0, 0) || !m.At(18, 9) || m.At(19, 9) || m.At(18, 10) {
		t.Errorf("%+v", m)
	}
	if k := d.Items[1].Keypoints[0]; k.X != 39 || k.Y != 19 || kp.Keypoints[0].X != 29 {
		t.Errorf("%+v", k)
	}
	// There is no way back to the frame, so places stay those on the rectangle.
	if got := h.JSON("corrected_coordinates"); !strings.HasPrefix(got, `{"image":{"width":40,"height":20},"predictions":[{"width":18.0,"height":9.0,"x":9.0,"y":4.5,`) || !strings.Contains(got, `"parent_id":"image"`) {
		t.Error(got)
	}
}

func TestPerspectiveWarpsThePicture(t *testing.T) {
	// The rectangle is as large as the quadrilateral, so pixels only move.
	const step = `"type": "roboflow_core/perspective_correction@v1", "images": "$inputs.image", "transformed_rect_width": 20, "transformed_rect_height": 20, "warp_image": true, "perspective_polygons": ` + upright
	h := run(t, graphOf(step, perspectiveOutputs...), nil)
	h.Frame(ramp(60, 60))
	img := image(t, h, "warped_image")
	p := img.Picture
	if p.Width != 20 || p.Height != 20 || !img.Origin.Warped || img.Origin.Width != 20 {
		t.Fatalf("%d x %d, %+v", p.Width, p.Height, img.Origin)
	}
	for _, at := range [][2]int{{0, 0}, {19, 0}, {7, 13}, {19, 19}} {
		x, y := at[0], at[1]
		if got, want := p.Planes[0][y*20+x], uint8(4*(x+10)+y+20); got != want {
			t.Errorf("luma at %v: %d, want %d", at, got, want)
		}
		if got, want := p.Planes[1][y/2*10+x/2], uint8(x/2+5); got != want {
			t.Errorf("chroma at %v: %d, want %d", at, got, want)
		}
	}
	if !h.Value("corrected_coordinates").IsNull() {
		t.Error("there were no detections to correct")
	}
}

// The first quadrilateral stays, and until there is one nothing is put out.
func TestPerspectiveOfAFoundZone(t *testing.T) {
	quad := func(x float32) workflow.Value {
		return workflow.ListOf([]workflow.Value{workflow.ValueOfPoints([]pipeline.Point{{X: x, Y: 20}, {X: x + 19, Y: 20}, {X: x + 19, Y: 39}, {X: x, Y: 39}})})
	}
	det := []workflow.Detection{workflowtest.Det(10, 20, 29, 39, 0, "d", .9, 0)}
	h := run(t, graphOf(perspectiveStep+`"$steps.v.value"`, perspectiveOutputs...), det, workflow.ListOf(nil), quad(10), quad(29), workflow.ListOf(nil))
	h.Blank()
	if !h.Value("corrected_coordinates").IsNull() || !h.Value("warped_image").IsNull() {
		t.Error("there is something without a zone")
	}
	for range 3 {
		h.Blank()
		if got := boxes(found(t, h, "corrected_coordinates")); got != "d 0,0,39,19" {
			t.Error(got)
		}
	}
	h = run(t, graphOf(perspectiveStep+`"$steps.v.value"`), det, workflow.ListOf([]workflow.Value{workflow.ValueOfPoints([]pipeline.Point{{X: 1}, {X: 2}, {Y: 3}})}))
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), `property "perspective_polygons": no polygon has four corners`) {
		t.Error(err)
	}
}

func TestPerspectiveMistakes(t *testing.T) {
	for fields, says := range map[string]string{
		`[[0, 0], [5, 5]]`: "no polygon has four corners", `[]`: "it is empty", `[[0, 0], [1, 1], [2, 2], [3, 3]]`: "one line",
		`"door"`: "no list of points", upright + `, "extend_perspective_polygon_by_detections_anchor": "MIDDLE"`: "CENTER_OF_MASS",
	} {
		if s := refused(t, graphOf(perspectiveStep+fields)); !strings.Contains(s, says) {
			t.Errorf("%s: %s", fields, s)
		}
	}
	// Near the horizon a rectangle that holds everything has no end.
	h := run(t, graphOf(perspectiveStep+`[[0, 40], [28, 10], [32, 10], [60, 40]], "extend_perspective_polygon_by_detections_anchor": "CENTER"`),
		[]workflow.Detection{workflowtest.Det(-100000, 5, 5, 6, 0, "far", .9, 0)})
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "horizon") {
		t.Error(err)
	}
}
