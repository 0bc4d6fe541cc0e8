package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"perch/pipeline"
)

var (
	_ pipeline.Recorder = (*Store)(nil)
	_ pipeline.EventLog = (*Store)(nil)
)

const (
	frameBits = 40 // of results.id: 1,100 years at 30 frames a second
	maxFrame  = 1<<frameBits - 1
	maxRuns   = 1<<(63-frameBits) - 1
)

// An openRun is a run that this process records.
type openRun struct {
	id      string
	number  int64 // runs.id
	started int64 // microseconds
	keep    pipeline.Keep
	known   []string // labels by class, from the start
	written tally    // owned by the writer goroutine
	broken  atomic.Pointer[failure]

	mu      sync.Mutex // one call a run at a time; held while the queue is full
	ended   bool
	seq     uint64 // of the last frame accepted
	usual   frameSize
	learned map[int]string       // labels that the start did not have
	moved   map[taken]int        // numbers of classes whose own was taken
	kept    []pipeline.Detection // of the last frame kept
	failed  []string             // errors of the last frame kept
	any     bool                 // a frame was kept
	pending tally                // of frames that were not kept since the last request
	asked   time.Time            // when the last request was queued
}

// Begin records the start of a run. It is durable when it returns.
func (s *Store) Begin(ctx context.Context, start pipeline.RunStart) error {
	start.Keep = orElse(start.Keep, s.opt.Keep)
	if start.Run == "" || !validKeep(start.Keep) {
		return &pipeline.Error{Op: "begin run", On: start.Run, Kind: pipeline.BadConfig, Err: fmt.Errorf("run id %q, keep %q", start.Run, start.Keep)}
	}
	text, err := json.Marshal(start)
	if err != nil {
		return fmt.Errorf("encode start of run %s: %w", start.Run, err)
	}
	run := &openRun{
		id: start.Run, started: start.Started.UnixMicro(), keep: start.Keep, known: start.Labels, asked: time.Now(),
		usual: frameSize{start.Stream.Width, start.Stream.Height}, learned: map[int]string{}, moved: map[taken]int{},
	}
	err = s.do(ctx, "begin run", &op{size: len(text), apply: func(t *txn) error {
		res, err := t.tx.Exec(`INSERT INTO runs (run, device, camera, source_kind, source_name, workflow, started_us, boot_id, monotonic_s, clock_trusted, width, height, keep, start, owner)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			start.Run, start.Device, start.Camera, string(start.Source.Kind), start.Source.Name, start.Workflow.Name, run.started,
			start.Clock.BootID, start.Clock.MonotonicS, start.Clock.WallTrusted, run.usual.w, run.usual.h, string(start.Keep), string(text), s.owner.name)
		if err != nil {
			return err
		}
		run.number, err = res.LastInsertId()
		if err == nil && run.number > maxRuns {
			err = fmt.Errorf("%d runs were recorded, the most a database can hold", maxRuns)
		}
		return err
	}})
	if err != nil {
		if isDuplicate(err) {
			return &pipeline.Error{Op: "begin run", On: start.Run, Kind: pipeline.BadInput, Err: errors.New("there is a run of this id already")}
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[run.id] = run
	return nil
}

func (s *Store) openRun(id string) *openRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[id]
}

// Record takes one frame's result with its events, deliveries and messages,
// which become one transaction; the latter three whatever Keep is. It blocks
// while the queue is full. Accepted results are written as soon as they can
// be: after a full disk they follow when there is room again.
func (s *Store) Record(ctx context.Context, r *pipeline.Result, msgs []pipeline.Message) error {
	if s.queue == nil {
		return s.explain("record result", errReadOnly)
	}
	run := s.openRun(r.Run)
	if run == nil {
		return s.noSuchRun(ctx, "record result", r.Run)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.ended {
		return s.noSuchRun(ctx, "record result", r.Run)
	}
	if f := run.broken.Load(); f != nil {
		return s.explain("record result", f.err)
	}
	asked := time.Now()
	if err := s.blocked(asked.Add(-time.Hour)); err != nil {
		return err
	}
	o, next, err := s.resultOp(run, r, msgs)
	if err != nil {
		return &pipeline.Error{Op: "record result", On: fmt.Sprintf("frame %d of run %s", r.Frame.Seq, r.Run), Kind: pipeline.BadInput, Err: err}
	}
	if o != nil {
		if err := s.queue.put(ctx, o, func() error { return s.blocked(asked) }); err != nil {
			return s.explain("record result", err)
		}
	}
	next()
	return nil
}

// resultOp turns r into a request, or nil when nothing of it is to be written
// now. next makes the run remember r, once the request was accepted.
func (s *Store) resultOp(run *openRun, r *pipeline.Result, msgs []pipeline.Message) (o *op, next func(), err error) {
	if r.Frame.Seq <= run.seq || r.Frame.Seq > maxFrame {
		return nil, nil, fmt.Errorf("the frame before was %d", run.seq)
	}
	dets, news, err := run.name(r.Detections)
	if err != nil {
		return nil, nil, err
	}
	if len(dets) > 0 && &dets[0] != &r.Detections[0] {
		named := *r // the caller's stays as it is
		named.Detections = dets
		r = &named
	}
	size := frameSize{r.Frame.Width, r.Frame.Height}
	usual := run.usual
	if usual == (frameSize{}) {
		usual = size
	}
	packed, err := pack(r.Detections, size, usual)
	if err != nil {
		return nil, nil, err
	}
	keep := s.keeps(run, r)
	var data, faults string
	if keep {
		if data, faults, err = texts(r); err != nil {
			return nil, nil, err
		}
	}
	var sum tally // a copy: pending must not change before r is accepted
	sum.merge(&run.pending)
	sum.add(r)
	now := time.Now()
	owes := len(r.Events)+len(msgs)+len(r.Deliveries) > 0
	if !keep && !owes && now.Sub(run.asked) < progressEvery {
		return nil, func() {
			run.seq, run.pending = r.Frame.Seq, sum
			s.stats.skipped.Add(1)
		}, nil
	}
	o = &op{urgent: owes, result: true, run: run, tally: sum}
	o.size = 128 + len(packed) + len(data) + len(faults) + sizeOf(r.Events, msgs) + deliveriesSize(r.Deliveries)
	row := row{id: run.number<<frameBits | int64(r.Frame.Seq), pts: r.Frame.PTS.Microseconds(), packed: packed, data: orNull(data), errors: orNull(faults)}
	if !r.Frame.Wall.IsZero() {
		row.wall = (r.Frame.Wall.UnixMicro() - run.started - row.pts + 500) / 1000
	}
	first := run.usual != usual
	events, deliveries := r.Events, r.Deliveries
	o.apply = func(t *txn) error {
		if keep {
			if err := t.addResult(run, row, news, first, usual); err != nil {
				return err
			}
		}
		if err := t.addEvents(events); err != nil {
			return err
		}
		if err := t.addDeliveries(row.id, deliveries); err != nil {
			return err
		}
		return t.addMessages(msgs, false)
	}
	return o, func() {
		run.seq, run.pending, run.asked = r.Frame.Seq, tally{}, now
		if !keep {
			s.stats.skipped.Add(1)
			return
		}
		run.usual, run.any, run.kept, run.failed = usual, true, r.Detections, r.Errors
		for class, label := range news {
			run.learned[class] = label
		}
	}, nil
}

func (s *Store) keeps(run *openRun, r *pipeline.Result) bool {
	switch {
	case run.keep == pipeline.KeepEvery || len(r.Events) > 0:
		return true
	case run.keep == pipeline.KeepEvents:
		return false
	}
	limit := float32(s.opt.Moved * float64(max(r.Frame.Width, r.Frame.Height)))
	return !run.any || !slices.Equal(run.failed, r.Errors) || differs(run.kept, r.Detections, limit)
}

// The numbers of classes whose own number stands for another name, and how many
// of them a run may have.
const (
	firstMoved = 1 << 20
	maxMoved   = 10_000
)

// taken is a class whose number stands for another name.
type taken struct {
	class int
	label string
}

// name returns dets with numbers that stand for one name each in this run, and
// the names that the run's start does not have. A workflow may run several
// models, each of which counts its classes from 0, or give classes new names:
// whatever comes second under a number gets another one.
func (run *openRun) name(dets []pipeline.Detection) (out []pipeline.Detection, news map[int]string, err error) {
	out = dets
	learn := func(class int, label string) {
		if news == nil {
			news = map[int]string{}
		}
		news[class] = label
	}
	for i := range dets {
		class, label := dets[i].Class, dets[i].Label
		is, ok := run.label(class, news)
		switch {
		case ok && is == label:
			continue
		case !ok:
			learn(class, label)
			continue
		}
		number, ok := run.moved[taken{class, label}]
		if !ok {
			if number = firstMoved + len(run.moved); len(run.moved) == maxMoved {
				return nil, nil, fmt.Errorf("more than %d classes have a number that stands for another name in this run, the last of them %q with %d", maxMoved, label, class)
			}
			run.moved[taken{class, label}] = number
		}
		if is, ok := run.label(number, news); !ok || is != label {
			learn(number, label)
		}
		if &out[0] == &dets[0] {
			out = slices.Clone(dets)
		}
		out[i].Class = number
	}
	return out, news, nil
}

// label is what a number stands for in this run.
func (run *openRun) label(class int, news map[int]string) (string, bool) {
	if class >= 0 && class < len(run.known) {
		return run.known[class], true
	}
	if l, ok := run.learned[class]; ok {
		return l, true
	}
	l, ok := news[class]
	return l, ok
}

// Append keeps events that belong to no frame, with their messages, in one
// transaction that is durable when it returns.
func (s *Store) Append(ctx context.Context, events []pipeline.Event, msgs []pipeline.Message) error {
	return s.do(ctx, "keep events", &op{size: sizeOf(events, msgs), apply: func(t *txn) error {
		if err := t.addEvents(events); err != nil {
			return err
		}
		return t.addMessages(msgs, false)
	}})
}

// Complete waits for the run's results, then records its end and the message
// in one transaction. msg's payload is kept as the run's record byte for byte;
// without a topic no message is sent and the record is c's JSON form. A second
// Complete of a run is an error of Kind BadInput.
func (s *Store) Complete(ctx context.Context, c pipeline.Complete, msg pipeline.Message) error {
	run := s.openRun(c.Run)
	if run == nil {
		return s.noSuchRun(ctx, "complete run", c.Run)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.ended {
		return s.noSuchRun(ctx, "complete run", c.Run)
	}
	record, msgs := msg.Payload, []pipeline.Message{msg}
	if msg.Topic == "" {
		msgs = nil
	}
	if len(record) == 0 {
		var err error
		if record, err = json.Marshal(c); err != nil {
			return fmt.Errorf("encode completion record of run %s: %w", c.Run, err)
		}
	}
	// The queue is first in, first out: the run's results come before this.
	o := &op{size: 2 * len(record), run: run, tally: run.pending, apply: func(t *txn) error {
		return t.addCompletion(run.number, c, record, msgs)
	}}
	if err := s.do(ctx, "complete run", o); err != nil {
		return err
	}
	run.ended = true
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, c.Run)
	return nil
}

// noSuchRun says why a run cannot be written to.
func (s *Store) noSuchRun(ctx context.Context, what, id string) error {
	e := &pipeline.Error{Op: what, On: id, Kind: pipeline.NotFound, Err: errors.New("the run was not begun here")}
	var n int
	err := s.r.QueryRowContext(ctx, `SELECT count(*) FROM completions WHERE run = (SELECT id FROM runs WHERE run = ?)`, id).Scan(&n)
	if err != nil {
		return s.explain(what, err)
	}
	if n > 0 {
		e.Kind, e.Err = pipeline.BadInput, errors.New("the run is already complete")
	}
	return e
}
