package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const settings = `{"mine": {"high": 0.25, "low": 0.1, "begin": 0.35, "match": 0.8, "second": 0.5, "unconfirmed": 0.7, "buffer": 10}}`

const walk = `{"frame":1,"pts_s":0,"detections":[{"label":"person","class":0,"score":0.9,"box":[0,0,40,80]},{"label":"car","class":2,"score":0.9,"box":[300,0,400,80]}]}
{"frame":2,"pts_s":0.1,"detections":[]}
{"frame":5,"pts_s":0.4,"detections":[{"label":"person","class":0,"score":0.9,"box":[4,0,44.5,80]}]}
`

func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := options(path, "mine", 10)
	if err != nil || o.LostBuffer != 30 || o.FrameRate != 10 {
		t.Fatalf("%+v, %v", o, err)
	}
	var out strings.Builder
	if err := run(o, "person", false, strings.NewReader(walk), &out); err != nil {
		t.Fatal(err)
	}
	want := `{"frame":1,"tracks":[{"id":1,"box":[0,0,40,80]}]}
{"frame":2,"tracks":[]}
{"frame":5,"tracks":[{"id":1,"box":[4,0,44.5,80]}]}
`
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	// With a buffer of one frame it matters whether two more were skipped.
	o.LostBuffer = 3
	for gapless, id := range map[bool]string{true: `"id":1,"box":[4`, false: `{"frame":5,"tracks":[]}`} {
		out.Reset()
		if err := run(o, "person", gapless, strings.NewReader(walk), &out); err != nil || !strings.Contains(out.String(), id) {
			t.Errorf("gapless %v: %v\n%s", gapless, err, out.String())
		}
	}
}

func TestMistakes(t *testing.T) {
	if _, err := options("settings.json", "mine", 10); err == nil {
		t.Error("there is no such file")
	}
	if _, err := options("../settings.json", "mine", 10); err == nil || !strings.Contains(err.Error(), `no setting "mine"`) {
		t.Error(err)
	}
	o, err := options("../settings.json", "block", 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(o, "person", false, strings.NewReader(walk+"{"), &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "after frame 3") {
		t.Error(err)
	}
	o.MaxTracks = 0
	if err := run(o, "person", false, strings.NewReader(walk), &strings.Builder{}); err == nil {
		t.Error("an option that cannot be meant")
	}
}
