package blocks

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"perch/cmd/internal/blocks/tracking"
	"perch/cmd/internal/blocks/visual"
	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

// crowd takes the place of example 1's model: people who sway where they are,
// so that all of them are followed and none crosses the line.
func crowd(n int) *workflow.Manifest {
	frames := make([][]workflow.Detection, 40)
	for i := range frames {
		for k := range n {
			x := float32(40+90*(k%20)) + 8*float32(math.Sin(float64(i+k)*math.Pi/20))
			y := float32(40 + 190*(k/20))
			frames[i] = append(frames[i], workflowtest.Det(x, y, x+60, y+150, 0, "person", 0.9, 0))
		}
	}
	return &workflow.Manifest{
		Type: "roboflow_core/roboflow_object_detection_model@v1", Aliases: []string{"ObjectDetectionModel"},
		Fields:  []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}}},
		Outputs: []workflow.Output{{Name: "predictions", Kinds: []workflow.Kind{workflow.ObjectDetections}}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return workflowtest.Loop(p.In("image"), frames), nil
		},
	}
}

// example1 returns example 1, as it is or without its drawing.
func example1(tb testing.TB, drawing bool) []byte {
	tb.Helper()
	text, err := os.ReadFile("../../perch/testdata/workflows/01_line_counter.json")
	if err != nil || drawing {
		return text
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		tb.Fatal(err)
	}
	doc["steps"] = slices.DeleteFunc(doc["steps"].([]any), func(s any) bool {
		return strings.Contains(s.(map[string]any)["type"].(string), "_visualization@")
	})
	doc["outputs"] = []any{map[string]any{"type": "JsonField", "name": "count", "selector": "$steps.line_counter.count_in"}}
	if text, err = json.Marshal(doc); err != nil {
		tb.Fatal(err)
	}
	return text
}

// play returns a function that runs example 1 on the next frame of 1080p, with
// n people and without a model.
func play(tb testing.TB, drawing bool, n int) func() *pipeline.Result {
	tb.Helper()
	g, err := workflow.Compile(example1(tb, drawing), workflow.NewLibrary(blocks.All(), tracking.All(), visual.All(), []*workflow.Manifest{crowd(n)}), nil)
	if err != nil {
		tb.Fatal(err)
	}
	line, err := workflow.ParseJSON([]byte("[[0, 1060], [1920, 1060]]"))
	if err != nil {
		tb.Fatal(err)
	}
	e, err := g.Bind(nil, workflow.Options{Parameters: map[string]workflow.Value{"line": line}})
	if err != nil {
		tb.Fatal(err)
	}
	next := workflowtest.Steady(tb, e)
	for range 60 { // until nothing grows any more
		next()
	}
	if got := len(next().Detections); got != n {
		tb.Fatalf("%d of %d are followed", got, n)
	}
	return next
}

func TestExample1DoesNotAllocate(t *testing.T) {
	for _, drawing := range []bool{false, true} {
		next := play(t, drawing, 20)
		if n := testing.AllocsPerRun(60, func() { next() }); n != 0 {
			t.Errorf("%v allocations a frame, drawing: %v", n, drawing)
		}
	}
}

// What example 1 costs on a frame of 1080p besides its model.
func BenchmarkExample1(b *testing.B) {
	for _, c := range []struct {
		name    string
		drawing bool
	}{{"without-drawing", false}, {"with-drawing", true}} {
		for _, n := range []int{20, 100} {
			b.Run(fmt.Sprintf("%s/%d-people", c.name, n), func(b *testing.B) {
				next := play(b, c.drawing, n)
				b.ReportAllocs()
				for b.Loop() {
					next()
				}
			})
		}
	}
}
