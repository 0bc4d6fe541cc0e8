package blocks_test

import (
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func TestBuffer(t *testing.T) {
	for _, c := range []struct {
		fields string
		want   []string
	}{
		{`"length": 2`, []string{`[1]`, `[2,1]`, `[3,2]`, `[4,3]`}},
		{`"length": 3, "pad": true`, []string{`[1,null,null]`, `[2,1,null]`, `[3,2,1]`, `[4,3,2]`}},
		{`"length": 1`, []string{`[1]`, `[2]`, `[3]`, `[4]`}},
	} {
		h := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(1, 2, 3, 4)...)}}.start(t, spec("", []string{valueStep, `{"type": "Buffer", "name": "b", "data": "$steps.v.value", ` + c.fields + `}`}, "b=$steps.b.output"))
		for i, want := range c.want {
			h.Blank()
			if got := h.JSON("b"); got != want {
				t.Errorf("%s, frame %d: %s, want %s", c.fields, i+1, got, want)
			}
		}
	}
	if got := (trial{}).faults(t, spec("", []string{`{"type": "Buffer", "name": "b", "data": "$inputs.image", "length": 0}`})); !strings.Contains(got, "from 1 to 10000") {
		t.Error(got)
	}
}

// TestBufferOfImages keeps pictures although the frames' memory is used again.
func TestBufferOfImages(t *testing.T) {
	h := trial{}.start(t, spec("", []string{`{"type": "Buffer", "name": "b", "data": "$inputs.image", "length": 3}`}, "b=$steps.b.output"))
	pic := workflowtest.Picture(16, 8, 0)
	for luma := byte(1); luma <= 6; luma++ {
		pic.Planes[0][0] = luma
		h.Frame(pic)
		items, _ := h.Value("b").Items()
		for i, item := range items {
			img, _ := item.Image()
			if got := img.Picture.Planes[0][0]; got != luma-byte(i) {
				t.Errorf("frame %d, picture %d: the pixel is %d, want %d", luma, i, got, luma-byte(i))
			}
		}
		if len(items) != min(int(luma), 3) {
			t.Errorf("frame %d: %d pictures", luma, len(items))
		}
	}
}

func TestBufferIsBounded(t *testing.T) {
	h := trial{}.start(t, spec("", []string{`{"type": "Buffer", "name": "b", "data": "$inputs.image", "length": 1000}`}))
	pic := workflowtest.Picture(4096, 4096, 0) // 24 MB: ten fit into 256
	for i := range 11 {
		_, err := h.Try(pic)
		if i < 10 && err != nil || i == 10 && (err == nil || !strings.Contains(err.Error(), "at most 256 are kept: choose a smaller length")) {
			t.Fatalf("frame %d: %v", i+1, err)
		}
	}
	if _, err := h.Try(workflowtest.Picture(8192, 8192, 0)); err == nil || !strings.Contains(err.Error(), "more than 64 MB") {
		t.Errorf("one picture of 96 MB: %v", err)
	}
}

func TestCache(t *testing.T) {
	det := workflowtest.Det(0, 0, 5, 5, 2, "car", 0.9, 1)
	h := trial{blocks: []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{det, det}, []workflow.Detection{det}, nil)}}.start(t, spec("", []string{
		`{"type": "roboflow_core/cache_get@v1", "name": "get", "image": "$inputs.image", "key": "last"}`,
		`{"type": "roboflow_core/cache_get@v1", "name": "none", "image": "$inputs.image", "key": "other"}`,
		detectionsStep,
		`{"type": "roboflow_core/cache_set@v1", "name": "set", "image": "$inputs.image", "key": "last", "value": "$steps.d.predictions"}`,
		`{"type": "PropertyDefinition", "name": "was", "data": "$steps.get.output", "operations": [{"type": "ToBoolean"}]}`,
		`{"type": "PropertyDefinition", "name": "n", "data": "$steps.set.output", "operations": [{"type": "SequenceLength"}]}`,
	}, "was=$steps.was.output", "n=$steps.n.output", "none=$steps.none.output", "get=$steps.get.output"))
	for i, want := range []string{`false 2 false`, `true 1 false`, `true 0 false`, `false 0 false`} {
		h.Blank()
		if got := h.JSON("was") + " " + h.JSON("n") + " " + h.JSON("none"); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
		// What was seen one frame before, although that block's memory holds
		// the new frame now.
		if d, ok := h.Value("get").Detections(); i > 0 && (!ok || len(d.Items) != []int{0, 2, 1, 0}[i]) {
			t.Errorf("frame %d: %v", i+1, h.Value("get").Describe())
		}
	}
}

func TestCacheIsOfOneRun(t *testing.T) {
	s := spec("", []string{`{"type": "roboflow_core/cache_get@v1", "name": "get", "image": "$inputs.image", "key": "k"}`, valueStep,
		`{"type": "roboflow_core/cache_set@v1", "name": "set", "image": "$inputs.image", "key": "k", "value": "$steps.v.value"}`}, "get=$steps.get.output")
	for range 2 {
		h := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(5)...)}}.start(t, s)
		for _, want := range []string{`false`, `5`} {
			h.Blank()
			if got := h.JSON("get"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	var keys []workflow.Value
	for i := range 257 {
		keys = append(keys, workflow.StringOf(strings.Repeat("k", i+1)))
	}
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(keys...)}}.start(t, spec("", []string{valueStep,
		`{"type": "roboflow_core/cache_set@v1", "name": "set", "image": "$inputs.image", "key": "$steps.v.value", "value": "$steps.v.value"}`}))
	for i := range keys {
		_, err := h.Try(workflowtest.Picture(64, 48, 0))
		if i < 256 && err != nil || i == 256 && (err == nil || !strings.Contains(err.Error(), "there are 256 keys in the cache")) {
			t.Fatalf("key %d: %v", i+1, err)
		}
	}
}

func TestDimensionCollapse(t *testing.T) {
	det := func(x1 float32, label string) workflow.Detection {
		return workflowtest.Det(0, 0, x1, 8, 0, label, 0.9, 1)
	}
	r := trial{blocks: []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{det(8, "a"), det(20, "b"), det(12, "c")}, nil)}}
	// The widths of the crops that are at least 10 pixels wide.
	steps := []string{detectionsStep, `{"type": "DynamicCrop", "name": "crop", "image": "$inputs.image", "predictions": "$steps.d.predictions"}`,
		`{"type": "PropertyDefinition", "name": "w", "data": "$steps.crop.crops", "operations": [{"type": "ExtractImageProperty", "property_name": "width"}]}`,
		strings.NewReplacer("$steps.v.value", "$steps.w.output", `"value": 2}`, `"value": 10}`, "$steps.probe", "$steps.wide").Replace(continueStep("")),
		`{"type": "PropertyDefinition", "name": "wide", "data": "$steps.w.output", "operations": []}`,
		`{"type": "DimensionCollapse", "name": "all", "data": "$steps.wide.output"}`,
		`{"type": "PropertyDefinition", "name": "sum", "data": "$steps.all.output", "operations": [{"type": "NumericSequenceAggregate", "function": "sum", "neutral_value": 0}]}`}
	h := r.start(t, spec("", steps, "all=$steps.all.output", "sum=$steps.sum.output"))
	for i, want := range []string{`[20,12] 32`, `[] 0`} {
		h.Blank()
		if got := h.JSON("all") + " " + h.JSON("sum"); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
	}
	if got := r.faults(t, spec("", []string{detectionsStep, `{"type": "DimensionCollapse", "name": "all", "data": "$steps.d.predictions"}`})); !strings.Contains(got, "its input is no list") {
		t.Error(got)
	}
}
