package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"perch/pipeline"
)

// limitPages makes SQLite itself report a full disk from so many pages on.
func limitPages(t *testing.T, s *Store, more int) {
	t.Helper()
	var have int
	if err := s.w.QueryRow(`PRAGMA page_count`).Scan(&have); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, have+more)); err != nil {
		t.Fatal(err)
	}
}

func TestDiskFullLosesNothingAccepted(t *testing.T) {
	s := open(t, Options{Commit: 10 * time.Millisecond, QueueCount: 50, Patience: 700 * time.Millisecond})
	begin(t, s, startOf("R1"))
	limitPages(t, s, 4)
	accepted, refusals := uint64(0), 0
	for refusals < 2 {
		r := frame("R1", accepted+1, person(1), person(100), person(200), person(300), person(400))
		err := s.Record(t.Context(), r, nil)
		if err == nil {
			accepted++
			continue
		}
		refusals++
		wantKind(t, err, pipeline.Storage)
		if e, ok := errors.AsType[sqlite3.Error](err); !ok || e.Code != sqlite3.ErrFull || !strings.Contains(err.Error(), "make room on the disk") {
			t.Fatalf("the error does not say what to do: %v", err)
		}
	}
	if st := s.Stats(); st.Failing == "" || st.FailingSince.IsZero() || st.Retries == 0 || st.QueueCount == 0 {
		t.Errorf("stats do not show it: %+v", st)
	}
	wantKind(t, s.Append(t.Context(), []pipeline.Event{event("E1")}, nil), pipeline.Storage)
	c, msg := completion("R1", accepted)
	wantKind(t, s.Complete(t.Context(), c, msg), pipeline.Storage)

	limitPages(t, s, 100_000)
	eventually(t, "writing goes on", func() bool { return s.Stats().Failing == "" })
	record(t, s, frame("R1", accepted+1))
	finish(t, s, "R1", accepted+1)
	if got := collect(t, s, "R1"); uint64(len(got)) != accepted+1 || got[accepted].Frame.Seq != accepted+1 {
		t.Errorf("%d results, %d were accepted", len(got), accepted+1)
	}
	events, err := s.Events(t.Context(), EventFilter{})
	if err != nil || len(events) != 0 || len(pending(t, s)) != 1 {
		t.Errorf("what was refused was written all the same: %d events, %d messages, %v", len(events), len(pending(t, s)), err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestACallerThatGivesUpIsNotWritten(t *testing.T) {
	s := open(t, Options{Commit: time.Millisecond, QueueCount: 4})
	begin(t, s, startOf("R1"))
	limitPages(t, s, 0)
	big := pipeline.Message{Topic: "events", Payload: make([]byte, 100_000)}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Append(ctx, nil, []pipeline.Message{big}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("append: %v", err)
	}
	for n := uint64(1); ; n++ { // until the queue is full
		if err := s.Record(ctx, frame("R1", n), nil); err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("record: %v", err)
			}
			break
		}
	}
	limitPages(t, s, 100_000)
	finish(t, s, "R1", 0)
	if msgs := pending(t, s); len(msgs) != 1 {
		t.Errorf("%d messages, want the completion alone", len(msgs))
	}
}

func TestClosingOnAFullDiskSaysWhatIsLost(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Log: quiet(), Commit: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, s, startOf("R1"))
	limitPages(t, s, 0)
	for n := range uint64(100) {
		record(t, s, frame("R1", n+1, person(1), person(100), person(200), person(300), person(400)))
	}
	eventually(t, "the disk is full", func() bool { return s.Stats().Failing != "" })
	err = s.Close()
	wantKind(t, err, pipeline.Storage)
	st := s.Stats() // the first few may have found room in a page that was there
	if st.Lost == 0 || st.Lost+st.Results != 100 || !strings.Contains(err.Error(), fmt.Sprintf("%d queued results", st.Lost)) {
		t.Errorf("close: %v, %d kept", err, st.Results)
	}
}

// fillTmpfs is the child, in a mount namespace of its own: it fills a real
// file system, frees it again and checks that all accepted results are kept.
func fillTmpfs(dir string) {
	check := func(what string, err error) {
		if err != nil {
			fmt.Println(what+":", err)
			os.Exit(1)
		}
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		fmt.Println("no mount:", err)
		return
	}
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir, Log: quiet(), Commit: 10 * time.Millisecond, QueueCount: 100, Patience: time.Second})
	check("open", err)
	check("begin", s.Begin(ctx, startOf("R1")))
	ballast := filepath.Join(dir, "ballast")
	check("ballast", os.WriteFile(ballast, make([]byte, 1200<<10), 0o600))
	accepted := uint64(0)
	for err == nil {
		if err = s.Record(ctx, frame("R1", accepted+1, person(1), person(100), person(200)), nil); err == nil {
			accepted++
		}
	}
	if e, ok := errors.AsType[sqlite3.Error](err); !ok || e.Code != sqlite3.ErrFull || pipeline.KindOf(err) != pipeline.Storage {
		check("record", err)
	}
	fmt.Println("full after", accepted > 0, "|", err)
	check("free", os.Remove(ballast))
	c, msg := completion("R1", accepted)
	for s.Stats().Failing != "" {
		time.Sleep(10 * time.Millisecond)
	}
	check("complete", s.Complete(ctx, c, msg))
	n := uint64(0)
	for _, err := range s.Results(ctx, "R1") {
		check("read", err)
		n++
	}
	check("integrity", s.Check(ctx))
	check("close", s.Close())
	fmt.Println("all kept:", n == accepted)
}

func TestARealFullDisk(t *testing.T) {
	cmd := child(t, "tmpfs", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	out, err := cmd.Output()
	if errors.Is(err, syscall.EPERM) || strings.HasPrefix(string(out), "no mount") {
		t.Skipf("this user may not mount a file system to fill: %v %s", err, out)
	}
	if err != nil || !strings.Contains(string(out), "full after true") || !strings.Contains(string(out), "all kept: true") {
		t.Errorf("%v\n%s", err, out)
	}
}
