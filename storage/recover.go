package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"perch/pipeline"
)

// cutShort is the error text of a run that nobody could end.
const cutShort = "Perch stopped without ending this run (crash, kill or power cut); it was closed at the next start, with the counts of what had been stored"

// An orphan is a run without an end.
type orphan struct {
	number     int64
	run, owner string
	start      string
	frames     sql.NullInt64
	detections sql.NullString
	last       sql.NullInt64
}

// recoverRuns closes the runs that no living process records.
func (s *Store) recoverRuns(ctx context.Context) error {
	orphans, err := s.orphans(ctx)
	if err != nil {
		return s.explain("look for unfinished runs", err)
	}
	dir := filepath.Dir(s.path)
	dead := map[string]bool{}
	for _, o := range orphans {
		if _, known := dead[o.owner]; !known {
			alive, err := ownerAlive(dir, o.owner)
			if err != nil {
				return s.explain("look for unfinished runs", err)
			}
			dead[o.owner] = !alive
		}
		if !dead[o.owner] {
			continue
		}
		if err := s.closeOrphan(ctx, o); err != nil {
			return err
		}
		s.opt.Log.Warn("run closed that was cut short", "run", o.run, "frames", o.frames.Int64)
	}
	return s.explain("remove stale locks", sweepOwners(dir))
}

func (s *Store) orphans(ctx context.Context) ([]orphan, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT runs.id, runs.run, owner, start, frames, detections, last_us FROM runs
		LEFT JOIN progress ON progress.run = runs.id WHERE NOT EXISTS (SELECT 1 FROM completions WHERE completions.run = runs.id)`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []orphan
	for rows.Next() {
		var o orphan
		if err := rows.Scan(&o.number, &o.run, &o.owner, &o.start, &o.frames, &o.detections, &o.last); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

func (s *Store) closeOrphan(ctx context.Context, o orphan) error {
	c, err := o.complete()
	if err != nil {
		return s.explain("close run "+o.run, err)
	}
	record, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode completion record of run %s: %w", o.run, err)
	}
	msg := pipeline.Message{Topic: "runs/" + o.run + "/complete", Payload: record, Created: time.Now()}
	err = s.do(ctx, "close run "+o.run, &op{size: 2 * len(record), apply: func(t *txn) error {
		return t.addCompletion(o.number, c, record, []pipeline.Message{msg})
	}})
	if pipeline.KindOf(err) == pipeline.BadInput {
		return nil // another process was faster
	}
	return err
}

// complete makes the record that the run itself could not.
func (o *orphan) complete() (pipeline.Complete, error) {
	var start pipeline.RunStart
	if err := json.Unmarshal([]byte(o.start), &start); err != nil {
		return pipeline.Complete{}, fmt.Errorf("start of run %s: %w", o.run, err)
	}
	frames := uint64(o.frames.Int64)
	c := pipeline.Complete{
		Schema: pipeline.CompleteSchema, Run: start.Run, Device: start.Device, Source: start.Source, Workflow: start.Workflow,
		Models: append([]pipeline.ModelID{}, start.Models...), StartedAt: start.Started.UTC(), EndedAt: start.Started.UTC(),
		Frames:     pipeline.FrameBooks{In: frames, Processed: frames, Dropped: map[pipeline.Cause]uint64{}},
		Detections: map[string]uint64{}, LatencyMS: map[string]pipeline.LatencyFigure{},
		Termination: pipeline.Failed, Errors: []string{cutShort},
	}
	if o.detections.Valid {
		if err := json.Unmarshal([]byte(o.detections.String), &c.Detections); err != nil {
			return c, fmt.Errorf("progress of run %s: %w", o.run, err)
		}
	}
	if last := time.UnixMicro(o.last.Int64).UTC(); o.last.Valid && last.After(c.StartedAt) {
		c.EndedAt = last
	}
	if c.DurationS = c.EndedAt.Sub(c.StartedAt).Seconds(); c.DurationS > 0 {
		c.FPS = float64(frames) / c.DurationS
	}
	return c, nil
}
