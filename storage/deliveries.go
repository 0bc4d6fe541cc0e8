package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"perch/pipeline"
)

// MaxDelivery is how many bytes the body of a delivery may have. A larger one
// is given up at once.
const MaxDelivery = 8 << 20

const (
	defaultExpiry = 24 * time.Hour    // of deliveries that do not say
	failedKind    = "delivery.failed" // event of what is given up
	evictShare    = 100               // of what a destination has waiting, one in so many goes when there is no room
)

// Why a delivery is given up, in the detail of its event.
const (
	GivenUpRefused = "refused" // trying again would change nothing
	GivenUpExpired = "expired" // its time was over
	givenUpFull    = "full"    // no room: the oldest went
	givenUpSize    = "too large"
)

// A Destination is where deliveries wait to go.
type Destination struct {
	Kind, To string    // as in [pipeline.Delivery]
	Waiting  int       // deliveries
	Due      time.Time // when the first of them is to be tried
}

// Destinations lists where deliveries wait to go.
func (s *Store) Destinations(ctx context.Context) ([]Destination, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT kind, dest, count(*), min(due_us) FROM deliveries GROUP BY kind, dest`)
	if err != nil {
		return nil, s.explain("list deliveries", err)
	}
	defer rows.Close()
	var all []Destination
	for rows.Next() {
		var d Destination
		var due int64
		if err := rows.Scan(&d.Kind, &d.To, &d.Waiting, &due); err != nil {
			return nil, s.explain("list deliveries", err)
		}
		d.Due = time.UnixMicro(due).UTC()
		all = append(all, d)
	}
	return all, s.explain("list deliveries", rows.Err())
}

// DueDeliveries returns up to limit deliveries to a destination that are due
// at now, fewer when they are large: those that have been due longest first,
// or, with inOrder, in the order in which they were kept.
func (s *Store) DueDeliveries(ctx context.Context, kind, to string, now time.Time, inOrder bool, limit int) ([]pipeline.Delivery, error) {
	order := "due_us, id"
	if inOrder {
		order = "id"
	}
	rows, err := s.r.QueryContext(ctx, `SELECT id, kind, dest, body, created_us, expires_us, tries, error FROM deliveries
		WHERE kind = ? AND dest = ? AND due_us <= ? ORDER BY `+order+` LIMIT ?`, kind, to, now.UnixMicro(), limit)
	if err != nil {
		return nil, s.explain("read deliveries", err)
	}
	defer rows.Close()
	var all []pipeline.Delivery
	for size := 0; size < pageBytes && rows.Next(); {
		var d pipeline.Delivery
		var created, expires int64
		if err := rows.Scan(&d.ID, &d.Kind, &d.To, &d.Body, &created, &expires, &d.Tries, &d.Error); err != nil {
			return nil, s.explain("read deliveries", err)
		}
		d.Created, d.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
		size += len(d.Body)
		all = append(all, d)
	}
	return all, s.explain("read deliveries", rows.Err())
}

// DeliveriesDone forgets deliveries that have arrived. Ids that are gone
// already are passed over.
func (s *Store) DeliveriesDone(ctx context.Context, ids ...int64) error {
	return s.do(ctx, "forget deliveries that arrived", &op{size: 8 * len(ids), apply: func(t *txn) error {
		for _, id := range ids {
			if _, err := t.exec(t.s.stmts.deliveryGone, id); err != nil {
				return err
			}
		}
		return nil
	}})
}

// DeliveryFailed notes that an attempt failed, why, and when to try again.
func (s *Store) DeliveryFailed(ctx context.Context, id int64, why string, again time.Time) error {
	return s.do(ctx, "note a failed delivery", &op{size: len(why), apply: func(t *txn) error {
		_, err := t.tx.Exec(`UPDATE deliveries SET tries = tries + 1, error = ?, due_us = ? WHERE id = ?`, clip(why, maxErrorBytes), again.UnixMicro(), id)
		return err
	}})
}

// GiveUpDelivery removes a delivery that will not arrive and keeps an event of
// kind "delivery.failed" that says so, in one transaction. why is
// [GivenUpRefused], which counts as one more attempt, or [GivenUpExpired];
// text is the last attempt's error.
func (s *Store) GiveUpDelivery(ctx context.Context, id int64, why, text string) error {
	return s.do(ctx, "give up a delivery", &op{apply: func(t *txn) error {
		var f failedDelivery
		var created, frame int64
		err := t.tx.QueryRow(`SELECT kind, dest, tries, created_us, frame FROM deliveries WHERE id = ?`, id).Scan(&f.Sink, &f.To, &f.Tries, &created, &frame)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		f.Why, f.Error, f.Count, f.Oldest = why, clip(text, maxErrorBytes), 1, time.UnixMicro(created).UTC()
		if why == GivenUpRefused {
			f.Tries++
		}
		if _, err := t.exec(t.s.stmts.deliveryGone, id); err != nil {
			return err
		}
		return t.noteGivenUp(f, frame)
	}})
}

// ClockSet moves the times of what waits when the wall clock was set by step
// while it showed before: a device without a battery for its clock starts with
// a time long past, and what waits must neither expire by the jump nor wait
// for a time long to come.
func (s *Store) ClockSet(ctx context.Context, before time.Time, step time.Duration) error {
	return s.do(ctx, "move deliveries with the clock", &op{apply: func(t *txn) error {
		q, at := `UPDATE deliveries SET due_us = due_us + ?1, expires_us = expires_us + ?1 WHERE created_us <= ?2`, before
		if step < 0 {
			q, at = `UPDATE deliveries SET due_us = due_us + ?1 WHERE due_us > ?2`, before.Add(step)
		}
		_, err := t.tx.Exec(q, step.Microseconds(), at.UnixMicro())
		return err
	}})
}

// DeliveriesWake is [Store.Wake] for deliveries.
func (s *Store) DeliveriesWake() <-chan struct{} { return s.wakeDeliveries }

// DeliveriesLock is [Store.DrainLock] for deliveries.
func (s *Store) DeliveriesLock(ctx context.Context) (unlock func(), err error) {
	return s.lock(ctx, "deliveries.lock")
}

// addDeliveries keeps what the result of a frame (as results.id) owes.
func (t *txn) addDeliveries(frame int64, all []pipeline.Delivery) error {
	for i := range all {
		d := &all[i]
		if d.Kind == "" || d.To == "" {
			return fmt.Errorf("a delivery has kind %q and destination %q", d.Kind, d.To)
		}
		created := d.Created
		if created.IsZero() {
			created = time.Now()
		}
		expires := d.Expires
		if expires.IsZero() {
			expires = created.Add(defaultExpiry)
		}
		t.deliveries++
		if len(d.Body) > MaxDelivery {
			f := failedDelivery{Sink: d.Kind, To: d.To, Why: givenUpSize, Count: 1, Oldest: created.UTC(),
				Error: fmt.Sprintf("it has %d bytes, the most is %d", len(d.Body), MaxDelivery)}
			if err := t.noteGivenUp(f, frame); err != nil {
				return err
			}
			continue
		}
		if _, err := t.exec(t.s.stmts.delivery, d.Kind, d.To, d.Body, frame, created.UnixMicro(), expires.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// trimDeliveries gives up deliveries until there is room: the oldest of the
// destination that has most waiting, so that one that is down does not push
// out what others will still take. They go in small groups with one event for
// each group, for an event a delivery would only move the flood elsewhere.
func (t *txn) trimDeliveries() error {
	for {
		var n, bytes int64
		if err := t.tx.QueryRow(`SELECT n, bytes FROM deliveries_size`).Scan(&n, &bytes); err != nil {
			return err
		}
		over, by := n-int64(t.s.opt.DeliveryCount), "count(*)"
		if over <= 0 {
			by = "sum(length(body))"
		}
		if over <= 0 && bytes <= t.s.opt.DeliveryBytes || n == 0 {
			return nil
		}
		f := failedDelivery{Why: givenUpFull, Error: "there is no room for more that waits"}
		var has, oldest int64
		err := t.tx.QueryRow(`SELECT kind, dest, count(*), min(created_us) FROM deliveries GROUP BY kind, dest ORDER BY `+by+` DESC LIMIT 1`).
			Scan(&f.Sink, &f.To, &has, &oldest)
		if err != nil {
			return err
		}
		f.Oldest = time.UnixMicro(oldest).UTC()
		res, err := t.tx.Exec(`DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE kind = ? AND dest = ? ORDER BY id LIMIT ?)`,
			f.Sink, f.To, max(over, has/evictShare, 1))
		if err != nil {
			return err
		}
		gone, err := res.RowsAffected()
		if err != nil {
			return err
		}
		f.Count = gone
		if err := t.noteGivenUp(f, 0); err != nil {
			return err
		}
	}
}

// failedDelivery is the detail of event "delivery.failed".
type failedDelivery struct {
	Sink   string    `json:"sink"` // as [pipeline.Delivery.Kind]
	To     string    `json:"to"`
	Why    string    `json:"why"`
	Error  string    `json:"error,omitempty"`
	Tries  int       `json:"tries"`
	Count  int64     `json:"count"` // how many were given up
	Oldest time.Time `json:"oldest"`
}

// noteGivenUp keeps the event of deliveries that are given up. frame is whose
// result caused them, 0 when there are several.
func (t *txn) noteGivenUp(f failedDelivery, frame int64) error {
	e := t.s.opt.Event(failedKind)
	if frame != 0 {
		if err := t.tx.QueryRow(`SELECT run, camera FROM runs WHERE id = ?`, frame>>frameBits).Scan(&e.Run, &e.Camera); err != nil {
			return err
		}
		e.Frame = uint64(frame & maxFrame)
	}
	var err error
	if e.Detail, err = json.Marshal(f); err != nil {
		return fmt.Errorf("encode event %s: %w", failedKind, err)
	}
	msg, err := pipeline.EventMessage(e)
	if err != nil {
		return err
	}
	if err := t.addEvents([]pipeline.Event{e}); err != nil {
		return err
	}
	t.givenUp += f.Count
	if _, err := t.tx.Exec(`UPDATE deliveries_size SET given_up = given_up + ?`, f.Count); err != nil {
		return err
	}
	return t.addMessages([]pipeline.Message{msg}, false)
}

func deliveriesSize(all []pipeline.Delivery) int {
	n := 0
	for i := range all {
		n += 128 + len(all[i].Body)
	}
	return n
}
