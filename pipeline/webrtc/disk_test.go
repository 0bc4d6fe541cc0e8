package webrtc

import (
	"fmt"
	"os"
	"slices"
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
	u := &upload{file: f, limit: uploadLimit{size: 1 << 20, chunks: 10}, space: &space{keep: -1 << 40, free: freeBytes}} // devices have no free space to speak of
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
	u := &upload{file: f, limit: uploadLimit{size: 1 << 40, chunks: 1 << 20}, space: &space{free: freeBytes}}
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

// smallDisk has room for so many bytes beside those that must stay free.
type smallDisk struct {
	space
	room int64
}

func newSmallDisk(room int64) *smallDisk {
	d := &smallDisk{room: room}
	d.space = space{keep: 1 << 30, free: func(*os.File) (int64, error) { return d.keep + d.room, nil }}
	return d
}

// session returns one whose uploads are on the disk.
func (d *smallDisk) session(t *testing.T) *Session {
	v := bare(t, SessionOptions{UploadDir: t.TempDir()})
	v.server = &Server{}
	v.server.sessions.space = &d.space
	t.Cleanup(v.uploads.close)
	return v
}

// send sends chunks of size bytes to an upload of total chunks, the last of which
// has half of that.
func (d *smallDisk) send(v *Session, size int, total uint32, chunks ...uint32) (whole bool, err error) {
	data := make([]byte, size)
	for _, i := range chunks {
		n := size
		if i == total-1 {
			n = size / 2
		}
		if whole, err = v.uploads.add(i, total, data[:n]); err != nil {
			return false, fmt.Errorf("chunk %d: %w", i, err)
		}
		d.room -= int64(n)
	}
	return whole, nil
}

func upTo(n uint32) (list []uint32) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

func TestUploadMayFillTheDisk(t *testing.T) {
	inOrder := upTo(400)
	reversed := slices.Clone(inOrder)
	slices.Reverse(reversed)
	for name, order := range map[string][]uint32{"in order": inOrder, "reversed": reversed} {
		d := newSmallDisk(401 * 49152)
		v := d.session(t)
		if whole, err := d.send(v, 49152, 400, order...); !whole || err != nil || d.owed != 0 {
			t.Errorf("%s: whole: %v, %d bytes are still to come: %v", name, whole, d.owed, err)
		}
	}
}

func TestUploadsShareTheDisk(t *testing.T) {
	d := newSmallDisk(100_000)
	first, second := d.session(t), d.session(t)
	if _, err := d.send(first, 1000, 60, 59, 3); err != nil { // half of it does not count as the whole
		t.Fatal(err)
	}
	_, err := d.send(second, 1000, 60, 0)
	if pipeline.KindOf(err) != pipeline.Storage || !strings.Contains(err.Error(), "60000 bytes do not fit") {
		t.Errorf("the second upload: %v", err)
	}
	if whole, err := d.send(first, 1000, 60, upTo(59)...); !whole || err != nil {
		t.Errorf("the first upload: whole: %v, %v", whole, err)
	}
	second.uploads.close() // what is refused, or breaks off, leaves its room to others
	d.room = 100_000
	third, fourth := d.session(t), d.session(t)
	if _, err := d.send(third, 1000, 60, 0); err != nil {
		t.Errorf("the third upload: %v", err)
	}
	third.uploads.close()
	if _, err := d.send(fourth, 1000, 60, 0); err != nil {
		t.Errorf("the fourth upload: %v", err)
	}
}

// The database goes on writing while a file is uploaded.
func TestDiskThatFillsUpDuringAnUpload(t *testing.T) {
	d := newSmallDisk(1000 * 49152)
	v := d.session(t)
	if _, err := d.send(v, 49152, 1000, upTo(10)...); err != nil {
		t.Fatal(err)
	}
	d.room = lookAgain + 49152
	_, err := d.send(v, 49152, 1000, upTo(1000)[10:]...)
	if pipeline.KindOf(err) != pipeline.Storage || !strings.Contains(err.Error(), "do not fit any longer") || d.room < 0 {
		t.Errorf("with %d bytes of room: %v", d.room, err)
	}
}
