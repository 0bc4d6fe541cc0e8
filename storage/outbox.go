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

// signal wakes the reader of a channel with one slot.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// watchOutbox looks for messages and deliveries that another process has kept.
func (s *Store) watchOutbox(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var seen, seenDelivery int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var last, lastDelivery int64
		if err := s.r.QueryRowContext(ctx, `SELECT (SELECT ifnull(max(id), 0) FROM outbox), (SELECT ifnull(max(id), 0) FROM deliveries)`).Scan(&last, &lastDelivery); err != nil {
			s.opt.Log.Debug("outbox not read", "error", err) // the drainer's own query reports it
			continue
		}
		if last > seen {
			seen = last
			signal(s.wake)
		}
		if lastDelivery > seenDelivery {
			seenDelivery = lastDelivery
			signal(s.wakeDeliveries)
		}
		if err := s.loadSizes(ctx); err != nil {
			s.opt.Log.Debug("sizes not read", "error", err)
		}
	}
}

// loadSizes reads how much waits to go out.
func (s *Store) loadSizes(ctx context.Context) error {
	var n, bytes, lost, owed, owedBytes, givenUp int64
	err := s.r.QueryRowContext(ctx, `SELECT o.n, o.bytes, o.lost, d.n, d.bytes, d.given_up FROM outbox_size AS o, deliveries_size AS d`).
		Scan(&n, &bytes, &lost, &owed, &owedBytes, &givenUp)
	if err != nil {
		return err
	}
	s.stats.outboxCount.Store(n)
	s.stats.outboxBytes.Store(bytes)
	s.stats.outboxLost.Store(lost)
	s.stats.deliveryCount.Store(owed)
	s.stats.deliveryBytes.Store(owedBytes)
	s.stats.givenUp.Store(givenUp)
	return nil
}
