package storage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// WritersDir, beside the database, holds a locked file for each process that
// writes it.
const WritersDir = "writers"

// An owner is this process's name in runs.owner. Its file is locked for as
// long as the process lives, however it ends: that is how the next Open tells
// runs that a crash left open from those that another process still records.
type owner struct {
	name string
	file *os.File
}

func newOwner(dir string) (*owner, error) {
	if err := os.MkdirAll(filepath.Join(dir, WritersDir), 0o750); err != nil {
		return nil, err
	}
	for {
		o, err := tryOwner(dir)
		if o != nil || err != nil {
			return o, err
		}
	}
}

// tryOwner returns nil when another process swept the new file away before it
// was locked.
func tryOwner(dir string) (*owner, error) {
	var id [8]byte
	rand.Read(id[:]) // never fails
	o := &owner{name: hex.EncodeToString(id[:])}
	path := ownerPath(dir, o.name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		f.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	o.file = f
	return o, nil
}

// sweepOwners removes the files of processes that are gone.
func sweepOwners(dir string) error {
	files, err := filepath.Glob(ownerPath(dir, "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".lock")
		alive, err := ownerAlive(dir, name)
		if err != nil {
			return err
		}
		if alive {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func ownerPath(dir, name string) string { return filepath.Join(dir, WritersDir, name+".lock") }

func (o *owner) release() error { return errors.Join(os.Remove(o.file.Name()), o.file.Close()) }

// ownerAlive reports whether the process that calls itself name still runs.
func ownerAlive(dir, name string) (bool, error) {
	f, err := os.OpenFile(ownerPath(dir, name), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = lockFile(f)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// DrainLock waits until no other process drains the outbox and returns the
// function that lets the next one.
func (s *Store) DrainLock(ctx context.Context) (unlock func(), err error) {
	return s.lock(ctx, "outbox.lock")
}

// lock waits until no other process holds the named file beside the database.
func (s *Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	what := "take " + name
	f, err := os.OpenFile(filepath.Join(filepath.Dir(s.path), name), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, s.explain(what, err)
	}
	tick := time.NewTicker(pollEvery / 4)
	defer tick.Stop()
	for {
		err = lockFile(f)
		if err == nil {
			return func() { f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(s.explain(what, err), f.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}
