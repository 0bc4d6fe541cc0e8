// Package workflowtest runs small workflows in tests: detections and values
// that are given frame by frame take the place of models.
package workflowtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// A Harness is one run of a workflow on frames made up by a test.
type Harness struct {
	T      testing.TB
	Engine *workflow.Engine
	Graph  *workflow.Graph
	Step   time.Duration // from frame to frame of the stream; 1/30 s unless changed
	Every  uint64        // the run leaves out frames: it works on the first and then on one in so many
	Last   *pipeline.Result
	seq    uint64
}

// Start is the wall clock of the first frame.
func Start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// New compiles and binds a specification with the blocks of the given sets and
// fails the test if that fails. The stream is a file of 30 frames a second
// unless info says otherwise.
func New(t testing.TB, spec string, env *workflow.Env, o workflow.Options, info *pipeline.StreamInfo, sets ...[]*workflow.Manifest) *Harness {
	t.Helper()
	g, err := workflow.Compile([]byte(spec), workflow.NewLibrary(sets...), env)
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.Bind(env, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if info == nil {
		info = &pipeline.StreamInfo{FPS: 30, Width: 64, Height: 48}
	}
	e.Opened(*info)
	return &Harness{T: t, Engine: e, Graph: g, Step: time.Second / 30}
}

// Try runs the next frame.
func (h *Harness) Try(pic pipeline.Picture) (*pipeline.Result, error) {
	if h.seq++; h.seq > 1 && h.Every > 1 {
		h.seq += h.Every - 1
	}
	pts := time.Duration(h.seq-1) * h.Step
	f := &frame{pic: pic, info: pipeline.FrameInfo{Seq: h.seq, PTS: pts, Wall: Start().Add(pts), Width: pic.Width, Height: pic.Height}}
	w, err := h.Engine.Begin(context.Background(), f)
	if err != nil {
		return nil, err
	}
	r := &pipeline.Result{Frame: f.info}
	h.Last = r
	return r, w.Finish(context.Background(), r)
}

// Frame runs the next frame and fails the test if it fails.
func (h *Harness) Frame(pic pipeline.Picture) *pipeline.Result {
	h.T.Helper()
	r, err := h.Try(pic)
	if err != nil {
		h.T.Fatalf("frame %d: %v", h.seq, err)
	}
	return r
}

// Blank runs the next frame, which is grey and 64 by 48 pixels.
func (h *Harness) Blank() *pipeline.Result {
	h.T.Helper()
	return h.Frame(Picture(64, 48, 128))
}

// Value is an output of the last frame.
func (h *Harness) Value(name string) workflow.Value { return h.Engine.Output(name) }

// JSON is an output of the last frame in its JSON form.
func (h *Harness) JSON(name string) string {
	h.T.Helper()
	o := h.Last.Outputs
	for i := range o.Len() {
		if o.Name(i) == name {
			b, err := o.AppendJSON(nil, i, 80)
			if err != nil {
				h.T.Fatalf("output %q: %v", name, err)
			}
			return string(b)
		}
	}
	h.T.Fatalf("there is no output %q", name)
	return ""
}

// Picture is a picture of one luma value without colour.
func Picture(w, h int, luma byte) pipeline.Picture {
	p := pipeline.NewPicture(w, h)
	for i := range p.Planes[0] {
		p.Planes[0][i] = luma
	}
	for _, plane := range p.Planes[1:] {
		for i := range plane {
			plane[i] = 128
		}
	}
	return p
}

// Detections is a block, test/detections@v1, whose output predictions is
// frames[n-1] on frame n, and the last of them from then on. They count as
// tracked, so that any block accepts them.
func Detections(frames ...[]workflow.Detection) *workflow.Manifest {
	return &workflow.Manifest{
		Type: "test/detections@v1",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}},
		},
		Outputs: []workflow.Output{{Name: "predictions", Kinds: workflow.AnyDetections(), Tracked: true}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &given{image: p.In("image"), frames: frames}, nil
		},
	}
}

type given struct {
	image  workflow.In
	frames [][]workflow.Detection
	loop   bool
	n      int
}

func (b *given) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	d := c.NewDetections(img.Origin)
	if len(b.frames) > 0 {
		i := min(b.n, len(b.frames)-1)
		if b.loop {
			i = b.n % len(b.frames)
		}
		d.Items = append(d.Items, b.frames[i]...)
	}
	b.n++
	c.Set(0, workflow.DetectionsOf(d))
	return nil
}

// Values is a block, test/value@v1, whose output value is frames[n-1] on frame
// n, and the last of them from then on.
func Values(frames ...workflow.Value) *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "test/value@v1",
		Outputs: []workflow.Output{{Name: "value", Kinds: workflow.Anything()}},
		New:     func(*workflow.Params) (workflow.Block, error) { return &values{frames: frames}, nil },
	}
}

type values struct {
	frames []workflow.Value
	n      int
}

func (b *values) Run(c *workflow.Call) error {
	c.Set(0, b.frames[min(b.n, len(b.frames)-1)])
	b.n++
	return nil
}

// Det is a detection: a box, a class, a score and a track (0: untracked).
func Det(x0, y0, x1, y1 float32, class int, label string, score float32, track uint64) workflow.Detection {
	d := workflow.Detection{Detection: pipeline.Detection{
		Box: pipeline.Box{X0: x0, Y0: y0, X1: x1, Y1: y1}, Class: class, Label: label, Score: score, Track: pipeline.TrackID(track),
	}}
	copy(d.ID[:], fmt.Sprintf("%-16s", label))
	return d
}

// frame lends a picture that nobody has to give back.
type frame struct {
	pic  pipeline.Picture
	info pipeline.FrameInfo
}

func (f *frame) Info() pipeline.FrameInfo  { return f.info }
func (f *frame) Picture() pipeline.Picture { return f.pic }
func (f *frame) Retain() pipeline.Frame    { return f }
func (f *frame) Release()                  {}
