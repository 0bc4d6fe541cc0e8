package track

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// solve gives a matcher a matrix of costs with a limit, as associate does.
func solve(m *matcher, cost [][]float64, cols int, limit float64) []int {
	m.reset(len(cost), cols)
	for i, row := range cost {
		for j, c := range row {
			if limit-c > 0 {
				m.offer(i, j, limit-c)
			}
		}
	}
	m.solve()
	return m.mate
}

func TestAssignmentsOfTheReference(t *testing.T) {
	var cases []struct {
		Limit float64
		Cost  [][]float64
		Mate  []int
	}
	golden(t, "assign.json", &cases)
	if len(cases) < 30 {
		t.Fatalf("%d cases", len(cases))
	}
	var m matcher // one for all: what a case leaves behind must not matter
	for _, c := range cases {
		if got := solve(&m, c.Cost, len(c.Cost[0]), c.Limit); !slices.Equal(got, c.Mate) {
			t.Errorf("%d by %d below %v: %v, want %v", len(c.Cost), len(c.Cost[0]), c.Limit, got, c.Mate)
		}
	}
}

func TestAssignTable(t *testing.T) {
	var m matcher
	for _, c := range []struct {
		cost [][]float64
		want string
	}{
		{nil, "[]"},
		{[][]float64{{}, {}}, "[-1 -1]"},
		{[][]float64{{0.9}}, "[-1]"},
		{[][]float64{{0.8}}, "[-1]"}, // the limit itself gains nothing
		{[][]float64{{0.7}}, "[0]"},
		// The best pair of all would cost the other one its partner.
		{[][]float64{{0.1, 0.2}, {0.15, 1}}, "[1 0]"},
		// Two that gain much are worth more than three that gain little.
		{[][]float64{{0.7, 0.1, 1}, {1, 0.7, 0.1}, {1, 1, 0.7}}, "[1 2 -1]"},
		{[][]float64{{0.1}, {0.05}, {0.2}}, "[-1 0 -1]"},
		{[][]float64{{0.3, 0.1, 0.2}}, "[1]"},
		{[][]float64{{1, 1}, {1, 1}}, "[-1 -1]"},
	} {
		cols := 0
		if len(c.cost) > 0 {
			cols = len(c.cost[0])
		}
		if got := fmt.Sprint(solve(&m, c.cost, cols, 0.8)); got != c.want {
			t.Errorf("%v: %s, want %s", c.cost, got, c.want)
		}
	}
}

// best tries every pairing of rows from i on.
func best(cost [][]float64, limit float64, i int, used []bool) float64 {
	if i == len(cost) {
		return 0
	}
	most := best(cost, limit, i+1, used)
	for j := range used {
		if g := limit - cost[i][j]; g > 0 && !used[j] {
			used[j] = true
			most = max(most, g+best(cost, limit, i+1, used))
			used[j] = false
		}
	}
	return most
}

func TestAssignIsOptimal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var m matcher
	for range 2000 {
		rows, cols := 1+r.IntN(6), 1+r.IntN(6)
		cost := make([][]float64, rows)
		for i := range cost {
			cost[i] = make([]float64, cols)
			for j := range cost[i] {
				if cost[i][j] = 1; r.IntN(3) > 0 { // some pairs do not touch, so groups fall apart
					cost[i][j] = float64(r.IntN(10)) / 10 // coarse, so there are ties
				}
			}
		}
		mate := solve(&m, cost, cols, 0.85)
		sum, used := 0.0, make([]bool, cols)
		for i, j := range mate {
			if j < 0 {
				continue
			}
			if used[j] {
				t.Fatalf("%v: column %d twice: %v", cost, j, mate)
			}
			used[j] = true
			sum += 0.85 - cost[i][j]
		}
		if want := best(cost, 0.85, 0, make([]bool, cols)); math.Abs(sum-want) > 1e-9 {
			t.Fatalf("%v: %v gains %v, the best %v", cost, mate, sum, want)
		}
	}
}
