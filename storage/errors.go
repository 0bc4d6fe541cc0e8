package storage

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-sqlite3"

	"perch/pipeline"
)

var (
	errClosed   = errors.New("the database is closed")
	errReadOnly = errors.New("the database was opened for reading only")
)

// explain turns an error of SQLite or of the file system into one that says
// what the reader can do.
func (s *Store) explain(op string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Kind != pipeline.Other {
		return err
	}
	return &pipeline.Error{Op: op, On: s.path, Kind: pipeline.Storage, Err: err, Hint: hint(err, filepath.Dir(s.path))}
}

func hint(err error, dir string) string {
	switch {
	case errors.Is(err, errNewer):
		return "install that version of Perch again, or give this one another data folder" + wayBack(dir)
	case errors.Is(err, errForeign):
		return "give Perch a data folder of its own"
	case errors.Is(err, fs.ErrPermission):
		return "make " + dir + " writable for the user that Perch runs as"
	case errors.Is(err, syscall.EROFS):
		return "the file system of " + dir + " is mounted read-only: mount it for writing, or look at the kernel's log if it became so by itself"
	case errors.Is(err, syscall.ENOSPC):
		return "make room on the disk of " + dir
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return ""
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return "make room on the disk of " + dir + " or lower storage.max_size; what is queued is written as soon as there is room"
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm, sqlite3.ErrAuth:
		return "make " + dir + " and the files in it readable and writable for the user that Perch runs as"
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return "the file is damaged: stop Perch, move " + FileName + "* out of " + dir + " and start again with a new database; sqlite3's .recover command saves what is left of the old one"
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return "another program holds the database: close what has it open"
	case sqlite3.ErrIoErr:
		return "the disk of " + dir + " reports errors: look at the kernel's log"
	}
	return ""
}

// affectsAll reports whether err says that nothing can be written at present,
// rather than that one request was wrong.
func affectsAll(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm, sqlite3.ErrAuth, sqlite3.ErrCorrupt,
		sqlite3.ErrNotADB, sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrIoErr, sqlite3.ErrNomem, sqlite3.ErrInterrupt:
		return true
	}
	return false
}

// isDuplicate reports whether err is a broken UNIQUE or PRIMARY KEY constraint.
func isDuplicate(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}
