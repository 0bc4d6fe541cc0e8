// Package track follows objects from frame to frame, and measures what can be
// told only of objects that are followed: lines crossed, time in a zone, speed.
//
// The tracker is ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by
// Associating Every Detection Box", ECCV 2022, section 3 and algorithm 1). Its
// motion model is the Kalman filter of SORT and DeepSORT (Wojke et al., "Simple
// Online and Realtime Tracking with a Deep Association Metric", ICIP 2017,
// section 2.1). Where the paper's text leaves a number or an order open, the
// authors' published program decides; the places are marked.
//
// A [Tracker], [Line], [Dwell], [Velocity] or [Instances] belongs to one run of
// one camera and to one goroutine. Each is bounded: it says what it forgets
// when it is full. Memory grows only while more is in sight, or more tracks are
// remembered, than ever before; otherwise a frame allocates nothing.
package track
