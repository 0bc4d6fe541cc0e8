package tracking

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func TestPathDeviation(t *testing.T) {
	const v1 = `"type": "roboflow_core/path_deviation_analytics@v1", "metadata": "$inputs.video", "detections": "$steps.source.predictions", "reference_path": [[0, 0], [10, 0], [20, 0]]`
	const v2 = `"type": "roboflow_core/path_deviation_analytics@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "reference_path": [[0, 0], [10, 0], [20, 0]]`
	for name, c := range map[string]struct {
		step   string
		frames [][]workflow.Detection
		want   string // by frame
	}{
		"followed":         {v2, path(0, 0, 10, 0, 20, 0), "20|10|0"},
		"v1":               {v1, path(0, 0, 10, 0, 20, 0), "20|10|0"},
		"beside it":        {v2, path(0, 3, 10, 3, 20, 3), "20.2|10.4|3"},
		"its lower edge":   {v2 + `, "triggering_anchor": "BOTTOM_CENTER"`, path(0, -5, 10, -5, 20, -5), "20|10|0"},
		"nobody":           {v2, [][]workflow.Detection{nil}, ""},
		"each on its own":  {v2, [][]workflow.Detection{{box(1, 0, 0), box(2, 20, 0)}, {box(2, 20, 0), box(1, 20, 0)}}, "20,20|20,10"},
		"missed in a turn": {v2, [][]workflow.Detection{{box(1, 0, 0)}, nil, {box(1, 20, 0)}}, "20||10"},
	} {
		t.Run(name, func(t *testing.T) {
			h := workflowtest.New(t, spec("test/detections@v1", c.step, "path_deviation_detections"), nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections(c.frames...)})
			var got []string
			for range c.frames {
				h.Blank()
				d, _ := h.Value("path_deviation_detections").Detections()
				var s []string
				for i := range d.Items {
					s = append(s, fmt.Sprintf("%.3g", d.Items[i].PathDeviation))
				}
				got = append(got, strings.Join(s, ","))
			}
			if s := strings.Join(got, "|"); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
			if len(got) == 3 && name == "followed" && !strings.Contains(h.JSON("path_deviation_detections"), `"path_deviation":0.0,`) {
				t.Error(h.JSON("path_deviation_detections"))
			}
		})
	}
	for _, wrong := range []string{`[[0, 0]]`, `[]`, `"along"`} {
		doc := spec("test/detections@v1", strings.Replace(v2, `[[0, 0], [10, 0], [20, 0]]`, wrong, 1))
		if _, err := workflow.Compile([]byte(doc), workflow.NewLibrary(All(), []*workflow.Manifest{workflowtest.Detections()}), nil); err == nil || !strings.Contains(err.Error(), `property "reference_path"`) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
