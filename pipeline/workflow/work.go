package workflow

import (
	"time"

	"perch/pipeline"
)

// work is one frame on its way.
type work struct {
	e          *Engine
	src        pipeline.Frame
	info       pipeline.FrameInfo
	frame      Frame
	image      Image
	pendings   [][]Pending // by unit, by element; nil where nothing was started
	failed     error       // of a step that could not be started early
	failedAt   int         // that step's place among the units
	events     []pipeline.Event
	deliveries []pipeline.Delivery
	took       [pipeline.NumStages]time.Duration
	made       int // roughly how many bytes its images and values take
	call       Call
}

func (e *Engine) newWork(f pipeline.Frame) *work {
	var w *work
	if n := len(e.free); n > 0 {
		w, e.free = e.free[n-1], e.free[:n-1]
	} else {
		w = &work{e: e, pendings: make([][]Pending, len(e.units))}
	}
	w.src, w.info, w.failed = f, f.Info(), nil
	w.events, w.deliveries, w.took, w.made = nil, nil, [pipeline.NumStages]time.Duration{}, 0
	e.number++
	e.rate.see(w.info.PTS, e.stream.MaxFPS)
	fps := e.opts.FPS
	if fps <= 0 || !e.stream.Live && e.stream.FPS > 0 {
		fps = e.stream.FPS // a file knows better than who declared a rate
	}
	w.frame = Frame{
		Video: "default_source", Number: e.number, Count: e.number, Time: w.info.Wall, PTS: w.info.PTS, FPS: fps,
		Rate: pipeline.StreamInfo{FPS: fps, MaxFPS: e.stream.MaxFPS}.Rate(), MeasuredFPS: e.rate.fps(), FromFile: !e.stream.Live,
	}
	if w.frame.FromFile {
		w.frame.Number = int64(w.info.Seq) // its time is Number / FPS, whichever frames were left out
	}
	name := e.image
	width, height := w.info.Width, w.info.Height
	w.image = Image{Picture: f.Picture(), View: true, Origin: Origin{
		Name: name, Root: name, Width: width, Height: height, RootWidth: width, RootHeight: height,
	}}
	return w
}

func (w *work) started(unit, el int) bool {
	return el < len(w.pendings[unit]) && w.pendings[unit][el] != nil
}

func (w *work) hold(unit, el int, p Pending) {
	for len(w.pendings[unit]) <= el {
		w.pendings[unit] = append(w.pendings[unit], nil)
	}
	w.pendings[unit][el] = p
}

// take hands a piece of work over to the one who ends it.
func (w *work) take(unit, el int) (p Pending) {
	if w.started(unit, el) {
		p, w.pendings[unit][el] = w.pendings[unit][el], nil
	}
	return p
}

// discard gives up what was not run and makes w ready for another frame.
func (w *work) discard() {
	for i := range w.pendings {
		for el := range w.pendings[i] {
			if p := w.take(i, el); p != nil {
				p.Abandon()
			}
		}
		w.pendings[i] = w.pendings[i][:0]
	}
	w.src = nil
	w.e.free = append(w.e.free, w)
}
