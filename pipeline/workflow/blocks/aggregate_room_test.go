package blocks

import (
	"strings"
	"testing"

	"perch/pipeline/workflow"
)

// nth is a text of 1000 bytes that differs only at its end.
func nth(n int) workflow.Value {
	return workflow.StringOf(strings.Repeat("x", 999) + string(rune('a'+n)))
}

func TestDifferentValuesTakeBoundedMemory(t *testing.T) {
	for mode, fit := range map[string]int{"distinct": 8, "values_counts": 8, "count_distinct": 26} {
		shared := &room{left: 10_000}
		one, two := aggregate{mode: mode, room: shared}, aggregate{mode: mode, room: shared}
		one.reset()
		two.reset()
		if err := two.add(nth(0)); err != nil {
			t.Fatal(err)
		}
		n := 1 // what the other one has counts
		for ; n < 26; n++ {
			if err := one.add(nth(n)); err != nil {
				if !strings.Contains(err.Error(), "64 MB") {
					t.Error(err)
				}
				break
			}
			if err := one.add(nth(n)); err != nil {
				t.Errorf("%s: a value that is known: %v", mode, err)
			}
		}
		if n != fit {
			t.Errorf("%s: %d texts fit, want %d", mode, n, fit)
		}
		one.reset()
		two.reset()
		if shared.left != 10_000 {
			t.Errorf("%s: %d bytes are lost for the next interval", mode, 10_000-shared.left)
		}
	}
}

// TestLongTextsAreToldApart has a text as long as what stands for a longer one.
func TestLongTextsAreToldApart(t *testing.T) {
	a := aggregate{mode: "count_distinct", room: &room{left: maxDistinctBytes}}
	a.reset()
	for _, s := range []string{strings.Repeat("a", 33), strings.Repeat("a", 34), strings.Repeat("a", 33), strings.Repeat("a", 32)} {
		if err := a.add(workflow.StringOf(s)); err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := a.result().Int(); n != 3 {
		t.Errorf("%d texts, want 3", n)
	}
}
