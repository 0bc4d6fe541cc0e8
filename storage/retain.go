package storage

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"
)

const (
	retainBatch = 2000 // rows in one transaction, so that recording goes on in between
	retainShare = 0.9  // of MaxBytes: what is left when deleting stops
)

// Retained says what retention has removed.
type Retained struct{ Results, Events uint64 }

// watchSize applies the bounds now and then.
func (s *Store) watchSize(ctx context.Context) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		if _, err := s.Retain(ctx); err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("old results could not be removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Retain removes what is older than MaxAge, then the oldest results of
// finished runs until the database holds less than MaxBytes, then the oldest
// results of open runs, then the oldest events. Runs and their completion
// records stay. Freed space is used again; the file does not shrink.
func (s *Store) Retain(ctx context.Context) (Retained, error) {
	var gone Retained
	if s.queue == nil {
		return gone, s.explain("remove old results", errReadOnly)
	}
	err := s.retainByAge(ctx, &gone)
	if err == nil {
		err = s.retainBySize(ctx, &gone)
	}
	if gone == (Retained{}) {
		return gone, err
	}
	s.opt.Log.Info("old results removed", "results", gone.Results, "events", gone.Events)
	if _, cerr := s.w.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); cerr != nil {
		err = errors.Join(err, s.explain("fold back the write-ahead log", cerr))
	}
	return gone, err
}

func (s *Store) retainByAge(ctx context.Context, gone *Retained) error {
	if s.opt.MaxAge <= 0 {
		return nil
	}
	before := time.Now().Add(-s.opt.MaxAge).UnixMicro()
	for run := int64(0); ; run++ {
		var err error
		if run, err = s.nextRun(ctx, run); err != nil || run == 0 {
			break
		}
		for {
			n, err := s.removeResults(ctx, run, before)
			if err != nil {
				return err
			}
			gone.Results += n
			if n < retainBatch {
				break
			}
		}
	}
	for {
		n, err := s.removeEvents(ctx, before)
		if err != nil {
			return err
		}
		gone.Events += n
		if n < retainBatch {
			return nil
		}
	}
}

// nextRun returns the first run from number on that has results, or 0.
func (s *Store) nextRun(ctx context.Context, number int64) (int64, error) {
	var id int64
	err := s.r.QueryRowContext(ctx, `SELECT id FROM results WHERE id >= ? ORDER BY id LIMIT 1`, number<<frameBits).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id >> frameBits, s.explain("look for old results", err)
}

func (s *Store) retainBySize(ctx context.Context, gone *Retained) error {
	if s.opt.MaxBytes <= 0 {
		return nil
	}
	size, err := s.Size(ctx)
	if err != nil || size.Used <= s.opt.MaxBytes {
		return err
	}
	target := int64(float64(s.opt.MaxBytes) * retainShare)
	for size.Used > target {
		run, err := s.oldestRun(ctx)
		if err != nil {
			return err
		}
		var n uint64
		if run != 0 {
			n, err = s.removeResults(ctx, run, math.MaxInt64)
			gone.Results += n
		} else {
			n, err = s.removeEvents(ctx, math.MaxInt64)
			gone.Events += n
		}
		if err != nil {
			return err
		}
		if n == 0 {
			s.opt.Log.Warn("database is larger than it may be and holds nothing that may be removed", "used", size.Used, "max_bytes", s.opt.MaxBytes)
			return nil
		}
		if size, err = s.Size(ctx); err != nil {
			return err
		}
	}
	return nil
}

// oldestRun returns the finished run whose results go next; when no finished
// run has any, the open run whose oldest result is the oldest; or 0.
func (s *Store) oldestRun(ctx context.Context) (int64, error) {
	open, oldest := int64(0), int64(math.MaxInt64)
	for run := int64(0); ; run++ {
		var err error
		if run, err = s.nextRun(ctx, run); err != nil || run == 0 {
			return open, err
		}
		var finished bool
		var first int64
		err = s.r.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM completions WHERE run = ?1),
			(SELECT started_us + pts_us + 1000 * wall_ms FROM results, runs WHERE runs.id = ?1 AND results.id >= ?1 << 40 ORDER BY results.id LIMIT 1)`, run).Scan(&finished, &first)
		if err != nil {
			return 0, s.explain("look for old results", err)
		}
		if finished {
			return run, nil
		}
		if first < oldest {
			open, oldest = run, first
		}
	}
}

// removeResults removes up to retainBatch of a run's first results as far as
// they are older than before, in microseconds of wall time.
func (s *Store) removeResults(ctx context.Context, run, before int64) (uint64, error) {
	var n int64
	err := s.do(ctx, "remove old results", &op{apply: func(t *txn) error {
		res, err := t.tx.Exec(`DELETE FROM results WHERE id IN (
			SELECT id FROM (SELECT id, pts_us + 1000 * wall_ms AS since FROM results WHERE id >= ?1 << 40 AND id < (?1 + 1) << 40 ORDER BY id LIMIT ?2)
			WHERE since + (SELECT started_us FROM runs WHERE id = ?1) < ?3)`, run, retainBatch, before)
		if err != nil {
			return err
		}
		if n, err = res.RowsAffected(); err != nil {
			return err
		}
		t.deleted += uint64(n)
		_, err = t.tx.Exec(`UPDATE runs SET deleted = deleted + ? WHERE id = ?`, n, run)
		return err
	}})
	return uint64(n), err
}

func (s *Store) removeEvents(ctx context.Context, before int64) (uint64, error) {
	var n int64
	err := s.do(ctx, "remove old events", &op{apply: func(t *txn) error {
		res, err := t.tx.Exec(`DELETE FROM events WHERE id IN (SELECT id FROM events WHERE wall_us < ? ORDER BY id LIMIT ?)`, before, retainBatch)
		if err != nil {
			return err
		}
		if n, err = res.RowsAffected(); err == nil {
			t.deleted += uint64(n)
		}
		return err
	}})
	return uint64(n), err
}
