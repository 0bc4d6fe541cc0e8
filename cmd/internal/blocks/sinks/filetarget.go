package sinks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	minFree   = 64 << 20        // bytes of the disk that are left to others
	syncEvery = 2 * time.Second // of logs
	nameTries = 1000            // names tried when one is taken
	maxPrefix = 200             // bytes of a name's beginning; file systems take 255 for all
)

// A target is where files of a step go.
type target struct {
	folder string // that is allowed
	below  string // path inside it, "." for itself
	prefix string
	ending string
}

// allowed finds the folder below which a directory lies, and its path inside.
// It looks at names only; that no symbolic link leads out again is seen to when
// a file is made.
func allowed(folders []string, dir string) (folder, below string, err error) {
	switch {
	case len(folders) == 0:
		return "", "", errors.New("no folder may be written to: name some in workflows.allow_write")
	case strings.ContainsRune(dir, 0):
		return "", "", errors.New("it is not a path")
	}
	for part := range strings.SplitSeq(filepath.ToSlash(dir), "/") {
		if part == ".." {
			return "", "", fmt.Errorf("%q has .. in it, which is not allowed", dir)
		}
	}
	if !filepath.IsAbs(dir) {
		return folders[0], filepath.Clean(dir), nil
	}
	itself := func(f string) (string, error) { return f, nil }
	for _, name := range []func(string) (string, error){itself, filepath.EvalSymlinks} {
		for _, f := range folders {
			at, err := name(f)
			if err != nil {
				continue // it is not there, so nothing leads to it
			}
			if rel, err := filepath.Rel(at, dir); err == nil && filepath.IsLocal(rel) {
				return f, rel, nil
			}
		}
	}
	return "", "", fmt.Errorf("%q lies outside of the folders that may be written to, which are %s (workflows.allow_write)", dir, strings.Join(folders, ", "))
}

func checkPrefix(prefix string) error {
	switch {
	case strings.ContainsAny(prefix, `/\`) || strings.ContainsFunc(prefix, unicode.IsControl):
		return fmt.Errorf("%q cannot be part of a file's name: it has a slash or a control character", prefix)
	case len(prefix) > maxPrefix:
		return fmt.Errorf("it has %d bytes, and a file's name has no room for more than %d", len(prefix), maxPrefix)
	case strings.HasPrefix(prefix, "."):
		return fmt.Errorf("%q would make hidden files", prefix)
	}
	return nil
}

// open opens the target's directory, which it makes when it is missing. Nothing
// that is done through it leaves the allowed folder, whatever links are made
// there meanwhile.
func (t *target) open() (*os.Root, error) {
	if err := os.MkdirAll(t.folder, 0o750); err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(t.folder)
	if err != nil || t.below == "." {
		return folder, err
	}
	if err := folder.MkdirAll(t.below, 0o750); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	dir, err := folder.OpenRoot(t.below)
	return dir, errors.Join(err, folder.Close())
}

// create makes a new file named after the time. what is put in front of its
// name until it is whole.
func (t *target) create(dir *os.Root, now time.Time, hidden string) (f *os.File, name string, err error) {
	if err := spacious(t.folder); err != nil {
		return nil, "", err
	}
	for range nameTries {
		stamp := now.Format("2006_01_02_15_04_05") + fmt.Sprintf("_%06d", now.Nanosecond()/1000)
		name = t.prefix + "_" + stamp + "." + t.ending
		if _, err := dir.Lstat(name); err == nil {
			now = now.Add(time.Microsecond)
			continue
		}
		f, err = dir.OpenFile(hidden+name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
		if !errors.Is(err, fs.ErrExist) {
			return f, name, err
		}
		now = now.Add(time.Microsecond)
	}
	return nil, "", fmt.Errorf("%d names are taken, %s the last", nameTries, name)
}

// write makes a file of its own: whole and on the disk, or not at all.
func (t *target) write(now time.Time, text string) (err error) {
	dir, err := t.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	const hidden = "."
	f, name, err := t.create(dir, now, hidden)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = dir.Rename(hidden+name, name)
	}
	if err != nil {
		return errors.Join(err, dir.Remove(hidden+name))
	}
	return nil
}

// spacious refuses when the disk is nearly full: results need the rest.
func spacious(folder string) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return &os.PathError{Op: "measure", Path: folder, Err: err}
	}
	if free := int64(s.Bavail) * s.Bsize; free < minFree {
		return fmt.Errorf("the disk of %s is nearly full: %d MiB are free and %d MiB must stay", folder, free>>20, minFree>>20)
	}
	return nil
}

// A logFile is a file that entries are added to.
type logFile struct {
	target
	name    string
	file    *os.File
	size    int64
	entries int
	synced  time.Time
}

// begin makes the next file of a log.
func (t *target) begin(now time.Time) (_ *logFile, err error) {
	dir, err := t.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	f, name, err := t.create(dir, now, "")
	if err != nil {
		return nil, err
	}
	return &logFile{target: *t, name: name, file: f, synced: now}, nil
}

// path is where the file was made.
func (l *logFile) path() string { return filepath.Join(l.folder, l.below, l.name) }

// lost reports whether the file is no longer what its name stands for: somebody
// has removed, moved, replaced or emptied it.
func (l *logFile) lost() bool {
	mine, err := l.file.Stat()
	if err != nil {
		return false // writing will say what is wrong
	}
	there, err := os.Lstat(l.path())
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	}
	return !os.SameFile(mine, there) || mine.Size() < l.size
}

// add appends an entry. What could be written of one that does not fit is
// taken back, so that there are no halves.
func (l *logFile) add(text string, now time.Time) error {
	if err := spacious(l.folder); err != nil {
		return err
	}
	n, err := l.file.WriteString(text)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, l.file.Truncate(l.size))
			_, serr := l.file.Seek(l.size, 0)
			err = errors.Join(err, serr)
		}
		return err
	}
	l.size += int64(n)
	l.entries++
	if since := now.Sub(l.synced); since >= syncEvery || since < 0 {
		l.synced = now
		return l.file.Sync()
	}
	return nil
}

func (l *logFile) close() error { return errors.Join(l.file.Sync(), l.file.Close()) }
