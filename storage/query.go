package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"perch/pipeline"
)

const (
	defaultLimit = 100
	maxLimit     = 10_000
)

// A Run is what is known of a run.
type Run struct {
	pipeline.RunStart
	Complete   *pipeline.Complete // nil while the run is open
	Frames     uint64             // processed, up to now or in all
	Detections map[string]uint64  // by class, over these frames
	Deleted    uint64             // results that retention has removed
	number     int64
	size       frameSize
}

// A RunFilter chooses runs.
type RunFilter struct {
	Camera string // "" for all
	Before string // only runs begun before the run of this id; "" for the newest
	Limit  int    // 0 means 100; the most is 10,000
}

const runColumns = `SELECT runs.id, start, width, height, deleted, record, frames, detections FROM runs
	LEFT JOIN completions ON completions.run = runs.id LEFT JOIN progress ON progress.run = runs.id `

// Runs returns the newest runs first.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]Run, error) {
	where, args := []string{"1"}, []any{}
	if f.Camera != "" {
		where, args = append(where, "camera = ?"), append(args, f.Camera)
	}
	if f.Before != "" {
		where, args = append(where, "runs.id < (SELECT id FROM runs WHERE run = ?)"), append(args, f.Before)
	}
	args = append(args, clampLimit(f.Limit))
	rows, err := s.r.QueryContext(ctx, runColumns+"WHERE "+strings.Join(where, " AND ")+" ORDER BY runs.id DESC LIMIT ?", args...)
	if err != nil {
		return nil, s.explain("list runs", err)
	}
	defer rows.Close()
	var runs []Run
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, s.explain("list runs", err)
		}
		runs = append(runs, r)
	}
	return runs, s.explain("list runs", rows.Err())
}

// Run returns one run; an unknown id is an error of Kind NotFound.
func (s *Store) Run(ctx context.Context, id string) (Run, error) {
	r, err := scanRun(s.r.QueryRowContext(ctx, runColumns+"WHERE runs.run = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, notFound("find run", id)
	}
	return r, s.explain("read run", err)
}

func notFound(op, id string) error {
	return &pipeline.Error{Op: op, On: id, Kind: pipeline.NotFound, Err: errors.New("there is no such run")}
}

func scanRun(row interface{ Scan(...any) error }) (Run, error) {
	var r Run
	var start string
	var record, detections sql.NullString
	var frames sql.NullInt64
	if err := row.Scan(&r.number, &start, &r.size.w, &r.size.h, &r.Deleted, &record, &frames, &detections); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(start), &r.RunStart); err != nil {
		return r, fmt.Errorf("start of run %d: %w", r.number, err)
	}
	r.Frames, r.Detections = uint64(frames.Int64), map[string]uint64{}
	if detections.Valid {
		if err := json.Unmarshal([]byte(detections.String), &r.Detections); err != nil {
			return r, fmt.Errorf("progress of run %s: %w", r.RunStart.Run, err)
		}
	}
	if record.Valid {
		r.Complete = &pipeline.Complete{}
		if err := json.Unmarshal([]byte(record.String), r.Complete); err != nil {
			return r, fmt.Errorf("record of run %s: %w", r.RunStart.Run, err)
		}
		r.Frames, r.Detections = r.Complete.Frames.Processed, r.Complete.Detections
	}
	return r, nil
}

// CompleteJSON returns a run's completion record exactly as it was published.
// An unknown or unfinished run is an error of Kind NotFound.
func (s *Store) CompleteJSON(ctx context.Context, id string) ([]byte, error) {
	var record string
	err := s.r.QueryRowContext(ctx, `SELECT record FROM completions WHERE run = (SELECT id FROM runs WHERE run = ?)`, id).Scan(&record)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &pipeline.Error{Op: "read completion record", On: id, Kind: pipeline.NotFound, Err: errors.New("there is no such run or it has not ended")}
	}
	return []byte(record), s.explain("read completion record", err)
}

// An EventFilter chooses events; empty fields choose all.
type EventFilter struct {
	Camera, Run, Kind string
	Since, Until      time.Time // by wall time, Until exclusive
	Before            string    // only events recorded before the one of this id; "" for the newest
	Limit             int       // 0 means 100; the most is 10,000
}

// Events returns the newest events first.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]pipeline.Event, error) {
	where, args := []string{"1"}, []any{}
	add := func(skip bool, cond string, arg any) {
		if !skip {
			where, args = append(where, cond), append(args, arg)
		}
	}
	add(f.Camera == "", "camera = ?", f.Camera)
	add(f.Run == "", "run <> '' AND run = ?", f.Run)
	add(f.Kind == "", "kind = ?", f.Kind)
	add(f.Since.IsZero(), "wall_us >= ?", f.Since.UnixMicro())
	add(f.Until.IsZero(), "wall_us < ?", f.Until.UnixMicro())
	add(f.Before == "", "id < (SELECT id FROM events WHERE event_id = ?)", f.Before)
	args = append(args, clampLimit(f.Limit))
	rows, err := s.r.QueryContext(ctx, `SELECT event_id, device, kind, camera, run, frame, track, class, wall_us, boot_id, monotonic_s, clock_trusted, detail
		FROM events WHERE `+strings.Join(where, " AND ")+` ORDER BY id DESC LIMIT ?`, args...)
	if err != nil {
		return nil, s.explain("list events", err)
	}
	defer rows.Close()
	var events []pipeline.Event
	for rows.Next() {
		e := pipeline.Event{Schema: pipeline.EventSchema}
		var wall, frame, track int64
		var detail sql.NullString
		if err := rows.Scan(&e.ID, &e.Device, &e.Kind, &e.Camera, &e.Run, &frame, &track, &e.Class, &wall,
			&e.Clock.BootID, &e.Clock.MonotonicS, &e.Clock.WallTrusted, &detail); err != nil {
			return nil, s.explain("list events", err)
		}
		e.Time, e.Frame, e.Track = time.UnixMicro(wall).UTC(), uint64(frame), pipeline.TrackID(track)
		if detail.Valid {
			e.Detail = json.RawMessage(detail.String)
		}
		events = append(events, e)
	}
	return events, s.explain("list events", rows.Err())
}

func clampLimit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}
