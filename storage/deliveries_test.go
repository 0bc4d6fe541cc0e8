package storage

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

const hookKind, hookURL = "webhook", "https://hooks.example.org"

func hook(n int, to string) pipeline.Delivery {
	return pipeline.Delivery{Kind: hookKind, To: to, Body: fmt.Appendf(nil, `{"n":%d}`, n), Created: epoch.Add(time.Duration(n) * time.Second), Expires: epoch.Add(time.Hour)}
}

// owe records the n-th frame of a run with deliveries.
func owe(t *testing.T, s *Store, run string, n uint64, all ...pipeline.Delivery) {
	t.Helper()
	r := frame(run, n)
	r.Deliveries = all
	record(t, s, r)
}

// drained waits until what was recorded is written.
func drained(t *testing.T, s *Store) {
	t.Helper()
	eventually(t, "all is written", func() bool { n, _ := s.queue.size(); return n == 0 })
}

func due(t *testing.T, s *Store, to string, at time.Time) []pipeline.Delivery {
	t.Helper()
	all, err := s.DueDeliveries(t.Context(), hookKind, to, at, false, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// failures are the details of the events that say what was given up, oldest
// first; each has its message.
func failures(t *testing.T, s *Store) (details []failedDelivery, events []pipeline.Event) {
	t.Helper()
	events, err := s.Events(t.Context(), EventFilter{Kind: failedKind, Limit: maxLimit})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, m := range pending(t, s) {
		var e pipeline.Event
		if err := json.Unmarshal(m.Payload, &e); err != nil {
			t.Fatal(err)
		}
		told[e.ID] = true
	}
	for i := len(events) - 1; i >= 0; i-- {
		var f failedDelivery
		if err := json.Unmarshal(events[i].Detail, &f); err != nil {
			t.Fatal(err)
		}
		if !told[events[i].ID] {
			t.Errorf("event %s has no message", events[i].ID)
		}
		details = append(details, f)
	}
	return details, events
}

func TestDeliveriesAreKeptWhateverIsKept(t *testing.T) {
	s := open(t, Options{})
	for n, keep := range []pipeline.Keep{pipeline.KeepEvery, pipeline.KeepChanges, pipeline.KeepEvents} {
		start := startOf(fmt.Sprintf("R%d", n))
		start.Keep = keep
		begin(t, s, start)
		for i := range uint64(3) {
			owe(t, s, start.Run, i+1, hook(10*n+int(i), hookURL))
		}
		select {
		case <-s.DeliveriesWake():
		case <-time.After(20 * time.Second):
			t.Fatal("nobody was woken")
		}
	}
	drained(t, s)
	all := due(t, s, hookURL, epoch.Add(time.Minute))
	if len(all) != 9 || s.Stats().DeliveryCount != 9 || s.Stats().Deliveries != 9 {
		t.Fatalf("%d wait, stats %+v", len(all), s.Stats())
	}
	want := hook(0, hookURL)
	want.ID = all[0].ID
	if got := all[0]; got.ID == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := len(collect(t, s, "R2")); n != 0 {
		t.Errorf("a delivery made %d results worth keeping", n)
	}
	if all := due(t, s, hookURL, epoch.Add(time.Second)); len(all) != 2 {
		t.Errorf("%d are due after a second, want those of the first two frames", len(all))
	}
}

func TestADeliveryThatFailsIsTriedLater(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	owe(t, s, "R1", 1, hook(0, hookURL), hook(1, hookURL), hook(2, "https://b.example.org"))
	drained(t, s)
	now := epoch.Add(time.Minute)
	first := due(t, s, hookURL, now)[0]
	if err := s.DeliveryFailed(t.Context(), first.ID, strings.Repeat("no answer ", 200), now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := due(t, s, hookURL, now); len(got) != 1 || got[0].ID == first.ID {
		t.Errorf("at once: %+v", got)
	}
	later := due(t, s, hookURL, now.Add(time.Second))
	if len(later) != 2 || later[1].ID != first.ID || later[1].Tries != 1 || len(later[1].Error) > maxErrorBytes+3 || !strings.HasPrefix(later[1].Error, "no answer") {
		t.Errorf("later: %+v", later)
	}
	inOrder, err := s.DueDeliveries(t.Context(), hookKind, hookURL, now.Add(time.Second), true, 1)
	if err != nil || len(inOrder) != 1 || inOrder[0].ID != first.ID {
		t.Errorf("in order: %+v, %v", inOrder, err)
	}
	places, err := s.Destinations(t.Context())
	if err != nil || len(places) != 2 || places[0] != (Destination{hookKind, "https://b.example.org", 1, epoch.Add(2 * time.Second)}) || places[1].Waiting != 2 {
		t.Errorf("destinations %+v, %v", places, err)
	}
	for _, d := range append(later, later[0], due(t, s, "https://b.example.org", now)[0]) { // one of them twice
		if err := s.DeliveriesDone(t.Context(), d.ID); err != nil {
			t.Error(err)
		}
	}
	if st := s.Stats(); st.DeliveryCount != 0 || st.DeliveryBytes != 0 || st.DeliveriesGivenUp != 0 {
		t.Errorf("stats %+v", st)
	}
	if f, _ := failures(t, s); len(f) != 0 {
		t.Errorf("events of what arrived: %+v", f)
	}
}

func TestGivingUpIsAnEvent(t *testing.T) {
	made := 0
	s := open(t, Options{Event: func(kind string) pipeline.Event {
		made++
		e := event(fmt.Sprintf("F%d", made))
		e.Kind, e.Camera, e.Detail = kind, "", nil
		return e
	}})
	begin(t, s, startOf("R1"))
	huge := hook(2, hookURL)
	huge.Body = make([]byte, MaxDelivery+1)
	owe(t, s, "R1", 7, hook(0, hookURL), hook(1, hookURL), huge)
	drained(t, s)
	all := due(t, s, hookURL, epoch.Add(time.Minute))
	if err := s.DeliveryFailed(t.Context(), all[1].ID, "no route", epoch); err != nil {
		t.Fatal(err)
	}
	for i, why := range []string{GivenUpRefused, GivenUpExpired, GivenUpExpired} {
		if err := s.GiveUpDelivery(t.Context(), all[min(i, 1)].ID, why, "404 Not Found"); err != nil { // the second one twice
			t.Fatal(err)
		}
	}
	f, events := failures(t, s)
	want := []failedDelivery{
		{hookKind, hookURL, givenUpSize, "it has 8388609 bytes, the most is 8388608", 0, 1, epoch.Add(2 * time.Second)},
		{hookKind, hookURL, GivenUpRefused, "404 Not Found", 1, 1, epoch},
		{hookKind, hookURL, GivenUpExpired, "404 Not Found", 1, 1, epoch.Add(time.Second)},
	}
	if fmt.Sprint(f) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
	for _, e := range events {
		if e.Run != "R1" || e.Camera != "door" || e.Frame != 7 || e.Clock.BootID != "boot-1" || e.Device != "jetson-1" {
			t.Errorf("event %+v", e)
		}
	}
	if st := s.Stats(); st.DeliveryCount != 0 || st.DeliveriesGivenUp != 3 {
		t.Errorf("stats %+v", st)
	}
}

// One destination is down and fills the place: it loses its own oldest, the
// others lose nothing.
func TestDeliveriesAreBounded(t *testing.T) {
	for name, opt := range map[string]Options{"count": {DeliveryCount: 300}, "bytes": {DeliveryBytes: 2400}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, opt)
			begin(t, s, startOf("R1"))
			owe(t, s, "R1", 1, hook(1, "https://up.example.org"))
			const sent = 1000
			for n := range sent {
				owe(t, s, "R1", uint64(n)+2, hook(n, hookURL))
			}
			drained(t, s)
			if up := due(t, s, "https://up.example.org", epoch.Add(time.Hour)); len(up) != 1 {
				t.Error("a destination that is up lost its delivery")
			}
			left := due(t, s, hookURL, epoch.Add(time.Hour))
			st := s.Stats()
			if n := int64(len(left)); st.DeliveryCount != n+1 || n < 200 || n > 300 || st.DeliveriesGivenUp != sent-n || st.DeliveryBytes > 2400 && name == "bytes" {
				t.Errorf("%d left, stats %+v", n, st)
			}
			if got := string(left[len(left)-1].Body); got != `{"n":999}` {
				t.Errorf("the newest is %s", got)
			}
			f, _ := failures(t, s)
			var lost int64
			for _, one := range f {
				lost += one.Count
				if one.Why != givenUpFull || one.To != hookURL {
					t.Errorf("event %+v", one)
				}
			}
			if lost != st.DeliveriesGivenUp || len(f) > sent/2 || !f[0].Oldest.Equal(epoch) {
				t.Errorf("%d events say that %d were lost, the oldest of %v", len(f), lost, f[0].Oldest)
			}
		})
	}
}

func TestWhatWaitsMovesWithTheClock(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	d := hook(0, hookURL)
	d.Expires = epoch.Add(time.Hour)
	owe(t, s, "R1", 1, d)
	drained(t, s)
	const years = 5 * 365 * 24 * time.Hour
	if err := s.ClockSet(t.Context(), epoch.Add(time.Minute), years); err != nil { // there was no network time before
		t.Fatal(err)
	}
	new := hook(0, hookURL)
	new.Created, new.Expires = epoch.Add(years+time.Minute), epoch.Add(years+2*time.Hour)
	owe(t, s, "R1", 2, new)
	drained(t, s)
	all := due(t, s, hookURL, epoch.Add(years+time.Hour))
	if len(all) != 2 || !all[0].Expires.Equal(epoch.Add(years+time.Hour)) || !all[1].Expires.Equal(new.Expires) {
		t.Errorf("%+v", all)
	}
	if err := s.ClockSet(t.Context(), epoch.Add(years+time.Minute), -years); err != nil {
		t.Fatal(err)
	}
	if all := due(t, s, hookURL, epoch.Add(time.Minute)); len(all) != 2 {
		t.Errorf("after the clock was set back %d are due: %+v", len(all), all)
	}
}

func TestOneDeliversAtATime(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, Options{Dir: dir}), open(t, Options{Dir: dir})
	drain, err := a.DrainLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer drain()
	unlock, err := b.DeliveriesLock(t.Context()) // another lock than the outbox's
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	begin(t, a, startOf("R1"))
	owe(t, a, "R1", 1, hook(0, hookURL))
	select {
	case <-b.DeliveriesWake(): // what another process kept
	case <-time.After(20 * time.Second):
		t.Fatal("not woken")
	}
}

func TestOutputsAndErrorsAreKept(t *testing.T) {
	s := open(t, Options{})
	start := startOf("R1")
	start.Keep = pipeline.KeepChanges
	begin(t, s, start)
	frames := []struct {
		data   string
		errors []string
		kept   bool
		faults string
	}{
		{`{"count":1,"names":["a","é"]}`, nil, true, ""},
		{`{"count":2}`, nil, false, ""}, // no object has moved
		{"", []string{"step \"x\": broken"}, true, "[step \"x\": broken]"},
		{"", []string{"step \"x\": broken"}, false, ""},
		{`{}`, nil, true, ""},
		{`{"a":"` + strings.Repeat("x", maxData) + `"}`, make([]string, 20), true,
			"[" + strings.Repeat(" ", maxErrors-1) + "the workflow's outputs have 1048584 bytes and were not kept, the most is 1048576]"},
	}
	want := ""
	for i, f := range frames {
		r := frame("R1", uint64(i)+1)
		r.Data, r.Errors = []byte(f.data), f.errors
		record(t, s, r)
		if len(f.data) > maxData {
			f.data = ""
		}
		if f.kept {
			want += fmt.Sprintf("%d %s %s\n", i+1, f.data, f.faults)
		}
	}
	r := frame("R1", 99)
	r.Data = []byte(`{"a":`)
	wantKind(t, s.Record(t.Context(), r, nil), pipeline.BadInput)
	finish(t, s, "R1", 6)
	got := ""
	for _, r := range collect(t, s, "R1") {
		faults := ""
		if r.Errors != nil {
			faults = fmt.Sprint(r.Errors)
		}
		got += fmt.Sprintf("%d %s %s\n", r.Frame.Seq, r.Data, faults)
	}
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Outputs as large as they may be are read in pages that fit into memory.
func TestLargeOutputsAreReadInSmallPages(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	data := []byte(`"` + strings.Repeat("x", maxData-2) + `"`)
	const n = 11
	for i := range uint64(n) {
		r := frame("R1", i+1)
		r.Data = data
		record(t, s, r)
	}
	finish(t, s, "R1", n)
	run, err := s.Run(t.Context(), "R1")
	if err != nil {
		t.Fatal(err)
	}
	batch, more, err := s.readResults(t.Context(), &run, nil, run.number<<frameBits)
	if err != nil || !more || len(batch) != pageBytes/maxData {
		t.Errorf("a page of %d, more %v, %v", len(batch), more, err)
	}
	if all := collect(t, s, "R1"); len(all) != n || len(all[n-1].Data) != maxData {
		t.Errorf("%d results", len(all))
	}
}

// A database of the first schema keeps what it holds.
func TestADatabaseOfTheFirstSchema(t *testing.T) {
	dir := t.TempDir()
	db := raw(t, dir)
	first, err := migrations.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, string(first))
	mustExec(t, db, fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = 1;
		INSERT INTO migrations VALUES (1, '0001_first.sql', 0);
		INSERT INTO runs VALUES (1, 'R1', 'jetson-1', 'door', 'rtsp', 'x', 'w', 1000000, 'b', 1, 1, 640, 480, 'every', '{"Run":"R1"}', 'gone', 0);
		INSERT INTO results VALUES (1 << 40 | 1, 0, 0, NULL), (1 << 40 | 2, 40000, 0, NULL);
		INSERT INTO events VALUES (1, 'E1', 'jetson-1', 'line.crossed', 'door', 'R1', 1, 0, '', 1, 'b', 1, 1, NULL);
		INSERT INTO outbox VALUES (1, 'events', x'7b7d', 0, 0, 1)`, applicationID))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Dir: dir})
	if got := collect(t, s, "R1"); len(got) != 2 || got[0].Data != nil || got[0].Errors != nil {
		t.Errorf("results %+v", got)
	}
	run, err := s.Run(t.Context(), "R1")
	if err != nil || run.Complete == nil || len(pending(t, s)) != 2 { // closed: nobody records it any more
		t.Errorf("run %+v, %v", run, err)
	}
	var rows int
	if err := s.r.QueryRow(`SELECT count(*) FROM frames WHERE run = 1 AND data IS NULL AND errors IS NULL`).Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows in view frames, %v", rows, err)
	}
}
