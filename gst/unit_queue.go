package gst

/*
#include "glue.h"
*/
import "C"

import (
	"bytes"
	"context"
	"sync"
	"unsafe"

	"perch/pipeline"
)

// A unitQueue holds encoded pictures until they are decoded. When it is full it
// takes none before the next key frame, because what depends on a missing
// picture cannot be decoded.
type unitQueue struct {
	arrive chan struct{} // holds a token when something may have changed

	mu      sync.Mutex
	units   []pipeline.AccessUnit // guarded by mu
	bytes   int                   // guarded by mu: of units
	started bool                  // guarded by mu: a key frame was taken, and nothing lost since
	ended   bool                  // guarded by mu
	err     error                 // guarded by mu: why nothing more is decoded
}

// push queues a copy of au. It reports false when au is lost although it would
// have been of use: the queue is full, or waits for a key frame.
func (q *unitQueue) push(au pipeline.AccessUnit) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || len(au.Data) == 0 {
		return true // nobody wants it, and no key frame would help
	}
	full := len(q.units) >= trackUnits || q.bytes+len(au.Data) > trackBytes
	if q.started = (q.started || au.Key) && !full; !q.started {
		return false
	}
	au.Data = bytes.Clone(au.Data)
	q.units, q.bytes = append(q.units, au), q.bytes+len(au.Data)
	q.wake()
	return true
}

func (q *unitQueue) wake() {
	select {
	case q.arrive <- struct{}{}:
	default:
	}
}

// pop returns the oldest unit, if there is one.
func (q *unitQueue) pop() (pipeline.AccessUnit, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.units) == 0 {
		return pipeline.AccessUnit{}, false
	}
	au := q.units[0]
	q.units[0] = pipeline.AccessUnit{}
	q.units, q.bytes = q.units[1:], q.bytes-len(au.Data)
	return au, true
}

// wait returns when there is a unit or the end, with the cause when ctx is done,
// or with the error of fail.
func (q *unitQueue) wait(ctx context.Context) error {
	for {
		q.mu.Lock()
		ready, err := len(q.units) > 0 || q.ended, q.err
		q.mu.Unlock()
		if err != nil {
			return err
		}
		if ready {
			return context.Cause(ctx)
		}
		select {
		case <-q.arrive:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fail ends the queue at once, with an error.
func (q *unitQueue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err, q.units, q.bytes, q.ended = err, nil, 0, true
	q.wake()
}

// failed returns the error of fail.
func (q *unitQueue) failed() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

func (q *unitQueue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.wake()
}

// over reports whether the end has come and nothing is left.
func (q *unitQueue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended && len(q.units) == 0
}

// skip drops what comes before the next key frame.
func (q *unitQueue) skip() {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.units) && !q.units[n].Key {
		q.bytes -= len(q.units[n].Data)
		q.units[n] = pipeline.AccessUnit{}
		n++
	}
	q.units = q.units[n:]
	if len(q.units) == 0 {
		q.started = false
	}
}

// A unitSource is the appsrc "src" of a pipeline. It holds a reference of its
// own, so that it may be used until the pipeline has stopped and it is closed.
type unitSource struct{ native *C.GstElement }

func newUnitSource(p *player) unitSource {
	e := p.nativeElement("src")
	C.gst_object_ref(C.gpointer(e))
	return unitSource{e}
}

func (s unitSource) close() { C.gst_object_unref(C.gpointer(s.native)) }

// push copies au into the pipeline's short queue, waiting for room. It reports
// false when the pipeline has stopped.
func (s unitSource) push(au pipeline.AccessUnit) bool {
	key := C.gboolean(0)
	if au.Key {
		key = 1
	}
	return C.perch_push_unit(s.native, unsafe.Pointer(&au.Data[0]), C.gsize(len(au.Data)), C.gint64(au.PTS), C.gint64(au.Duration), key) == C.GST_FLOW_OK
}

func (s unitSource) end() { C.perch_end(s.native) }
