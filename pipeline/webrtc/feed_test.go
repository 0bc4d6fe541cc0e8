package webrtc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"perch/pipeline"
)

const frameTime = time.Second / 15

// units reads testdata in one codec.
func units(t testing.TB, codec pipeline.Codec) []pipeline.AccessUnit {
	t.Helper()
	path := map[pipeline.Codec]string{pipeline.CodecVP8: "testdata/bars.ivf", pipeline.CodecH264: "testdata/bars.h264"}[codec]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []pipeline.AccessUnit
	if codec == pipeline.CodecVP8 {
		for data = data[32:]; len(data) > 12; { // IVF: file header, then size and time before each frame
			n := binary.LittleEndian.Uint32(data)
			frame := data[12:][:n]
			out = append(out, pipeline.AccessUnit{Data: frame, Key: frame[0]&1 == 0}) // RFC 6386, 9.1
			data = data[12+n:]
		}
	} else {
		delimiter := []byte{0, 0, 0, 1, 9}
		for _, u := range bytes.Split(data, delimiter)[1:] {
			u = append(bytes.Clone(delimiter), u...)
			out = append(out, pipeline.AccessUnit{Data: u, Key: bytes.Contains(u, []byte{0, 0, 1, 0x65})})
		}
	}
	if len(out) != 30 || !out[0].Key {
		t.Fatalf("%s has %d units, first is key: %v", path, len(out), len(out) > 0 && out[0].Key)
	}
	return out
}

// loop is a feed that plays its units in real time for ever. It begins again
// with a key frame when one is asked for.
type loop struct {
	units    map[pipeline.Codec][]pipeline.AccessUnit
	watching atomic.Int64
	asked    atomic.Int64
}

func newLoop(t testing.TB, codecs ...pipeline.Codec) *loop {
	l := &loop{units: map[pipeline.Codec][]pipeline.AccessUnit{}}
	for _, c := range codecs {
		l.units[c] = units(t, c)
	}
	return l
}

func (l *loop) Watch(codec pipeline.Codec) (pipeline.Watch, error) {
	u := l.units[codec]
	if u == nil {
		return nil, &pipeline.Error{Op: "open encoder", On: string(codec), Kind: pipeline.Unsupported, Err: errors.New("there is none")}
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &loopWatch{loop: l, out: make(chan pipeline.AccessUnit, 8), key: make(chan struct{}, 1), cancel: cancel}
	l.watching.Add(1)
	w.wg.Go(func() { defer close(w.out); w.play(ctx, u) })
	return w, nil
}

type loopWatch struct {
	loop   *loop
	out    chan pipeline.AccessUnit
	key    chan struct{}
	cancel func()
	wg     sync.WaitGroup
	once   sync.Once
}

func (w *loopWatch) Units() <-chan pipeline.AccessUnit { return w.out }

func (w *loopWatch) NeedKey() {
	w.loop.asked.Add(1)
	select {
	case w.key <- struct{}{}:
	default:
	}
}

func (w *loopWatch) Close() {
	w.once.Do(func() { w.cancel(); w.wg.Wait(); w.loop.watching.Add(-1) })
}

func (w *loopWatch) play(ctx context.Context, units []pipeline.AccessUnit) {
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for i, n := 0, 0; ; i, n = (i+1)%len(units), n+1 {
		select {
		case <-ctx.Done():
			return
		case <-w.key:
			i = 0
		case <-tick.C:
		}
		u := units[i]
		u.PTS, u.Duration = time.Duration(n)*frameTime, frameTime
		select {
		case w.out <- u:
		case <-ctx.Done():
			return
		}
	}
}
