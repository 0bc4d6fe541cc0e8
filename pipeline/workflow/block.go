package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"perch/pipeline"
)

// A Block is one step of one run. Its methods are called from one goroutine.
// What it hands out must not change until the next frame: the memory for it
// comes from [Call.NewDetections], [Call.NewClasses] and [Call.Canvas], which
// reuse it.
type Block interface {
	// Run does the step for one element (one frame, or one crop of it).
	Run(c *Call) error
}

// A Starter is a block whose work can begin before its result is needed, for
// example inference. Each element is started, then each is run.
type Starter interface {
	Block
	// Start begins and does not wait. It may be called before the frame in
	// front has been run, so it must not use the memory of [Call.NewImage] and
	// the like. Run then finds what it returned in [Call.Pending].
	Start(c *Call) (Pending, error)
}

// A Pending is work that was started. Either Run ends it, also when it fails,
// or Abandon does, when the frame is given up before.
type Pending interface{ Abandon() }

// A Sampler is a block that looks at fewer pixels of an image than it has.
type Sampler interface {
	Block
	// Enough returns the size of a smaller picture that does as well as a whole
	// image of this size.
	Enough(image pipeline.Size) pipeline.Size
}

// A Closer is a block that holds something for the length of the run.
type Closer interface{ Close() error }

// A Call is one step's turn on one element.
type Call struct {
	ctx     context.Context
	e       *Engine
	n       *unit
	work    *work
	elem    int
	pending Pending
}

// Context is done when the frame is no longer wanted.
func (c *Call) Context() context.Context { return c.ctx }

// Frame is the frame that is being processed.
func (c *Call) Frame() *Frame { return &c.work.frame }

// Env is what the program lends.
func (c *Call) Env() *Env { return c.e.env }

// Pending is what Start returned for this element.
func (c *Call) Pending() Pending { return c.pending }

// Index is the element's place in its list; 0 for the frame.
func (c *Call) Index() int { return c.elem }

// Value returns an input as it is.
func (c *Call) Value(in In) Value {
	s := &c.n.ins[in.i]
	if s.col < 0 {
		return s.con
	}
	if s.gather {
		return c.gathered(s)
	}
	return c.e.cols[s.col].values[c.e.ancestor(c.n.dim, c.elem, s.up)]
}

// gathered lists the elements below the one at hand; null if the step that
// makes them did not run.
func (c *Call) gathered(s *source) Value {
	col := &c.e.cols[s.col]
	g := &c.e.groups[col.dim]
	if !g.made(c.elem) {
		return Value{}
	}
	parents := g.parent
	var items []Value
	for i, v := range col.values {
		if parents[i] == c.elem {
			items = append(items, v)
		}
	}
	return ListOf(items)
}

// wrong is the error about an input that is not what it must be.
func (c *Call) wrong(in In, want string) error {
	s := &c.n.ins[in.i]
	f := c.n.m.Fields[s.field].Name
	what := c.Value(in).Describe()
	if s.param != "" {
		return fmt.Errorf("property %q: parameter %q is %s and must be %s", f, s.param, what, want)
	}
	return fmt.Errorf("property %q is %s and must be %s", f, what, want)
}

// Image returns an input that must be an image.
func (c *Call) Image(in In) (*Image, error) {
	if img, ok := c.Value(in).Image(); ok {
		return img, nil
	}
	return nil, c.wrong(in, "an image")
}

// Detections returns an input that must be detections.
func (c *Call) Detections(in In) (*Detections, error) {
	if d, ok := c.Value(in).Detections(); ok {
		return d, nil
	}
	return nil, c.wrong(in, "detections")
}

// Float returns an input that must be a number, within the field's bounds.
func (c *Call) Float(in In) (float64, error) {
	v := c.Value(in)
	f, ok := v.Float()
	if field := &c.n.m.Fields[c.n.ins[in.i].field]; !ok || !field.inRange(v) {
		return 0, c.wrong(in, "a number"+field.limits())
	}
	return f, nil
}

// Int returns an input that must be a whole number, within the field's bounds.
func (c *Call) Int(in In) (int, error) {
	v := c.Value(in)
	n, ok := v.Int()
	if field := &c.n.m.Fields[c.n.ins[in.i].field]; !ok || !field.inRange(v) {
		return 0, c.wrong(in, "a whole number"+field.limits())
	}
	return int(n), nil
}

// Str returns an input that must be a string.
func (c *Call) Str(in In) (string, error) {
	if s, ok := c.Value(in).Str(); ok {
		return s, nil
	}
	return "", c.wrong(in, "a string")
}

// Bool returns an input that must be a boolean.
func (c *Call) Bool(in In) (bool, error) {
	if b, ok := c.Value(in).Bool(); ok {
		return b, nil
	}
	return false, c.wrong(in, "true or false")
}

// Set sets an output, by its place in the manifest (outputs of Ports follow).
// An output that is not set is null.
func (c *Call) Set(output int, v Value) {
	col := &c.e.cols[c.n.outs[output]]
	if c.n.m.Delta > 0 {
		panic(fmt.Sprintf("block %s sets an output of which it makes a list", c.n.m.Type))
	}
	col.values[c.elem] = v
	c.work.made += v.weight()
}

// Add adds an element to the list that the step makes ([Manifest.Delta] 1),
// with a value for each output. It fails if the frame gets too large, which ends
// the step.
func (c *Call) Add(values ...Value) error {
	g := &c.e.groups[c.n.outDim]
	if g.n == maxElements {
		return fmt.Errorf("it makes more than %d crops of one frame: make fewer or larger ones", maxElements)
	}
	g.parent = append(g.parent, c.elem)
	g.n++
	for i, out := range c.n.outs {
		col := &c.e.cols[out]
		col.values = append(col.values, values[i])
		c.work.made += valueBytes + values[i].weight()
	}
	return c.work.charge(0)
}

// Allow lets a target of flow control run for this element. A target that is
// not allowed does not run.
func (c *Call) Allow(t Target) { c.n.allow[t.i*c.e.groups[c.n.dim].n+c.elem] = true }

// Emit records an event of a kind with this frame. Detail becomes its JSON
// detail.
func (c *Call) Emit(kind string, d *Detection, detail any) error {
	ev := c.e.env.Event(kind)
	ev.Frame = c.work.info.Seq
	if d != nil {
		ev.Track, ev.Class = d.Track, d.Label
	}
	if detail != nil {
		b, err := json.Marshal(detail)
		if err != nil {
			return fmt.Errorf("encode the detail of event %s: %w", kind, err)
		}
		ev.Detail = b
	}
	c.work.events = append(c.work.events, ev)
	return nil
}

// Deliver hands over a message that is stored with the frame's result and sent
// later.
func (c *Call) Deliver(d pipeline.Delivery) { c.work.deliveries = append(c.work.deliveries, d) }

// Took adds to the time that a stage of the frame is accounted with.
func (c *Call) Took(s pipeline.Stage, d time.Duration) { c.work.took[s] += d }

// NewID makes the id of a detection.
func (c *Call) NewID() ID { return c.e.ids.next() }

// NewDetections returns empty detections, valid until the next frame.
func (c *Call) NewDetections(o Origin) *Detections {
	d := c.n.arena.detections.next()
	d.Reset(o)
	return d
}

// NewClasses returns an empty classification, valid until the next frame.
func (c *Call) NewClasses(o Origin) *Classes {
	k := c.n.arena.classes.next()
	*k = Classes{Origin: o, Items: k.Items[:0], Picked: k.Picked[:0]}
	return k
}

// NewImage returns an image whose picture is nobody else's, of a size and with
// the colours of like; its pixels are undefined. It is valid until the next
// frame.
func (c *Call) NewImage(o Origin, width, height int, like pipeline.Picture) *Image {
	img := c.n.arena.images.next()
	if img.View || img.Picture.Format != pipeline.I420 || img.Picture.Width != width || img.Picture.Height != height {
		img.Picture = pipeline.NewPicture(width, height)
	}
	img.Picture.FullRange, img.Picture.Matrix = like.FullRange, like.Matrix
	img.Origin, img.View, img.maker = o, false, c.n
	c.work.made += pictureBytes(img.Picture)
	return img
}

// Canvas returns an input image that may be drawn on: the image itself if no
// other step and no output sees it, else a copy. It takes two things for nobody
// to see it: only this step reads the port, and the port's own step made the
// image. One that was handed on or kept is also where it came from.
func (c *Call) Canvas(in In) (*Image, error) {
	img, err := c.Image(in)
	if err != nil {
		return nil, err
	}
	if s := &c.n.ins[in.i]; s.owned && !img.View && img.maker == c.e.cols[s.col].maker {
		img.maker = c.n
		return img, nil
	}
	out := c.n.arena.images.next()
	if out.View {
		out.Picture = pipeline.Picture{}
	}
	out.Picture = pipeline.CopyPicture(out.Picture, img.Picture, 1)
	out.Origin, out.View, out.maker = img.Origin, false, c.n
	c.work.made += pictureBytes(out.Picture)
	return out, nil
}

// arena is memory that a step hands out and takes back with the next frame.
type arena struct {
	detections pool[Detections]
	classes    pool[Classes]
	images     pool[Image]
}

func (a *arena) reset() { a.detections.n, a.classes.n, a.images.n = 0, 0, 0 }

type pool[T any] struct {
	all []*T
	n   int
}

func (p *pool[T]) next() *T {
	if p.n == len(p.all) {
		p.all = append(p.all, new(T))
	}
	p.n++
	return p.all[p.n-1]
}
