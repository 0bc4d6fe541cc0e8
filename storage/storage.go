// Package storage keeps runs, results, tracks, events, the outbox and deliveries
// in one SQLite file, perch.db. It implements [pipeline.Recorder] and
// [pipeline.EventLog] and hands the latter two to whoever sends them.
//
// One goroutine writes, several connections read. What the package promises
// about a power cut, and each byte of the file, is in storage/README.md.
package storage

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"perch/pipeline"
)

// FileName is the name of the database inside [Options.Dir].
const FileName = "perch.db"

// Options say where the database is and what its bounds are. Zero values mean
// the defaults named here.
type Options struct {
	Dir      string        // folder of the database; made when it is missing
	ReadOnly bool          // only queries and exports; the folder must have a database
	Keep     pipeline.Keep // for runs that leave it open; pipeline.KeepEvery

	// Moved is how far an edge of a box must move, as a share of the frame's
	// longer side, for pipeline.KeepChanges to keep the frame; 0.02.
	Moved float64

	// Commit is how long a result without events may wait for its transaction;
	// 2 s. It is what a power cut can take, and what decides how much is written
	// to the card: see README.md.
	Commit     time.Duration
	QueueCount int           // results and requests waiting for the writer; 4096
	QueueBytes int           // of packed results and messages waiting; 16 MiB
	Patience   time.Duration // how long callers wait while nothing can be written; 30 s

	NoOutbox    bool  // nobody will drain the outbox: messages are not kept at all
	OutboxCount int   // messages; 100,000
	OutboxBytes int64 // of topics and payloads; 64 MiB

	DeliveryCount int   // deliveries waiting; 10,000
	DeliveryBytes int64 // of their bodies; 128 MiB, or a quarter of MaxBytes if that is less
	// Event makes the event of a kind that says that deliveries were given up,
	// with its id, device, time and clock. nil: one without device and clock.
	Event func(kind string) pipeline.Event

	MaxBytes int64         // used bytes of the database above which the oldest results go; 0: no limit
	MaxAge   time.Duration // age above which results and events go; 0: no limit

	Log *slog.Logger // nil: slog.Default()
}

const (
	defaultCommit      = 2 * time.Second
	defaultQueueCount  = 4096
	defaultQueueBytes  = 16 << 20
	defaultPatience    = 30 * time.Second
	defaultOutboxCount = 100_000
	defaultOutboxBytes = 64 << 20
	defaultDeliveries  = 10_000
	defaultOwedBytes   = 128 << 20
	defaultMoved       = 0.02
	readers            = 4
	busyTimeout        = 5 * time.Second
	retryEvery         = 500 * time.Millisecond // between attempts while nothing can be written
	progressEvery      = 30 * time.Second       // at most this much counting is lost when frames are not kept
	pollEvery          = time.Second            // for messages and deliveries of another process
	retainEvery        = time.Minute
)

func (o *Options) setDefaults() {
	o.Keep = orElse(o.Keep, pipeline.KeepEvery)
	o.Moved = orElse(o.Moved, defaultMoved)
	o.Commit = orElse(o.Commit, defaultCommit)
	o.QueueCount = orElse(o.QueueCount, defaultQueueCount)
	o.QueueBytes = orElse(o.QueueBytes, defaultQueueBytes)
	o.Patience = orElse(o.Patience, defaultPatience)
	o.OutboxCount = orElse(o.OutboxCount, defaultOutboxCount)
	o.OutboxBytes = orElse(o.OutboxBytes, defaultOutboxBytes)
	o.DeliveryCount = orElse(o.DeliveryCount, defaultDeliveries)
	if o.DeliveryBytes == 0 {
		o.DeliveryBytes = defaultOwedBytes
		if o.MaxBytes > 0 {
			o.DeliveryBytes = min(o.DeliveryBytes, o.MaxBytes/4)
		}
	}
	if o.Event == nil {
		o.Event = func(kind string) pipeline.Event {
			return pipeline.Event{Schema: pipeline.EventSchema, ID: rand.Text(), Kind: kind, Time: time.Now().UTC()}
		}
	}
	o.Log = orElse(o.Log, slog.Default())
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// A Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	opt    Options
	path   string
	opened time.Time
	w, r   *sql.DB // w has one connection and only the writer goroutine uses it
	stmts  *statements
	owner  *owner // nil when read-only
	queue  *queue // nil when read-only
	stats  counters

	wake, wakeDeliveries chan struct{}

	mu   sync.Mutex
	runs map[string]*openRun // runs of this process; guarded by mu

	stop context.CancelFunc // ends the watchers
	wg   sync.WaitGroup
	once sync.Once
}

// Open opens or creates the database, brings its schema up to date and closes
// the runs that a crash left open. Errors have Kind Storage; their hint says
// what to do.
func Open(ctx context.Context, opt Options) (*Store, error) {
	opt.setDefaults()
	path, err := filepath.Abs(filepath.Join(opt.Dir, FileName))
	if err != nil {
		return nil, &pipeline.Error{Op: "open database", On: opt.Dir, Kind: pipeline.BadConfig, Err: err}
	}
	if opt.Moved < 0 || !validKeep(opt.Keep) {
		return nil, &pipeline.Error{Op: "open database", On: path, Kind: pipeline.BadConfig, Err: fmt.Errorf("keep is %q with a threshold of %v", opt.Keep, opt.Moved)}
	}
	s := &Store{opt: opt, path: path, opened: time.Now(), wake: make(chan struct{}, 1), wakeDeliveries: make(chan struct{}, 1), runs: map[string]*openRun{}}
	if opt.ReadOnly {
		err = s.openToRead(ctx)
	} else {
		err = s.openToWrite(ctx)
	}
	if err != nil {
		s.closeFiles()
		return nil, s.explain("open database", err)
	}
	if opt.ReadOnly {
		return s, nil
	}
	ctxWatch, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wg.Go(s.write)
	s.wg.Go(func() { s.watchOutbox(ctxWatch) })
	s.wg.Go(func() { s.expireCopies(ctxWatch) })
	if err := s.recoverRuns(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if opt.MaxBytes > 0 || opt.MaxAge > 0 {
		s.wg.Go(func() { s.watchSize(ctxWatch) })
	}
	return s, nil
}

func (s *Store) openToWrite(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o750); err != nil {
		return err
	}
	if err := writable(filepath.Dir(s.path)); err != nil {
		return err
	}
	var err error
	if s.w, err = openDB(s.path, "rwc", 1); err != nil {
		return err
	}
	if err := s.upgradeSchema(ctx); err != nil {
		return err
	}
	if s.owner, err = newOwner(filepath.Dir(s.path)); err != nil {
		return err
	}
	if s.stmts, err = prepare(ctx, s.w); err != nil {
		return err
	}
	s.queue = newQueue(s.opt.QueueCount, s.opt.QueueBytes)
	if s.r, err = openDB(s.path, "ro", readers); err != nil {
		return err
	}
	return s.loadSizes(ctx)
}

// writable asks the file system itself, because SQLite says "no such file" of a
// folder in which it may not make its journal.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (s *Store) openToRead(ctx context.Context) error {
	if _, err := os.Stat(s.path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return &pipeline.Error{Op: "open database", On: s.path, Kind: pipeline.NotFound, Err: errors.New("there is no database"), Hint: "give the data folder that perch run or perch process used"}
		}
		return err
	}
	var err error
	if s.r, err = openDB(s.path, "ro", readers); err != nil {
		return err
	}
	if err := checkVersion(ctx, s.r, true); err != nil {
		return err
	}
	return s.loadSizes(ctx)
}

// Close writes what is queued, then closes the database. When the queue could
// not be written it says how many results are lost.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		if s.queue != nil {
			s.stop()
			s.queue.close()
			s.wg.Wait()
			if n := s.stats.lost.Load(); n > 0 {
				err = &pipeline.Error{Op: "close database", On: s.path, Kind: pipeline.Storage, Err: fmt.Errorf("%d queued results could not be written", n)}
			} else {
				_, err = s.w.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
				err = s.explain("close database", err)
			}
		}
		err = errors.Join(err, s.closeFiles())
	})
	return err
}

func (s *Store) closeFiles() error {
	var errs []error
	if s.r != nil {
		errs = append(errs, s.r.Close())
	}
	if s.stmts != nil {
		s.stmts.close()
	}
	if s.w != nil {
		errs = append(errs, s.w.Close())
	}
	if s.owner != nil {
		errs = append(errs, s.owner.release())
	}
	return errors.Join(errs...)
}

func validKeep(k pipeline.Keep) bool {
	return k == pipeline.KeepEvery || k == pipeline.KeepChanges || k == pipeline.KeepEvents
}
