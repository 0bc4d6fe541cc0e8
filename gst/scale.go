package gst

/*
#include "glue.h"
*/
import "C"

import (
	"cmp"

	"perch/pipeline"
)

// Want implements [pipeline.Scaler].
func (s *source) Want(size pipeline.Size) { s.want.Store(&size) }

// scaled is what one pipeline does about its pictures' size. They are told apart
// by it, so from one small size to another they go by way of whole ones.
type scaled struct {
	whole pipeline.Size // of the frames, upright
	small pipeline.Size // of shrunken pictures, some of which may still be under way
	asked pipeline.Size // what the pipeline was told last
}

// scale gives a shrunken picture the size of its frame, and has those that come
// shrunk as it is wished. The first picture is whole, and so is the first after
// the stream has changed its size (see glue_tap.c).
func (a *attempt) scale(p *pulled) {
	s, whole := &a.scaled, pipeline.Size{}
	came := pipeline.Size{Width: p.info.Width, Height: p.info.Height}
	switch came {
	case s.small:
		p.info.Width, p.info.Height = s.whole.Width, s.whole.Height
	case s.whole:
	default:
		*s = scaled{whole: came}
	}
	next := whole
	if w := a.want.Load(); w != nil && w.Width < s.whole.Width && w.Height < s.whole.Height {
		next = *w
	}
	if s.asked != whole && next != s.asked {
		next = whole
	}
	if next == s.asked || next != whole && next != s.small && came != s.whole {
		return
	}
	w, h := next.Width, next.Height
	if rotation(a.player.found().orientation)%180 != 0 {
		w, h = h, w // they are turned after they are shrunk
	}
	a.log.Debug("pictures change size", "frame", s.whole, "picture", cmp.Or(next, s.whole))
	C.perch_scale(a.player.native(), C.int(w), C.int(h))
	if s.asked = next; next != whole {
		s.small = next
	}
}
