package storage

import (
	"context"
	"database/sql"
)

// statements are what the writer runs often, prepared once.
type statements struct {
	savepoint, release, rollback                *sql.Stmt
	result, size, label, event, progress, track *sql.Stmt
	message, replace, outboxSize, outboxEvict   *sql.Stmt
	outboxLost, delivered                       *sql.Stmt
	delivery, deliveryGone                      *sql.Stmt
}

func prepare(ctx context.Context, db *sql.DB) (*statements, error) {
	s := &statements{}
	for _, p := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&s.savepoint, `SAVEPOINT request`},
		{&s.release, `RELEASE request`},
		{&s.rollback, `ROLLBACK TO request`},
		{&s.result, `INSERT INTO results (id, pts_us, wall_ms, detections, data, errors) VALUES (?, ?, ?, ?, ?, ?)`},
		{&s.size, `UPDATE runs SET width = ?, height = ? WHERE id = ?`},
		{&s.label, `INSERT OR IGNORE INTO labels (run, class, label) VALUES (?, ?, ?)`},
		{&s.event, `INSERT INTO events (event_id, device, kind, camera, run, frame, track, class, wall_us, boot_id, monotonic_s, clock_trusted, detail)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		// A run that ends in the same transaction has no progress any more.
		{&s.progress, `INSERT INTO progress (run, frames, detections, last_us)
			SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM completions WHERE run = ?1)
			ON CONFLICT (run) DO UPDATE SET frames = excluded.frames, detections = excluded.detections, last_us = excluded.last_us`},
		{&s.track, `INSERT INTO tracks (run, track, class, label, first_frame, last_frame, first_pts_us, last_pts_us, frames, best_score)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (run, track) DO UPDATE SET class = excluded.class, label = excluded.label, last_frame = excluded.last_frame,
			last_pts_us = excluded.last_pts_us, frames = frames + excluded.frames, best_score = max(best_score, excluded.best_score)`},
		{&s.message, `INSERT INTO outbox (topic, payload, retain, completion, created_us) VALUES (?, ?, ?, ?, ?)`},
		{&s.replace, `DELETE FROM outbox WHERE retain = 1 AND topic = ?`},
		{&s.outboxSize, `SELECT n, bytes FROM outbox_size`},
		{&s.outboxEvict, `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY completion, id LIMIT ?)`},
		{&s.outboxLost, `UPDATE outbox_size SET lost = lost + ?`},
		{&s.delivered, `DELETE FROM outbox WHERE id = ?`},
		{&s.delivery, `INSERT INTO deliveries (kind, dest, body, frame, created_us, due_us, expires_us) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)`},
		{&s.deliveryGone, `DELETE FROM deliveries WHERE id = ?`},
	} {
		st, err := db.PrepareContext(ctx, p.text)
		if err != nil {
			s.close()
			return nil, err
		}
		*p.to = st
	}
	return s, nil
}

func (s *statements) close() {
	for _, st := range []*sql.Stmt{s.savepoint, s.release, s.rollback, s.result, s.size, s.label, s.event, s.progress, s.track, s.message, s.replace, s.outboxSize, s.outboxEvict, s.outboxLost, s.delivered, s.delivery, s.deliveryGone} {
		if st != nil {
			st.Close()
		}
	}
}
