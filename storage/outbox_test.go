package storage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"perch/pipeline"
)

func message(topic string, n int) pipeline.Message {
	return pipeline.Message{Topic: topic, Payload: fmt.Appendf(nil, `{"n":%d}`, n), Created: epoch}
}

func appendMsgs(t *testing.T, s *Store, msgs ...pipeline.Message) {
	t.Helper()
	if err := s.Append(t.Context(), nil, msgs); err != nil {
		t.Fatal(err)
	}
}

func TestOutboxInOrder(t *testing.T) {
	s := open(t, Options{})
	for n := range 10 {
		appendMsgs(t, s, message("events", n))
	}
	first, err := s.Pending(t.Context(), 0, 4)
	if err != nil || len(first) != 4 || string(first[0].Payload) != `{"n":0}` || !first[0].Created.Equal(epoch) {
		t.Fatalf("%+v, %v", first, err)
	}
	rest, err := s.Pending(t.Context(), first[3].ID, 100)
	if err != nil || len(rest) != 6 || string(rest[0].Payload) != `{"n":4}` {
		t.Fatalf("%+v, %v", rest, err)
	}
	if err := s.Delivered(t.Context(), first[1].ID, first[3].ID, first[1].ID, 12345); err != nil {
		t.Fatal(err)
	}
	if left := pending(t, s); len(left) != 8 || s.Stats().OutboxCount != 8 {
		t.Errorf("%d left, stats say %d", len(left), s.Stats().OutboxCount)
	}
	last := rest[5].ID
	if err := s.Delivered(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	appendMsgs(t, s, message("events", 10))
	if left := pending(t, s); left[len(left)-1].ID <= last {
		t.Error("an id was used twice")
	}
}

func TestRetainedMessagesReplaceOlderOnes(t *testing.T) {
	s := open(t, Options{})
	state := func(cam string, n int) pipeline.Message {
		m := message("cameras/"+cam+"/state", n)
		m.Retain = true
		return m
	}
	for n := range 5 {
		appendMsgs(t, s, state("a", n), state("b", n), message("events", n))
	}
	got := map[string][]string{}
	for _, m := range pending(t, s) {
		got[m.Topic] = append(got[m.Topic], string(m.Payload))
	}
	if len(got["events"]) != 5 || fmt.Sprint(got["cameras/a/state"], got["cameras/b/state"]) != `[{"n":4}] [{"n":4}]` {
		t.Errorf("outbox %v", got)
	}
	if st := s.Stats(); st.OutboxLost != 0 || st.OutboxCount != 7 {
		t.Errorf("replacing counts as loss: %+v", st)
	}
}

func TestOutboxIsBounded(t *testing.T) {
	s := open(t, Options{OutboxCount: 10})
	begin(t, s, startOf("R1"))
	finish(t, s, "R1", 0)
	for n := range 25 {
		appendMsgs(t, s, message("events", n))
	}
	left := pending(t, s)
	if len(left) != 10 || left[0].Topic != "runs/R1/complete" || string(left[1].Payload) != `{"n":16}` {
		t.Errorf("%d left, first %s %s", len(left), left[0].Topic, left[1].Payload)
	}
	if st := s.Stats(); st.OutboxLost != 16 || st.OutboxCount != 10 {
		t.Errorf("stats %+v", st)
	}
	for n := range 12 { // completions only give way to completions
		id := fmt.Sprintf("S%d", n)
		begin(t, s, startOf(id))
		finish(t, s, id, 0)
	}
	left = pending(t, s)
	if len(left) != 10 || left[0].Topic != "runs/S2/complete" {
		t.Errorf("%d left, first %s", len(left), left[0].Topic)
	}

	small := open(t, Options{OutboxBytes: 1000})
	for n := range 100 {
		appendMsgs(t, small, pipeline.Message{Topic: "events", Payload: make([]byte, 94+n%3)})
	}
	if st := small.Stats(); st.OutboxBytes > 1000 || st.OutboxBytes < 800 || st.OutboxLost+st.OutboxCount != 100 {
		t.Errorf("stats %+v", st)
	}
	if err := small.Append(t.Context(), nil, []pipeline.Message{{Topic: "events", Payload: make([]byte, maxPayload+1)}}); err == nil {
		t.Error("a message of any size is taken")
	}
}

func TestWake(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, Options{Dir: dir}), open(t, Options{Dir: dir})
	for _, s := range []*Store{a, b} { // by itself, then by the other one
		appendMsgs(t, s, message("events", 1))
		select {
		case <-a.Wake():
		case <-time.After(20 * time.Second):
			t.Fatal("not woken")
		}
	}
	eventually(t, "the figures follow the other process", func() bool { return a.Stats().OutboxCount == 2 })
}

func TestOneDrainsAtATime(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, Options{Dir: dir}), open(t, Options{Dir: dir})
	unlock, err := a.DrainLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.DrainLock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two drain at once: %v", err)
	}
	unlock()
	unlock, err = b.DrainLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestNoOutbox(t *testing.T) {
	s := open(t, Options{NoOutbox: true})
	appendMsgs(t, s, message("events", 1))
	if n := len(pending(t, s)); n != 0 {
		t.Errorf("%d messages wait for nobody", n)
	}
}
