package webrtc

import (
	"os"
	"strings"
	"testing"

	"perch/pipeline"
)

func TestFullDiskIsSaid(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u := &upload{file: f, limit: uploadLimit{size: 1 << 20, chunks: 10, free: -1 << 40}} // devices have no free space to speak of
	_, err = u.add(0, 2, []byte("abc"))
	if pipeline.KindOf(err) != pipeline.Storage || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("got %v", err)
	}
}

func TestUploadKeepsLittleInMemory(t *testing.T) {
	f, err := anonymous(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u := &upload{file: f, limit: uploadLimit{size: 1 << 40, chunks: 1 << 20, free: 0}}
	chunk := make([]byte, 49152)
	if whole, err := u.add(9, 10, chunk[:100]); whole || err != nil || len(u.held) != 100 {
		t.Fatalf("the last chunk waits with %d bytes: %v", len(u.held), err)
	}
	for i := uint32(9); i > 0; i-- {
		if _, err := u.add(i-1, 10, chunk); err != nil {
			t.Fatal(err)
		}
		if u.held != nil {
			t.Fatal("a chunk is still in memory")
		}
	}
	if info, err := f.Stat(); err != nil || info.Size() != 9*49152+100 {
		t.Errorf("the file has %d bytes: %v", info.Size(), err)
	}
	if info, err := os.Stat(pathOf(f)); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the file cannot be found under its path: %v", err)
	}
}
