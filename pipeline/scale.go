package pipeline

import (
	"fmt"
	"math"
	"time"
)

// A Size is how large a picture is, in pixels; the zero Size is that of the
// frame itself.
type Size struct{ Width, Height int }

func (s Size) String() string { return fmt.Sprintf("%dx%d", s.Width, s.Height) }

// A Scaler is a [Source] that can have pictures shrunk, by the platform's video
// hardware, before they cross into memory that Perch reads. [FrameInfo] then
// still has the size of the frame, and [Frame.Picture] is smaller.
type Scaler interface {
	// Want asks for pictures of a size, proportions being no concern of the
	// source, or for the zero Size. It holds from one of the next frames on, and
	// is a wish: a source without such hardware goes on with whole frames. It
	// may be called at any time by any goroutine.
	Want(Size)
}

// A Sampler is an [Engine] that knows how large a picture it needs. One that is
// no Sampler needs whole frames.
type Sampler interface {
	// Needs returns the least width and height of a picture of a frame of this
	// size from which the engine's results are as good as from the whole; the zero
	// Size when it looks at the frame's own pixels. The source's goroutine asks,
	// with the first frame and when frames change their size.
	Needs(frame Size) Size
}

// A Dozer is a [Viewer] that does not always look. One that is no Dozer always
// needs whole frames.
type Dozer interface {
	// Dozing reports whether the viewer needs no picture at present. The source's
	// goroutine asks with each frame that arrives; a viewer that wakes up sees shrunken pictures until
	// the source has heard of it, and has to pass them over (see [Whole]).
	Dozing() bool
}

// Whole reports whether a frame's picture has all its pixels.
func Whole(f Frame) bool {
	i, p := f.Info(), f.Picture()
	return p.Width == i.Width && p.Height == i.Height
}

// wholeFor is how long frames stay whole after somebody has looked: a console
// that takes a still picture every second must not change the size twice each
// time.
const wholeFor = 10 * time.Second

// scaling tells a source how large pictures have to be. It belongs to the
// source's goroutine.
type scaling struct {
	source  Scaler
	viewers []Viewer
	linger  time.Duration // how long frames stay whole
	sampler Sampler       // nil: whole frames
	frame   Size
	needs   Size      // of the sampler for frame
	now     Size      // what the source was told last
	looked  time.Time // when somebody looked last; zero: never
}

func newScaling(r *Run) (s scaling) {
	s.source, _ = r.Source.(Scaler)
	s.sampler, _ = r.Engine.(Sampler)
	s.viewers, s.linger = r.Viewers, wholeFor
	if r.MaxFPS > 0 { // somebody who has come is shown the frame after the next
		s.linger = max(wholeFor, time.Duration(2/r.MaxFPS*float64(time.Second)))
	}
	return s
}

// look is told of each frame that arrives.
func (s *scaling) look(f FrameInfo) {
	if s.source == nil || s.sampler == nil {
		return
	}
	if frame := (Size{f.Width, f.Height}); frame != s.frame {
		s.frame = frame
		s.needs = worthwhile(frame, s.sampler.Needs(frame))
	}
	for _, v := range s.viewers {
		if d, ok := v.(Dozer); !ok || !d.Dozing() {
			s.looked = f.Wall
		}
	}
	want := s.needs
	if !s.looked.IsZero() && f.Wall.Sub(s.looked) < s.linger {
		want = Size{}
	}
	if want != s.now {
		s.now = want
		s.source.Want(want)
	}
}

// Scalers in hardware have limits, and pictures of a few samples save nothing:
// the video image compositor of a Jetson shrinks to a sixteenth at most, and to
// no fewer than 16 pixels a side (NVIDIA VPI, "Rescale"). These keep clear of them.
const (
	leastScale = 1.0 / 8
	leastSide  = 64 // pixels
)

// worthwhile is a size that serves needs, in the proportions of the frame, since
// models that keep these would see a distorted picture otherwise; even, as 4:2:0
// likes it. Frames stay whole where it would save less than half of their pixels.
func worthwhile(frame, needs Size) Size {
	if needs == (Size{}) || frame.Width <= 0 || frame.Height <= 0 {
		return Size{}
	}
	w, h := float64(frame.Width), float64(frame.Height)
	f := max(float64(needs.Width)/w, float64(needs.Height)/h, leastScale, leastSide/min(w, h))
	even := func(v float64) int { return 2 * int(math.Ceil(v/2-1e-9)) }
	s := Size{even(w * f), even(h * f)}
	if 2*s.Width*s.Height > frame.Width*frame.Height {
		return Size{}
	}
	return s
}
