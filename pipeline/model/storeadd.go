package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"perch/pipeline"
)

// tempPrefix begins the names of folders that are not models yet or any more;
// no id may begin like it.
const tempPrefix = ".tmp-"

// Add copies a model into the store: a file, or a folder with model.onnx and
// perhaps model.yaml. Without model.yaml, one is worked out from the graph (see
// [Inspect]) and its Guessed says what to look at. id may be empty: then it is
// that of model.yaml, or made from the name of the file or folder. The model
// appears whole or not at all, and is on the disk when Add returns. Of a folder,
// texts (LICENSE, NOTICE, SOURCE, README) are copied too and nothing else.
func (s *Store) Add(path, id string) (*Entry, error) {
	fail := func(kind pipeline.Kind, hint string, err error) (*Entry, error) {
		return nil, &pipeline.Error{Op: "add model", On: path, Kind: kind, Err: err, Hint: hint}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, storeError("add model", path, err)
	}
	graph, dir := path, ""
	if info.IsDir() {
		graph, dir = filepath.Join(path, GraphFile), path
		if info, err = os.Stat(graph); err != nil {
			return fail(pipeline.NotFound, "a model's folder holds "+GraphFile, err)
		}
	}
	if !info.Mode().IsRegular() || info.Size() > MaxGraphBytes {
		return fail(pipeline.BadInput, "", fmt.Errorf("%s is not a regular file of at most %d bytes", graph, MaxGraphBytes))
	}
	m, err := s.manifestFor(graph, dir, path, id)
	if err != nil {
		return nil, err
	}
	if e, err := os.ReadDir(s.Dir); err == nil && len(e) >= maxModels {
		return fail(pipeline.Storage, "remove some first", fmt.Errorf("the store holds %d models already", len(e)))
	}
	switch there, err := s.has(m.ID); {
	case err != nil:
		return nil, storeError("add model", path, err)
	case there != "":
		return fail(pipeline.BadConfig, "remove it first, or give the new one another name", errors.New(there))
	}
	if err := s.install(m, graph, dir); err != nil {
		return nil, storeError("add model", path, err)
	}
	e, err := s.Get(m.ID)
	if err != nil {
		return nil, err
	}
	e.Manifest.Guessed = m.Guessed
	return e, nil
}

// manifestFor reads or makes the manifest and compares it with the graph.
func (s *Store) manifestFor(graph, dir, path, id string) (Manifest, error) {
	g, err := s.ReadGraph(graph)
	if err != nil {
		return Manifest{}, &pipeline.Error{Op: "add model", On: path, Kind: pipeline.BadInput, Err: err}
	}
	var m Manifest
	data, err := []byte(nil), fs.ErrNotExist
	if dir != "" {
		data, err = readText(os.DirFS(dir), ManifestFile)
	}
	switch {
	case err == nil:
		if m, err = Parse(filepath.Join(dir, ManifestFile), data, s.Decode); err != nil {
			return Manifest{}, err
		}
	case errors.Is(err, fs.ErrNotExist):
		if m, err = Inspect(g); err != nil {
			return Manifest{}, &pipeline.Error{Op: "add model", On: path, Err: err}
		}
		m.ID = idFrom(path)
	default:
		return Manifest{}, storeError("add model", path, err)
	}
	if id != "" {
		m.ID = id
	}
	opened, err := Open(m)
	if err != nil {
		return Manifest{}, err
	}
	return m, opened.Check(g)
}

// has says where a model of this id is already, if it is.
func (s *Store) has(id string) (there string, err error) {
	_, err = os.Lstat(filepath.Join(s.Dir, id))
	if err == nil {
		return fmt.Sprintf("there is a model %q already", id), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if s.Builtin != nil {
		if _, err := fs.Stat(s.Builtin, id); err == nil {
			return fmt.Sprintf("a model %q is part of the program", id), nil
		}
	}
	return "", nil
}

// install writes a folder under another name, syncs it and gives it its name.
func (s *Store) install(m Manifest, graph, dir string) (err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	parent, err := os.MkdirTemp(s.Dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(parent)) }()
	temp := filepath.Join(parent, m.ID)
	if err := os.Mkdir(temp, 0o755); err != nil {
		return err
	}
	sum, err := copyFile(filepath.Join(temp, GraphFile), graph)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(temp, sumFile), []byte(sumLine(sum))); err != nil {
		return err
	}
	text, err := s.Encode(m)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(temp, ManifestFile), text); err != nil {
		return err
	}
	if dir != "" {
		if err := copyTexts(temp, dir); err != nil {
			return err
		}
	}
	if err := syncDir(temp); err != nil {
		return err
	}
	// Rename does not replace a folder that has something in it, so of two
	// adding the same model one fails.
	if err := os.Rename(temp, filepath.Join(s.Dir, m.ID)); err != nil {
		return err
	}
	return syncDir(s.Dir)
}

// copyTexts copies what says where a model comes from and what one may do with it.
func copyTexts(to, from string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		name := strings.ToUpper(f.Name())
		wanted := false
		for _, p := range []string{"LICENSE", "LICENCE", "NOTICE", "SOURCE", "README"} {
			wanted = wanted || strings.HasPrefix(name, p)
		}
		if !wanted || !f.Type().IsRegular() {
			continue
		}
		data, err := readText(os.DirFS(from), f.Name())
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(to, f.Name()), data); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) (sum string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	if sum, _, err = digest(in, out); err == nil {
		err = out.Sync()
	}
	return sum, errors.Join(err, out.Close())
}

func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// idFrom makes an id of the name of a file or folder.
func idFrom(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(path), ".onnx"))
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '-'
	}, name)
	id = strings.TrimLeft(id, "-_.")
	return id[:min(len(id), 64)]
}
