package schemas_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"perch/mqtt"
	"perch/pipeline"
	"perch/pipeline/schemas"
)

// compile reads one schema as a validator of other people's would.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := schemas.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var at = time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)

func complete() pipeline.Complete {
	c := pipeline.Complete{
		Schema: pipeline.CompleteSchema, Run: "01J9ZZZZZZZZZZZZZZZZZZZZZZ", Device: "jetson-1",
		Source: pipeline.SourceID{Kind: pipeline.SourceFile, Name: "a.mp4"}, Workflow: pipeline.WorkflowID{Name: "detect", Digest: "sha256:00"},
		Models: []pipeline.ModelID{{ID: "nanodet", Digest: "sha256:11", Provider: "cpu"}}, StartedAt: at, EndedAt: at.Add(time.Second), DurationS: 1,
		Frames:     pipeline.FrameBooks{In: 11, Processed: 6, Dropped: map[pipeline.Cause]uint64{}},
		Detections: map[string]uint64{"person": 5}, FPS: 6, LatencyMS: map[string]pipeline.LatencyFigure{}, Termination: pipeline.EndOfStream, Errors: []string{},
	}
	for _, cause := range []pipeline.Cause{pipeline.DropBusy, pipeline.DropStopped, pipeline.DropError, pipeline.DropStorage, pipeline.DropRate} {
		c.Frames.Dropped[cause] = 1
	}
	for stage := range pipeline.NumStages {
		c.LatencyMS[stage.String()] = pipeline.LatencyFigure{Mean: 1, P50: 1, P99: 2}
	}
	return c
}

func TestComplete(t *testing.T) {
	s := compile(t, "run.complete.v1.json")
	c := complete()
	for _, c.Termination = range []pipeline.Reason{pipeline.EndOfStream, pipeline.Stopped, pipeline.TimeoutReached, pipeline.SourceLost, pipeline.ClientGone, pipeline.Failed} {
		if err := validate(t, s, encode(t, c)); err != nil {
			t.Error(err)
		}
	}
	for _, c.Source.Kind = range []pipeline.SourceKind{pipeline.SourceFile, pipeline.SourceRTSP, pipeline.SourceV4L2, pipeline.SourceCSI, pipeline.SourceHTTP, pipeline.SourceTest, pipeline.SourceWebRTC} {
		if err := validate(t, s, encode(t, c)); err != nil {
			t.Error(err)
		}
	}
}

func TestEvent(t *testing.T) {
	s := compile(t, "event.v1.json")
	e := pipeline.Event{Schema: pipeline.EventSchema, ID: "01J", Device: "jetson-1", Time: at, Kind: "camera.lost", Clock: pipeline.ClockReading{BootID: "b", MonotonicS: 1.5}}
	full := e
	full.Camera, full.Run, full.Frame, full.Track, full.Class, full.Detail = "door", "01J", 7, 8, "dog", json.RawMessage(`{"line":"gate"}`)
	for _, e := range []pipeline.Event{e, full} {
		msg, err := pipeline.EventMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, msg.Payload); err != nil {
			t.Error(err)
		}
	}
}

func TestCameraState(t *testing.T) {
	s := compile(t, "camera.state.v1.json")
	for _, phase := range []pipeline.CameraPhase{pipeline.Connecting, pipeline.Live, pipeline.Stalled, pipeline.Lost, pipeline.RefusedBy} {
		for _, st := range []pipeline.CameraState{
			{Schema: pipeline.CameraSchema, Camera: "door", State: phase, Since: at},
			{Schema: pipeline.CameraSchema, Camera: "door", State: phase, Since: at, Cause: "x", Decoder: "nvv4l2decoder", Hardware: true, Fallback: "y", Attempt: 3, NextRetryS: 1.5},
		} {
			msg, err := pipeline.StateMessage(st)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, s, msg.Payload); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestModelState(t *testing.T) {
	s := compile(t, "model.state.v1.json")
	for _, phase := range []pipeline.ModelPhase{pipeline.ModelReady, pipeline.ModelWaiting, pipeline.ModelStarved, pipeline.ModelBuilding, pipeline.ModelLoading, pipeline.ModelFailed} {
		for _, st := range []pipeline.ModelState{
			{Schema: pipeline.ModelSchema, Model: "m", State: phase, Since: at, Provider: "cpu"},
			{Schema: pipeline.ModelSchema, Model: "m", State: phase, Since: at, Provider: "cpu", Target: "tensorrt", ElapsedS: 1.5, ExpectedS: 60, Attempt: 2, Error: "x", Hint: "y"},
		} {
			msg, err := pipeline.ModelMessage(st, at)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, s, msg.Payload); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	s := compile(t, "status.v1.json")
	status := func(state, cause string) []byte {
		return encode(t, mqtt.Status{Schema: mqtt.StatusSchema, Device: "jetson-1", State: state, Cause: cause, Time: at})
	}
	for _, good := range [][]byte{status(mqtt.Online, ""), status(mqtt.Offline, "stopped"), status(mqtt.Offline, "connection_lost")} {
		if err := validate(t, s, good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range [][]byte{status(mqtt.Online, "stopped"), status(mqtt.Offline, ""), status("away", "")} {
		if validate(t, s, bad) == nil {
			t.Errorf("%s is valid", bad)
		}
	}
}

// A schema that accepts anything proves nothing: each required key is missed,
// and a key that nobody knows is refused.
func TestSchemasAreStrict(t *testing.T) {
	examples := map[string]any{
		"run.complete.v1.json": complete(),
		"event.v1.json":        pipeline.Event{Schema: pipeline.EventSchema, ID: "01J", Device: "d", Time: at, Kind: "k"},
		"model.state.v1.json":  pipeline.ModelState{Schema: pipeline.ModelSchema, Model: "m", State: pipeline.ModelReady, Since: at, Provider: "cpu"},
		"camera.state.v1.json": pipeline.CameraState{Schema: pipeline.CameraSchema, Camera: "door", State: pipeline.Live, Since: at},
		"status.v1.json":       mqtt.Status{Schema: mqtt.StatusSchema, Device: "d", State: mqtt.Online, Time: at},
	}
	names, err := fs.Glob(schemas.FS, "*.json")
	if err != nil || len(names) != len(examples) {
		t.Fatalf("schemas %v, %v", names, err)
	}
	for _, name := range names {
		s := compile(t, name)
		if !strings.Contains(s.Location, name) {
			t.Errorf("%s is at %s", name, s.Location)
		}
		var doc map[string]any
		if err := json.Unmarshal(encode(t, examples[name]), &doc); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, key := range s.Required {
			was := doc[key]
			delete(doc, key)
			if s.Validate(doc) == nil {
				t.Errorf("%s: valid without %s", name, key)
			}
			doc[key] = was
		}
		doc["unheard_of"] = 1
		if s.Validate(doc) == nil {
			t.Errorf("%s: valid with a key that is not in it", name)
		}
	}
}
