package track

import "perch/pipeline"

// Remembered is how many tracks a [Line], [Dwell] or [Velocity] remembers. It
// is above what [Defaults] let a tracker keep. When a further one comes the
// track not seen for longest is forgotten: one that a tracker may still return
// was seen within its lost buffer, so those that ended go first.
const Remembered = 4096

// A memory holds a value for each of the newest tracks. It grows to its
// bound and then no more.
type memory[T any] struct {
	index   map[pipeline.TrackID]int
	entries []entry[T] // entries[0] holds no track; it closes the ring of use
	most    int
}

// An entry is linked to the one used just after it and the one used just
// before; entries[0].before was used last, entries[0].after the longest ago.
type entry[T any] struct {
	id            pipeline.TrackID
	before, after int
	value         T
}

func newMemory[T any](most int) memory[T] {
	return memory[T]{index: map[pipeline.TrackID]int{}, entries: make([]entry[T], 1), most: most}
}

// get returns the place of a track's value, good until the next get or
// forget, and whether it was there before.
func (m *memory[T]) get(id pipeline.TrackID) (value *T, known bool) {
	if m.seen(id) {
		return &m.entries[m.index[id]].value, true
	}
	if len(m.entries) > m.most {
		m.forget(m.entries[m.entries[0].after].id)
	}
	i := len(m.entries)
	m.entries = append(m.entries, entry[T]{id: id})
	m.index[id] = i
	m.link(i)
	return &m.entries[i].value, false
}

// seen marks a track as used, if it is there.
func (m *memory[T]) seen(id pipeline.TrackID) bool {
	i, ok := m.index[id]
	if ok {
		m.unlink(i)
		m.link(i)
	}
	return ok
}

// forget drops a track, if it is there. The last entry takes its place.
func (m *memory[T]) forget(id pipeline.TrackID) {
	i, ok := m.index[id]
	if !ok {
		return
	}
	m.unlink(i)
	delete(m.index, id)
	last := len(m.entries) - 1
	if i != last {
		e := m.entries[last]
		m.entries[i] = e
		m.entries[e.before].after, m.entries[e.after].before = i, i
		m.index[e.id] = i
	}
	m.entries = m.entries[:last]
}

// link makes an entry the one used last.
func (m *memory[T]) link(i int) {
	newest := m.entries[0].before
	m.entries[i].before, m.entries[i].after = newest, 0
	m.entries[newest].after, m.entries[0].before = i, i
}

func (m *memory[T]) unlink(i int) {
	e := &m.entries[i]
	m.entries[e.before].after, m.entries[e.after].before = e.after, e.before
}
