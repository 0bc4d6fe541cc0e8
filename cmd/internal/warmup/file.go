package warmup

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"perch/pipeline"
	"perch/pipeline/infer"
)

// statesFile has the states for others to read, who cannot ask this process.
const statesFile = "states.json"

// save writes the states to the engines' cache.
func (w *Warmer) save() error {
	if w.opt.Dir == "" {
		return nil
	}
	w.saving.Lock()
	defer w.saving.Unlock()
	text, err := json.MarshalIndent(w.States(), "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(w.opt.Dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(w.opt.Dir, statesFile)
	if err := writeSynced(path+".new", append(text, '\n')); err != nil {
		return err
	}
	// Where root may not give it away, others can read it, and the folder's owner
	// can replace it.
	if err := infer.HandOver(w.opt.Dir, statesFile+".new"); err != nil && pipeline.KindOf(err) != pipeline.Refused {
		return err
	}
	return os.Rename(path+".new", path)
}

// writeSynced makes a new file that is on the disk when it returns: one that is
// renamed before may be empty after a power cut.
func writeSynced(path string, text []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// Read returns the states that a Warmer, running or not, wrote last to the cache
// at dir; none when there was none.
func Read(dir string) (list []pipeline.ModelState, err error) {
	text, err := os.ReadFile(filepath.Join(dir, statesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &pipeline.Error{Op: "read the models' states", On: dir, Kind: pipeline.Refused, Err: err, Hint: "ask as the service's user: sudo -u perch perch doctor"}
	}
	if err != nil {
		return nil, &pipeline.Error{Op: "read the models' states", On: dir, Kind: pipeline.BadInput, Err: err, Hint: "the service writes it anew when it starts"}
	}
	return list, nil
}

// freeMemory is MemAvailable: what can be had without swapping.
func freeMemory(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, " kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.Join(fmt.Errorf("%s does not say MemAvailable", path), lines.Err())
}

// fileSize is 0 for a file that is not there; opening the model says so.
func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
