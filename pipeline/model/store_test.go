package model

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"

	"perch/pipeline"
)

const builtinYAML = "id: builtin\ninput: {name: images, width: 416, height: 416}\nhead: {family: yolov8}\n"

// newStore has a built-in model and takes any file that begins with "onnx" for
// the default model's graph: what reads graphs is not this package's business.
func newStore(t *testing.T) *Store {
	t.Helper()
	return &Store{
		Dir: filepath.Join(t.TempDir(), "models"), Decode: decodeYAML, Encode: yaml.Marshal,
		Builtin: fstest.MapFS{"builtin/model.onnx": {Data: []byte("onnx 0")}, "builtin/model.yaml": {Data: []byte(builtinYAML)}},
		ReadGraph: func(path string) (Graph, error) {
			data, err := os.ReadFile(path)
			if err != nil {
				return Graph{}, err
			}
			if !strings.HasPrefix(string(data), "onnx") {
				return Graph{}, errors.New("this is no network")
			}
			return publishedGraphs()["nanodet-416"].g, nil
		},
	}
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func ids(t *testing.T, s *Store) (ids []string) {
	t.Helper()
	all, err := s.List()
	if err != nil {
		t.Error(err)
	}
	for _, e := range all {
		ids = append(ids, e.Manifest.ID)
	}
	return ids
}

func TestStoreAddFile(t *testing.T) {
	s := newStore(t)
	if got := ids(t, s); strings.Join(got, " ") != "builtin" {
		t.Errorf("an empty store has %q", got)
	}
	e, err := s.Add(put(t, filepath.Join(t.TempDir(), "My Model (v2).onnx"), "onnx 1"), "")
	if err != nil {
		t.Fatal(err)
	}
	if e.Manifest.ID != "my-model--v2-" || e.Builtin || e.Bytes != 6 || len(e.Manifest.Guessed) == 0 || len(e.Manifest.Labels) != 80 {
		t.Errorf("%+v", e)
	}
	again, err := s.Get(e.Manifest.ID)
	if err != nil || again.Digest != e.Digest {
		t.Errorf("%+v %v", again, err)
	}
	if data, err := again.Graph(); err != nil || string(data) != "onnx 1" {
		t.Errorf("%q %v", data, err)
	}
	if got := ids(t, s); strings.Join(got, " ") != "builtin my-model--v2-" {
		t.Errorf("the store has %q", got)
	}
	if err := s.Remove(e.Manifest.ID); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(e.Manifest.ID); pipeline.KindOf(err) != pipeline.NotFound {
		t.Error(err)
	}
	left, err := os.ReadDir(s.Dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestStoreAddFolder(t *testing.T) {
	s := newStore(t)
	dir := filepath.Join(t.TempDir(), "x")
	put(t, filepath.Join(dir, "model.onnx"), "onnx 2")
	put(t, filepath.Join(dir, "model.yaml"), strings.Replace(builtinYAML, "builtin", "mine", 1))
	put(t, filepath.Join(dir, "LICENSE.txt"), "licence")
	put(t, filepath.Join(dir, "secret.key"), "no")
	e, err := s.Add(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	files, err := os.ReadDir(e.Dir)
	for _, f := range files {
		names = append(names, f.Name())
	}
	if err != nil || e.Manifest.ID != "mine" || strings.Join(names, " ") != "LICENSE.txt SHA256SUMS model.onnx model.yaml" {
		t.Errorf("%+v holds %q, %v", e, names, err)
	}
	if e, err = s.Add(dir, "other"); err != nil || e.Manifest.ID != "other" {
		t.Errorf("%+v %v", e, err)
	}
}

func TestStoreRefuses(t *testing.T) {
	s := newStore(t)
	temp := t.TempDir()
	good := put(t, filepath.Join(temp, "good.onnx"), "onnx 3")
	if _, err := s.Add(good, ""); err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(temp, "wrong")
	put(t, filepath.Join(wrong, "model.onnx"), "onnx")
	put(t, filepath.Join(wrong, "model.yaml"), strings.Replace(builtinYAML, "416", "320", 1))
	for name, c := range map[string]struct {
		path, id string
		kind     pipeline.Kind
		want     string
	}{
		"twice":        {good, "", pipeline.BadConfig, "already"},
		"as built in":  {good, "builtin", pipeline.BadConfig, "part of the program"},
		"bad id":       {good, "../x", pipeline.BadConfig, "folder name"},
		"no file":      {filepath.Join(temp, "none"), "", pipeline.NotFound, "none"},
		"no network":   {put(t, filepath.Join(temp, "text.onnx"), "hello"), "", pipeline.BadInput, "no network"},
		"empty folder": {t.TempDir(), "", pipeline.NotFound, "model.onnx"},
		"not its yaml": {wrong, "", pipeline.BadConfig, "320"},
	} {
		_, err := s.Add(c.path, c.id)
		if err == nil || pipeline.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (%v)", name, err, pipeline.KindOf(err))
		}
	}
	for _, id := range []string{"builtin", "none", "../models", ""} {
		if err := s.Remove(id); err == nil {
			t.Errorf("%q was removed", id)
		}
		if id != "builtin" {
			if _, err := s.Get(id); pipeline.KindOf(err) != pipeline.NotFound {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
	left, err := os.ReadDir(s.Dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestStoreDamage(t *testing.T) {
	s := newStore(t)
	e, err := s.Add(put(t, filepath.Join(t.TempDir(), "a.onnx"), "onnx 4"), "")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(e.Dir, "model.onnx"), "onnx 5")
	if _, err := s.Get("a"); err == nil || pipeline.KindOf(err) != pipeline.BadInput || !strings.Contains(err.Error(), "not the file that was added") {
		t.Error(err)
	}
	put(t, filepath.Join(s.Dir, "b", "model.yaml"), "id: [")
	put(t, filepath.Join(s.Dir, "c", "model.yaml"), builtinYAML)
	put(t, filepath.Join(s.Dir, ".tmp-9", "model.yaml"), builtinYAML)
	all, err := s.List()
	if len(all) != 1 || err == nil || strings.Count(err.Error(), "\n") < 2 || !strings.Contains(err.Error(), "same name") {
		t.Errorf("%d models, %v", len(all), err)
	}
	if err := s.Remove("a"); err != nil {
		t.Errorf("a damaged model cannot be removed: %v", err)
	}
}

// TestStoreRace lets many add the same model: one wins, the others hear of it.
func TestStoreRace(t *testing.T) {
	s := newStore(t)
	path := put(t, filepath.Join(t.TempDir(), "m.onnx"), "onnx 6")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Add(path, "") })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of them won: %v", won, errs)
	}
	left, err := os.ReadDir(s.Dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestStoreWithoutBuiltin(t *testing.T) {
	s := newStore(t)
	s.Builtin = nil
	if _, err := s.Get("builtin"); !errors.As(err, new(*pipeline.Error)) || pipeline.KindOf(err) != pipeline.NotFound {
		t.Error(err)
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	if _, err := fs.Stat(os.DirFS(filepath.Dir(s.Dir)), "models"); err == nil {
		t.Error("reading made the folder")
	}
}

// TestStoreBounds: files that are too large are refused before they are copied.
func TestStoreBounds(t *testing.T) {
	s := newStore(t)
	huge := put(t, filepath.Join(t.TempDir(), "huge.onnx"), "onnx")
	if err := os.Truncate(huge, MaxGraphBytes+1); err != nil { // sparse: takes no room
		t.Fatal(err)
	}
	if _, err := s.Add(huge, ""); pipeline.KindOf(err) != pipeline.BadInput || !strings.Contains(err.Error(), "at most") {
		t.Error(err)
	}
	dir := filepath.Join(t.TempDir(), "x")
	put(t, filepath.Join(dir, "model.onnx"), "onnx 7")
	if err := os.Truncate(put(t, filepath.Join(dir, "model.yaml"), builtinYAML), maxTextBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(dir, "big"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	if _, err := s.Add(put(t, filepath.Join(dir, "notes.txt"), "hello"), ""); pipeline.KindOf(err) != pipeline.BadInput {
		t.Errorf("a text as a graph: %v", err)
	}
}

func TestStoreUnwritable(t *testing.T) {
	s := newStore(t)
	s.Dir = put(t, filepath.Join(t.TempDir(), "file"), "not a folder")
	path := put(t, filepath.Join(t.TempDir(), "a.onnx"), "onnx")
	if _, err := s.Add(path, ""); err == nil || !strings.Contains(err.Error(), s.Dir) {
		t.Error(err)
	}
	if _, err := s.List(); err == nil {
		t.Error("a file was listed as a folder")
	}
}
