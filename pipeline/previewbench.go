package pipeline

import "time"

// previewBench is where a preview's pictures are drawn and encoded. One
// goroutine owns it.
type previewBench struct {
	p        *Preview
	canvas   Picture // what is drawn on, reused
	dets     []Detection
	last     time.Duration // PTS of the last picture shown
	encoders map[Codec]*previewEncoder
}

type previewEncoder struct {
	enc       Encoder
	w, h      int
	keyAt     time.Duration // PTS at which a key frame was last asked for
	idleSince time.Time     // zero while somebody watches
}

// keyInterval is how soon a key frame may be asked for again. The one asked
// for is still in the encoder when the next picture comes, and a viewer on a
// bad line must not turn everybody's picture into key frames.
const keyInterval = 500 * time.Millisecond

func (b *previewBench) show(s *shown) {
	info := s.frame.Info()
	b.still(s)
	if fps := b.p.opt.FPS; fps > 0 && b.last > 0 && info.PTS > b.last && (info.PTS-b.last).Seconds() < 0.9/fps {
		return
	}
	b.last = info.PTS
	wanted := b.wanted()
	if len(wanted) == 0 {
		return
	}
	k := 1
	if b.p.opt.MaxWidth > 0 {
		k = (info.Width + b.p.opt.MaxWidth - 1) / b.p.opt.MaxWidth
	}
	b.canvas = CopyPicture(b.canvas, s.frame.Picture(), k)
	b.dets = append(b.dets[:0], s.dets...)
	for i := range b.dets {
		b.dets[i] = b.dets[i].scaled(1 / float32(k))
	}
	b.p.drawer.Draw(b.canvas, &Result{Frame: info, Detections: b.dets})
	for codec, key := range wanted {
		b.encode(codec, key, info.PTS)
	}
}

// still serves those who wait for a single picture.
func (b *previewBench) still(s *shown) {
	b.p.mu.Lock()
	snaps := b.p.snaps
	b.p.snaps = nil
	b.p.mu.Unlock()
	for _, snap := range snaps {
		pic := CopyPicture(Picture{}, s.frame.Picture(), 1)
		b.p.drawer.Draw(pic, &Result{Frame: s.frame.Info(), Detections: s.dets})
		snap <- pic
	}
}

// wanted says which codecs are watched and whether a key frame is asked for.
func (b *previewBench) wanted() map[Codec]bool {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	m := map[Codec]bool{}
	for codec, ws := range b.p.watches {
		for w := range ws {
			m[codec] = m[codec] || w.needKey
		}
	}
	return m
}

func (b *previewBench) encode(codec Codec, key bool, pts time.Duration) {
	e := b.encoders[codec]
	if e != nil && (e.w != b.canvas.Width || e.h != b.canvas.Height) {
		b.shut(codec)
		e = nil
	}
	if e == nil {
		spec := EncoderSpec{Codec: codec, Width: b.canvas.Width, Height: b.canvas.Height, FPS: b.p.opt.FPS, Bitrate: b.p.opt.Bitrate}
		enc, err := b.p.open(spec, func(u AccessUnit) { b.p.spread(codec, u) })
		if err != nil {
			b.fail(codec, err)
			return
		}
		e = &previewEncoder{enc: enc, w: spec.Width, h: spec.Height, keyAt: pts}
		b.encoders[codec] = e
		b.count(func(s *PreviewStats) { s.Encoders++ })
		b.p.log.Info("preview encoder started", "codec", codec, "width", e.w, "height", e.h)
	} else if key && pts-e.keyAt >= keyInterval {
		e.enc.ForceKey()
		e.keyAt = pts
	}
	e.idleSince = time.Time{}
	ok, err := e.enc.Encode(b.canvas, pts)
	if err != nil {
		b.fail(codec, err)
		return
	}
	b.count(func(s *PreviewStats) {
		if ok {
			s.Shown++
		} else {
			s.Dropped++
		}
	})
}

// fail sends the viewers of codec away; their page says so and tries again.
func (b *previewBench) fail(codec Codec, err error) {
	b.p.log.Error("preview encoder failed", "codec", codec, "error", err)
	b.shut(codec)
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	for w := range b.p.watches[codec] {
		b.p.remove(w)
	}
}

// rest closes encoders that nobody has watched for a while.
func (b *previewBench) rest(now time.Time) {
	wanted := b.wanted()
	for codec, e := range b.encoders {
		switch _, watched := wanted[codec]; {
		case watched:
			e.idleSince = time.Time{}
		case e.idleSince.IsZero():
			e.idleSince = now
		case now.Sub(e.idleSince) >= b.p.opt.Linger:
			b.shut(codec)
		}
	}
}

// shut closes an encoder. It must not hold mu: the encoder may be in spread.
func (b *previewBench) shut(codec Codec) {
	e := b.encoders[codec]
	if e == nil {
		return
	}
	delete(b.encoders, codec)
	if err := e.enc.Close(); err != nil {
		b.p.log.Warn("preview encoder did not close cleanly", "codec", codec, "error", err)
	}
	b.count(func(s *PreviewStats) { s.Encoders-- })
	b.p.log.Info("preview encoder stopped", "codec", codec)
}

func (b *previewBench) count(f func(*PreviewStats)) {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	f(&b.p.stats)
}

func (b *previewBench) close() {
	for codec := range b.encoders {
		b.shut(codec)
	}
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	b.p.closed = true
	for _, ws := range b.p.watches {
		for w := range ws {
			b.p.remove(w)
		}
	}
	if b.p.slot != nil {
		b.p.slot.frame.Release()
		b.p.slot = nil
	}
}
