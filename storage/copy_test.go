package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

// firstSchema makes a database as the first Perch left it, with one run.
func firstSchema(t *testing.T, dir string) {
	t.Helper()
	db := raw(t, dir)
	first, err := migrations.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, string(first))
	mustExec(t, db, fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = 1;
		INSERT INTO migrations VALUES (1, '0001_first.sql', 0);
		INSERT INTO runs VALUES (1, 'R1', 'jetson-1', 'door', 'rtsp', 'x', 'w', 1000000, 'b', 1, 1, 640, 480, 'every', '{"Run":"R1"}', 'gone', 0)`, applicationID))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool { _, err := os.Stat(path); return !errors.Is(err, fs.ErrNotExist) }

// Before the schema changes the database is copied, and the copy is what an
// older Perch left.
func TestCopyBeforeTheSchemaChanges(t *testing.T) {
	dir := t.TempDir()
	firstSchema(t, dir)
	path := filepath.Join(dir, copyPrefix+"1")
	stale := filepath.Join(dir, copyPrefix+"0")
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	if exists(stale) || exists(path+".new") {
		t.Error("more than one copy")
	}
	made, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(path); err != nil || !again.ModTime().Equal(made.ModTime()) {
		t.Error("a start that changed nothing made a copy")
	}

	// Back, as the hint and the package's rollback do it.
	for _, ending := range []string{"-wal", "-shm"} {
		if err := removeIfThere(filepath.Join(dir, FileName+ending)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(path, filepath.Join(dir, FileName)); err != nil {
		t.Fatal(err)
	}
	db := raw(t, dir)
	if version, err := schemaOf(t.Context(), db); version != 1 || err != nil {
		t.Errorf("the copy has schema %d, %v", version, err)
	}
	var runs, newer int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM pragma_table_info('results') WHERE name = 'errors')`).Scan(&runs, &newer); err != nil || runs != 1 || newer != 0 {
		t.Errorf("%d runs, %d columns of the next schema, %v", runs, newer, err)
	}
}

func TestNewDatabaseIsNotCopied(t *testing.T) {
	s := open(t, Options{})
	if found, _ := filepath.Glob(filepath.Join(filepath.Dir(s.path), copyPrefix+"*")); len(found) > 0 {
		t.Errorf("%q", found)
	}
}

func TestNoRoomForACopy(t *testing.T) {
	var said bytes.Buffer
	s := open(t, Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err := s.copyBefore(t.Context(), 1, copyRoom); err != nil {
		t.Error(err)
	}
	if exists(filepath.Join(filepath.Dir(s.path), copyPrefix+"1")) || !strings.Contains(said.String(), "no copy of the database is made") {
		t.Errorf("said %s", &said)
	}
}

func TestCopiesExpire(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{copyPrefix + "1": keepCopy + time.Hour, copyPrefix + "2": keepCopy - time.Hour} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(dir, copyPrefix+"1")) || !exists(filepath.Join(dir, copyPrefix+"2")) {
		t.Error("the wrong copies are left")
	}
}

// A clock that is set does not make a copy old, and one that was wrong when the
// copy was made does not end it.
func TestCopiesOutliveTheClock(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	path := filepath.Join(dir, copyPrefix+"1")
	for name, c := range map[string]struct {
		made time.Time
		set  time.Duration
		want time.Time // zero: it is gone
	}{
		"young":                           {made: now.Add(-time.Hour), want: now.Add(-time.Hour)},
		"old":                             {made: now.Add(-keepCopy - time.Hour)},
		"made in 1970":                    {made: time.Unix(600, 0), want: now},
		"set while this ran":              {made: now.Add(-60 * 24 * time.Hour), set: 60*24*time.Hour - time.Hour, want: now.Add(-time.Hour)},
		"set back":                        {made: now.Add(24 * time.Hour), set: -25 * time.Hour, want: now.Add(-time.Hour)},
		"made in the future":              {made: now.Add(1000 * time.Hour), want: now},
		"old, and the clock drifts a bit": {made: now.Add(-keepCopy - time.Hour), set: 20 * time.Second},
	} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, c.made, c.made), ageCopies(dir, now, c.set)); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if c.want.IsZero() {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: it is still there: %v", name, err)
			}
			continue
		}
		if err != nil || !st.ModTime().Equal(c.want) {
			t.Errorf("%s: %v, want %v; %v", name, st, c.want, err)
		}
	}
	// On a board that still believes in 1970 nothing is made younger.
	then := time.Unix(3600, 0)
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, then, then), ageCopies(dir, then.Add(keepCopy+time.Hour), 0)); err != nil {
		t.Fatal(err)
	}
	if exists(path) {
		t.Error("it never ends where no clock is set")
	}
}

// An older Perch says how to come back.
func TestTooNewDatabaseNamesItsCopy(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	mustExec(t, raw(t, dir), `PRAGMA user_version = 99`)
	for _, n := range []string{"98", "2", "1"} {
		if err := os.WriteFile(filepath.Join(dir, copyPrefix+n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Open(t.Context(), Options{Dir: dir, Log: quiet()})
	wantKind(t, err, pipeline.Storage)
	if err == nil || !strings.Contains(err.Error(), "rename perch.db.schema-2 to perch.db") {
		t.Errorf("%v", err)
	}
}
