package webrtc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// outputs are what a client wants to be sent. They are plain data, never
// changed after they were made.
type outputs struct {
	all    bool     // every output that is no image itself
	names  []string // when not all; none: no data
	stream string   // output that goes back as pictures; "" when it is to be found
}

// wishes are what a client may change at any time.
type wishes struct {
	log   *slog.Logger
	video bool
	woke  chan struct{} // told of each new ACK

	mu     sync.Mutex
	now    outputs // guarded by mu
	ack    int64   // guarded by mu: -1 until the first
	warned bool    // guarded by mu: of a stream output without video; a client could fill the log
}

func newWishes(req SessionRequest, log *slog.Logger) *wishes {
	w := &wishes{log: log, video: wantsVideo(req.StreamOutput), woke: make(chan struct{}, 1), ack: -1}
	names := slices.DeleteFunc(slices.Clone(req.DataOutput), func(n string) bool { return n == "" })
	w.now = outputs{stream: firstName(req.StreamOutput)}
	w.now.all, w.now.names = selection(names)
	return w
}

func selection(names []string) (all bool, some []string) {
	if len(names) == 1 && names[0] == "*" {
		return true, nil
	}
	for _, n := range names {
		if !slices.Contains(some, n) {
			some = append(some, n)
		}
	}
	return false, some
}

func firstName(names []string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

func (w *wishes) outputs() outputs {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// acked returns the newest ACK, -1 before the first.
func (w *wishes) acked() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ack
}

// found fixes the output that goes back as pictures, unless the client has
// named another one since.
func (w *wishes) found(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.stream == "" {
		w.now.stream = name
	}
}

// apply follows a control message.
func (w *wishes) apply(c control) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Data != nil {
		w.now.all, w.now.names = selection(*c.Data)
	}
	switch {
	case c.Stream == nil:
	case w.video:
		w.now.stream = firstName(*c.Stream)
	case !w.warned:
		w.warned = true
		w.log.Warn("session's client chose a stream output, but the session was opened without video")
	}
	if c.ACK != nil && *c.ACK > w.ack && *c.ACK >= 0 {
		w.ack = *c.ACK
		signal(w.woke)
	}
}

// signal leaves a note in a channel of one without waiting.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// control is a message from the client; nil fields leave things as they are.
type control struct {
	Stream *[]string
	Data   *[]string
	ACK    *int64
}

// readControl reads a control message. Numbers may be text; keys that are not
// known are ignored, and so is null.
func readControl(text []byte) (control, error) {
	var c control
	var raw struct {
		Stream json.RawMessage `json:"stream_output"`
		Data   json.RawMessage `json:"data_output"`
		ACK    json.RawMessage `json:"ack"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return c, errors.New("it is no JSON object")
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return c, err
	}
	var err error
	if c.Stream, err = list(raw.Stream); err != nil {
		return control{}, fmt.Errorf("stream_output: %w", err)
	}
	if c.Data, err = list(raw.Data); err != nil {
		return control{}, fmt.Errorf("data_output: %w", err)
	}
	if c.ACK, err = number(raw.ACK); err != nil {
		return control{}, fmt.Errorf("ack: %w", err)
	}
	return c, nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func list(raw json.RawMessage) (*[]string, error) {
	if absent(raw) {
		return nil, nil
	}
	var names []*string
	if err := json.Unmarshal(raw, &names); err != nil {
		return nil, err
	}
	out := make([]string, len(names))
	for i, n := range names {
		if n == nil {
			return nil, errors.New("a name is null")
		}
		out[i] = *n
	}
	return &out, nil
}

func number(raw json.RawMessage) (*int64, error) {
	if absent(raw) {
		return nil, nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return nil, fmt.Errorf("%.20q is no whole number", text)
	}
	n := int64(f)
	return &n, nil
}

// listen follows a control message. One that is malformed changes nothing.
func (v *Session) listen(_ *channel, msg []byte, _ bool) error {
	c, err := readControl(msg)
	if err != nil {
		v.count.malformed.Add(1)
		v.log.Debug("session's control message ignored", "error", err)
		return nil
	}
	v.wishes.apply(c)
	return nil
}
