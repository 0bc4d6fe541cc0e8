package storage

import (
	"context"
	"time"

	"perch/pipeline"
)

// Pending returns up to limit messages that the broker has not confirmed, in
// the order in which they were kept, beginning after the one with id after.
func (s *Store) Pending(ctx context.Context, after int64, limit int) ([]pipeline.Message, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT id, topic, payload, retain, created_us FROM outbox WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	if err != nil {
		return nil, s.explain("read outbox", err)
	}
	defer rows.Close()
	var msgs []pipeline.Message
	for rows.Next() {
		var m pipeline.Message
		var created int64
		if err := rows.Scan(&m.ID, &m.Topic, &m.Payload, &m.Retain, &created); err != nil {
			return nil, s.explain("read outbox", err)
		}
		m.Created = time.UnixMicro(created).UTC()
		msgs = append(msgs, m)
	}
	return msgs, s.explain("read outbox", rows.Err())
}

// Delivered forgets messages that the broker has confirmed. Ids that are gone
// already are passed over.
func (s *Store) Delivered(ctx context.Context, ids ...int64) error {
	if len(ids) == 0 {
		return nil
	}
	return s.do(ctx, "forget delivered messages", &op{size: 8 * len(ids), apply: func(t *txn) error {
		for _, id := range ids {
			if _, err := t.exec(t.s.stmts.delivered, id); err != nil {
				return err
			}
		}
		return nil
	}})
}

// Wake returns a channel that receives after messages were kept, by this
// process at once and by another one within a second. It is meant for one
// reader; several wakes may come as one.
func (s *Store) Wake() <-chan struct{} { return s.wake }

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// watchOutbox looks for messages that another process has kept.
func (s *Store) watchOutbox(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var last int64
		if err := s.r.QueryRowContext(ctx, `SELECT ifnull(max(id), 0) FROM outbox`).Scan(&last); err != nil {
			s.opt.Log.Debug("outbox not read", "error", err) // the drainer's own query reports it
			continue
		}
		if last > seen {
			seen = last
			s.signal()
		}
		if err := s.loadOutboxSize(ctx); err != nil {
			s.opt.Log.Debug("outbox size not read", "error", err)
		}
	}
}

func (s *Store) loadOutboxSize(ctx context.Context) error {
	var n, bytes, lost int64
	if err := s.r.QueryRowContext(ctx, `SELECT n, bytes, lost FROM outbox_size`).Scan(&n, &bytes, &lost); err != nil {
		return err
	}
	s.stats.outboxCount.Store(n)
	s.stats.outboxBytes.Store(bytes)
	s.stats.outboxLost.Store(lost)
	return nil
}
