package pipeline

// A Watch is one viewer's share of a preview. The preview's encoder runs while
// there is at least one.
type Watch interface {
	// Units delivers encoded pictures from a bounded queue. A viewer that is
	// too slow loses pictures up to the next key frame, never an arbitrary one.
	// The channel is closed when the preview has ended.
	Units() <-chan AccessUnit
	// NeedKey asks for a key frame soon. Requests are coalesced.
	NeedKey()
	// Close gives the share back. It may be called more than once.
	Close()
}
