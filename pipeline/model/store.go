package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"perch/pipeline"
)

// The files of a model's folder.
const (
	GraphFile    = "model.onnx"
	ManifestFile = "model.yaml"
	sumFile      = "SHA256SUMS" // what model.onnx was when it was added; as sha256sum writes it
)

// Bounds of a [Store]. What is larger is refused.
const (
	MaxGraphBytes = 1 << 30
	maxTextBytes  = 4 << 20
	maxModels     = 1000
)

// A Store is a folder with a folder for each model, and the models that come
// with the program. A model in Dir hides a built-in one of the same id.
type Store struct {
	Dir     string
	Builtin fs.FS // a folder for each model; may be nil
	// Decode and Encode read and write model.yaml; Decode refuses unknown keys.
	Decode func(data []byte, into any) error
	Encode func(v any) ([]byte, error)
	// ReadGraph says what a model file has; Add needs it.
	ReadGraph func(path string) (Graph, error)
}

// An Entry is a model in a store.
type Entry struct {
	Manifest Manifest
	Digest   string // of model.onnx: "sha256:<hex>"
	Bytes    int64  // of model.onnx
	Builtin  bool
	Dir      string // "" for a built-in model
	files    fs.FS
}

// Graph returns the bytes of model.onnx.
func (e *Entry) Graph() ([]byte, error) {
	data, err := fs.ReadFile(e.files, GraphFile)
	if err != nil {
		return nil, storeError("read model", e.Manifest.ID, err)
	}
	return data, nil
}

// Get finds a model by its id, reads its manifest and computes its digest. A
// model that is not what it was when it was added is refused.
func (s *Store) Get(id string) (*Entry, error) {
	if !validID(id) {
		return nil, &pipeline.Error{Op: "find model", On: id, Kind: pipeline.NotFound, Err: errors.New("no model can have this name"), Hint: s.hint()}
	}
	dir := filepath.Join(s.Dir, id)
	e := &Entry{Dir: dir, files: os.DirFS(dir)}
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) && s.Builtin != nil {
		if _, berr := fs.Stat(s.Builtin, id); berr == nil {
			e.Dir, e.Builtin = "", true
			e.files, err = fs.Sub(s.Builtin, id)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &pipeline.Error{Op: "find model", On: id, Kind: pipeline.NotFound, Err: errors.New("there is no such model"), Hint: s.hint()}
	}
	if err != nil {
		return nil, storeError("find model", id, err)
	}
	if err := s.read(e, id); err != nil {
		return nil, err
	}
	return e, nil
}

func (s *Store) hint() string { return "perch model list shows what there is" }

func (s *Store) read(e *Entry, id string) error {
	data, err := readText(e.files, ManifestFile)
	if err != nil {
		return storeError("read model", id, err)
	}
	if e.Manifest, err = Parse(id+"/"+ManifestFile, data, s.Decode); err != nil {
		return err
	}
	if e.Manifest.ID != id {
		return &pipeline.Error{
			Op: "read model", On: id, Kind: pipeline.BadConfig,
			Err:  fmt.Errorf("%s says that its id is %q", ManifestFile, e.Manifest.ID),
			Hint: "the folder and the id must have the same name",
		}
	}
	f, err := e.files.Open(GraphFile)
	if err != nil {
		return storeError("read model", id, err)
	}
	defer f.Close()
	if e.Digest, e.Bytes, err = digest(f, io.Discard); err != nil {
		return storeError("read model", id, err)
	}
	want, err := readText(e.files, sumFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // put there by hand, or built in
	}
	if err != nil {
		return storeError("read model", id, err)
	}
	if string(want) != sumLine(e.Digest) {
		return &pipeline.Error{
			Op: "read model", On: id, Kind: pipeline.BadInput,
			Err:  fmt.Errorf("%s is not the file that was added: it is %s, and %s says otherwise", GraphFile, e.Digest, sumFile),
			Hint: "remove the model and add it again",
		}
	}
	return nil
}

// Has reports whether there is a model of that id, without reading it.
func (s *Store) Has(id string) bool {
	if !validID(id) {
		return false
	}
	if st, err := os.Stat(filepath.Join(s.Dir, id)); err == nil && st.IsDir() {
		return true
	}
	if s.Builtin == nil {
		return false
	}
	st, err := fs.Stat(s.Builtin, id)
	return err == nil && st.IsDir()
}

// List returns all models by id, built-in ones included. The error joins what
// could not be read; the rest is returned all the same.
func (s *Store) List() ([]*Entry, error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, err
	}
	var entries []*Entry
	var errs []error
	for _, id := range ids {
		e, err := s.Get(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}

// IDs returns the ids of all models in order, without reading the models.
func (s *Store) IDs() ([]string, error) {
	ids := map[string]bool{}
	if s.Builtin != nil {
		dirs, err := fs.ReadDir(s.Builtin, ".")
		if err != nil {
			return nil, storeError("list models", "built in", err)
		}
		for _, d := range dirs {
			if d.IsDir() {
				ids[d.Name()] = true
			}
		}
	}
	dirs, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, storeError("list models", s.Dir, err)
	}
	for _, d := range dirs {
		if d.IsDir() && validID(d.Name()) {
			ids[d.Name()] = true
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// Remove deletes a model. A built-in one cannot be removed.
func (s *Store) Remove(id string) error {
	if !validID(id) {
		return &pipeline.Error{Op: "remove model", On: id, Kind: pipeline.NotFound, Err: errors.New("no model can have this name"), Hint: s.hint()}
	}
	dir := filepath.Join(s.Dir, id)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		if s.Builtin != nil {
			if _, err := fs.Stat(s.Builtin, id); err == nil {
				return &pipeline.Error{Op: "remove model", On: id, Kind: pipeline.Refused, Err: errors.New("it is part of the program")}
			}
		}
		return &pipeline.Error{Op: "remove model", On: id, Kind: pipeline.NotFound, Err: errors.New("there is no such model"), Hint: s.hint()}
	}
	// Renamed first: nobody finds half a model, whatever happens next.
	gone, err := os.MkdirTemp(s.Dir, tempPrefix+"*")
	if err == nil {
		err = os.Rename(dir, filepath.Join(gone, id))
	}
	if err == nil {
		err = syncDir(s.Dir)
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	if err != nil {
		return storeError("remove model", id, err)
	}
	return nil
}

// digest copies r to w, bounded, and returns its SHA-256.
func digest(r io.Reader, w io.Writer) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, w), io.LimitReader(r, MaxGraphBytes+1))
	if err != nil {
		return "", 0, err
	}
	if n > MaxGraphBytes {
		return "", 0, fmt.Errorf("%s is larger than %d bytes", GraphFile, MaxGraphBytes)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), n, nil
}

func sumLine(digest string) string {
	return strings.TrimPrefix(digest, "sha256:") + "  " + GraphFile + "\n"
}

// readText reads a small file.
func readText(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTextBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxTextBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxTextBytes)
	}
	return data, nil
}

func storeError(op, on string, err error) error {
	e := &pipeline.Error{Op: op, On: on, Kind: pipeline.Storage, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Kind = pipeline.NotFound
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Hint = pipeline.Refused, "the user that runs perch needs access to this folder"
	}
	return e
}
