package infer

import "time"

// Stats are a session's figures since it was opened.
type Stats struct {
	Provider  string
	Frames    uint64        // frames that got a result
	Batches   uint64        // runs of the model that ended well
	Failures  uint64        // frames whose run failed or took too long
	Cancelled uint64        // frames that nobody waited for any more
	Busy      time.Duration // time spent in runs
	Waiting   int           // frames that wait for their turn now
	Slots     int
	InUse     int // slots that are leased now
}

// MeanBatch is the mean number of frames in a run, 0 before the first.
func (s Stats) MeanBatch() float64 {
	if s.Batches == 0 {
		return 0
	}
	return float64(s.Frames) / float64(s.Batches)
}

// add adds what other counted, not what it has now.
func (s *Stats) add(other Stats) {
	s.Frames += other.Frames
	s.Batches += other.Batches
	s.Failures += other.Failures
	s.Cancelled += other.Cancelled
	s.Busy += other.Busy
}
