package storage

import (
	"errors"
	"fmt"
	"time"

	"perch/pipeline"
)

const maxPayload = 1 << 20 // bytes of one message

// A row of table results.
type row struct {
	id, pts, wall int64
	packed        []byte
	data, errors  any // JSON texts, nil for NULL
}

func (t *txn) addResult(run *openRun, r row, labels map[int]string, first bool, size frameSize) error {
	var packed any // NULL rather than an empty blob
	if len(r.packed) > 0 {
		packed = r.packed
	}
	if _, err := t.exec(t.s.stmts.result, r.id, r.pts, r.wall, packed, r.data, r.errors); err != nil {
		return err
	}
	t.results++
	for class, label := range labels {
		if _, err := t.exec(t.s.stmts.label, run.number, class, label); err != nil {
			return err
		}
	}
	if !first {
		return nil
	}
	_, err := t.exec(t.s.stmts.size, size.w, size.h, run.number)
	return err
}

func (t *txn) addEvents(events []pipeline.Event) error {
	for i := range events {
		e := &events[i]
		var detail any
		if len(e.Detail) > 0 {
			detail = string(e.Detail)
		}
		if e.ID == "" {
			return errors.New("an event has no id")
		}
		_, err := t.exec(t.s.stmts.event, e.ID, e.Device, e.Kind, e.Camera, e.Run, int64(e.Frame), int64(e.Track), e.Class,
			e.Time.UnixMicro(), e.Clock.BootID, e.Clock.MonotonicS, e.Clock.WallTrusted, detail)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
		t.events++
	}
	return nil
}

func (t *txn) addMessages(msgs []pipeline.Message, completion bool) error {
	if t.s.opt.NoOutbox {
		return nil
	}
	for i := range msgs {
		m := &msgs[i]
		if m.Topic == "" || len(m.Payload) > maxPayload {
			return fmt.Errorf("message on topic %q has %d bytes, the most is %d", m.Topic, len(m.Payload), maxPayload)
		}
		if m.Retain {
			if _, err := t.exec(t.s.stmts.replace, m.Topic); err != nil {
				return err
			}
		}
		created := m.Created
		if created.IsZero() {
			created = time.Now()
		}
		if _, err := t.exec(t.s.stmts.message, m.Topic, m.Payload, m.Retain, completion, created.UnixMicro()); err != nil {
			return err
		}
		t.messages++
		t.outbox = true
	}
	return nil
}

func (t *txn) addCompletion(number int64, c pipeline.Complete, record []byte, msgs []pipeline.Message) error {
	_, err := t.tx.Exec(`INSERT INTO completions (run, ended_us, reason, record) VALUES (?, ?, ?, ?)`,
		number, c.EndedAt.UnixMicro(), string(c.Termination), string(record))
	if isDuplicate(err) {
		return &pipeline.Error{Op: "complete run", On: c.Run, Kind: pipeline.BadInput, Err: errors.New("the run is already complete")}
	}
	if err != nil {
		return err
	}
	if _, err := t.tx.Exec(`DELETE FROM progress WHERE run = ?`, number); err != nil {
		return err
	}
	return t.addMessages(msgs, true)
}

// trimOutbox drops messages until the outbox is within its bounds: the oldest
// first, completion records last.
func (t *txn) trimOutbox() error {
	for {
		var n, bytes int64
		if err := t.tx.Stmt(t.s.stmts.outboxSize).QueryRow().Scan(&n, &bytes); err != nil {
			return err
		}
		over := n - int64(t.s.opt.OutboxCount)
		if over <= 0 && bytes <= t.s.opt.OutboxBytes || n == 0 {
			break
		}
		if over <= 0 {
			over = 1 // by bytes: one at a time, so that no more goes than must
		}
		res, err := t.exec(t.s.stmts.outboxEvict, over)
		if err != nil {
			return err
		}
		gone, err := res.RowsAffected()
		if err != nil {
			return err
		}
		t.lost += gone
	}
	if t.lost == 0 {
		return nil
	}
	_, err := t.exec(t.s.stmts.outboxLost, t.lost)
	return err
}

func sizeOf(events []pipeline.Event, msgs []pipeline.Message) int {
	n := 0
	for i := range events {
		n += 256 + len(events[i].Detail)
	}
	for i := range msgs {
		n += 64 + len(msgs[i].Topic) + len(msgs[i].Payload)
	}
	return n
}
