package storage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perch/pipeline"
)

// writeForever is the child: it prints each row after it was acknowledged.
func writeForever(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir, Log: quiet()})
	if err != nil {
		panic(err)
	}
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	for n := 0; ; n++ {
		id := fmt.Sprintf("R%d-%d", os.Getpid(), n)
		check(s.Begin(ctx, startOf(id)))
		fmt.Println("begin", id)
		for i := range uint64(20) {
			r := frame(id, i+1, person(float32(i)))
			if i%5 == 0 {
				r.Deliveries = []pipeline.Delivery{hook(int(i), hookURL)}
			}
			check(s.Record(ctx, r, nil))
		}
		e := event("E-" + id)
		check(s.Append(ctx, []pipeline.Event{e}, []pipeline.Message{{Topic: "events", Payload: []byte(`{}`)}}))
		fmt.Println("event", e.ID)
		c, msg := completion(id, 20)
		check(s.Complete(ctx, c, msg))
		fmt.Println("complete", id)
	}
}

// A process is killed in the middle of writing, several times over: what it
// had acknowledged is there, the file is whole, each run has one end.
func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	said := map[string][]string{}
	for round := range 4 {
		cmd := child(t, "write", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			what, id, _ := strings.Cut(lines.Text(), " ")
			said[what] = append(said[what], id)
			if n == 25+7*round {
				cmd.Process.Kill() // SIGKILL; what it still printed is read on
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
	}
	s := open(t, Options{Dir: dir})
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(said["complete"]) < 20 {
		t.Fatalf("only %d completions were acknowledged", len(said["complete"]))
	}
	for _, id := range said["complete"] {
		run, err := s.Run(t.Context(), id)
		if err != nil || run.Complete == nil || run.Complete.Termination == pipeline.Failed || len(collect(t, s, id)) != 20 {
			t.Errorf("acknowledged run %s: %+v, %v", id, run.Complete, err)
		}
	}
	topics := map[string]int{}
	for _, m := range pending(t, s) {
		topics[m.Topic]++
	}
	for _, id := range said["begin"] {
		run, err := s.Run(t.Context(), id)
		if err != nil || run.Complete == nil || topics["runs/"+id+"/complete"] != 1 {
			t.Errorf("run %s has no end or not one message: %v, %d", id, err, topics["runs/"+id+"/complete"])
		}
	}
	events, err := s.Events(t.Context(), EventFilter{Limit: maxLimit})
	if err != nil || len(events) < len(said["event"]) || topics["events"] != len(events) {
		t.Errorf("%d events, %d messages, %d acknowledged, %v", len(events), topics["events"], len(said["event"]), err)
	}
	// Each delivery is there if and only if the result that caused it is.
	var odd int
	err = s.r.QueryRow(`SELECT count(*) FROM (SELECT id FROM results WHERE (id & 1099511627775) % 5 = 1) AS r
		FULL JOIN deliveries ON deliveries.frame = r.id WHERE r.id IS NULL OR deliveries.id IS NULL`).Scan(&odd)
	if owed := s.Stats().DeliveryCount; err != nil || odd != 0 || owed < int64(4*len(said["complete"])) {
		t.Errorf("%d deliveries for %d complete runs, %d without the result or it without them, %v", owed, len(said["complete"]), odd, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, WritersDir, "*")); len(files) != 1 {
		t.Errorf("stale locks: %v", files)
	}
}

// crash leaves a store as a power cut would: locks go, nothing is closed.
func crash(t *testing.T, s *Store) {
	t.Helper()
	s.owner.file.Close()
}

func TestRunsCutShortAreClosedOnce(t *testing.T) {
	dir := t.TempDir()
	a, err := Open(t.Context(), Options{Dir: dir, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() }) // its lock is gone
	begin(t, a, startOf("R1"))
	begin(t, a, startOf("R2"))
	for n := range uint64(30) {
		record(t, a, frame("R1", n+1, person(1), person(200)))
	}
	eventually(t, "results are durable", func() bool { return a.Stats().Results == 30 })
	crash(t, a)
	for range 3 {
		b := open(t, Options{Dir: dir})
		run, err := b.Run(t.Context(), "R1")
		if err != nil || run.Complete == nil {
			t.Fatalf("not closed: %v", err)
		}
		c := run.Complete
		if c.Termination != pipeline.Failed || c.Frames.In != 30 || c.Frames.Processed != 30 || c.Detections["person"] != 60 || c.Device != "jetson-1" ||
			len(c.Errors) != 1 || c.Errors[0] != cutShort || !c.EndedAt.After(c.StartedAt) || c.Models[0].ID != "nanodet" {
			t.Errorf("record %+v", c)
		}
		raw, err := b.CompleteJSON(t.Context(), "R1")
		msgs := pending(t, b)
		if err != nil || len(msgs) != 2 || string(msgs[0].Payload) != string(raw) && string(msgs[1].Payload) != string(raw) {
			t.Errorf("%d messages, %v", len(msgs), err)
		}
		empty, err := b.CompleteJSON(t.Context(), "R2")
		if err != nil || strings.Contains(string(empty), "null") || !json.Valid(empty) {
			t.Errorf("record of a run without frames: %s, %v", empty, err)
		}
	}
}

// perch process beside a running daemon must not end the daemon's runs.
func TestRunsOfALivingProcessStayOpen(t *testing.T) {
	dir := t.TempDir()
	a := open(t, Options{Dir: dir})
	begin(t, a, startOf("R1"))
	b := open(t, Options{Dir: dir})
	begin(t, b, startOf("R2"))
	if run, err := b.Run(t.Context(), "R1"); err != nil || run.Complete != nil {
		t.Errorf("the other process' run was closed: %v", err)
	}
	record(t, a, frame("R1", 1))
	finish(t, a, "R1", 1)
	finish(t, b, "R2", 0)
}
