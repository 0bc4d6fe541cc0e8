package webrtc

import "sync/atomic"

// SessionStats are the counts of all sessions of a [Server].
type SessionStats struct {
	Open       int    // now, whether connected yet or not
	Connected  int    // now
	Accepted   uint64 // offers that were answered
	Rejected   uint64 // offers that were malformed or asked for what we lack
	Full       uint64 // offers refused because of MaxSessions
	Vanished   uint64 // clients that never connected or fell silent
	Frames     uint64 // shown to a session
	Messages   uint64 // sent, the last one of a session included
	Bytes      uint64 // of messages, with their headers
	Skipped    uint64 // messages of frames that came before a channel was open, or after the end
	Abandoned  uint64 // messages given up because the client did not read
	Pictures   uint64 // handed to an encoder
	Unencoded  uint64 // pictures that an encoder did not take in time, or failed on
	Units      uint64 // encoded pictures sent
	Received   uint64 // encoded pictures put together from clients' tracks
	Damaged    uint64 // of those tracks: pictures not decoded because something before was lost
	Overflowed uint64 // of those tracks: pictures for which the decoder's queue had no room
	Uploads    uint64 // completed
	Refused    uint64 // uploads ended for being too large, malformed or for want of disk
	Malformed  uint64 // messages from clients that were ignored
}

type sessionCounters struct {
	connected                                                 atomic.Int64
	accepted, rejected, full, vanished                        atomic.Uint64
	frames, messages, bytes, skipped, abandoned               atomic.Uint64
	pictures, unencoded, units, received, damaged, overflowed atomic.Uint64
	uploads, refused, malformed                               atomic.Uint64
}

func (c *sessionCounters) stats(open int) SessionStats {
	return SessionStats{
		Open: open, Connected: int(c.connected.Load()),
		Accepted: c.accepted.Load(), Rejected: c.rejected.Load(), Full: c.full.Load(), Vanished: c.vanished.Load(),
		Frames: c.frames.Load(), Messages: c.messages.Load(), Bytes: c.bytes.Load(), Skipped: c.skipped.Load(), Abandoned: c.abandoned.Load(),
		Pictures: c.pictures.Load(), Unencoded: c.unencoded.Load(), Units: c.units.Load(),
		Received: c.received.Load(), Damaged: c.damaged.Load(), Overflowed: c.overflowed.Load(),
		Uploads: c.uploads.Load(), Refused: c.refused.Load(), Malformed: c.malformed.Load(),
	}
}
