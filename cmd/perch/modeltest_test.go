package main

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Models of our own, whose results are known, see a white rectangle on black: 64
// by 32 samples of 128 by 64.
func TestModelTestPrintsPointsAndMasks(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	s := newStage(t, "")
	s.perch(t, "model", "add", "--config", s.conf, filepath.Join(ownModels, "yolov8-pose"))
	scene := image.NewGray(image.Rect(0, 0, 128, 64))
	for y := 16; y < 48; y++ {
		for x := 32; x < 96; x++ {
			scene.SetGray(x, y, color.Gray{Y: 255})
		}
	}
	path := filepath.Join(s.dir, "scene.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, scene); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(model string) (text string, found []foundJSON) {
		out := s.perch(t, "model", "test", "--config", s.conf, "--model", model, "--confidence", "0.1", "--json", path)
		var got struct{ Detections []foundJSON }
		if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Detections) == 0 {
			t.Fatalf("%s: %v", out, err)
		}
		return s.perch(t, "model", "test", "--config", s.conf, "--model", model, "--confidence", "0.1", path), got.Detections
	}

	text, found := run("yolov8-seg")
	const rectangle = 64 * 32
	light := found[len(found)-1] // the mask is of what is light; that of the other is of what is dark
	if math.Abs(float64(light.MaskArea-rectangle)) > rectangle/20 || len(light.Polygon) < 4 || light.Keypoints != nil {
		t.Errorf("%+v", light)
	}
	for _, p := range light.Polygon {
		if p[0] < 30 || p[0] > 98 || p[1] < 14 || p[1] > 50 {
			t.Errorf("%v of the outline is not at the rectangle", p)
		}
	}
	if !strings.Contains(text, "mask of ") {
		t.Error(text)
	}
	text, found = run("yolov8-pose")
	if n := len(found[0].Keypoints); n == 0 || found[0].Polygon != nil || found[0].MaskArea != 0 {
		t.Errorf("%+v", found[0])
	}
	if !strings.Contains(text, " key points, ") {
		t.Error(text)
	}
}
