package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/storage"
)

// The example workflows, as Roboflow's users write them, and the program that
// works out what must come of them.
const (
	examples  = "testdata/workflows"
	expecting = examples + "/check/expect.mjs"
	ownModels = "../internal/models/testdata/graphs"
)

// A stage is a folder with a clip and what workflows need to run on it.
type stage struct {
	dir, conf string
	clip, raw string // the clip, and what the model finds on it
	files     string // below which workflows may write
}

// rate is that of the sample clip, in frames per second.
const rate = 10

// standIns are our models for those of the examples.
const standIns = "{yolov8n-640: nanodet-416, dog-breed-xpaq6/1: colours, yolov8n-seg-640: yolov8-seg}"

// newStage makes a stage without a clip. more is YAML.
func newStage(t *testing.T, more string) *stage {
	t.Helper()
	s := &stage{dir: t.TempDir()}
	s.files = filepath.Join(s.dir, "files")
	s.conf = write(t, filepath.Join(s.dir, "perch.yaml"), quiet+more+"workflows: {models: "+standIns+", allow_write: ["+s.files+"]}\n")
	for _, name := range []string{"colours", "yolov8-seg"} {
		s.perch(t, "model", "add", "--config", s.conf, filepath.Join(ownModels, name))
	}
	return s
}

// perch runs a command that must do what it is asked.
func (s *stage) perch(t *testing.T, args ...string) string {
	t.Helper()
	got := finish(t, perch(t, t.Context(), s.dir, args...))
	if got.status != exitOK {
		t.Fatalf("perch %s: exit status %d\n%s", strings.Join(args, " "), got.status, got.errOut)
	}
	return got.out
}

const rawWorkflow = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
"steps": [{"type": "roboflow_core/roboflow_object_detection_model@v2", "name": "model", "images": "$inputs.image", "model_id": "nanodet-416", "confidence": 0.1, "iou_threshold": 0.3}],
"outputs": [{"type": "JsonField", "name": "raw", "selector": "$steps.model.*"}]}`

// film gives the stage a clip: black frames, so that there is something to
// begin with, and the first of the sample's. It lets the model alone run on it.
// x264 with several threads and a bit rate that it meets does not write the
// same twice, so the rate is one that it never meets.
func (s *stage) film(t *testing.T, black, frames int) {
	t.Helper()
	need(t, "PERCH_TEST_CLIP")
	in := fmt.Sprintf("filesrc location=%s ! avidemux ! avdec_msmpeg4 ! identity eos-after=%d ! videoconvert ! video/x-raw,format=I420", os.Getenv("PERCH_TEST_CLIP"), frames+1)
	if black > 0 {
		in = fmt.Sprintf("videotestsrc pattern=black num-buffers=%d ! video/x-raw,format=I420,width=768,height=576,framerate=10/1 ! join. %s ! join. concat name=join", black, in)
	}
	s.clip = media(t, filepath.Join(s.dir, "clip.mp4"), in+" ! x264enc speed-preset=ultrafast pass=qual quantizer=18 bitrate=100000 key-int-max=25 ! h264parse ! mp4mux")
	run, _ := s.process(t, write(t, filepath.Join(s.dir, "raw.json"), rawWorkflow))
	if run.Frames.Processed != uint64(black+frames) {
		t.Fatalf("the clip has %d frames", run.Frames.Processed)
	}
	s.raw = write(t, filepath.Join(s.dir, "raw.jsonl"), s.perch(t, "export", "--config", s.conf, run.Run))
}

// shown is a frame as perch export writes it.
type shown struct {
	Frame      int
	Detections []struct {
		Label string
		Score float64
		Box   [4]float64
		Track int
	}
	Outputs map[string]json.RawMessage
	Errors  []string
}

// process lets a workflow run on the clip and returns its record and frames.
func (s *stage) process(t *testing.T, workflow string, more ...string) (run pipeline.Complete, frames []shown) {
	t.Helper()
	args := append([]string{"process", "--config", s.conf, "--json", "--workflow", workflow}, more...)
	list := records(t, s.perch(t, append(args, s.clip)...))
	if len(list) != 1 || list[0].Frames.In != list[0].Frames.Processed || len(list[0].Errors) > 0 || list[0].Termination != pipeline.EndOfStream {
		t.Fatalf("records: %+v", list)
	}
	if s.raw == "" {
		return list[0], nil // film wants the text
	}
	return list[0], s.frames(t, list[0])
}

// frames are those of a run, as they are exported.
func (s *stage) frames(t *testing.T, run pipeline.Complete) (frames []shown) {
	t.Helper()
	for line := range strings.Lines(s.perch(t, "export", "--config", s.conf, run.Run)) {
		var f shown
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	return frames
}

// example is the path of an example.
func example(name string) string { return filepath.Join(examples, name+".json") }

// variant is a copy of an example with some texts replaced, each by the next.
func (s *stage) variant(t *testing.T, name string, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(example(name))
	if err != nil {
		t.Fatal(err)
	}
	for old := range slices.Chunk(replace, 2) {
		if !strings.Contains(string(b), old[0]) {
			t.Fatalf("%s has no %s", name, old[0])
		}
		b = []byte(strings.ReplaceAll(string(b), old[0], old[1]))
	}
	return write(t, filepath.Join(s.dir, name+".variant.json"), string(b))
}

// more are words that put another output before those of an example.
func more(name, selector string) []string {
	return []string{`"outputs": [`, fmt.Sprintf(`"outputs": [{"type": "JsonField", "name": %q, "selector": %q},`, name, selector)}
}

// expect asks the program beside the examples what must have come.
func expect[T any](t *testing.T, s *stage, what string, options map[string]any) (v T) {
	t.Helper()
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", expecting, what, s.raw, string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s %s: %v", expecting, what, err)
	}
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// An object is a detection as the expecting program has it.
type object struct {
	ID                  int
	Box                 [4]float64
	X, Y, Width, Height float64
	Score, Seconds      float64
	Label               string
	Class               int
}

// occurrence is an event, ours or expected.
type occurrence struct {
	Frame, Track     int
	Kind             string
	Class, Direction string
	Seconds          float64
	Gone             bool
}

// events are those of a run, oldest first.
func (s *stage) events(t *testing.T, run string) (list []occurrence) {
	t.Helper()
	all, err := database(t, s.dir).Events(t.Context(), storage.EventFilter{Run: run, Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(all) {
		o := occurrence{Frame: int(e.Frame), Track: int(e.Track), Kind: e.Kind, Class: e.Class}
		if err := json.Unmarshal(e.Detail, &o); err != nil {
			t.Fatal(err)
		}
		list = append(list, o)
	}
	return list
}

// names pairs the names that two programs gave the same tracks.
type names struct{ theirs map[int]int }

// same reports whether our track is the one that it was before.
func (n *names) same(expected, ours int) bool {
	if n.theirs == nil {
		n.theirs = map[int]int{}
	}
	for e, o := range n.theirs {
		if e == expected || o == ours {
			if e != expected || o != ours {
				return false
			}
		}
	}
	n.theirs[expected] = ours
	return true
}

// followed checks tracks frame by frame: the same boxes (which are stored in
// eighths of a pixel), with the same tracks whatever they are called.
func followed(t *testing.T, want [][]object, got []shown) *names {
	t.Helper()
	n := &names{}
	if len(want) != len(got) {
		t.Fatalf("%d frames, expected %d", len(got), len(want))
	}
	tracks := 0
	for i, f := range got {
		if len(f.Detections) != len(want[i]) {
			t.Errorf("frame %d: %d objects are followed, expected %d", f.Frame, len(f.Detections), len(want[i]))
			continue
		}
		for _, d := range f.Detections {
			k := slices.IndexFunc(want[i], func(o object) bool { return near(o.Box, d.Box) && o.Label == d.Label })
			if k < 0 || !n.same(want[i][k].ID, d.Track) {
				t.Errorf("frame %d: track %d at %v: expected %+v", f.Frame, d.Track, d.Box, want[i])
			}
			tracks++
		}
	}
	if tracks < len(want) {
		t.Errorf("only %d objects on %d frames", tracks, len(want))
	}
	return n
}

func near(a, b [4]float64) bool {
	for i := range a {
		if d := a[i] - b[i]; d > 1.0/8 || d < -1.0/8 {
			return false
		}
	}
	return true
}

func TestTheTenExamplesCompile(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	s := newStage(t, "")
	files, err := filepath.Glob(examples + "/*.json")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		if out := s.perch(t, "workflow", "check", "--config", s.conf, file); !strings.HasPrefix(out, "The workflow is good. Outputs: ") {
			t.Errorf("%s: %s", file, out)
		}
	}
}
