package webrtc

import (
	"errors"
	"io"

	"github.com/pion/webrtc/v4"
)

const (
	uploadLabel = "video_upload" // any other channel is one of control and results
	maxChannels = 8              // open in one session; clients have two
	maxMessage  = 64 << 10       // bytes of a message from a client; our answer says so
)

// channel is one that the client has opened.
type channel struct {
	*webrtc.DataChannel
	wire
	gone chan struct{} // closed when nothing can be sent any more
}

// wire is a data channel as a stream of messages.
type wire interface {
	ReadDataChannel(b []byte) (n int, text bool, err error)
	WriteDataChannel(b []byte, text bool) (int, error)
	Close() error
}

// accept takes a channel that the client has opened.
func (v *Session) accept(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		w, err := dc.Detach()
		if err != nil {
			v.log.Warn("session's channel not taken", "error", err)
			return
		}
		c := &channel{dc, w, make(chan struct{})}
		if !v.group.Go(func() { v.read(c) }) {
			_ = w.Close() // the session is being closed
		}
	})
}

// read handles a channel's messages until it closes. While it handles one, the
// client's sending is held back by SCTP.
func (v *Session) read(c *channel) {
	defer c.wire.Close()
	if v.channels.Add(1) > maxChannels {
		v.channels.Add(-1)
		v.log.Warn("session's client opens too many channels; one was closed", "most", maxChannels)
		return
	}
	defer v.channels.Add(-1)
	defer close(c.gone)
	handle := v.uploads.take
	if c.Label() != uploadLabel {
		handle = v.listen
		v.results.attach(c)
		defer v.results.detach(c)
	}
	buf := make([]byte, maxMessage)
	for {
		n, text, err := c.ReadDataChannel(buf)
		if err == nil {
			err = handle(c, buf[:n], text)
		}
		switch {
		case errors.Is(err, io.ErrShortBuffer):
			v.count.malformed.Add(1)
			v.log.Warn("session's channel closed: its client sent a message that is too long", "most", maxMessage)
			return
		case err != nil:
			v.log.Debug("session's channel closed", "channel", c.Label(), "why", err)
			return
		}
	}
}
