package track

import "perch/pipeline"

// Instances tell tracks that are new from those seen before (the outputs
// new_instances and already_seen_instances of the tracker blocks).
type Instances struct {
	seen map[pipeline.TrackID]struct{}
	ring []pipeline.TrackID // in the order of coming, oldest at next once full
	next int
	most int
}

// mostInstances bounds the memory of [Instances], about 50 MB.
const mostInstances = 1 << 20

// NewInstances returns a memory for size tracks (16384 is the blocks' default).
// When it is full the one that came first is forgotten, even if it is still in
// sight, and would be new again.
func NewInstances(size int) (*Instances, error) {
	if size < 1 || size > mostInstances {
		return nil, refuse("set up instances", "cache size", "16384 is usual", "%d is not from 1 to %d", size, mostInstances)
	}
	return &Instances{seen: map[pipeline.TrackID]struct{}{}, most: size}, nil
}

// New reports whether a track is seen for the first time, and remembers it. A
// detection without a track (0) is never new.
func (n *Instances) New(id pipeline.TrackID) bool {
	if _, ok := n.seen[id]; ok || id == 0 {
		return false
	}
	if len(n.ring) < n.most {
		n.ring = append(n.ring, id)
	} else {
		delete(n.seen, n.ring[n.next])
		n.ring[n.next] = id
		n.next = (n.next + 1) % n.most
	}
	n.seen[id] = struct{}{}
	return true
}
