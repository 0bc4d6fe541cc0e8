package main

import (
	"os"
	"path/filepath"
	"testing"

	"perch/pipeline"
)

// What can be played of a file that was cut off is processed and kept, and
// the end is a clear one.
func TestAFileThatWasCutOff(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	dir := t.TempDir()
	for _, ext := range []string{".avi", ".mkv"} {
		whole, err := os.ReadFile(sample(t, filepath.Join(dir, "whole"+ext), 40))
		if err != nil {
			t.Fatal(err)
		}
		got := finish(t, perch(t, t.Context(), dir, "process", "--json", write(t, filepath.Join(dir, "cut"+ext), string(whole[:len(whole)*6/10]))))
		said := records(t, got.out)
		if len(said) != 1 || got.status != exitOK && got.status != exitBadInput {
			t.Fatalf("%s: exit status %d\n%s%s", ext, got.status, got.out, got.errOut)
		}
		c := said[0]
		if c.Frames.Processed < 10 || c.Frames.Processed >= 40 {
			t.Errorf("%s: %d frames of a file that has lost two fifths", ext, c.Frames.Processed)
		}
		clear := len(c.Errors) > 0 && (c.Termination == pipeline.EndOfStream && got.status == exitOK ||
			c.Termination == pipeline.Failed && got.status == exitBadInput)
		if !clear {
			t.Errorf("%s: exit status %d\n%s%s", ext, got.status, got.out, got.errOut)
		}
	}
	if list := endedRuns(t, dir); len(list) != 2 {
		t.Errorf("%d runs", len(list))
	}
}
