package blocks_test

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// masked is an object whose mask is that of a polygon, and whose box says
// nothing.
func masked(label string, xy ...float32) workflow.Detection {
	d := workflowtest.Det(1, 2, 3, 4, 0, label, .9, 5)
	var pts []pipeline.Point
	for i := 0; i < len(xy); i += 2 {
		pts = append(pts, pipeline.Point{X: xy[i], Y: xy[i+1]})
	}
	if d.Mask = pipeline.MaskFromPolygon(pts, 64, 48); d.Mask == nil {
		d.Mask = pipeline.NewMask(0, 0, 4, 4)
	}
	return d
}

func TestDynamicZone(t *testing.T) {
	const step = `"type": "DynamicZone", "predictions": "$steps.source.predictions", "required_number_of_vertices": `
	square := masked("square", 10, 10, 30, 10, 30, 30, 10, 30)
	for name, c := range map[string]struct {
		fields string
		given  []workflow.Detection
		zones  string
		ok     string
	}{
		"a square":          {`4`, []workflow.Detection{square}, "[[[10,10],[10,30],[30,30],[30,10]]]", "true"},
		"nobody":            {`4`, nil, "[]", "true"},
		"a notch is filled": {`4`, []workflow.Detection{masked("notched", 10, 10, 30, 10, 20, 20, 30, 30, 10, 30)}, "[[[10,10],[10,30],[30,30],[30,10]]]", "true"},
		"two":               {`4`, []workflow.Detection{square, masked("other", 40, 5, 50, 5, 50, 15, 40, 15)}, "[[[10,10],[10,30],[30,30],[30,10]],[[40,5],[40,15],[50,15],[50,5]]]", "true"},
		"too few corners":   {`5`, []workflow.Detection{square}, "[[[10,10],[10,30],[30,30],[30,10],[30,10]]]", "false"},
		"an empty mask":     {`4`, []workflow.Detection{masked("none", 900, 900), square}, "[[[10,10],[10,30],[30,30],[30,10]]]", "true"},
		"one pixel":         {`3`, []workflow.Detection{masked("dot", 7, 8)}, "[[[7,8],[7,8],[7,8]]]", "false"},
		"twice as large":    {`4, "scale_ratio": 2`, []workflow.Detection{square}, "[[[0,0],[0,40],[40,40],[40,0]]]", "true"},
		"half as large":     {`4, "scale_ratio": 0.5`, []workflow.Detection{square}, "[[[15,15],[15,25],[25,25],[25,15]]]", "true"},
		"least squares":     {`4, "apply_least_squares": true`, []workflow.Detection{square}, "[[[10,10],[10,30],[30,30],[30,10]]]", "true"},
		// Along the upper edge the outline's corners are at 12, 12, 9, 9, 12 and 12, in the mean 11.
		"least squares over a bump": {`4, "apply_least_squares": true`, []workflow.Detection{masked("bump", 10, 12, 14, 12, 15, 9, 25, 9, 26, 12, 30, 12, 30, 30, 10, 30)}, "[[[10,11],[10,30],[30,30],[30,11]]]", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			h := run(t, graphOf(step+c.fields, "zones", "predictions", "simplification_converged"), c.given)
			h.Blank()
			if got, ok := h.JSON("zones"), h.JSON("simplification_converged"); got != c.zones || ok != c.ok {
				t.Errorf("%s, %s, want %s, %s", got, ok, c.zones, c.ok)
			}
		})
	}
	for _, fields := range []string{`1`, `4.5`, `4, "scale_ratio": 0`, `4, "midpoint_fraction": 2`} {
		refused(t, graphOf(step+fields))
	}
	h := run(t, graphOf(step+"4"), []workflow.Detection{workflowtest.Det(1, 2, 3, 4, 0, "cat", .9, 0)})
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "detection 0 (cat) has no mask") {
		t.Error(err)
	}
}

// Of an edge's points those at its ends can be left out: a quadrilateral with
// its corners cut off gets its corners back.
func TestDynamicZoneFitsTheMiddleOfEdges(t *testing.T) {
	cut := []float32{14, 10, 46, 10, 50, 14, 50, 34, 46, 38, 14, 38, 10, 34, 10, 14}
	h := run(t, graphOf(`"type": "roboflow_core/dynamic_zone@v1", "predictions": "$steps.source.predictions", "required_number_of_vertices": 4, "apply_least_squares": true, "midpoint_fraction": 0.5`, "zones", "predictions", "simplification_converged"),
		[]workflow.Detection{masked("cut", cut...)})
	h.Blank()
	if got := h.JSON("simplification_converged"); got != "true" {
		t.Error(got)
	}
	d := found(t, h, "predictions")
	if n := len(d.Items[0].Polygon); n != 4 {
		t.Errorf("%d corners", n)
	}
}

func TestDynamicZoneAsJSON(t *testing.T) {
	h := run(t, graphOf(`"type": "roboflow_core/dynamic_zone@v1", "predictions": "$steps.source.predictions", "required_number_of_vertices": 4, "scale_ratio": 0.5`, "zones", "predictions"), []workflow.Detection{masked("square", 10, 10, 30, 10, 30, 30, 10, 30)})
	h.Blank()
	const want = `"x":2.0,"y":3.0,"confidence":0.9,"class_id":0,"points":[{"x":10.0,"y":10.0},{"x":10.0,"y":30.0},{"x":30.0,"y":30.0},{"x":30.0,"y":10.0}],"tracker_id":5,"class":"square",` +
		`"detection_id":"73717561-7265-2020-2020-202020202020","polygon":[[10,10],[10,30],[30,30],[30,10]],"parent_id":"image"}]}`
	if got := h.JSON("predictions"); !strings.Contains(got, want) {
		t.Errorf("%s lacks\n%s", got, want)
	}
	if m := found(t, h, "predictions").Items[0].Mask; m.Area() != 11*11 || !m.At(15, 15) || !m.At(25, 25) || m.At(14, 20) {
		t.Errorf("the mask is that of the scaled polygon: %d pixels", m.Area())
	}
}

func TestBoundingRect(t *testing.T) {
	const step = `"type": "roboflow_core/bounding_rect@v1", "predictions": "$steps.source.predictions"`
	for name, c := range map[string]struct {
		given []workflow.Detection
		want  string // box, then width x height @ angle
	}{
		"upright":    {[]workflow.Detection{masked("r", 10, 10, 30, 10, 30, 20, 10, 20)}, "r 10,10,30,20 10x20@90"},
		"on its tip": {[]workflow.Detection{masked("r", 30, 10, 40, 20, 20, 40, 10, 30)}, "r 10,10,40,40 14.1x28.3@45"},
		"nobody":     {nil, ""},
		"empty":      {[]workflow.Detection{masked("none", 900, 900)}, ""},
		"one pixel":  {[]workflow.Detection{masked("dot", 7, 8)}, "dot 7,8,7,8 0x0@90"},
	} {
		h := run(t, graphOf(step, "detections_with_rect"), c.given)
		h.Blank()
		d := found(t, h, "detections_with_rect")
		got := boxes(d)
		for i := range d.Items {
			r := d.Items[i].Rect
			got += fmt.Sprintf(" %.3gx%.3g@%.3g", r.Width, r.Height, r.Angle)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	h := run(t, graphOf(step, "detections_with_rect"), []workflow.Detection{masked("r", 10, 10, 30, 10, 30, 20, 10, 20)})
	h.Blank()
	got := h.JSON("detections_with_rect")
	if !strings.HasPrefix(got, `{"image":{"width":64,"height":48},"predictions":[{"width":10.0,"height":20.0,"x":20.0,"y":15.0,`) || !strings.Contains(got, `,"angle":90.0,"rect":[[10,10],[30,10],[30,20],[10,20]],"parent_id"`) {
		t.Error(got)
	}
	h = run(t, graphOf(step), []workflow.Detection{workflowtest.Det(1, 2, 3, 4, 0, "cat", .9, 0)})
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "has no mask") {
		t.Error(err)
	}
}
