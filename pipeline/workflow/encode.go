package workflow

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"perch/pipeline"
)

// An Encoder writes values as JSON, in the form that Roboflow's clients read.
type Encoder struct {
	// JPEG encodes a picture at a quality (1 to 100).
	JPEG    func(pic pipeline.Picture, quality int) ([]byte, error)
	Quality int
	// Frame is the metadata that images are sent with.
	Frame *Frame
	// NoImages writes null for each image.
	NoImages bool
	// Own leaves coordinates relative to the image on which things were found;
	// otherwise they are moved to the frame.
	Own bool
	// Limit is how many bytes there may be, with those that are there before;
	// 0: 64 MB.
	Limit int
}

const (
	maxJSON = 64 << 20 // bytes that values of one frame become, unless said otherwise
	maxData = 16 << 20 // bytes that are kept of one frame
)

// errTooLong is what a list that many outputs repeat may come to.
var errTooLong = errors.New("as JSON it is longer than there may be of one frame")

// Append appends v.
func (e *Encoder) Append(dst []byte, v Value) ([]byte, error) {
	dst, err := e.write(dst, v)
	if limit := cmp.Or(e.Limit, maxJSON); err == nil && len(dst) > limit {
		err = fmt.Errorf("%w: %d MB", errTooLong, limit>>20)
	}
	return dst, err
}

func (e *Encoder) write(dst []byte, v Value) ([]byte, error) {
	switch v.typ {
	case Null:
		return append(dst, "null"...), nil
	case Bool:
		return strconv.AppendBool(dst, v.num != 0), nil
	case Integer:
		return strconv.AppendInt(dst, v.integer(), 10), nil
	case Float:
		return AppendFloat(dst, v.num), nil
	case String:
		return AppendString(dst, v.str), nil
	case Bytes:
		b, _ := v.Bytes()
		return appendBase64(dst, b), nil
	case Time:
		t, _ := v.Time()
		return AppendString(dst, ISOTime(t)), nil
	case List:
		return e.appendList(dst, v)
	case Object:
		return e.appendObject(dst, v)
	case ImageType:
		if e.NoImages {
			return append(dst, "null"...), nil
		}
		img, _ := v.Image()
		return e.appendImage(dst, img)
	case DetectionsType:
		d, _ := v.Detections()
		return e.AppendDetections(dst, d), nil
	case ClassesType:
		c, _ := v.Classes()
		return AppendClasses(dst, c), nil
	case MetadataType:
		return appendMetadata(dst, v.ref.(*Frame)), nil
	}
	return dst, fmt.Errorf("%v has no JSON form", v.typ)
}

// ISOTime is a time as Python's isoformat writes it; UTC is +00:00.
func ISOTime(t time.Time) string {
	if t.Nanosecond() < 1000 {
		return t.Format("2006-01-02T15:04:05-07:00")
	}
	return t.Format("2006-01-02T15:04:05.000000-07:00")
}

func (e *Encoder) appendList(dst []byte, v Value) (_ []byte, err error) {
	items, _ := v.Items()
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = e.Append(dst, item); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (e *Encoder) appendObject(dst []byte, v Value) (_ []byte, err error) {
	f, _ := v.Fields()
	dst = append(dst, '{')
	for i, k := range f.Keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, k), ':')
		if dst, err = e.Append(dst, f.Values[i]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (e *Encoder) appendImage(dst []byte, img *Image) ([]byte, error) {
	if e.JPEG == nil {
		return dst, fmt.Errorf("an image has no JSON form here")
	}
	b, err := e.JPEG(img.Picture, e.Quality)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"type":"base64","value":`...)
	dst = appendBase64(dst, b)
	if e.Frame != nil {
		dst = appendMetadata(append(dst, `,"video_metadata":`...), e.Frame)
	}
	return append(dst, '}'), nil
}

func appendMetadata(dst []byte, f *Frame) []byte {
	dst = AppendString(append(dst, `{"video_identifier":`...), f.Video)
	dst = strconv.AppendInt(append(dst, `,"frame_number":`...), f.Number, 10)
	dst = AppendString(append(dst, `,"frame_timestamp":`...), f.Time.Format("2006-01-02T15:04:05.000000"))
	dst = appendKnown(append(dst, `,"fps":`...), f.FPS)
	dst = appendKnown(append(dst, `,"measured_fps":`...), f.MeasuredFPS)
	dst = strconv.AppendBool(append(dst, `,"comes_from_video_file":`...), f.FromFile)
	return append(dst, '}')
}

// appendKnown writes null for what is not known.
func appendKnown(dst []byte, f float64) []byte {
	if f <= 0 {
		return append(dst, "null"...)
	}
	return AppendFloat(dst, f)
}

func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendFloat appends a number in its shortest form, with a decimal point; NaN
// and infinities, which JSON lacks, become null.
func AppendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return append(strconv.AppendInt(dst, int64(f), 10), ".0"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendString appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}
