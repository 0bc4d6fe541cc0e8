package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"perch/pipeline"
)

// The packed form of a frame's detections; storage/README.md has it bit by bit.
const (
	packVersion = 1

	flagTracks    = 1 << 4 // a track id follows each box
	flagKeypoints = 1 << 5 // key points follow each track id
	flagSigned    = 1 << 6 // some coordinate is negative: all are zigzag
	flagSize      = 1 << 7 // the frame's size comes first

	subPixels   = 8       // boxes are kept to an eighth of a pixel
	maxCoord    = 1 << 20 // pixels
	maxPacked   = 1 << 16 // detections in a frame, key points in a detection
	scoreScale  = math.MaxUint16
	leastPacked = 1 + 2 + 4 // bytes of the smallest detection
)

var errPacked = errors.New("packed detections are damaged")

// frameSize is a frame's width and height in pixels.
type frameSize struct{ w, h int }

// pack returns the packed form of dets, nil for none in a frame of the usual
// size. Corners are rounded to 1/8 pixel, scores to 1/65535 within 0..1.
func pack(dets []pipeline.Detection, size, usual frameSize) ([]byte, error) {
	if len(dets) == 0 && size == usual {
		return nil, nil
	}
	if len(dets) > maxPacked {
		return nil, fmt.Errorf("%d detections in one frame, the most that can be kept is %d", len(dets), maxPacked)
	}
	head, err := packHead(dets)
	if err != nil {
		return nil, err
	}
	if size != usual {
		if size.w < 0 || size.h < 0 || size.w > maxCoord || size.h > maxCoord {
			return nil, fmt.Errorf("a frame of %d by %d pixels cannot be kept", size.w, size.h)
		}
		head |= flagSize
	}
	b := make([]byte, 1, 16+16*len(dets))
	b[0] = head
	if head&flagSize != 0 {
		b = binary.AppendUvarint(b, uint64(size.w))
		b = binary.AppendUvarint(b, uint64(size.h))
	}
	b = binary.AppendUvarint(b, uint64(len(dets)))
	for i := range dets {
		b = packOne(b, &dets[i], head)
	}
	return b, nil
}

// packHead checks dets and chooses the flags.
func packHead(dets []pipeline.Detection) (byte, error) {
	head := byte(packVersion)
	coord := func(v float32) error {
		if !(math.Abs(float64(v)) <= maxCoord) { // NaN too
			return fmt.Errorf("a coordinate of %v cannot be kept", v)
		}
		if quantise(v) < 0 {
			head |= flagSigned
		}
		return nil
	}
	for i := range dets {
		d := &dets[i]
		if d.Class < 0 || d.Class > math.MaxInt32 {
			return 0, fmt.Errorf("class %d cannot be kept", d.Class)
		}
		if math.IsNaN(float64(d.Score)) {
			return 0, errors.New("a score is not a number")
		}
		if err := errors.Join(coord(d.Box.X0), coord(d.Box.Y0), coord(d.Box.X1), coord(d.Box.Y1)); err != nil {
			return 0, err
		}
		if d.Box.X1 < d.Box.X0 || d.Box.Y1 < d.Box.Y0 {
			head |= flagSigned
		}
		if d.Track != 0 {
			head |= flagTracks
		}
		if len(d.Keypoints) > maxPacked {
			return 0, fmt.Errorf("%d key points cannot be kept", len(d.Keypoints))
		}
		for _, k := range d.Keypoints {
			head |= flagKeypoints
			if err := errors.Join(coord(k.X), coord(k.Y)); err != nil {
				return 0, err
			}
		}
	}
	return head, nil
}

func packOne(b []byte, d *pipeline.Detection, head byte) []byte {
	coord := func(v int64) {
		if head&flagSigned != 0 {
			b = binary.AppendVarint(b, v)
		} else {
			b = binary.AppendUvarint(b, uint64(v))
		}
	}
	x, y := quantise(d.Box.X0), quantise(d.Box.Y0)
	b = binary.AppendUvarint(b, uint64(d.Class))
	b = binary.LittleEndian.AppendUint16(b, packScore(d.Score))
	coord(x)
	coord(y)
	coord(quantise(d.Box.X1) - x)
	coord(quantise(d.Box.Y1) - y)
	if head&flagTracks != 0 {
		b = binary.AppendUvarint(b, uint64(d.Track))
	}
	if head&flagKeypoints != 0 {
		b = binary.AppendUvarint(b, uint64(len(d.Keypoints)))
		for _, k := range d.Keypoints {
			coord(quantise(k.X))
			coord(quantise(k.Y))
			b = binary.LittleEndian.AppendUint16(b, packScore(k.Score))
		}
	}
	return b
}

func quantise(v float32) int64 { return int64(math.Round(float64(v) * subPixels)) }

func packScore(v float32) uint16 {
	return uint16(math.Round(float64(min(max(v, 0), 1)) * scoreScale))
}

// unpack is the inverse of pack. It reads no further than b and allocates no
// more than a fixed multiple of len(b), whatever b holds.
func unpack(b []byte, usual frameSize) ([]pipeline.Detection, frameSize, error) {
	if len(b) == 0 {
		return nil, usual, nil
	}
	r := unpacker{b: b[1:], head: b[0]}
	if v := r.head & 0x0f; v != packVersion {
		return nil, usual, fmt.Errorf("%w: version %d", errPacked, v)
	}
	size := usual
	if r.head&flagSize != 0 {
		size = frameSize{int(r.uvarint(maxCoord)), int(r.uvarint(maxCoord))}
	}
	n := int(r.uvarint(maxPacked))
	if r.failed || n > len(r.b)/leastPacked {
		return nil, usual, errPacked
	}
	dets := make([]pipeline.Detection, n)
	for i := range dets {
		r.detection(&dets[i])
		if r.failed {
			return nil, usual, errPacked
		}
	}
	if len(r.b) != 0 {
		return nil, usual, fmt.Errorf("%w: %d bytes too many", errPacked, len(r.b))
	}
	return dets, size, nil
}

// An unpacker reads from b; once something does not fit it has failed and
// returns zeros.
type unpacker struct {
	b      []byte
	head   byte
	failed bool
}

func (r *unpacker) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.failed, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// coord reads a coordinate or an extent, in eighths of a pixel.
func (r *unpacker) coord() int64 {
	const most = 2 * maxCoord * subPixels
	if r.head&flagSigned == 0 {
		return int64(r.uvarint(most))
	}
	v, n := binary.Varint(r.b)
	if n <= 0 || v > most || v < -most {
		r.failed, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *unpacker) score() float32 {
	if len(r.b) < 2 {
		r.failed, r.b = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint16(r.b)
	r.b = r.b[2:]
	return float32(v) / scoreScale
}

func (r *unpacker) detection(d *pipeline.Detection) {
	pixels := func(v int64) float32 { return float32(v) / subPixels }
	d.Class = int(r.uvarint(math.MaxInt32))
	d.Score = r.score()
	x, y := r.coord(), r.coord()
	w, h := r.coord(), r.coord()
	d.Box = pipeline.Box{X0: pixels(x), Y0: pixels(y), X1: pixels(x + w), Y1: pixels(y + h)}
	if r.head&flagTracks != 0 {
		d.Track = pipeline.TrackID(r.uvarint(math.MaxUint64))
	}
	if r.head&flagKeypoints == 0 {
		return
	}
	n := int(r.uvarint(maxPacked))
	if r.failed || n > len(r.b)/4 {
		r.failed = true
		return
	}
	if n > 0 {
		d.Keypoints = make([]pipeline.Keypoint, n)
	}
	for i := range d.Keypoints {
		d.Keypoints[i] = pipeline.Keypoint{Point: pipeline.Point{X: pixels(r.coord()), Y: pixels(r.coord())}, Score: r.score()}
	}
}
