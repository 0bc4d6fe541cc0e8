package webrtc

import (
	"os"
	"sync"
	"syscall"

	"perch/pipeline"
)

// lookAgain is how much of an upload is written before the disk is looked at
// again: others write there too.
const lookAgain = 8 << 20 // bytes

const spaceHint = "free some space, or keep uploads on another disk"

// space is the disk that uploads share. What one was promised is kept from the
// others, so that those which are accepted together fit together. The file
// itself stays as small as what came: not every file system can reserve.
type space struct {
	keep int64                         // bytes that stay free
	free func(*os.File) (int64, error) // bytes on the disk of a file

	mu   sync.Mutex
	owed int64 // guarded by mu: promised and not written yet
}

// claim promises n bytes to an upload in f.
func (s *space) claim(f *os.File, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	free, err := s.free(f)
	if err != nil {
		return err
	}
	if n > free-s.keep-s.owed {
		return uploadError(pipeline.Storage, spaceHint, "%d bytes do not fit: the disk has %d free, of which %d stay free and %d are kept for what is being uploaded", n, free, s.keep, s.owed)
	}
	s.owed += n
	return nil
}

// settle takes back a promise of n bytes: they are written, or not needed.
func (s *space) settle(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed -= n
}

// still reports whether there is room for the n bytes that an upload in f was
// promised and has not written yet.
func (s *space) still(f *os.File, n int64) error {
	free, err := s.free(f)
	if err != nil {
		return err
	}
	if n > free-s.keep {
		return uploadError(pipeline.Storage, spaceHint, "%d more bytes do not fit any longer: the disk has %d free, of which %d stay free", n, free, s.keep)
	}
	return nil
}

// freeBytes is how much this program may write to the disk of f.
func freeBytes(f *os.File) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &disk); err != nil {
		return 0, uploadError(pipeline.Storage, "", "look at the disk: %w", err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}
