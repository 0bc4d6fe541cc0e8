package infer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// failureEnding and the name of an engine's folder are the name of the note that
// it did not load.
const failureEnding = ".failed"

// A failure is the first of an engine's loads that failed since it loaded last.
type failure struct {
	Process string    `json:"process"` // see Runtime
	At      time.Time `json:"at"`
	Model   string    `json:"model"`
	Error   string    `json:"error"`
	moment
}

// A moment is a time since the machine started: clocks are set, and some
// machines have none that goes on without power.
type moment struct {
	Boot    string  `json:"boot,omitempty"` // the kernel's name of this start
	UptimeS float64 `json:"uptime_s"`
}

func (m machine) now() moment {
	up, _, _ := strings.Cut(m.firstLine("proc/uptime"), " ")
	seconds, _ := strconv.ParseFloat(up, 64) // 0, with no Boot, where there is no /proc
	return moment{Boot: m.firstLine("proc/sys/kernel/random/boot_id"), UptimeS: seconds}
}

// apart is how long after a failure another one is taken for one of its own: what
// is short of memory now is so in a process that starts a minute later.
const apart = 10 * time.Minute

// longBefore reports whether m is so long before now that what happens now is not
// of the same cause: another start of the machine, or apart.
func (m moment) longBefore(now moment) bool {
	return m.Boot == "" || m.Boot != now.Boot || now.UptimeS < m.UptimeS || now.UptimeS-m.UptimeS >= apart.Seconds()
}

func (c engines) failurePath(facts map[string]string) string {
	return filepath.Join(c.dir, engineKey(facts)+failureEnding)
}

// failure returns what was noted; without a Process nothing was.
func (c engines) failure(facts map[string]string) (f failure, err error) {
	text, err := os.ReadFile(c.failurePath(facts))
	if errors.Is(err, fs.ErrNotExist) {
		return failure{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	return f, err
}

func (c engines) noteFailure(facts map[string]string, f failure) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	path := c.failurePath(facts)
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return c.give(filepath.Base(path))
}

// forget removes the note.
func (c engines) forget(facts map[string]string) error {
	path := c.failurePath(facts)
	// Where nothing may be removed, even what is not there is refused.
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// stale reports whether name is the note of an engine that is not there any more.
func (c engines) stale(name string) bool {
	key, ok := strings.CutSuffix(name, failureEnding)
	if !ok || !engineFolder.MatchString(key) {
		return false
	}
	_, err := os.Stat(filepath.Join(c.dir, key))
	return errors.Is(err, fs.ErrNotExist)
}
