package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"perch/pipeline"
)

// Stats are a store's figures since it was opened.
type Stats struct {
	Results  uint64 // frames kept
	Skipped  uint64 // frames counted but not kept, as Keep asks
	Events   uint64
	Messages uint64 // put into the outbox
	Batches  uint64 // transactions
	Retries  uint64 // transactions that failed and were tried again
	Refused  uint64 // results that the database refused
	Lost     uint64 // accepted results given up when closing
	Deleted  uint64 // results and events removed by retention

	QueueCount, QueueBytes int // waiting for the writer

	OutboxCount, OutboxBytes int64
	OutboxLost               int64 // messages dropped since the database was made

	Deliveries                   uint64 // taken on
	DeliveryCount, DeliveryBytes int64  // waiting to go out
	DeliveriesGivenUp            int64  // since the database was made

	Failing      string    // why nothing can be written at present; "" while all is well
	FailingSince time.Time // zero while all is well
}

// Stats returns the store's figures. It does not touch the disk.
func (s *Store) Stats() Stats {
	c := &s.stats
	st := Stats{
		Results: c.results.Load(), Skipped: c.skipped.Load(), Events: c.events.Load(), Messages: c.messages.Load(),
		Batches: c.batches.Load(), Retries: c.retries.Load(), Refused: c.refused.Load(), Lost: c.lost.Load(), Deleted: c.deleted.Load(),
		OutboxCount: c.outboxCount.Load(), OutboxBytes: c.outboxBytes.Load(), OutboxLost: c.outboxLost.Load(),
		Deliveries: c.deliveries.Load(), DeliveryCount: c.deliveryCount.Load(), DeliveryBytes: c.deliveryBytes.Load(), DeliveriesGivenUp: c.givenUp.Load(),
	}
	if s.queue != nil {
		st.QueueCount, st.QueueBytes = s.queue.size()
	}
	if f := c.failing.Load(); f != nil {
		st.Failing, st.FailingSince = f.err.Error(), f.since
	}
	return st
}

// Size is what the database takes on the disk, in bytes.
type Size struct {
	File int64 // of perch.db; it never shrinks, freed space is used again
	Used int64 // of it, what holds data; Options.MaxBytes bounds this
	Runs int64 // that the database knows, open ones included
}

// Size returns the size of the database.
func (s *Store) Size(ctx context.Context) (Size, error) {
	var pages, free, page int64
	err := s.r.QueryRowContext(ctx, `SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&pages, &free, &page)
	if err != nil {
		return Size{}, s.explain("measure database", err)
	}
	size := Size{File: pages * page, Used: (pages - free) * page}
	err = s.r.QueryRowContext(ctx, `SELECT count(*) FROM runs`).Scan(&size.Runs)
	return size, s.explain("measure database", err)
}

// Check reads the whole file and reports what is damaged. On a large database
// it takes minutes.
func (s *Store) Check(ctx context.Context) error {
	rows, err := s.r.QueryContext(ctx, `PRAGMA integrity_check(20)`)
	if err != nil {
		return s.explain("check database", err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return s.explain("check database", err)
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	if err := rows.Err(); err != nil {
		return s.explain("check database", err)
	}
	if len(found) > 0 {
		return &pipeline.Error{Op: "check database", On: s.path, Kind: pipeline.Storage, Err: errors.New(strings.Join(found, "; ")),
			Hint: fmt.Sprintf("stop Perch, move %s* away and start again with a new database; sqlite3's .recover command saves what is left", FileName)}
	}
	return nil
}
