package infer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// errDamaged is what reading past the end of a message comes to.
var errDamaged = errors.New("the file is not a whole ONNX model")

// A wire reads one protobuf message field by field from a stream, so that a
// model of any size passes through in constant memory.
// See https://protobuf.dev/programming-guides/encoding.
type wire struct {
	r    *bufio.Reader
	left int64 // bytes of this message that are still unread
}

// next reads a field's key. For a length-delimited field n is the length of
// what follows and must be taken with sub, text or skip; for a varint n is its
// value; fixed32 and fixed64 are consumed. It returns io.EOF at the end.
func (w *wire) next() (field int, delimited bool, n uint64, err error) {
	if w.left == 0 {
		return 0, false, 0, io.EOF
	}
	key, err := w.varint()
	if err != nil {
		return 0, false, 0, err
	}
	field = int(key >> 3)
	if key>>3 == 0 || key>>3 > 1<<29 {
		return 0, false, 0, errDamaged
	}
	switch key & 7 {
	case 0:
		n, err = w.varint()
	case 1:
		err = w.skip(8)
	case 2:
		if n, err = w.varint(); err == nil && n > uint64(w.left) {
			err = errDamaged
		}
		delimited = true
	case 5:
		err = w.skip(4)
	default:
		err = errDamaged
	}
	return field, delimited, n, err
}

func (w *wire) varint() (uint64, error) {
	before := w.left
	n, err := binary.ReadUvarint(byteCounter{w})
	if err != nil || w.left < 0 || before-w.left > binary.MaxVarintLen64 {
		return 0, errDamaged
	}
	return n, nil
}

type byteCounter struct{ w *wire }

func (c byteCounter) ReadByte() (byte, error) {
	if c.w.left <= 0 {
		return 0, errDamaged
	}
	c.w.left--
	return c.w.r.ReadByte()
}

func (w *wire) skip(n uint64) error {
	if n > uint64(w.left) {
		return errDamaged
	}
	w.left -= int64(n)
	for n > 0 {
		step := min(n, 1<<20)
		if _, err := w.r.Discard(int(step)); err != nil {
			return errDamaged
		}
		n -= step
	}
	return nil
}

// text reads a string of n bytes, of which there may be at most limit.
func (w *wire) text(n uint64, limit int) (string, error) {
	if n > uint64(limit) {
		return "", fmt.Errorf("a name or value of %d bytes, more than the %d that are read", n, limit)
	}
	if n > uint64(w.left) {
		return "", errDamaged
	}
	w.left -= int64(n)
	buf := make([]byte, n)
	if _, err := io.ReadFull(w.r, buf); err != nil {
		return "", errDamaged
	}
	return string(buf), nil
}

// sub enters a message of n bytes; the caller reads it to its end. each is
// called for every field and must consume what is delimited.
func (w *wire) sub(n uint64, each func(m *wire, field int, delimited bool, n uint64) error) error {
	if n > uint64(w.left) {
		return errDamaged
	}
	w.left -= int64(n)
	return (&wire{r: w.r, left: int64(n)}).each(each)
}

func (w *wire) each(f func(m *wire, field int, delimited bool, n uint64) error) error {
	for {
		field, delimited, n, err := w.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		before := w.left
		if err := f(w, field, delimited, n); err != nil {
			return err
		}
		if delimited && w.left == before && n > 0 { // nobody wanted it
			if err := w.skip(n); err != nil {
				return err
			}
		}
	}
}
