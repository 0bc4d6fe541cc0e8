package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"perch/pipeline"
)

// A reader that stayed in one transaction for long would keep the WAL from
// being folded back, so results are read in pages.
const (
	page      = 512     // results
	pageBytes = 4 << 20 // of their outputs, after which a page ends
)

// Results walks the kept results of a run in order, in bounded memory. A run
// that is still open yields what is durable when the walk gets there. Boxes are
// rounded to 1/8 pixel, scores to 1/65535, times to a millisecond; Events,
// Deliveries and Took are empty. After an error the walk ends.
func (s *Store) Results(ctx context.Context, id string) iter.Seq2[*pipeline.Result, error] {
	return func(yield func(*pipeline.Result, error) bool) {
		run, err := s.Run(ctx, id)
		if err != nil {
			yield(nil, err)
			return
		}
		names, err := s.labels(ctx, &run)
		if err != nil {
			yield(nil, s.explain("read labels", err))
			return
		}
		after := run.number << frameBits
		for {
			batch, more, err := s.readResults(ctx, &run, names, after)
			if err != nil {
				yield(nil, s.explain("read results", err))
				return
			}
			for _, r := range batch {
				if !yield(r, nil) {
					return
				}
			}
			if !more {
				return
			}
			after = run.number<<frameBits | int64(batch[len(batch)-1].Frame.Seq)
		}
	}
}

// labels returns the names of a run's classes.
func (s *Store) labels(ctx context.Context, run *Run) (map[int]string, error) {
	names := make(map[int]string, len(run.Labels))
	for i, l := range run.Labels {
		names[i] = l
	}
	rows, err := s.r.QueryContext(ctx, `SELECT class, label FROM labels WHERE run = ?`, run.number)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var class int
		var label string
		if err := rows.Scan(&class, &label); err != nil {
			return nil, err
		}
		names[class] = label
	}
	return names, rows.Err()
}

// readResults reads a page of results. It reports whether there may be more.
func (s *Store) readResults(ctx context.Context, run *Run, names map[int]string, after int64) (batch []*pipeline.Result, more bool, err error) {
	rows, err := s.r.QueryContext(ctx, `SELECT id, pts_us, wall_ms, detections, data, errors FROM results WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`,
		after, run.number<<frameBits|maxFrame, page)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	started := run.Started.UnixMicro()
	batch = make([]*pipeline.Result, 0, page)
	for size := 0; size < pageBytes && rows.Next(); {
		var id, pts, wall int64
		var packed, data, faults []byte
		if err := rows.Scan(&id, &pts, &wall, &packed, &data, &faults); err != nil {
			return nil, false, err
		}
		size += len(data) + len(faults)
		r := &pipeline.Result{Run: run.RunStart.Run}
		seq := uint64(id & maxFrame)
		dets, seen, err := unpack(packed, run.size)
		if err != nil {
			return nil, false, fmt.Errorf("frame %d of run %s: %w", seq, r.Run, err)
		}
		for i := range dets {
			dets[i].Label = names[dets[i].Class]
		}
		r.Detections, r.Data = dets, data
		if faults != nil {
			if err := json.Unmarshal(faults, &r.Errors); err != nil {
				return nil, false, fmt.Errorf("errors of frame %d of run %s: %w", seq, r.Run, err)
			}
		}
		r.Frame = pipeline.FrameInfo{
			Seq: seq, PTS: time.Duration(pts) * time.Microsecond, Wall: time.UnixMicro(started + pts + 1000*wall).UTC(),
			Width: seen.w, Height: seen.h,
		}
		batch = append(batch, r)
		more = len(batch) == page || size >= pageBytes
	}
	return batch, more, rows.Err()
}

// A Track is one object that a tracker followed through a run.
type Track struct {
	ID                pipeline.TrackID
	Class             int // as last seen
	Label             string
	FirstSeq, LastSeq uint64
	FirstPTS, LastPTS time.Duration
	Frames            uint64 // in which it was seen, kept or not
	BestScore         float32
}

// Tracks returns up to limit tracks of a run, by id, beginning after the one
// with id after. limit is as in [RunFilter].
func (s *Store) Tracks(ctx context.Context, id string, after pipeline.TrackID, limit int) ([]Track, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT track, class, label, first_frame, last_frame, first_pts_us, last_pts_us, frames, best_score
		FROM tracks WHERE run = (SELECT id FROM runs WHERE run = ?) AND track > ? ORDER BY track LIMIT ?`, id, int64(after), clampLimit(limit))
	if err != nil {
		return nil, s.explain("list tracks", err)
	}
	defer rows.Close()
	var tracks []Track
	for rows.Next() {
		var t Track
		var track, first, last, firstPTS, lastPTS, frames int64
		if err := rows.Scan(&track, &t.Class, &t.Label, &first, &last, &firstPTS, &lastPTS, &frames, &t.BestScore); err != nil {
			return nil, s.explain("list tracks", err)
		}
		t.ID, t.FirstSeq, t.LastSeq, t.Frames = pipeline.TrackID(track), uint64(first), uint64(last), uint64(frames)
		t.FirstPTS, t.LastPTS = time.Duration(firstPTS)*time.Microsecond, time.Duration(lastPTS)*time.Microsecond
		tracks = append(tracks, t)
	}
	return tracks, s.explain("list tracks", rows.Err())
}
