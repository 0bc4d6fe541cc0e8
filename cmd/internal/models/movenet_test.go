package models

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"perch/gst"
	"perch/pipeline"
	"perch/pipeline/model"
)

// TestMoveNetFindsTheMan runs the real network on a photograph of a man who
// stands beside a dog: his joints are where one sees them in it, head up.
func TestMoveNetFindsTheMan(t *testing.T) {
	data := os.Getenv("PERCH_TEST_DATA")
	if data == "" {
		t.Skip("PERCH_TEST_DATA is not set: there is no MoveNet to test with")
	}
	if os.Getenv("PERCH_ORT_LIB") == "" {
		t.Skip("PERCH_ORT_LIB is not set; make test sets it")
	}
	e, err := registry().Store().Add(filepath.Join(data, "models/movenet-lightning"), "movenet-lightning")
	if err != nil {
		t.Fatal(err)
	}
	if e.Manifest.Head.Family != "movenet" {
		t.Fatalf("%+v", e.Manifest.Head)
	}
	t.Cleanup(func() {
		if err := registry().Store().Remove("movenet-lightning"); err != nil {
			t.Error(err)
		}
	})
	l, err := registry().Load(t.Context(), "movenet-lightning")
	if err != nil {
		t.Fatal(err)
	}
	media, err := gst.Open(gst.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	pic, err := media.DecodeImage(t.Context(), filepath.Join(data, "images/person.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	dets := finish(t, l, pic, func(p *model.Params) { p.Confidence = 0.3 })
	if len(dets) != 1 || dets[0].Label != "person" {
		t.Fatalf("%+v", dets)
	}
	at := map[string]pipeline.Keypoint{}
	for k, name := range l.Model.Keypoints() {
		p := dets[0].Keypoints[k]
		at[name] = p
		// The man fills 190 to 271 by 98 to 379 of the picture.
		if p.X < 190 || p.X > 271 || p.Y < 98 || p.Y > 379 {
			t.Errorf("his %s is at %+v", name, p)
		}
	}
	down := []string{"nose", "right shoulder", "right elbow", "right hip", "right knee", "right ankle"}
	for i, name := range down[1:] {
		if at[name].Y <= at[down[i]].Y+10 || at[name].Score < 0.2 {
			t.Errorf("his %s is at %+v, his %s at %+v", down[i], at[down[i]], name, at[name])
		}
	}
	if l, r := at["left shoulder"], at["right shoulder"]; r.X-l.X < 25 {
		t.Errorf("his shoulders are at %+v and %+v", l, r)
	}
}
