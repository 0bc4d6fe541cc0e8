package storage

import (
	"perch/pipeline"
)

// differs reports whether now is worth keeping after was, the last frame that
// was kept. It is when
//   - the classes, or the number of objects of a class, are not the same, or
//   - an object has no counterpart: the object of the same class and, where
//     both were tracked, of the same track, whose four edges all lie within
//     limit pixels of its own. Each object is the counterpart of at most one.
//
// Scores and key points do not count.
func differs(was, now []pipeline.Detection, limit float32) bool {
	if len(was) != len(now) {
		return true
	}
	taken := make([]bool, len(was))
	for i := range now {
		if !pair(was, &now[i], taken, limit) {
			return true
		}
	}
	return false
}

// pair marks d's nearest free counterpart in was as taken.
func pair(was []pipeline.Detection, d *pipeline.Detection, taken []bool, limit float32) bool {
	best, at := limit, -1
	for i := range was {
		w := &was[i]
		if taken[i] || w.Class != d.Class || w.Track != d.Track && w.Track != 0 && d.Track != 0 {
			continue
		}
		if m := moved(w.Box, d.Box); m <= best {
			best, at = m, i
		}
	}
	if at < 0 {
		return false
	}
	taken[at] = true
	return true
}

// moved is how far the edge that moved most has moved, in pixels.
func moved(a, b pipeline.Box) float32 {
	return max(abs(a.X0-b.X0), abs(a.Y0-b.Y0), abs(a.X1-b.X1), abs(a.Y1-b.Y1))
}

func abs(v float32) float32 { return max(v, -v) }
