package webrtc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

// output is one output of a workflow: a picture, text in JSON, or a failure.
type output struct {
	name string
	json string
	pic  pipeline.Picture
	sole bool // the picture is the value itself
	err  error
}

// outputs implements [pipeline.Outputs].
type outputs []output

func (o outputs) Len() int          { return len(o) }
func (o outputs) Name(i int) string { return o[i].name }
func (o outputs) IsImage(i int) bool {
	return o[i].sole
}
func (o outputs) Image(i int) (pipeline.Picture, bool) { return o[i].pic, o[i].pic.Width > 0 }
func (o outputs) AppendJSON(dst []byte, i, quality int) ([]byte, error) {
	if o[i].err != nil {
		return append(dst, "half a val"...), o[i].err
	}
	if o[i].sole {
		return fmt.Appendf(dst, `{"type":"base64","quality":%d}`, quality), nil
	}
	return append(dst, o[i].json...), nil
}

// engine puts out what Out says of each frame.
type engine struct {
	pipelinetest.Engine
	Out   func(f pipeline.Frame, r *pipeline.Result)
	begun atomic.Int64
}

func (e *engine) Begin(ctx context.Context, f pipeline.Frame) (pipeline.Work, error) {
	e.begun.Add(1)
	w, err := e.Engine.Begin(ctx, f)
	return &engineWork{w, e, f}, err
}

type engineWork struct {
	pipeline.Work
	e *engine
	f pipeline.Frame
}

func (w *engineWork) Finish(ctx context.Context, r *pipeline.Result) error {
	if w.e.Out != nil {
		w.e.Out(w.f, r)
	}
	return w.Work.Finish(ctx, r)
}

// encoder turns a picture into a unit that says what it was given. Each holds
// up to four; slow ones give them out as they are let.
type encoder struct {
	spec   pipeline.EncoderSpec
	put    func(pipeline.AccessUnit)
	queue  chan pipeline.AccessUnit
	force  atomic.Bool
	forced *atomic.Int64
	wg     sync.WaitGroup
	live   *atomic.Int64
}

// encoders opens and counts encoders.
type encoders struct {
	mu     sync.Mutex
	specs  []pipeline.EncoderSpec // guarded by mu
	live   atomic.Int64
	forced atomic.Int64
	pause  time.Duration // of work for each picture
	fail   error
}

func (e *encoders) open(spec pipeline.EncoderSpec, put func(pipeline.AccessUnit)) (pipeline.Encoder, error) {
	if e.fail != nil {
		return nil, e.fail
	}
	e.mu.Lock()
	e.specs = append(e.specs, spec)
	e.mu.Unlock()
	e.live.Add(1)
	c := &encoder{spec: spec, put: put, queue: make(chan pipeline.AccessUnit, 4), live: &e.live, forced: &e.forced}
	c.wg.Go(func() {
		first := true
		for u := range c.queue {
			time.Sleep(e.pause)
			if u.Key = c.force.Swap(false) || first; !u.Key {
				u.Data[0] |= 1
			}
			first = false
			put(u)
		}
	})
	return c, nil
}

func (c *encoder) Encode(pic pipeline.Picture, pts time.Duration) (bool, error) {
	if pic.Width != c.spec.Width || pic.Height != c.spec.Height {
		return false, fmt.Errorf("picture is %dx%d", pic.Width, pic.Height)
	}
	data := make([]byte, 3000) // several packets
	binary.BigEndian.PutUint16(data[10:], uint16(pic.Width))
	data[12] = pic.Planes[0][0]
	select {
	case c.queue <- pipeline.AccessUnit{PTS: pts, Data: data}:
		return true, nil
	default:
		return false, nil
	}
}

func (c *encoder) ForceKey() { c.force.Store(true); c.forced.Add(1) }

func (c *encoder) Close() error {
	close(c.queue)
	c.wg.Wait()
	c.live.Add(-1)
	return nil
}

// fileOf is an "encoded" clip of n frames, with enough behind to fill chunks.
func fileOf(n, size int) []byte {
	b := bytes.Repeat([]byte{'x'}, size)
	copy(b, fmt.Sprintf("FRAMES %d\n", n))
	for i := 16; i < size; i++ {
		b[i] = byte(i * 7 / 3)
	}
	return b
}

// files opens "clips". It remembers what it was given.
type files struct {
	mu    sync.Mutex
	sums  [][32]byte      // guarded by mu
	paces []pipeline.Pace // guarded by mu
	info  pipeline.StreamInfo
	lent  []*pipelinetest.Source // guarded by mu
}

func (f *files) open(path string, pace pipeline.Pace) (pipeline.Source, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := 0
	if _, err := fmt.Sscanf(string(data[:min(len(data), 32)]), "FRAMES %d", &n); err != nil {
		return nil, &pipeline.Error{Op: "open", On: "upload", Kind: pipeline.BadInput, Err: errors.New("not a video")}
	}
	src := &pipelinetest.Source{Name: "clip", N: n, Info: f.info}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sums, f.paces, f.lent = append(f.sums, sha256.Sum256(data)), append(f.paces, pace), append(f.lent, src)
	return src, nil
}

// feed decodes a pushed unit into a small picture.
type feed struct {
	codec pipeline.Codec
	units chan pipeline.AccessUnit
	ended sync.Once
	all   *[]pipeline.AccessUnit // owned by Run
	lent  atomic.Int64
}

func (f *feed) ID() pipeline.SourceID {
	return pipeline.SourceID{Kind: pipeline.SourceWebRTC, Name: "feed"}
}
func (f *feed) End() { f.ended.Do(func() { close(f.units) }) }
func (f *feed) Push(au pipeline.AccessUnit) bool {
	au.Data = bytes.Clone(au.Data)
	select {
	case f.units <- au:
		return true
	default:
		return false
	}
}
func (f *feed) Run(ctx context.Context, out pipeline.Outlet) error {
	out.Opened(pipeline.StreamInfo{Codec: string(f.codec), Width: 64, Height: 48})
	for seq := uint64(1); ; seq++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case u, ok := <-f.units:
			if !ok {
				return nil
			}
			*f.all = append(*f.all, u)
			out.PutFrame(ctx, pipelinetest.NewFrame(pipeline.NewPicture(64, 48), seq, u.PTS, &f.lent))
		}
	}
}

// feeds opens feeds; what came through them is in units.
type feeds struct{ units []pipeline.AccessUnit }

func (f *feeds) open(_ context.Context, codec pipeline.Codec, _ string) (pipeline.Feed, error) {
	return &feed{codec: codec, units: make(chan pipeline.AccessUnit, 64), all: &f.units}, nil
}

// job is a run as the program makes it of a session.
type job struct {
	session *webrtc.Session
	record  *pipeline.Complete
	err     error
	stop    context.CancelCauseFunc
	done    chan struct{} // closed when the session was finished and closed
	ran     chan struct{} // closed when the run has ended
}

// start runs a session.
func start(t testing.TB, v *webrtc.Session, e pipeline.Engine, pace pipeline.Pace, limit time.Duration) *job {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	j := &job{session: v, stop: cancel, done: make(chan struct{}), ran: make(chan struct{})}
	run := &pipeline.Run{
		ID: "run", Device: "dev", Source: v.Source(), Pace: pace, Engine: e, Recorder: &pipelinetest.Recorder{},
		Viewers: []pipeline.Viewer{v}, Limit: limit, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
		Clock: func() pipeline.ClockReading { return pipeline.ClockReading{} }, OnOpen: v.Opened,
	}
	go func() {
		defer close(j.done)
		go func() {
			select {
			case <-v.Gone():
				cancel(pipeline.ErrClientGone)
			case <-ctx.Done():
			}
		}()
		j.record, j.err = run.Run(ctx)
		cancel(nil)
		close(j.ran)
		v.Finish(t.Context(), j.record.Termination)
		v.Close()
	}()
	t.Cleanup(func() {
		v.Close()
		<-j.done
	})
	return j
}

func (j *job) wait(t testing.TB) *pipeline.Complete {
	t.Helper()
	select {
	case <-j.done:
		return j.record
	case <-time.After(30 * time.Second):
		t.Fatal("the session does not end")
		return nil
	}
}
