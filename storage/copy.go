package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// copyPrefix and the number of its schema are the name of a copy of the
// database, made before a newer Perch changed the schema: an older one, when it
// is installed again, cannot open the changed one.
const copyPrefix = FileName + ".schema-"

// keepCopy is how long a copy stays. Whoever has not gone back by then stays.
const keepCopy = 7 * 24 * time.Hour

// copyRoom is left free on the disk beside a copy.
const copyRoom = 256 << 20

// upgradeSchema brings the schema up to date; what an older Perch wrote is
// copied before. Only one process does this at a time.
func (s *Store) upgradeSchema(ctx context.Context) error {
	if err := checkVersion(ctx, s.w, false); err != nil {
		return err
	}
	known, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	version, err := schemaOf(ctx, s.w)
	if err != nil || version == len(known) {
		return err
	}
	unlock, err := s.lock(ctx, "schema.lock")
	if err != nil {
		return err
	}
	defer unlock()
	// Somebody else may have been first.
	if version, err = schemaOf(ctx, s.w); err != nil {
		return err
	}
	if version > 0 && version < len(known) {
		free, err := freeBytes(filepath.Dir(s.path))
		if err == nil {
			err = s.copyBefore(ctx, version, free)
		}
		if err != nil {
			return err
		}
	}
	return migrate(ctx, s.w, s.opt.Log)
}

func schemaOf(ctx context.Context, db *sql.DB) (version int, err error) {
	err = db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version)
	return version, err
}

// copyBefore copies the database under the number of its schema, in place of any
// earlier copy. Where there is no room it says so and goes on: the results of
// the coming days count more than the way back.
func (s *Store) copyBefore(ctx context.Context, version int, free int64) error {
	dir := filepath.Dir(s.path)
	if err := removeCopies(dir, func(string, time.Time) bool { return true }); err != nil {
		return err
	}
	var pages, size int64
	if err := s.w.QueryRowContext(ctx, `SELECT p.page_count, z.page_size FROM pragma_page_count p, pragma_page_size z`).Scan(&pages, &size); err != nil {
		return err
	}
	if need := pages*size + copyRoom; free < need {
		s.opt.Log.Warn("no copy of the database is made before its schema changes; an older Perch could not be brought back with these results",
			"schema", version, "needed_bytes", need, "free_bytes", free)
		return nil
	}
	path := filepath.Join(dir, copyPrefix+strconv.Itoa(version))
	began := time.Now()
	// VACUUM INTO does not wait for the disk, hence the other name at first.
	_, err := s.w.ExecContext(ctx, `VACUUM INTO ?`, path+".new")
	if err == nil {
		err = errors.Join(syncPath(path+".new"), os.Rename(path+".new", path), syncPath(dir))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy the database before its schema changes: %w", err), removeIfThere(path+".new"))
	}
	s.opt.Log.Info("database copied before its schema changes", "copy", path, "schema", version, "took", time.Since(began))
	return nil
}

// expireCopies removes copies that nobody has gone back to, until ctx is done.
// Clocks are not what they seem: a board without a battery begins in 1970, or
// when it was switched off, and is set by the network while this runs.
func (s *Store) expireCopies(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	last := s.opened // before any copy was made
	for {
		now := time.Now()
		// The first difference is of what the clock said, the second of what passed.
		set := now.Round(0).Sub(last.Round(0)) - now.Sub(last)
		last = now
		if err := ageCopies(filepath.Dir(s.path), now, set); err != nil {
			s.opt.Log.Warn("an old copy of the database was not removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// clockUnset is a time before which a clock shows that nobody has set it.
const clockUnset = 2020

// ageCopies removes the copies that are older than keepCopy. The clock was set by
// so much since the last time, which makes none older. One whose date cannot be
// right counts from now.
func ageCopies(dir string, now time.Time, set time.Duration) error {
	var errs []error
	err := removeCopies(dir, func(path string, made time.Time) bool {
		date := made
		if set.Abs() > time.Minute {
			date = date.Add(set)
		}
		if date.After(now) || date.Year() < clockUnset && now.Year() >= clockUnset {
			date = now
		}
		if !date.Equal(made) {
			errs = append(errs, os.Chtimes(path, date, date))
		}
		return now.Sub(date) > keepCopy
	})
	return errors.Join(append(errs, err)...)
}

func removeCopies(dir string, which func(path string, made time.Time) bool) error {
	paths, err := filepath.Glob(filepath.Join(dir, copyPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		st, err := os.Stat(path)
		if err == nil && which(path, st.ModTime()) {
			err = removeIfThere(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// wayBack says how a database that is too new becomes one of before, "" when
// there is no copy that this Perch can open.
func wayBack(dir string) string {
	known, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return ""
	}
	paths, _ := filepath.Glob(filepath.Join(dir, copyPrefix+"*")) // no copy, no way
	var fits []int
	for _, path := range paths {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), copyPrefix))
		if err == nil && n <= len(known) {
			fits = append(fits, n)
		}
	}
	if len(fits) == 0 {
		return ""
	}
	return fmt.Sprintf("; or, as it was before that version: stop Perch, remove %[1]s-wal and %[1]s-shm in %[2]s, and rename %[3]s%[4]d to %[1]s",
		FileName, dir, copyPrefix, slices.Max(fits))
}

func freeBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
