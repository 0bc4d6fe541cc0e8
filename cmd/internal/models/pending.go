package models

import (
	"context"
	"errors"
	"slices"
	"time"

	"perch/pipeline"
	"perch/pipeline/infer"
	"perch/pipeline/model"
)

// errFinished is what using a picture twice comes to.
var errFinished = errors.New("it was finished already")

// A Pending is one picture that a [Runner] has begun. Finish, Classify or
// Abandon is called once, in any order among several, by the runner's
// goroutine; the runner then uses the Pending again.
type Pending struct {
	r     *Runner
	open  bool
	pic   pipeline.Picture
	whole pipeline.Size
	slot  *infer.Slot // nil while it is late, and for what is replayed
	place chan struct{}
	tr    model.Transform
	took  Took
	err   error // of beginning it later
}

// start samples the picture into a slot and queues it. The caller has taken the
// place, which goes back with an error.
func (p *Pending) start(ctx context.Context, place chan struct{}) error {
	slot, err := p.r.loaded.Session.Lease(ctx) // has one for each place
	if err != nil {
		place <- struct{}{}
		return err
	}
	start := time.Now()
	if p.tr, err = p.r.fill(slot, p.pic); err != nil {
		slot.Release()
		place <- struct{}{}
		return &pipeline.Error{Op: "prepare picture for model", On: p.r.loaded.ID.ID, Kind: pipeline.BadInput, Err: err}
	}
	p.took.Prepare = time.Since(start)
	slot.Submit()
	p.slot, p.place = slot, place
	return nil
}

// Finish waits for the model and appends to dst what it found, boxes in pixels
// of the whole picture. Nothing but masks and key points is allocated once dst is
// large enough. When ctx ends first it returns at once. dst comes back
// unchanged with an error; kinds are those of [infer.Slot.Wait] and
// [model.Decoder.Decode].
func (p *Pending) Finish(ctx context.Context, params model.Params, dst []pipeline.Detection) ([]pipeline.Detection, error) {
	defer p.end(ctx)
	outs, err := p.outputs(ctx)
	if err != nil {
		return dst, err
	}
	start := time.Now()
	dst, err = p.r.dec.Append(dst, outs, p.tr.Of(p.whole), params)
	p.took.Decode = time.Since(start)
	return dst, err
}

// Classify is Finish for models that score the whole picture: it appends the
// scores of the classes, best first (see [model.Decoder.Classify]). It fails
// with Kind Unsupported for models that find objects.
func (p *Pending) Classify(ctx context.Context, params model.Params, dst []model.ClassScore) ([]model.ClassScore, error) {
	defer p.end(ctx)
	outs, err := p.outputs(ctx)
	if err != nil {
		return dst, err
	}
	start := time.Now()
	dst, err = p.r.dec.Classify(dst, outs, params)
	p.took.Decode = time.Since(start)
	return dst, err
}

// Abandon ends a picture whose result nobody wants any more.
func (p *Pending) Abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is late waits for the next Finish
	p.end(ctx)
}

// Took says where the time went, once the picture is finished and until the
// runner's next Begin.
func (p *Pending) Took() Took { return p.took }

// end gives everything back and lets those begin that wait for it.
func (p *Pending) end(ctx context.Context) {
	if !p.open {
		return
	}
	r := p.r
	if p.slot != nil {
		p.slot.Release()
		p.place <- struct{}{}
	} else if i := slices.Index(r.late, p); i >= 0 {
		r.late = slices.Delete(r.late, i, i+1)
	}
	p.slot = nil
	r.recycle(p)
	r.catchUp(ctx)
}

// outputs waits for the model's outputs, which are valid until end.
func (p *Pending) outputs(ctx context.Context) ([]model.Tensor, error) {
	r := p.r
	if !p.open {
		return nil, &pipeline.Error{Op: "finish picture of model", On: r.loaded.ID.ID, Err: errFinished}
	}
	if p.err != nil {
		return nil, p.err
	}
	if i := slices.Index(r.late, p); i >= 0 {
		place, err := r.loaded.places.wait(ctx)
		if err != nil {
			return nil, &pipeline.Error{Op: "wait for model", On: r.loaded.ID.ID, Err: err}
		}
		r.late = slices.Delete(r.late, i, i+1)
		if err := p.start(ctx, place); err != nil {
			return nil, err
		}
	}
	if p.slot == nil {
		return r.replay.outs, nil
	}
	took, err := p.slot.Wait(ctx)
	p.took.Infer = took
	if err != nil {
		return nil, err
	}
	r.outs = r.outs[:0]
	for _, o := range p.slot.Outputs() {
		r.outs = append(r.outs, model.Tensor{Name: o.Name, Shape: o.Shape, Data: o.Data})
	}
	r.replay.keep(r.outs, p.slot.Input().Type, r.pre)
	return r.outs, nil
}

// A replay gives the outputs of one inference again and again.
type replay struct {
	outs   []model.Tensor
	sample func(pic pipeline.Picture) (model.Transform, error) // to where no model reads it
}

func (k *replay) ready() bool { return k != nil && k.outs != nil }

// keep copies the first outputs that there are.
func (k *replay) keep(outs []model.Tensor, in pipeline.TensorType, pre *model.Preprocessor) {
	if k == nil || k.outs != nil {
		return
	}
	for _, o := range outs {
		o.Data = slices.Clone(o.Data)
		k.outs = append(k.outs, o)
	}
	switch in {
	case pipeline.Uint8:
		buf := make([]uint8, pre.Len())
		k.sample = func(pic pipeline.Picture) (model.Transform, error) { return pre.FillBytes(buf, pic) }
	case pipeline.Int32:
		buf := make([]int32, pre.Len())
		k.sample = func(pic pipeline.Picture) (model.Transform, error) { return pre.FillInt32(buf, pic) }
	default:
		buf := make([]float32, pre.Len())
		var padded model.Padding
		k.sample = func(pic pipeline.Picture) (t model.Transform, err error) {
			t, padded, err = pre.Refill(buf, pic, padded)
			return t, err
		}
	}
}

// sampleOnly does what Begin does without a model behind it.
func (p *Pending) sampleOnly() (err error) {
	start := time.Now()
	p.tr, err = p.r.replay.sample(p.pic)
	p.took.Prepare = time.Since(start)
	return err
}
