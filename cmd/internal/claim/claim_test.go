package claim

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"perch/pipeline"
)

func open(t *testing.T, dir string) *Claim {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClaim(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	if name, claimed := c.Owner(); claimed || name != "" || c.Allows("") {
		t.Fatalf("a new device belongs to %q", name)
	}
	token, err := c.Take("  Gate é ")
	if err != nil || len(token) < 26 {
		t.Fatalf("%q, %v", token, err)
	}
	for _, c := range []*Claim{c, open(t, dir)} {
		if name, claimed := c.Owner(); !claimed || name != "Gate é" || !c.Allows(token) || c.Allows("") || c.Allows(token+"x") || c.Allows(strings.ToLower(token)) {
			t.Errorf("%q, %v", name, claimed)
		}
		if _, err := c.Take("thief"); pipeline.KindOf(err) != pipeline.Refused {
			t.Errorf("claimed twice: %v", err)
		}
	}
	path := filepath.Join(dir, FileName)
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), token) {
		t.Errorf("the token is on the disk: %s, %v", text, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if was, err := Reset(dir); !was || err != nil {
		t.Errorf("reset: %v, %v", was, err)
	}
	if was, err := Reset(dir); was || err != nil {
		t.Errorf("reset again: %v, %v", was, err)
	}
	if _, claimed := open(t, dir).Owner(); claimed {
		t.Error("still claimed after the reset")
	}
}

func TestOnlyOneClaims(t *testing.T) {
	c := open(t, t.TempDir())
	var wg sync.WaitGroup
	tokens := make(chan string, 20)
	for range 20 {
		wg.Go(func() {
			if token, err := c.Take("x"); err == nil {
				tokens <- token
			}
		})
	}
	wg.Wait()
	if len(tokens) != 1 || !c.Allows(<-tokens) {
		t.Error("not exactly one owner")
	}
}

func TestBadNames(t *testing.T) {
	c := open(t, t.TempDir())
	for _, name := range []string{strings.Repeat("é", maxName+1), "two\nlines", "\xff"} {
		if _, err := c.Take(name); pipeline.KindOf(err) != pipeline.BadInput {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, claimed := c.Owner(); claimed {
		t.Error("a bad name claimed the device")
	}
	if _, err := c.Take(strings.Repeat("é", maxName)); err != nil {
		t.Error(err)
	}
}

// A damaged file does not open the device to whoever comes first.
func TestDamagedClaim(t *testing.T) {
	for _, text := range []string{"", "{", `{"schema":"perch.claim/2","token_sha256":""}`, `{"schema":"perch.claim/1","token_sha256":"00"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); pipeline.KindOf(err) != pipeline.Storage || !strings.Contains(err.Error(), "claim reset") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFolderThatIsReadOnly(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "none"))
	if _, err := c.Take("x"); pipeline.KindOf(err) != pipeline.Storage {
		t.Errorf("%v", err)
	}
	if _, claimed := c.Owner(); claimed {
		t.Error("claimed without having been written")
	}
}
