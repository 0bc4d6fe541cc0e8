package webrtc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"perch/pipeline"
)

// uploadHeader is the size of the header of an uploaded chunk: its index and
// how many there are, little-endian numbers of 32 bits.
const uploadHeader = 8

// upload puts a file together from chunks in any order. Each is written to its
// place at once: all but the last have the same size, and the first of them to
// come tells it. Only the last chunk may have to wait for that.
type upload struct {
	file  *os.File
	limit uploadLimit
	space *space
	total uint32
	chunk int64    // size of all chunks but the last; 0 while unknown
	seen  []uint64 // a bit for each chunk
	count uint32   // of distinct chunks
	end   int64    // size of the last chunk
	held  []byte   // the last chunk, while its place is unknown

	claimed int64 // bytes that the space has promised in all
	owed    int64 // of those: not written yet
	unseen  int64 // bytes written since the disk was looked at
}

// uploadLimit bounds an upload.
type uploadLimit struct {
	size   int64
	chunks int
}

// uploadError is a reason to refuse an upload.
func uploadError(kind pipeline.Kind, hint, format string, args ...any) error {
	return &pipeline.Error{Op: "receive uploaded file", Kind: kind, Err: fmt.Errorf(format, args...), Hint: hint}
}

// readUpload reads a chunk's header.
func readUpload(msg []byte) (index, total uint32, data []byte, err error) {
	if len(msg) < uploadHeader {
		return 0, 0, nil, fmt.Errorf("a message of %d bytes has no header", len(msg))
	}
	index, total = binary.LittleEndian.Uint32(msg), binary.LittleEndian.Uint32(msg[4:])
	if index >= total {
		return 0, 0, nil, fmt.Errorf("chunk %d of %d", index, total)
	}
	return index, total, msg[uploadHeader:], nil
}

// add takes a chunk and reports whether the file is whole.
func (u *upload) add(index, total uint32, data []byte) (whole bool, err error) {
	if u.seen == nil {
		if int64(total) > int64(u.limit.chunks) {
			return false, uploadError(pipeline.BadInput, "send larger chunks or a smaller file", "%d chunks, at most %d are taken", total, u.limit.chunks)
		}
		u.total, u.seen = total, make([]uint64, (total+63)/64)
	}
	if total != u.total {
		return false, uploadError(pipeline.BadInput, "", "one chunk says there are %d, another says %d", u.total, total)
	}
	last := index == total-1
	if !last {
		err = u.learn(int64(len(data)))
	}
	if err == nil {
		if last {
			err = u.place(data)
		} else {
			err = u.write(data, int64(index)*u.chunk)
		}
	}
	if err != nil {
		return false, err
	}
	if bit := uint64(1) << (index % 64); u.seen[index/64]&bit == 0 {
		u.seen[index/64] |= bit
		u.count++
		u.settle(int64(len(data)))
	}
	if u.count < u.total {
		return false, nil
	}
	u.settle(u.owed)
	// A last chunk that came twice may have been longer before.
	if err := u.file.Truncate(int64(u.total-1)*u.chunk + u.end); err != nil {
		return false, uploadError(pipeline.Storage, "", "%w", err)
	}
	return true, nil
}

// learn takes the size of a chunk that is not the last.
func (u *upload) learn(n int64) error {
	switch {
	case u.chunk == n && n > 0:
		return nil
	case u.chunk != 0 || n == 0:
		return uploadError(pipeline.BadInput, "all chunks but the last must have the same size", "a chunk of %d bytes after one of %d", n, u.chunk)
	}
	u.chunk = n
	// The last chunk counts as if it were whole: it mostly comes last, and
	// should not fail then.
	if err := u.fits(int64(u.total-1)*n, int64(u.total)*n); err != nil {
		return err
	}
	if u.held == nil {
		return nil
	}
	held := u.held
	u.held = nil
	return u.place(held)
}

// place writes the last chunk as soon as it is known where it goes.
func (u *upload) place(data []byte) error {
	u.end = int64(len(data))
	if u.total > 1 && u.chunk == 0 {
		u.held = append(u.held[:0], data...)
		return nil
	}
	at := int64(u.total-1) * u.chunk
	if err := u.fits(at+u.end, at+u.end); err != nil {
		return err
	}
	return u.write(data, at)
}

// fits reports whether a file of size bytes may be kept, and claims space on the
// disk unless it has been promised already.
func (u *upload) fits(size, space int64) error {
	if size > u.limit.size {
		return uploadError(pipeline.BadInput, "send a smaller file or raise the limit on uploads in the configuration", "%d bytes, at most %d are taken", size, u.limit.size)
	}
	more := space - u.claimed
	if more <= 0 {
		return nil
	}
	if err := u.space.claim(u.file, more); err != nil {
		return err
	}
	u.claimed += more
	u.owed += more
	return nil
}

// settle says that n bytes of what was promised are written, or not needed.
func (u *upload) settle(n int64) {
	n = min(n, u.owed)
	u.owed -= n
	u.space.settle(n)
}

func (u *upload) write(data []byte, at int64) error {
	if u.unseen += int64(len(data)); u.unseen >= lookAgain {
		u.unseen = 0
		if err := u.space.still(u.file, u.owed); err != nil {
			return err
		}
	}
	_, err := u.file.WriteAt(data, at)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return uploadError(pipeline.Storage, spaceHint, "%w", err)
	}
	if err != nil {
		return uploadError(pipeline.Storage, "", "%w", err)
	}
	return nil
}

// close gives the file's space back, and what it was promised beside.
func (u *upload) close() error {
	err := u.file.Close()
	u.settle(u.owed)
	return err
}

// anonymous opens a file without a name: however this program ends, the disk
// has its space back.
func anonymous(dir string) (*os.File, error) {
	err := os.MkdirAll(dir, 0o700)
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(dir, "perch-upload-*")
	}
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return nil, uploadError(pipeline.Storage, "look at the directory for uploads", "%w", err)
	}
	return f, nil
}

// pathOf is a path under which a file without a name can be opened.
func pathOf(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

var errUploadOver = fmt.Errorf("upload refused: %w", io.EOF)
