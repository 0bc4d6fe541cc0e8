package pipeline

import (
	"slices"
	"strings"
)

// maxCompared bounds, in letters, what Nearest compares: words come from
// anywhere.
const maxCompared = 128

// Nearest returns the candidate that word was probably meant to be: the one with
// the fewest letters put in, left out, changed or swapped with their neighbour
// (Damerau's distance, the restricted form that is called optimal string
// alignment), whatever their case. It returns "" if even that takes more than
// most. Of several equally near it is the first by the alphabet.
func Nearest(word string, candidates []string, most int) string {
	best, least := "", most+1
	x := []rune(strings.ToLower(word))
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		y := []rune(strings.ToLower(c))
		if len(x) > maxCompared || len(y) > maxCompared || max(len(x)-len(y), len(y)-len(x)) >= least {
			continue
		}
		if d := distance(x, y); d < least {
			best, least = c, d
		}
	}
	return best
}

func distance(x, y []rune) int {
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(x)][len(y)]
}
