package storage

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"perch/pipeline"
)

// raw opens the database file beside Perch.
func raw(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

func mustExec(t *testing.T, db *sql.DB, q string) {
	t.Helper()
	if _, err := db.Exec(q); err != nil {
		t.Fatal(err)
	}
}

func TestSettingsReachEveryConnection(t *testing.T) {
	s := open(t, Options{})
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		if err := s.w.QueryRow("PRAGMA " + name).Scan(&got); err != nil || got != want {
			t.Errorf("writer: %s is %q, want %q, %v", name, got, want, err)
		}
	}
	for i := range readers {
		conn, err := s.r.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), `DELETE FROM runs`); err == nil {
			t.Errorf("reader %d may write", i)
		}
	}
}

func TestOpenRefusesWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		kind  pipeline.Kind
		says  string
	}{
		"newer": {func(t *testing.T, dir string) {
			open(t, Options{Dir: dir}).Close()
			mustExec(t, raw(t, dir), `PRAGMA user_version = 99`)
		}, pipeline.Storage, "newer Perch"},
		"foreign": {func(t *testing.T, dir string) {
			mustExec(t, raw(t, dir), `CREATE TABLE somebody_elses (x)`)
		}, pipeline.Storage, "another program"},
		"damaged": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("not SQLite", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, pipeline.Storage, "the file is damaged"},
		"locked": {func(t *testing.T, dir string) {
			open(t, Options{Dir: dir}).Close()
			db := raw(t, dir)
			mustExec(t, db, `PRAGMA locking_mode = EXCLUSIVE`)
			mustExec(t, db, `BEGIN EXCLUSIVE`)
		}, pipeline.Storage, "another program holds the database"},
		"not a folder": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, WritersDir), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, pipeline.Storage, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.spoil(t, dir)
			s, err := Open(t.Context(), Options{Dir: dir, Log: quiet()})
			if err == nil {
				s.Close()
			}
			wantKind(t, err, c.kind)
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

// Root may write anywhere, so a child without its rights opens the folder.
func TestOpenReadOnlyFolder(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "perch-ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	open(t, Options{Dir: dir}).Close()
	for _, p := range []string{dir, filepath.Join(dir, FileName), filepath.Join(dir, WritersDir)} {
		if err := os.Chmod(p, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	cmd := child(t, "open", dir)
	if os.Getuid() == 0 {
		exe := filepath.Join(dir, "child") // where the other user may read it
		data, err := os.ReadFile(cmd.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(exe, data, 0o555); err != nil {
			t.Fatal(err)
		}
		cmd.Path = exe
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
	}
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "storage | ") || !strings.Contains(string(out), "writable for the user") {
		t.Errorf("%s, %v", out, err)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	begin(t, s, startOf("R1"))
	for n := range uint64(500) {
		record(t, s, frame("R1", n+1, person(1), person(100)))
	}
	finish(t, s, "R1", 500)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for at := info.Size() / 2; at < info.Size(); at += 4096 {
		if _, err := f.WriteAt([]byte("damage damage damage damage"), at&^4095); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	damaged, err := Open(t.Context(), Options{Dir: dir, ReadOnly: true, Log: quiet()})
	if err == nil {
		err = damaged.Check(t.Context())
		defer damaged.Close()
	}
	wantKind(t, err, pipeline.Storage)
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(t.Context(), Options{Dir: dir, ReadOnly: true})
	wantKind(t, err, pipeline.NotFound)
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("opening to read left %v", left)
	}
	w := open(t, Options{Dir: dir})
	begin(t, w, startOf("R1"))
	record(t, w, frame("R1", 1))
	finish(t, w, "R1", 1)
	r := open(t, Options{Dir: dir, ReadOnly: true})
	if got := collect(t, r, "R1"); len(got) != 1 {
		t.Errorf("%d results", len(got))
	}
	wantKind(t, r.Begin(t.Context(), startOf("R2")), pipeline.Storage)
	wantKind(t, r.Record(t.Context(), frame("R1", 2), nil), pipeline.Storage)
	wantKind(t, r.Append(t.Context(), nil, nil), pipeline.Storage)
	_, err = r.Retain(t.Context())
	wantKind(t, err, pipeline.Storage)
}

func TestAnOddFolderName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%41&mode=ro")
	s := open(t, Options{Dir: dir})
	begin(t, s, startOf("R1"))
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		t.Error(err)
	}
}
