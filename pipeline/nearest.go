package pipeline

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// What Nearest compares is bounded, since words come from anywhere.
const (
	maxCompared = 128     // letters of a word
	maxPairs    = 1 << 17 // pairs of letters in all: hundreds of usual names
)

// Nearest returns the candidate that word was probably meant to be: the one with
// the fewest letters put in, left out, changed or swapped with their neighbour
// (Damerau's distance, the restricted form that is called optimal string
// alignment), whatever their case. It returns "" if even that takes more than
// most. Of several equally near it is the first by the alphabet. Of very many
// candidates it looks at the first by the alphabet only.
func Nearest(word string, candidates []string, most int) string {
	best, least, left := "", most+1, maxPairs
	if len(word) > utf8.UTFMax*maxCompared {
		return ""
	}
	x := []rune(strings.ToLower(word))
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if len(c) > utf8.UTFMax*maxCompared {
			continue
		}
		y := []rune(strings.ToLower(c))
		if len(x) > maxCompared || len(y) > maxCompared || max(len(x)-len(y), len(y)-len(x)) >= least {
			continue
		}
		if left -= len(x) * len(y); left < 0 {
			break
		}
		if d := distance(x, y); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance keeps the last three rows of the table: the one that is being made
// and the two that it is made of.
func distance(x, y []rune) int {
	old, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		old, last, row = last, row, old
		row[0] = i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			d := min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d = min(d, old[j-2]+1)
			}
			row[j] = d
		}
	}
	return row[len(y)]
}
