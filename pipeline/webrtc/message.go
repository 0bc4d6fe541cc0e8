package webrtc

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"perch/pipeline"
)

// localTime is ISO 8601 without a zone. Always six digits: Python 3.10 reads
// fractions of three or six digits only.
const localTime = "2006-01-02T15:04:05.000000"

// paper is what a message is written on, reused from frame to frame. The first
// headerSize bytes of page are left free.
type paper struct {
	page   []byte
	zipped []byte
	errs   []string
}

func (p *paper) begin() { p.page = append(p.page[:0], make([]byte, headerSize)...) }

// frameFacts describe the frame that a message is about.
type frameFacts struct {
	id            uint32
	received      time.Time
	pts           time.Duration // on the client's clock
	timed         bool          // that goes: the first picture has been sent, if any are wanted
	fps           *float64      // declared
	width, height int           // as received, before it was rotated
}

// result writes a frame's message. p.errs are the errors so far; those that
// come up here are added to them, missing outputs first.
func (p *paper) result(f frameFacts, r *pipeline.Result, o outputs, quality int) {
	p.begin()
	p.page = append(p.page, `{"serialized_output_data":`...)
	start := len(p.page)
	var failed []string
	if out := r.Outputs; o.all {
		if out != nil {
			for i := range out.Len() {
				if !out.IsImage(i) {
					failed = p.field(out, i, quality, start, failed)
				}
			}
		}
	} else {
		for _, name := range o.names {
			if i := indexOf(out, name); i >= 0 {
				failed = p.field(out, i, quality, start, failed)
			} else {
				p.errs = append(p.errs, "Output '"+name+"' not found")
			}
		}
	}
	p.errs = append(p.errs, failed...)
	if len(p.page) > start {
		p.page = append(p.page, '}')
	} else {
		p.page = append(p.page, "null"...)
	}
	p.page = append(p.page, `,"video_metadata":{"frame_id":`...)
	p.page = strconv.AppendUint(p.page, uint64(f.id), 10)
	p.page = append(p.page, `,"received_at":"`...)
	p.page = f.received.Local().AppendFormat(p.page, localTime)
	p.page = append(p.page, `","pts":`...)
	if f.timed {
		p.page = strconv.AppendInt(p.page, ticks(f.pts), 10)
	} else {
		p.page = append(p.page, "null"...)
	}
	p.page = append(p.page, `,"time_base":1.1111111111111112e-05,"declared_fps":`...)
	p.page = appendFloat(p.page, f.fps)
	p.page = append(p.page, `,"measured_fps":null,"width":`...)
	p.page = strconv.AppendInt(p.page, int64(f.width), 10)
	p.page = append(p.page, `,"height":`...)
	p.page = strconv.AppendInt(p.page, int64(f.height), 10)
	p.end(false, "")
}

// notice writes a message that is about no frame: the last one, or one that
// says why there are no frames.
func (p *paper) notice(frame uint32, now time.Time, last bool, reason string) {
	p.begin()
	p.page = append(p.page, `{"serialized_output_data":null,"video_metadata":{"frame_id":`...)
	p.page = strconv.AppendUint(p.page, uint64(frame), 10)
	p.page = append(p.page, `,"received_at":"`...)
	p.page = now.Local().AppendFormat(p.page, localTime)
	p.page = append(p.page, `","pts":null,"time_base":null,"declared_fps":null,"measured_fps":null,"width":null,"height":null`...)
	p.end(last, reason)
}

// end closes the metadata and writes what follows it.
func (p *paper) end(complete bool, reason string) {
	p.page = append(p.page, `},"errors":[`...)
	for i, e := range p.errs {
		if i > 0 {
			p.page = append(p.page, ',')
		}
		p.page = appendString(p.page, e)
	}
	p.page = append(p.page, `],"processing_complete":`...)
	p.page = strconv.AppendBool(p.page, complete)
	p.page = append(p.page, `,"termination_reason":`...)
	if reason == "" {
		p.page = append(p.page, "null}"...)
		return
	}
	p.page = append(appendString(p.page, reason), '}')
}

// field adds one output, or why it cannot be written down.
func (p *paper) field(out pipeline.Outputs, i, quality, start int, failed []string) []string {
	if len(p.page) == start {
		p.page = append(p.page, '{')
	} else {
		p.page = append(p.page, ',')
	}
	p.page = append(appendString(p.page, out.Name(i)), ':')
	value := len(p.page)
	page, err := out.AppendJSON(p.page, i, quality)
	if err == nil {
		p.page = page
		return failed
	}
	p.page = append(p.page[:value], `{"__serialization_error__":`...)
	p.page = append(appendString(p.page, err.Error()), '}')
	return append(failed, out.Name(i)+": "+err.Error())
}

func indexOf(out pipeline.Outputs, name string) int {
	if out != nil {
		for i := range out.Len() {
			if out.Name(i) == name {
				return i
			}
		}
	}
	return -1
}

// ticks converts to units of 1/90000 s, rounded, in two parts: one product
// would overflow after two days.
func ticks(d time.Duration) int64 {
	part := int64(d % time.Second * clockRate)
	half := int64(time.Second) / 2
	if part < 0 {
		half = -half
	}
	return int64(d/time.Second)*clockRate + (part+half)/int64(time.Second)
}

// appendFloat writes a number the way Python writes its floats, so that it is
// read as one again; null for nothing and for what JSON has no word for.
func appendFloat(dst []byte, f *float64) []byte {
	if f == nil || math.IsNaN(*f) || math.IsInf(*f, 0) {
		return append(dst, "null"...)
	}
	if *f == math.Trunc(*f) && math.Abs(*f) < 1e15 {
		return strconv.AppendFloat(dst, *f, 'f', 1, 64)
	}
	return strconv.AppendFloat(dst, *f, 'g', -1, 64)
}

// appendString writes a JSON string in UTF-8; what is no UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
