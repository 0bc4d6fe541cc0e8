package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"perch/pipeline"
	"perch/pipeline/schemas"
)

// sampleFrames is how many pictures the sample clip has.
const sampleFrames = 795

// valid checks a record against the schema that Perch publishes.
func valid(t *testing.T, record string) {
	t.Helper()
	const name = "run.complete.v1.json"
	text, err := schemas.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, schema); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(record))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v\n%s", err, record)
	}
}

// records are the lines of perch process --json.
func records(t *testing.T, out string) (list []pipeline.Complete) {
	t.Helper()
	for line := range strings.Lines(out) {
		var c pipeline.Complete
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		valid(t, line)
		list = append(list, c)
	}
	return list
}

// The main job: every frame of a real video becomes a stored result, and the
// world is told once, in the same words everywhere.
func TestProcessTellsTheSameEverywhere(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	broker := startMosquitto(t, "")
	ear := broker.listen(t)
	dir := t.TempDir()
	conf := write(t, filepath.Join(dir, "perch.yaml"), quiet+"mqtt: {url: \""+broker.url()+"\"}\n")
	got := finish(t, perch(t, t.Context(), dir, "process", "--config", conf, "--json", os.Getenv("PERCH_TEST_CLIP")))
	if got.status != exitOK {
		t.Fatalf("exit status %d\n%s", got.status, got.errOut)
	}
	said := records(t, got.out)
	if len(said) != 1 {
		t.Fatalf("%d records on standard output", len(said))
	}
	c := said[0]
	if c.Frames.In != sampleFrames || c.Frames.Processed != sampleFrames || len(c.Frames.Dropped) != 0 || c.Termination != pipeline.EndOfStream || len(c.Errors) != 0 {
		t.Errorf("record: %s", got.out)
	}
	kept := endedRuns(t, dir) // checks integrity and that results = frames
	if len(kept) != 1 || kept[0].Run != c.Run {
		t.Fatalf("%d runs in the database", len(kept))
	}
	stored, err := database(t, dir).CompleteJSON(t.Context(), c.Run)
	if err != nil {
		t.Fatal(err)
	}
	messages := ear.on("/complete")
	if len(messages) != 1 || messages[0].topic != "perch/"+c.Device+"/runs/"+c.Run+"/complete" {
		t.Fatalf("complete messages: %v", messages)
	}
	line := strings.TrimSpace(got.out)
	if string(stored) != line || messages[0].payload != line {
		t.Errorf("standard output %s\ndatabase %s\nMQTT %s", line, stored, messages[0].payload)
	}
	d := startDaemon(t, dir, quiet)
	if _, body := d.ask(t, "GET", "/api/v1/runs/"+c.Run); strings.TrimSpace(body) != line {
		t.Errorf("standard output %s\nAPI %s", line, body)
	}
	d.kill()

	exported := finish(t, perch(t, t.Context(), dir, "export", "--format", "jsonl", c.Run))
	frames, counts := 0, map[string]uint64{}
	for line := range strings.Lines(exported.out) {
		var f struct {
			Frame      int
			Detections []struct{ Label string }
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		if frames++; f.Frame != frames {
			t.Fatalf("line %d is frame %d", frames, f.Frame)
		}
		for _, d := range f.Detections {
			counts[d.Label]++
		}
	}
	if frames != sampleFrames || !maps.Equal(counts, c.Detections) || counts["person"] == 0 {
		t.Errorf("%d frames exported with %v, the record says %v\n%s", frames, counts, c.Detections, exported.errOut)
	}
}

func TestProcessWritesTheAnnotatedVideo(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	dir := t.TempDir()
	in, out := sample(t, filepath.Join(dir, "gate.mp4"), 30), filepath.Join(dir, "annotated.mp4")
	got := finish(t, perch(t, t.Context(), dir, "process", "--out", out, in))
	if got.status != exitOK || !strings.Contains(got.out, "30 processed of 30") || !strings.Contains(got.out, "person") || !strings.Contains(got.out, "end of stream") {
		t.Fatalf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
	// It is a video itself, of as many pictures, in which the people are still seen.
	got = finish(t, perch(t, t.Context(), dir, "process", "--json", out))
	if got.status != exitOK {
		t.Fatalf("exit status %d\n%s", got.status, got.errOut)
	}
	if c := records(t, got.out); len(c) != 1 || c[0].Frames.Processed != 30 || c[0].Detections["person"] == 0 {
		t.Errorf("the annotated video: %s", got.out)
	}
	if list := endedRuns(t, dir); len(list) != 2 {
		t.Errorf("%d runs", len(list))
	}
}

func TestAFileThatFailsDoesNotKeepTheOthersFromBeingProcessed(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	dir := t.TempDir()
	first := clip(t, dir)
	notes := write(t, filepath.Join(dir, "notes.mp4"), "These are my notes.\n")
	last := filepath.Join(dir, "last.mp4")
	if err := os.Link(first, last); err != nil {
		t.Fatal(err)
	}
	got := finish(t, perch(t, t.Context(), dir, "process", "--json", first, notes, last))
	if got.status != exitBadInput || strings.Count(got.errOut, "perch: ") != 1 || !strings.Contains(got.errOut, "notes.mp4") {
		t.Errorf("exit status %d\n%s", got.status, got.errOut)
	}
	for i, c := range records(t, got.out) {
		name, reason := []string{"clip.mp4", "notes.mp4", "last.mp4"}[i], []pipeline.Reason{pipeline.EndOfStream, pipeline.Failed, pipeline.EndOfStream}[i]
		if c.Source.Name != name || c.Termination != reason || (len(c.Errors) > 0) != (reason == pipeline.Failed) {
			t.Errorf("record %d: %+v", i, c)
		}
	}
	if list := endedRuns(t, dir); len(list) != 3 {
		t.Errorf("%d runs", len(list))
	}
}

func TestInterruptedProcessEndsItsRun(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	dir := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context()) // perch() sends SIGINT
	defer interrupt()
	cmd := perch(t, ctx, dir, "process", "--json", os.Getenv("PERCH_TEST_CLIP"), "never-reached.mp4")
	go func() {
		defer interrupt()
		awaitFrames(t, dir, 1, 10)
	}()
	got := finish(t, cmd)
	said := records(t, got.out)
	if got.status != exitInterrupted || !strings.Contains(got.errOut, "interrupted") || len(said) != 1 {
		t.Fatalf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
	if c := said[0]; c.Termination != pipeline.Stopped || c.Frames.Processed <= 10 || c.Frames.Processed >= sampleFrames {
		t.Errorf("record: %s", got.out)
	}
	if list := endedRuns(t, dir); len(list) != 1 {
		t.Errorf("%d runs", len(list))
	}
}
