package webrtc

import (
	"context"
	"sync"

	"perch/pipeline"
)

// maxEcho is how much may wait to be sent back to a client that does not read.
const maxEcho = 1 << 10

// uploads is a session's side of its client's upload.
type uploads struct {
	session *Session

	mu   sync.Mutex
	file *upload // guarded by mu; nil before the first chunk
	sole bool    // guarded by mu: the pictures come from an upload
	over bool    // guarded by mu: whole, refused or closed
}

// take handles a message on an upload channel.
func (u *uploads) take(c *channel, msg []byte, text bool) error {
	v := u.session
	if len(msg) <= 1 { // a sign of life, which is answered
		signal(v.input.life)
		if c.BufferedAmount() > maxEcho {
			return nil
		}
		_, err := c.WriteDataChannel(msg, text)
		return err
	}
	index, total, data, err := readUpload(msg)
	if err != nil || text {
		v.count.malformed.Add(1)
		v.log.Debug("session's upload message ignored", "text", text, "error", err)
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over || u.file == nil && !v.input.claim("upload") {
		return nil // the file is whole, or the pictures come from elsewhere
	}
	signal(v.input.life)
	whole, err := u.add(index, total, data)
	switch {
	case err != nil:
		// The client is told on its result channel; this one says that there is
		// no use in going on.
		v.count.refused.Add(1)
		v.log.Warn("session's upload refused", "error", err)
		u.drop()
		v.input.refuse(err)
		return errUploadOver
	case whole:
		u.over, u.sole = true, true
		v.count.uploads.Add(1)
		v.log.Info("session's upload is whole", "chunks", total)
		v.input.choose(u.play)
	}
	return nil
}

// add takes a chunk; mu is held.
func (u *uploads) add(index, total uint32, data []byte) (bool, error) {
	if u.file == nil {
		o := u.session.opt
		f, err := anonymous(o.UploadDir)
		if err != nil {
			return false, err
		}
		u.file = &upload{file: f, limit: uploadLimit{o.MaxUpload, o.MaxChunks}, space: u.session.server.sessions.space}
	}
	return u.file.add(index, total, data)
}

// play decodes the file and gives its space back.
func (u *uploads) play(ctx context.Context, out pipeline.Outlet) error {
	v := u.session
	defer u.close()
	u.mu.Lock()
	if u.file == nil {
		u.mu.Unlock()
		return context.Cause(v.ctx)
	}
	path := pathOf(u.file.file)
	u.mu.Unlock()
	if v.opt.OpenFile == nil {
		return &pipeline.Error{Op: "play uploaded file", Kind: pipeline.Unsupported, Err: errNoCodec}
	}
	pace := pipeline.Realtime
	if v.batch {
		pace = pipeline.Lossless
	}
	src, err := v.opt.OpenFile(path, pace)
	if err != nil {
		return err
	}
	v.input.shrinks(src)
	return src.Run(ctx, out)
}

// close gives the file's space back. No chunk is taken any more.
func (u *uploads) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop()
}

// drop is close; mu is held.
func (u *uploads) drop() {
	u.over = true
	if u.file == nil {
		return
	}
	if err := u.file.close(); err != nil {
		u.session.log.Warn("uploaded file did not close cleanly", "error", err)
	}
	u.file = nil
}

// used reports whether the session's pictures come from an upload.
func (u *uploads) used() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sole
}
