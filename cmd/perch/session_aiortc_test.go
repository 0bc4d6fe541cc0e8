package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"perch/pipeline"
)

// modelWorkflow is what the published Python client makes of a model's name.
const modelWorkflow = `{"version": "1.0", "inputs": [{"type": "InferenceImage", "name": "image"}],
	"steps": [{"type": "roboflow_core/roboflow_object_detection_model@v2", "name": "model", "images": "$inputs.image", "model_id": "nanodet-416", "confidence": 0.3}],
	"outputs": [
		{"type": "JsonField", "name": "predictions", "selector": "$steps.model.predictions"},
		{"type": "JsonField", "name": "image", "selector": "$inputs.image"}]}`

// A stay is what a client made of aiortc saw of a session.
type stay struct {
	Messages []result
	Pictures []int64 // their times, in 1/90000 s since the first packet
	Images   []int   // bytes of each JPEG in the messages
}

// aiortc takes part in a session. pairs is how many pictures are to meet their
// results before it leaves; 0 is to stay until the last message.
func (d *daemon) aiortc(t *testing.T, video, upload string, pairs int, request map[string]any) (s stay) {
	t.Helper()
	request["workflow_configuration"] = map[string]any{"type": "WorkflowConfiguration", "workflow_specification": json.RawMessage(modelWorkflow)}
	task := map[string]any{"url": d.url, "request": request, "video": video, "upload": nil, "pairs": nil}
	if upload != "" {
		task["upload"] = upload
	}
	if pairs > 0 {
		task["pairs"] = pairs
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", filepath.Join("testdata", "worker_client.py")) // Debian's own: it has aiortc
	cmd.Stdin = bytes.NewReader([]byte(jsonOf(t, task)))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		t.Fatalf("aiortc: %v\n%s\n%s", err, said.String(), d.log)
	}
	return s
}

// paired checks that each picture has a result of its time, as the published
// client looks for it in model mode.
func (s stay) paired(t *testing.T, atLeast int) {
	t.Helper()
	alone := 0
	for _, p := range s.Pictures {
		near := false
		for _, m := range s.Messages {
			if m.Meta.PTS != nil && p-*m.Meta.PTS <= 90 && *m.Meta.PTS-p <= 90 {
				near = true
			}
		}
		if !near {
			alone++
		}
	}
	if alone > 1 { // its result may still have been under way
		t.Errorf("%d of %d pictures have no result", alone, len(s.Pictures))
	}
	if len(s.Pictures)-alone < atLeast {
		t.Errorf("only %d pictures came", len(s.Pictures))
	}
}

// predictions are the objects that a result tells of.
type predictions struct {
	Image       struct{ Width, Height int }
	Predictions []struct {
		Class      string
		Confidence float64
		X, Y       float64
		Width      float64
		Height     float64
	}
}

// people counts the people in all results.
func (s stay) people(t *testing.T) (n int) {
	t.Helper()
	for _, m := range s.Messages {
		if m.Complete {
			continue
		}
		var p predictions
		if err := json.Unmarshal(m.Data["predictions"], &p); err != nil || len(m.Errors) > 0 {
			t.Fatalf("frame %d: %v, errors %v\n%s", m.Meta.Frame, err, m.Errors, m.Data["predictions"])
		}
		for _, o := range p.Predictions {
			if o.Class == "person" && o.Confidence >= 0.3 && p.Image.Width == 768 && p.Image.Height == 576 && o.X < 768 && o.Y < 576 {
				n++
			}
		}
	}
	return n
}

// The whole way with a WebRTC stack that is not pion and a real model.
func TestAiortcFromOfferToResult(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	const frames = 30
	dir := t.TempDir()
	file := sample(t, filepath.Join(t.TempDir(), "clip.mp4"), frames)
	d := startDaemon(t, dir, brief)

	t.Run("file, video by track", func(t *testing.T) {
		s := d.aiortc(t, "recvonly", file, 0, map[string]any{"webrtc_realtime_processing": false, "stream_output": []string{"image"}, "data_output": []string{"predictions"}})
		s.inOrder(t, frames)
		s.paired(t, 20)
		if n := s.people(t); n < frames {
			t.Errorf("%d people on %d pictures", n, frames)
		}
	})
	t.Run("file, images in messages", func(t *testing.T) {
		s := d.aiortc(t, "", file, 0, map[string]any{"webrtc_realtime_processing": false, "stream_output": []string{}, "data_output": []string{"predictions", "image"}})
		s.inOrder(t, frames)
		if len(s.Images) != frames || len(s.Pictures) != 0 {
			t.Errorf("%d images and %d pictures", len(s.Images), len(s.Pictures))
		}
		if n := s.people(t); n < frames {
			t.Errorf("%d people on %d pictures", n, frames)
		}
	})
	t.Run("camera, both ways", func(t *testing.T) {
		s := d.aiortc(t, "sendrecv", "", 10, map[string]any{"stream_output": []string{"image"}, "data_output": []string{"predictions"}})
		s.paired(t, 10)
		s.people(t)
	})

	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	list := endedRuns(t, dir)
	if len(list) != 3 {
		t.Fatalf("%d runs", len(list))
	}
	for _, r := range list {
		if c := r.Complete; c.Termination == pipeline.Failed || len(c.Errors) > 0 || len(c.Models) != 1 || c.Models[0].ID != "nanodet-416" {
			t.Errorf("record: %+v", c)
		}
	}
}

// inOrder checks that each frame has one message, and the end one more.
func (s stay) inOrder(t *testing.T, frames int) {
	t.Helper()
	if len(s.Messages) != frames+1 || !s.Messages[frames].Complete {
		t.Fatalf("%d messages of %d pictures", len(s.Messages), frames)
	}
	for i, m := range s.Messages[:frames] {
		if int(m.Meta.Frame) != i+1 || m.Complete {
			t.Errorf("message %d is of frame %d", i+1, m.Meta.Frame)
		}
	}
}
