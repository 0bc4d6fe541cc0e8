package track

import "math"

// A matcher pairs rows with columns so that the sum of gains is largest: the
// linear assignment problem where leaving something alone gains nothing. With
// gain = limit - cost this is what the paper's program solves, there as a
// square problem extended by limit/2 (Jonker and Volgenant, "A Shortest
// Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems",
// Computing 38, 1987).
//
// Boxes overlap few others, so the problem falls into many small ones that
// share no row or column; each is solved by shortest augmenting paths, in time
// rows squared times columns.
type matcher struct {
	edges, grouped []edge
	mate           []int // of each row, its column or -1

	parent       []int // union-find over rows, then columns
	start, local []int // of each root: where its edges begin; of each node: its number in its group
	rows, cols   []int // of one group, what its numbers stand for
	dense        dense
}

// An edge is a pair that gains something.
type edge struct {
	row, col int
	gain     float64
}

// reset begins a problem of rows by cols in which no pair gains anything.
func (m *matcher) reset(rows, cols int) {
	m.edges = m.edges[:0]
	m.mate, m.parent = sized(m.mate, rows), sized(m.parent, rows+cols)
	for i := range m.mate {
		m.mate[i] = -1
	}
	for i := range m.parent {
		m.parent[i] = i
	}
}

// offer adds a pair; each at most once, and only with a gain above zero.
func (m *matcher) offer(row, col int, gain float64) {
	m.edges = append(m.edges, edge{row, col, gain})
	a, b := m.root(row), m.root(len(m.mate)+col)
	m.parent[max(a, b)] = min(a, b)
}

func (m *matcher) root(i int) int {
	for m.parent[i] != i {
		m.parent[i] = m.parent[m.parent[i]]
		i = m.parent[i]
	}
	return i
}

// solve fills mate.
func (m *matcher) solve() {
	m.group()
	for from := 0; from < len(m.grouped); {
		root, to := m.root(m.grouped[from].row), from+1
		for to < len(m.grouped) && m.root(m.grouped[to].row) == root {
			to++
		}
		if group := m.grouped[from:to]; len(group) == 1 {
			m.mate[group[0].row] = group[0].col
		} else {
			m.solveGroup(group)
		}
		from = to
	}
}

// group orders the edges by the part of the problem they belong to, by
// counting.
func (m *matcher) group() {
	m.start = sized(m.start, len(m.parent)+1)
	clear(m.start)
	for _, e := range m.edges {
		m.start[m.root(e.row)+1]++
	}
	for i := 1; i < len(m.start); i++ {
		m.start[i] += m.start[i-1]
	}
	m.grouped = sized(m.grouped, len(m.edges))
	for _, e := range m.edges {
		r := m.root(e.row)
		m.grouped[m.start[r]] = e
		m.start[r]++
	}
}

func (m *matcher) solveGroup(group []edge) {
	m.local = sized(m.local, len(m.parent))
	for _, e := range group {
		m.local[e.row], m.local[len(m.mate)+e.col] = -1, -1
	}
	m.rows, m.cols = m.rows[:0], m.cols[:0]
	for _, e := range group {
		if m.local[e.row] < 0 {
			m.local[e.row] = len(m.rows)
			m.rows = append(m.rows, e.row)
		}
		if c := len(m.mate) + e.col; m.local[c] < 0 {
			m.local[c] = len(m.cols)
			m.cols = append(m.cols, e.col)
		}
	}
	n, k := len(m.rows), len(m.cols)
	turned := n > k // every row of the dense problem gets a column, so it has no more rows
	if turned {
		n, k = k, n
	}
	cost := m.dense.reset(n, k)
	for _, e := range group {
		i, j := m.local[e.row], m.local[len(m.mate)+e.col]
		if turned {
			i, j = j, i
		}
		cost[i*k+j] = -e.gain
	}
	m.dense.solve(n, k)
	for j := 1; j <= k; j++ {
		i := m.dense.taken[j]
		if i == 0 || cost[(i-1)*k+j-1] >= 0 {
			continue // alone, or a pair that nobody offered
		}
		row, col := i-1, j-1
		if turned {
			row, col = col, row
		}
		m.mate[m.rows[row]] = m.cols[col]
	}
}

// dense solves one small problem, n rows by k columns, n <= k, smallest cost.
// Rows and columns count from 1; column 0 is where a path begins.
type dense struct {
	cost               []float64
	rowPrice, colPrice []float64 // dual variables
	taken, way         []int     // of each column: its row, and the column before it on the path
	reach              []float64 // of each column: the cheapest way there found so far
	done               []bool
}

// reset returns the cost matrix, all zero.
func (d *dense) reset(n, k int) []float64 {
	d.cost = sized(d.cost, n*k)
	d.rowPrice, d.colPrice = sized(d.rowPrice, n+1), sized(d.colPrice, k+1)
	d.taken, d.way = sized(d.taken, k+1), sized(d.way, k+1)
	d.reach, d.done = sized(d.reach, k+1), sized(d.done, k+1)
	clear(d.cost)
	clear(d.rowPrice)
	clear(d.colPrice)
	clear(d.taken)
	return d.cost
}

func (d *dense) solve(n, k int) {
	for row := 1; row <= n; row++ {
		d.taken[0] = row
		end := d.path(k)
		for end != 0 { // hand each column on the path to the row before it
			before := d.way[end]
			d.taken[end] = d.taken[before]
			end = before
		}
	}
}

// path finds the cheapest way from column 0 to a free column, adjusting prices
// as it goes (Dijkstra's algorithm on reduced costs).
func (d *dense) path(k int) (free int) {
	for j := range d.reach {
		d.reach[j], d.done[j] = math.Inf(1), false
	}
	at := 0
	for {
		d.done[at] = true
		row, next, least := d.taken[at], 0, math.Inf(1)
		costs := d.cost[(row-1)*k : row*k]
		for j := 1; j <= k; j++ {
			if d.done[j] {
				continue
			}
			if c := costs[j-1] - d.rowPrice[row] - d.colPrice[j]; c < d.reach[j] {
				d.reach[j], d.way[j] = c, at
			}
			if d.reach[j] < least {
				least, next = d.reach[j], j
			}
		}
		for j := 0; j <= k; j++ {
			if d.done[j] {
				d.rowPrice[d.taken[j]] += least
				d.colPrice[j] -= least
			} else {
				d.reach[j] -= least
			}
		}
		if at = next; d.taken[at] == 0 {
			return at
		}
	}
}

// sized returns s with length n, keeping its memory when that is enough. What
// is in it is left over.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}
