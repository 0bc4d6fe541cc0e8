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

// scale has the pictures after p, whose frame's size is known, come as large as
// it is wished.
func (a *attempt) scale(p *pulled) {
	whole := pipeline.Size{Width: p.info.Width, Height: p.info.Height}
	next := pipeline.Size{}
	if w := a.want.Load(); w != nil && w.Width < whole.Width && w.Height < whole.Height {
		next = *w
	}
	if next == a.asked {
		return
	}
	a.asked = next
	a.log.Debug("pictures change size", "frame", whole, "picture", cmp.Or(next, whole))
	if rotation(a.player.found().orientation)%180 != 0 {
		next.Width, next.Height = next.Height, next.Width // they are turned after they are shrunk
	}
	C.perch_scale(a.player.native(), C.int(next.Width), C.int(next.Height))
}
