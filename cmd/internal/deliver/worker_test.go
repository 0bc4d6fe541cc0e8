package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
	"perch/storage"
)

// A hook is a webhook server that answers as it is told and remembers bodies.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	answer func(n int, body string) int // status of the n-th call, from 1; nil: 200
}

func newHook(t *testing.T, answer func(int, string) int) *hook {
	t.Helper()
	h := &hook{answer: answer}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.mu.Lock()
	h.bodies = append(h.bodies, string(b))
	n := len(h.bodies)
	h.mu.Unlock()
	if h.answer != nil {
		w.WriteHeader(h.answer(n, string(b)))
	}
}

func (h *hook) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.bodies...)
}

func TestDeliveriesArrive(t *testing.T) {
	s := openStore(t, t.TempDir())
	up := newHook(t, nil)
	shaky := newHook(t, func(n int, _ string) int { // the first three calls fail
		if n <= 3 {
			return http.StatusBadGateway
		}
		return http.StatusNoContent
	})
	for i := range 40 { // more than a batch, waiting before the worker is there
		owe(t, s, call(t, up.URL, fmt.Sprint(i)), call(t, shaky.URL, fmt.Sprint(i)))
	}
	w := worker(t, Options{Store: s})
	run(t, w)
	eventually(t, "all has arrived", func() bool { return s.Stats().Deliveries == 80 && s.Stats().DeliveryCount == 0 })
	owe(t, s, call(t, up.URL, "new"))
	eventually(t, "what is new arrives", func() bool { return len(up.heard()) == 41 && s.Stats().DeliveryCount == 0 && w.Stats().Delivered == 81 })
	seen := map[string]int{}
	for _, b := range shaky.heard() {
		seen[b]++
	}
	if st := w.Stats(); len(seen) != 40 || st.Delivered != 81 || st.Failed != 3 || st.GivenUp != 0 || !strings.Contains(st.LastError, "502") || st.InFlight != 0 {
		t.Errorf("%d bodies at the shaky one, stats %+v", len(seen), st)
	}
	if events, err := s.Events(t.Context(), storage.EventFilter{Kind: "delivery.failed"}); err != nil || len(events) != 0 {
		t.Errorf("events %+v, %v", events, err)
	}
}

// One destination does not answer and another refuses everything: the third is
// served as if it were alone.
func TestASlowDestinationDelaysNobody(t *testing.T) {
	s := openStore(t, t.TempDir())
	release := make(chan struct{})
	slow := newHook(t, func(int, string) int { <-release; return 200 })
	t.Cleanup(func() { close(release) })
	fast := newHook(t, nil)
	for i := range 30 {
		owe(t, s, call(t, slow.URL, fmt.Sprint(i)), call(t, "http://127.0.0.1:1", "x"), call(t, fast.URL, fmt.Sprint(i)))
	}
	w := worker(t, Options{Store: s, Parallel: 2, Destinations: 3})
	run(t, w)
	eventually(t, "the fast one has all", func() bool { return len(fast.heard()) == 30 })
	if n := len(slow.heard()); n > 2 {
		t.Errorf("%d calls are under way to the slow one, 2 may be", n)
	}
	eventually(t, "the others' wait", func() bool { return s.Stats().DeliveryCount == 60 })
}

func TestGivingUp(t *testing.T) {
	s := openStore(t, t.TempDir())
	picky := newHook(t, func(_ int, body string) int {
		if body == "bad" {
			return http.StatusUnprocessableEntity
		}
		return 200
	})
	late := call(t, "http://127.0.0.1:1", "late")
	late.Expires = time.Now().Add(300 * time.Millisecond)
	over := call(t, picky.URL, "over")
	over.Created, over.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	out := &logged{}
	w := worker(t, Options{Store: s, Log: newLogger(out)})
	owe(t, s, call(t, picky.URL, "bad"), call(t, picky.URL, "good"), late, over)
	run(t, w)
	eventually(t, "nothing waits", func() bool {
		return s.Stats().Deliveries == 4 && s.Stats().DeliveryCount == 0 && w.Stats().GivenUp == 3
	})
	if got := strings.Join(picky.heard(), " "); !strings.Contains(got, "good") || strings.Contains(got, "over") || len(picky.heard()) != 2 {
		t.Errorf("heard %s", got)
	}
	events, err := s.Events(t.Context(), storage.EventFilter{Kind: "delivery.failed"})
	why := map[string]int{}
	for _, e := range events {
		var d struct {
			Why, Error, To string
			Tries          int
		}
		if err := json.Unmarshal(e.Detail, &d); err != nil || e.Camera != "door" || e.Frame != 1 {
			t.Errorf("event %+v, %v", e, err)
		}
		why[d.Why]++
		if d.Why == "refused" && (d.Error != "the answer is 422 Unprocessable Entity" || d.Tries != 1 || d.To != picky.URL) {
			t.Errorf("detail %s", e.Detail)
		}
		if d.Why == "expired" && d.To != picky.URL && (d.Tries < 2 || d.Error == "") {
			t.Errorf("detail %s", e.Detail)
		}
	}
	if err != nil || why["refused"] != 1 || why["expired"] != 2 || w.Stats().GivenUp != 3 {
		t.Errorf("given up %v, stats %+v, %v", why, w.Stats(), err)
	}
	if !strings.Contains(out.String(), "delivery given up") || !strings.Contains(out.String(), "trying again") {
		t.Errorf("logged: %s", out)
	}
}

func TestDrain(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	up := newHook(t, func(n int, _ string) int {
		if n == 1 {
			return http.StatusServiceUnavailable
		}
		return 200
	})
	owe(t, s, call(t, up.URL, "a"), call(t, up.URL, "b"))
	eventually(t, "they are stored", func() bool { return s.Stats().DeliveryCount == 2 })
	w := worker(t, Options{Store: s})
	if err := w.Drain(t.Context(), 20*time.Second); err != nil || len(up.heard()) != 3 {
		t.Errorf("%v, heard %v", err, up.heard())
	}
	if err := w.Drain(t.Context(), time.Hour); err != nil {
		t.Errorf("nothing waits: %v", err)
	}
	owe(t, s, call(t, "http://127.0.0.1:1", "x"))
	eventually(t, "it is stored", func() bool { return s.Stats().DeliveryCount == 1 })
	err := w.Drain(t.Context(), 300*time.Millisecond)
	if pipeline.KindOf(err) != pipeline.Timeout || !strings.Contains(err.Error(), "1 messages") || !strings.Contains(err.Error(), "connection refused") || s.Stats().DeliveryCount != 1 {
		t.Errorf("%v, %d wait", err, s.Stats().DeliveryCount)
	}
	// While another process delivers, nothing is sent twice.
	unlock, err := s.DeliveriesLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	owe(t, s, call(t, up.URL, "c"))
	if err := worker(t, Options{Store: openStore(t, dir)}).Drain(t.Context(), 200*time.Millisecond); pipeline.KindOf(err) != pipeline.Timeout {
		t.Errorf("the other process holds the lock: %v", err)
	}
	if len(up.heard()) != 3 {
		t.Error("two delivered at once")
	}
}

// Stopping takes no longer than the grace, and what was cut short is not
// counted against the destination.
func TestStopping(t *testing.T) {
	s := openStore(t, t.TempDir())
	release := make(chan struct{})
	h := newHook(t, func(int, string) int { <-release; return 200 })
	w := worker(t, Options{Store: s})
	stop := run(t, w)
	owe(t, s, call(t, h.URL, "x"))
	eventually(t, "it is under way", func() bool { return len(h.heard()) == 1 })
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	stop()
	if st := w.Stats(); s.Stats().DeliveryCount != 0 || st.Delivered != 1 || st.Failed != 0 {
		t.Errorf("what arrived while stopping: %d wait, %+v", s.Stats().DeliveryCount, st)
	}
}

// deliverForever is the process that is killed.
func deliverForever(dir, url string) {
	ctx := context.Background()
	s, err := storage.Open(ctx, storage.Options{Dir: dir, Log: quiet()})
	if err != nil {
		panic(err)
	}
	w, err := New(Options{Store: s, RetryMin: 10 * time.Millisecond, Log: quiet()})
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	run := fmt.Sprintf("R%d", os.Getpid())
	if err := s.Begin(ctx, pipeline.RunStart{Run: run, Started: time.Now()}); err != nil {
		panic(err)
	}
	for seq := uint64(1); ; seq++ {
		body := fmt.Sprintf("%s-%d", run, seq)
		d, err := (&Request{Method: "POST", URL: url, Body: []byte(body), Timeout: 5 * time.Second}).Delivery(time.Now(), time.Hour)
		r := &pipeline.Result{Run: run, Frame: pipeline.FrameInfo{Seq: seq}, Deliveries: []pipeline.Delivery{d}}
		if err := errors.Join(err, s.Record(ctx, r, nil)); err != nil {
			panic(err)
		}
		for st := s.Stats(); int(st.DeliveryCount)+st.QueueCount > 50; st = s.Stats() { // what is left must arrive while the test waits
			time.Sleep(time.Millisecond)
		}
	}
}

// A process is killed while it records and delivers, several times over. Each
// delivery whose result is in the database arrives, most of them once.
func TestKilledWhileDelivering(t *testing.T) {
	dir := t.TempDir()
	h := newHook(t, func(n int, _ string) int {
		if n%7 == 0 {
			return http.StatusInternalServerError
		}
		return 200
	})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "PERCH_DELIVER_DIR="+dir, "PERCH_DELIVER_URL="+h.URL)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want := len(h.heard()) + 25 + 10*round
		eventually(t, "some arrive", func() bool { return len(h.heard()) >= want })
		cmd.Process.Kill()
		if cmd.Wait() == nil {
			t.Fatal("the child ended by itself")
		}
	}
	s := openStore(t, dir)
	if err := worker(t, Options{Store: s}).Drain(t.Context(), 30*time.Second); err != nil {
		t.Fatal(err)
	}
	arrived := map[string]int{}
	for _, b := range h.heard() {
		arrived[b]++
	}
	recorded := 0
	runs, err := s.Runs(t.Context(), storage.RunFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		for res, err := range s.Results(t.Context(), r.Run) {
			if err != nil {
				t.Fatal(err)
			}
			recorded++
			if arrived[fmt.Sprintf("%s-%d", r.Run, res.Frame.Seq)] == 0 {
				t.Errorf("frame %d of run %s was kept and its delivery never arrived", res.Frame.Seq, r.Run)
			}
		}
	}
	if recorded < 75 || len(arrived) != recorded {
		t.Errorf("%d results, %d different deliveries arrived", recorded, len(arrived))
	}
}

// A destination rests longer each time that nothing arrives; one that fails now
// and then does not.
func TestDestinationsRest(t *testing.T) {
	r := round{w: worker(t, Options{RetryMin: 10 * time.Second, RetryMax: time.Hour}), running: map[place]bool{}, rest: map[place]rest{}}
	at := place{Webhook, "x"}
	wait := func(s served) time.Duration {
		s.place = at
		r.note(s)
		return time.Until(r.rest[at].until)
	}
	for _, c := range []struct {
		s    served
		want time.Duration // and up to a quarter more
	}{
		{served{failed: true}, 10 * time.Second}, {served{failed: true}, 20 * time.Second}, {served{failed: true}, 40 * time.Second}, {served{failed: true}, maxRest}, {served{failed: true}, maxRest},
		{served{failed: true, arrived: true}, 10 * time.Second}, {served{failed: true, after: 5 * time.Minute}, 4 * time.Minute}, {served{failed: true}, 40 * time.Second}, {served{arrived: true}, 0}, {served{failed: true}, 10 * time.Second},
	} {
		if got := wait(c.s); c.want > 0 && (got < c.want-time.Second || got > c.want*5/4) || c.want == 0 && got > 0 {
			t.Errorf("after %+v it rests %v, want %v", c.s, got, c.want)
		}
	}
}

func TestDelays(t *testing.T) {
	for failures, want := range map[int]time.Duration{0: 2, 1: 2, 2: 4, 3: 8, 4: 10, 1000: 10} {
		for range 100 {
			if d := backoff(2*time.Second, 10*time.Second, failures); d < want*time.Second || d > want*time.Second*5/4 {
				t.Fatalf("after %d failures: %v", failures, d)
			}
		}
	}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		now  time.Time
		step time.Duration
	}{
		"steady":   {noon.Add(time.Minute), 0},
		"slewed":   {noon.Add(61 * time.Second), 0},
		"forward":  {noon.AddDate(5, 0, 0).Add(time.Minute), noon.AddDate(5, 0, 0).Sub(noon)},
		"backward": {noon.Add(-time.Hour), -61 * time.Minute},
	} {
		if before, step := clockSet(noon, c.now, time.Minute); step != c.step || !before.Equal(noon.Add(time.Minute)) {
			t.Errorf("%s: %v, %v", name, before, step)
		}
	}
}
