package gst

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"perch/pipeline"
)

const (
	writerQueue   = 4                // pictures that may wait for the encoder
	writerTimeout = 30 * time.Second // for a place in the queue, and for the end of the file
)

// writer writes a video file. It belongs to one goroutine.
type writer struct {
	path, temp string
	feed       *feed
	written    int
	failed     error
	closed     bool
}

// NewVideoWriter opens a file for annotated pictures: .mp4, .mov and .mkv hold
// H.264, .webm holds VP8. The name appears when Close has succeeded and not
// before; an existing file of that name is replaced. H.264 pictures of odd size
// gain a column or row.
func (m *Media) NewVideoWriter(path string, width, height int, fps float64) (pipeline.VideoWriter, error) {
	fail := func(kind pipeline.Kind, err error, hint string) error {
		return &pipeline.Error{Op: "write video", On: path, Kind: kind, Err: err, Hint: hint}
	}
	e := encoding{codec: pipeline.CodecH264, width: width, height: height, fps: fps, file: true}
	rest := ""
	switch strings.ToLower(filepath.Ext(path)) {
	case ".mp4", ".mov", ".m4v":
		rest = " ! h264parse ! mp4mux"
	case ".mkv":
		rest = " ! h264parse ! matroskamux"
	case ".webm":
		e.codec, rest = pipeline.CodecVP8, " ! webmmux"
	default:
		return nil, fail(pipeline.BadConfig, fmt.Errorf("unknown kind of file %q", filepath.Ext(path)), "use a name that ends in .mp4, .mkv or .webm")
	}
	if width <= 0 || height <= 0 {
		return nil, fail(pipeline.BadConfig, fmt.Errorf("size %dx%d", width, height), "")
	}
	// In the same folder, so that renaming is one step, and made here, so that
	// a folder that cannot be written to is reported in plain words.
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return nil, fail(pipeline.Storage, pathError(err), "the folder must exist and be writable")
	}
	temp := t.Name()
	err = errors.Join(t.Chmod(0o644), t.Close())
	if err == nil {
		var f *feed
		f, _, _, err = m.openFeed(e, m.encoderJob(e.codec), rest+" ! filesink name=file", setting{"file", "location", temp})
		if err == nil {
			return &writer{path: path, temp: temp, feed: f}, nil
		}
	}
	return nil, errors.Join(err, os.Remove(temp))
}

// pathError takes the path out of an error that will be given one.
func pathError(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// Write copies pic into the queue and waits while it is full. After an error
// the file is lost; Close removes what there is of it.
func (w *writer) Write(pic pipeline.Picture, pts time.Duration) error {
	if w.failed != nil {
		return w.failed
	}
	if w.closed {
		return w.error(pipeline.Other, os.ErrClosed)
	}
	if err := w.feed.check(pic); err != nil {
		return w.error(pipeline.BadInput, err)
	}
	if err := w.room(); err != nil {
		w.failed = err
		return err
	}
	if err := w.feed.push(pic, pts); err != nil {
		w.failed = w.error(pipeline.Storage, errors.Join(w.feed.trouble(), err))
		return w.failed
	}
	w.written++
	return nil
}

// room waits for a place in the queue. An encoder is behind for milliseconds,
// and a failed one takes nothing ever again, so both queue and bus are asked.
func (w *writer) room() error {
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if w.feed.level() < writerQueue {
			return nil
		}
		if err := w.feed.trouble(); err != nil {
			return w.error(pipeline.Storage, err)
		}
		if time.Since(began) > writerTimeout {
			return w.error(pipeline.Timeout, fmt.Errorf("the encoder took no picture for %v", writerTimeout))
		}
	}
}

func (w *writer) error(kind pipeline.Kind, err error) error {
	return &pipeline.Error{Op: "write video", On: w.path, Kind: kind, Err: err}
}

// Close finishes the file: index written, data and name on the disk. When it
// fails there is no file of that name, or still the old one.
func (w *writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	err := w.failed
	if err == nil && w.written == 0 {
		err = w.error(pipeline.BadInput, errors.New("no picture was written"))
	}
	if err == nil {
		w.feed.end()
		err = w.finish()
	}
	if cerr := w.feed.player.close(); cerr != nil {
		err = errors.Join(cerr, err)
	}
	if err == nil {
		if err = keep(w.temp, w.path); err != nil {
			err = w.error(pipeline.Storage, err)
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(w.temp))
	}
	return nil
}

// finish waits until the last byte has been written.
func (w *writer) finish() error {
	for began := time.Now(); time.Since(began) < writerTimeout; {
		switch m := w.feed.player.pop(pollInterval); m.kind {
		case msgEOS:
			return nil
		case msgError:
			f := failure{first: m}
			return w.error(pipeline.Storage, errors.New(f.text(&SourceSpec{})))
		}
	}
	return w.error(pipeline.Timeout, fmt.Errorf("the file was not finished within %v", writerTimeout))
}

// keep gives temp its name so that the name survives a power cut.
func keep(temp, path string) error {
	if err := syncFile(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
