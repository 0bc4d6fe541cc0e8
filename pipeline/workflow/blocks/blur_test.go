package blocks

import (
	"encoding/json"
	"os"
	"testing"
)

// See testdata/blur.cjs. OpenCV rounds its weights, so a sample may be off by
// one.
func TestBlursAreOpenCVs(t *testing.T) {
	var g struct {
		Width, Height int
		Before        []byte
		Blurred       []struct {
			Kind  string
			Size  int
			After []byte
		}
	}
	b, err := os.ReadFile("testdata/blur.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	var blur blurrer
	got := make([]byte, len(g.Before))
	for _, c := range g.Blurred {
		if err := blur.run(c.Kind, got, g.Before, g.Width, g.Height, c.Size); err != nil {
			t.Fatal(err)
		}
		most, changed := 0, 0
		for i := range got {
			most = max(most, max(int(got[i])-int(c.After[i]), int(c.After[i])-int(got[i])))
			if got[i] != g.Before[i] {
				changed++
			}
		}
		if limit := map[string]int{"average": 1, "gaussian": 1, "bilateral": 1}[c.Kind]; most > limit || c.Size > 1 && changed < len(got)/2 {
			t.Errorf("%s of %d: off by up to %d, %d samples changed", c.Kind, c.Size, most, changed)
		}
	}
	if err := blur.run("motion", got, g.Before, g.Width, g.Height, 3); err == nil {
		t.Error("there is no such blur")
	}
	for n := range 4 { // pictures of one sample, or one row
		small := make([]byte, n+1)
		for _, kind := range []string{"average", "gaussian", "median", "bilateral"} {
			if err := blur.run(kind, small, []byte{7, 7, 7, 7}[:n+1], n+1, 1, 9); err != nil || small[0] != 7 || small[n] != 7 {
				t.Errorf("%s: %v, %v", kind, small, err)
			}
		}
	}
}
