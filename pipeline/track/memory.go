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
	entries []entry[T]
	clock   uint64
	most    int
}

type entry[T any] struct {
	id    pipeline.TrackID
	used  uint64
	value T
}

func newMemory[T any](most int) memory[T] {
	return memory[T]{index: map[pipeline.TrackID]int{}, most: most}
}

// get returns the place of a track's value, good until the next get or
// forget, and whether it was there before.
func (m *memory[T]) get(id pipeline.TrackID) (value *T, known bool) {
	m.clock++
	if i, ok := m.index[id]; ok {
		m.entries[i].used = m.clock
		return &m.entries[i].value, true
	}
	i := len(m.entries)
	if i < m.most {
		m.entries = append(m.entries, entry[T]{})
	} else {
		i = 0
		for j := range m.entries {
			if m.entries[j].used < m.entries[i].used {
				i = j
			}
		}
		delete(m.index, m.entries[i].id)
	}
	m.entries[i] = entry[T]{id: id, used: m.clock}
	m.index[id] = i
	return &m.entries[i].value, false
}

// seen marks a track as used without adding it.
func (m *memory[T]) seen(id pipeline.TrackID) bool {
	i, ok := m.index[id]
	if ok {
		m.clock++
		m.entries[i].used = m.clock
	}
	return ok
}

// forget drops a track.
func (m *memory[T]) forget(id pipeline.TrackID) {
	i, ok := m.index[id]
	if !ok {
		return
	}
	last := len(m.entries) - 1
	m.entries[i] = m.entries[last]
	m.index[m.entries[i].id] = i
	m.entries = m.entries[:last]
	delete(m.index, id)
}
