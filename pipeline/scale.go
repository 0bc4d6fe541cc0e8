package pipeline

import (
	"fmt"
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
	// Needs returns the smallest picture of a frame of this size from which the
	// engine's results are as good as from the whole; the zero Size when it
	// looks at the frame's own pixels.
	Needs(frame Size) Size
}

// A Dozer is a [Viewer] that does not always look. One that is no Dozer always
// needs whole frames.
type Dozer interface {
	// Dozing reports whether the viewer needs no picture at present. It is
	// asked with each frame; a viewer that wakes up sees shrunken pictures until
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

// scaling tells a source how large pictures have to be. It belongs to one
// goroutine.
type scaling struct {
	source  Scaler
	sampler Sampler // nil: whole frames
	frame   Size
	needs   Size      // of the sampler for frame
	now     Size      // what the source was told last
	looked  time.Time // when somebody looked last; zero: never
}

func (s *scaling) begin(src Source, e Engine) {
	s.source, _ = src.(Scaler)
	s.sampler, _ = e.(Sampler)
}

// look is told of each frame, and who will be shown it.
func (s *scaling) look(f FrameInfo, viewers []Viewer) {
	if s.source == nil || s.sampler == nil {
		return
	}
	if frame := (Size{f.Width, f.Height}); frame != s.frame {
		s.frame = frame
		s.needs = worthwhile(frame, s.sampler.Needs(frame))
	}
	for _, v := range viewers {
		if d, ok := v.(Dozer); !ok || !d.Dozing() {
			s.looked = f.Wall
		}
	}
	want := s.needs
	if !s.looked.IsZero() && f.Wall.Sub(s.looked) < wholeFor {
		want = Size{}
	}
	if want != s.now {
		s.now = want
		s.source.Want(want)
	}
}

// worthwhile leaves frames whole where shrinking them would save less than half
// of their pixels, and rounds up to what 4:2:0 likes.
func worthwhile(frame, needs Size) Size {
	s := Size{(needs.Width + 1) &^ 1, (needs.Height + 1) &^ 1}
	if needs == (Size{}) || s.Width > frame.Width || s.Height > frame.Height || 2*s.Width*s.Height > frame.Width*frame.Height {
		return Size{}
	}
	return s
}
