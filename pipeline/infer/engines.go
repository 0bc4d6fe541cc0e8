package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"perch/pipeline"
)

// keepEngines is how many engines a cache keeps; the least recently used
// beyond that are removed.
const keepEngines = 8

const (
	engineNote   = "engine.json" // written last; without it a folder holds no engine
	engineSchema = "perch.engine/1"
	buildingNote = "building.json"
	buildPrefix  = ".building-"
	buildLock    = "build.lock"
	engineMode   = 0o750 // of a folder, for the group that reads the cache as well
)

// engineKey is what an engine's folder is called.
func engineKey(facts map[string]string) string {
	hash := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(facts)) {
		fmt.Fprintf(hash, "%q=%q\n", k, facts[k])
	}
	return hex.EncodeToString(hash.Sum(nil))[:32]
}

// An engines is a folder of built engines. Each has a folder of its own below
// it, named by all that the engine depends on. It is filled under another name
// and renamed when all of it is on the disk, and its note has the checksums:
// whatever moment the power goes, there is a whole engine or none.
type engines struct{ dir string }

// note is engine.json.
type note struct {
	Schema string              `json:"schema"`
	Facts  map[string]string   `json:"built_for"`
	TookS  float64             `json:"took_s"`
	Files  map[string]fileNote `json:"files"`
}

type fileNote struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// find returns the folder of the engine with these facts, "" when there is
// none. Every file is compared with its checksum; damaged is why what is there
// does not count. It stays where it is until another takes its place: looking
// for an engine removes none. A file that the note does not name is removed,
// since ONNX Runtime would load it by its name.
func (c engines) find(facts map[string]string) (dir string, damaged error) {
	dir, strays, err := c.look(facts)
	if dir == "" || err != nil {
		return "", err
	}
	for _, name := range strays {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	now := time.Now() // when it was last used, for prune
	err = os.Chtimes(filepath.Join(dir, engineNote), now, now)
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return "", err
	}
	return dir, nil
}

// look is find for who changes nothing; strays are the files that are not named.
func (c engines) look(facts map[string]string) (dir string, strays []string, damaged error) {
	dir = filepath.Join(c.dir, engineKey(facts))
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	strays, err := verify(dir)
	if err != nil {
		return "", nil, err
	}
	return dir, strays, nil
}

// verify compares a folder with its note, and returns the files that the note
// does not name.
func verify(dir string) (strays []string, err error) {
	n, err := readNote(dir)
	if err != nil {
		return nil, err
	}
	if key := engineKey(n.Facts); key != filepath.Base(dir) {
		return nil, fmt.Errorf("%s: it was built for something else (%s)", dir, key)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, known := n.Files[e.Name()]; !known && e.Name() != engineNote {
			strays = append(strays, e.Name())
		}
	}
	for name, want := range n.Files {
		got, err := sum(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if got != want {
			return nil, fmt.Errorf("%s: %d bytes with sha256 %s, want %d with %s", filepath.Join(dir, name), got.Bytes, got.SHA256, want.Bytes, want.SHA256)
		}
	}
	return strays, nil
}

func readNote(dir string) (n note, err error) {
	text, err := os.ReadFile(filepath.Join(dir, engineNote))
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(text, &n); err != nil {
		return n, fmt.Errorf("%s: %w", filepath.Join(dir, engineNote), err)
	}
	if n.Schema != engineSchema || len(n.Files) == 0 {
		return n, fmt.Errorf("%s: not a note of schema %s that names files", filepath.Join(dir, engineNote), engineSchema)
	}
	return n, nil
}

func sum(path string) (fileNote, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileNote{}, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	return fileNote{Bytes: size, SHA256: hex.EncodeToString(hash.Sum(nil))}, err
}

// Building says what is being built. Expected is 0 when nothing like it was
// built here before.
type Building struct {
	Model    string        `json:"model"`
	Provider string        `json:"provider"`
	Started  time.Time     `json:"started"`
	Expected time.Duration `json:"expected_ns"`
	PID      int           `json:"pid"`
}

// A stage is a folder in which an engine is being built. Who has it holds the
// cache's lock: builds at the same time would spoil each other's measurements.
type stage struct {
	cache engines
	dir   string
	facts map[string]string
	began time.Time
	lock  *os.File
}

// begin takes the lock and makes a folder. What earlier builds left behind when
// they were killed is removed. It fails with Kind Busy when another process is
// building.
func (c engines) begin(b Building, facts map[string]string) (s *stage, err error) {
	fail := func(kind pipeline.Kind, err error, hint string) (*stage, error) {
		return nil, &pipeline.Error{Op: "prepare the engine cache", On: c.dir, Kind: kind, Err: err, Hint: hint}
	}
	hint := "no engine can be kept unless the service may write there: sudo chown -R USER: " + c.dir + ", with the user that it runs as"
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return fail(pipeline.BadConfig, err, hint)
	}
	lock, err := os.OpenFile(filepath.Join(c.dir, buildLock), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fail(pipeline.BadConfig, err, hint)
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fail(pipeline.Busy, errors.New("another process is building an engine"), "wait for it; perch doctor shows how far it is")
	}
	left, _ := filepath.Glob(filepath.Join(c.dir, buildPrefix+"*")) // the pattern is valid
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fail(pipeline.BadConfig, err, hint)
		}
	}
	dir, err := os.MkdirTemp(c.dir, buildPrefix+"*")
	if err != nil {
		return fail(pipeline.BadConfig, err, hint)
	}
	text, err := json.Marshal(b)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, buildingNote), text, 0o644)
	}
	if err == nil {
		err = errors.Join(os.Chmod(dir, engineMode), c.give(buildLock, filepath.Base(dir)))
	}
	if err != nil {
		if e, ok := errors.AsType[*pipeline.Error](err); ok {
			err = e.Err // it has the same hint
		}
		return fail(pipeline.BadConfig, errors.Join(err, os.RemoveAll(dir)), hint)
	}
	return &stage{cache: c, dir: dir, facts: facts, began: b.Started, lock: lock}, nil
}

// publish makes the engine one that find finds, in a folder of its final name.
func (s *stage) publish() (dir string, err error) {
	defer s.lock.Close() // which releases it
	dir = filepath.Join(s.cache.dir, engineKey(s.facts))
	if err := s.seal(); err != nil {
		return "", errors.Join(s.failed(err), os.RemoveAll(s.dir))
	}
	if err := s.cache.give(filepath.Base(s.dir)); err != nil {
		return "", errors.Join(err, os.RemoveAll(s.dir))
	}
	// Whatever has the name was not found to be good when this began.
	if err := os.RemoveAll(dir); err != nil {
		return "", s.failed(err)
	}
	if err := os.Rename(s.dir, dir); err != nil {
		return "", s.failed(err)
	}
	if err := errors.Join(s.cache.forget(s.facts), syncFile(s.cache.dir)); err != nil {
		return "", s.failed(err)
	}
	return dir, s.cache.prune(dir)
}

func (s *stage) failed(err error) error {
	return &pipeline.Error{Op: "keep engine", On: s.dir, Kind: pipeline.Storage, Err: err, Hint: "look at the space on the disk of cache_dir"}
}

// seal writes the note and brings everything to the disk.
func (s *stage) seal() error {
	if err := os.Remove(filepath.Join(s.dir, buildingNote)); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	n := note{Schema: engineSchema, Facts: s.facts, TookS: time.Since(s.began).Seconds(), Files: map[string]fileNote{}}
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		if err := syncFile(path); err != nil {
			return err
		}
		if n.Files[e.Name()], err = sum(path); err != nil {
			return err
		}
	}
	if len(n.Files) == 0 {
		return errors.New("the build ended well and left no file")
	}
	text, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, engineNote)
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return errors.Join(syncFile(path), syncFile(s.dir))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// discard removes a build that came to nothing.
func (s *stage) discard() error {
	return errors.Join(os.RemoveAll(s.dir), s.lock.Close())
}

var engineFolder = regexp.MustCompile(`^[0-9a-f]{32}$`)

// prune removes the least recently used engines, and folders of earlier forms.
func (c engines) prune(keep string) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	used := map[string]time.Time{}
	for _, e := range entries {
		dir := filepath.Join(c.dir, e.Name())
		if c.stale(e.Name()) {
			used[dir] = time.Time{}
			continue
		}
		if !engineFolder.MatchString(e.Name()) || dir == keep {
			continue
		}
		used[dir] = time.Time{}
		if st, err := os.Stat(filepath.Join(dir, engineNote)); err == nil {
			used[dir] = st.ModTime()
		}
	}
	old := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for i, dir := range old {
		if i < keepEngines-1 && !used[dir].IsZero() {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return &pipeline.Error{Op: "remove an old engine", On: dir, Err: err}
		}
	}
	return nil
}

// took is how long the latest build of this model for this provider took here,
// whatever else has changed since; 0 when there was none.
func (c engines) took(provider, digest string) (d time.Duration) {
	notes, _ := filepath.Glob(filepath.Join(c.dir, "*", engineNote)) // the pattern is valid
	var latest time.Time
	for _, path := range notes {
		st, err := os.Stat(path)
		if err != nil || st.ModTime().Before(latest) {
			continue
		}
		if n, err := readNote(filepath.Dir(path)); err == nil && n.Facts["for"] == provider && n.Facts["model"] == digest {
			latest, d = st.ModTime(), time.Duration(n.TookS*float64(time.Second))
		}
	}
	return d
}

// EngineBuild tells what is being built in the cache at dir now, by whichever
// process; false when nothing is.
func EngineBuild(dir string) (Building, bool) {
	lock, err := os.Open(filepath.Join(dir, buildLock))
	if err != nil {
		return Building{}, false
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return Building{}, false // nobody has it
	}
	notes, _ := filepath.Glob(filepath.Join(dir, buildPrefix+"*", buildingNote)) // the pattern is valid
	for _, path := range notes {
		var b Building
		if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &b) == nil {
			return b, true
		}
	}
	return Building{}, false
}
