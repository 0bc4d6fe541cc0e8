package gst

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// fileState says in what way a file is incomplete; "" when it is whole or
// nothing can be told; playable when pictures may be had all the same.
// GStreamer plays what there is of a truncated file and calls that the end.
func fileState(path string) (flaw string, playable bool) {
	if flaw := aviState(path); flaw != "" {
		return flaw, true
	}
	return mp4State(path)
}

// aviState compares an AVI file's size with what its first RIFF chunk says
// (Multimedia Programming Interface and Data Specifications 1.0, 1991).
func aviState(path string) (flaw string) {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var h [12]byte
	st, err := f.Stat()
	if n, _ := io.ReadFull(f, h[:]); err != nil || n < len(h) || // shorter than a header: nothing can be told
		string(h[:4]) != "RIFF" || string(h[8:]) != "AVI " {
		return ""
	}
	// A writer that could not seek back leaves 0 or all ones: nothing is said.
	said := int64(binary.LittleEndian.Uint32(h[4:8]))
	if said == 0 || said == 1<<32-1 || st.Size() >= said+8 {
		return ""
	}
	return fmt.Sprintf("the file is truncated: %d of %d bytes are there", st.Size(), said+8)
}

// mp4State looks at the outermost boxes of an MP4 or QuickTime file (ISO/IEC
// 14496-12, section 4.2) and says in what way the file is incomplete; "" when
// it is whole or something else; playable when its index is there.
func mp4State(path string) (flaw string, playable bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", true
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", true
	}
	moov, first := false, true
	for at := int64(0); at < st.Size(); {
		size, kind := box(f, at, st.Size())
		if first && kind != "ftyp" && kind != "moov" && kind != "wide" && kind != "mdat" {
			return "", true
		}
		first = false
		moov = moov || kind == "moov" || kind == "moof"
		if size < 8 || at+size > st.Size() {
			if !moov || kind == "moov" {
				break
			}
			return fmt.Sprintf("the file is truncated: %d of %d bytes are there", st.Size(), at+max(size, 8)), true
		}
		at += size
	}
	if !moov {
		return fmt.Sprintf("the file is truncated: its index (moov) is missing after %d bytes", st.Size()), false
	}
	return "", true
}

// box returns the size and type of the box at an offset; size 0 in the file
// means up to its end.
func box(r io.ReaderAt, at, end int64) (size int64, kind string) {
	var h [16]byte
	if n, _ := r.ReadAt(h[:], at); n < 8 { // a short read is a truncated file, which is what is looked for
		return 0, ""
	}
	size = int64(binary.BigEndian.Uint32(h[:4]))
	switch size {
	case 0:
		size = end - at
	case 1:
		size = int64(binary.BigEndian.Uint64(h[8:]))
	}
	return size, string(h[4:8])
}
