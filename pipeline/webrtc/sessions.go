package webrtc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"perch/pipeline"
)

// SessionOptions say what sessions may do and cost. Zero values are replaced by
// the defaults given with each field.
type SessionOptions struct {
	MaxSessions    int           // more are refused with Kind Busy; default 4
	MaxOffer       int           // bytes of an SDP offer; default [MaxOffer]
	GatherTimeout  time.Duration // for a client's ICE servers to be looked up, and again for our addresses to be found; the answer has those of then; default 2 s
	ConnectTimeout time.Duration // limit from answer to connected; default 30 s
	STUN           []string      // URLs of servers asked in every session; default none

	ACKWindow   int           // frames a batch client may be behind its ACKs; default 1, negative means 0
	BufferLimit int           // bytes queued in a channel before sending waits; it goes on at a quarter; default 32 MiB
	DrainPoll   time.Duration // how often a full channel is looked at, should its own signal fail; default 0.1 s
	SendTimeout time.Duration // a message that cannot be sent in this time is abandoned; default 120 s
	Gzip        bool          // compress messages that carry data; browsers' published client cannot read that
	JPEGQuality int           // of images in messages, 1..100; default 80

	CompletionDrain time.Duration // for what is queued when a session ends; default 2 s
	Linger          time.Duration // how long a finished session waits for its client to close, unless its place is needed; default 60 s

	MaxUpload  int64         // bytes of an uploaded file; default 2 GiB
	MaxChunks  int           // chunks of an uploaded file; default 1,048,576
	KeepFree   int64         // bytes that an upload must leave on the disk; default 256 MiB
	UploadIdle time.Duration // a session whose client sends no picture and no chunk for so long ends; default 60 s
	UploadDir  string        // where uploads are kept; default the system's directory for temporary files

	Bitrate int              // of the pictures sent, bits per second; default 4,000,000
	Codecs  []pipeline.Codec // that can be both decoded and encoded here; default H.264 and VP8

	OpenFeed    pipeline.OpenFeed                                              // decodes a client's track
	OpenFile    func(path string, pace pipeline.Pace) (pipeline.Source, error) // plays an uploaded file
	OpenEncoder pipeline.OpenEncoder                                           // for pictures sent back
	DrawLines   func(pic pipeline.Picture, lines []string)                     // writes errors on a picture; nil: they are not written

	// AllowServer is asked about each ICE server that a client names, since it
	// makes this device connect to it, and returns the URLs to use in its stead,
	// or an error of Kind BadInput or Refused. A server that is Gone is left out:
	// a client in the same network finds us without it. It is called for several
	// at the same time, and is to return when ctx is done. nil allows all.
	AllowServer func(ctx context.Context, url string) (use []string, err error)
}

func (o SessionOptions) withDefaults() SessionOptions {
	o.MaxSessions = cmp.Or(o.MaxSessions, 4)
	o.MaxOffer = cmp.Or(o.MaxOffer, MaxOffer)
	o.GatherTimeout = cmp.Or(o.GatherTimeout, 2*time.Second)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 30*time.Second)
	o.ACKWindow = max(cmp.Or(o.ACKWindow, 1), 0)
	o.BufferLimit = cmp.Or(o.BufferLimit, 32<<20)
	o.DrainPoll = cmp.Or(o.DrainPoll, 100*time.Millisecond)
	o.SendTimeout = cmp.Or(o.SendTimeout, 120*time.Second)
	o.JPEGQuality = cmp.Or(o.JPEGQuality, 80)
	o.CompletionDrain = cmp.Or(o.CompletionDrain, 2*time.Second)
	o.Linger = cmp.Or(o.Linger, 60*time.Second)
	o.MaxUpload = cmp.Or(o.MaxUpload, 2<<30)
	o.MaxChunks = cmp.Or(o.MaxChunks, 1<<20)
	o.KeepFree = cmp.Or(o.KeepFree, 256<<20)
	o.UploadIdle = cmp.Or(o.UploadIdle, 60*time.Second)
	o.UploadDir = cmp.Or(o.UploadDir, os.TempDir())
	o.Bitrate = cmp.Or(o.Bitrate, 4_000_000)
	if len(o.Codecs) == 0 {
		o.Codecs = []pipeline.Codec{pipeline.CodecH264, pipeline.CodecVP8}
	}
	return o
}

// A SessionRequest is what a client asks for.
type SessionRequest struct {
	Type, SDP    string      // of the offer; Type must be "offer"
	ICEServers   []ICEServer // the client's wish for our side, beside [SessionOptions.STUN]
	Realtime     bool        // false: batch, every frame once and paced by ACKs if the client sends any
	StreamOutput []string    // nil: the first image among the outputs; no names: no video; else the first name
	DataOutput   []string    // nothing, exactly "*" for all but images, or names
	DeclaredFPS  *float64    // repeated in messages; an upload's own rate replaces it

	// Source are the pictures, if the client does not bring them. Otherwise its
	// first track or upload counts and later ones are ignored. A session that ends
	// early never runs it; if it is open already, whoever opened it closes it.
	Source pipeline.Source
}

// ICEServer is a STUN or TURN server.
type ICEServer struct {
	URLs                 []string
	Username, Credential string
}

// OpenSession answers a client's offer and returns its session and the SDP
// answer, in which all our addresses are. Errors: Kind BadInput for an offer
// that is malformed or contradicts the rest of the request, Unsupported for one
// without a codec of ours, Refused for an ICE server that is not allowed, Busy
// when all places are taken, Timeout when none of our addresses was found, Gone
// when the server is closing.
//
// The caller runs [Session.Source] with the session as a viewer, cancels that
// run with [pipeline.ErrClientGone] when [Session.Gone] is closed, and then
// calls [Session.Finish] and, on every path, [Session.Close].
func (s *Server) OpenSession(ctx context.Context, req SessionRequest) (*Session, string, error) {
	p, err := readSessionOffer(req, s.opts.Sessions)
	if err != nil {
		s.sessions.count.rejected.Add(1)
		return nil, "", err
	}
	servers, missed, err := iceServers(ctx, req.ICEServers, s.opts.Sessions)
	if err != nil {
		s.sessions.count.rejected.Add(1)
		return nil, "", err
	}
	if missed != nil {
		s.opts.Log.Warn("a client's ICE servers left out", "error", missed)
	}
	v, err := s.newSession(req, p, servers)
	if err != nil {
		return nil, "", err
	}
	answer, err := v.negotiate(ctx, p)
	if err != nil {
		if k := pipeline.KindOf(err); k == pipeline.BadInput {
			s.sessions.count.rejected.Add(1)
		}
		v.Close()
		return nil, "", err
	}
	s.sessions.count.accepted.Add(1)
	v.answered = time.Now()
	v.group.Go(v.watch)
	v.log.Info("session came", "realtime", req.Realtime, "video", v.video != nil)
	return v, answer, nil
}

// register takes a place. A session that is finished and only waits for its
// client to close makes room.
func (s *Server) register(v *Session) error {
	for {
		idle, err := s.place(v)
		if idle == nil {
			return err
		}
		idle.log.Info("session closed: it was finished and another needs its place")
		idle.Close()
	}
}

// place takes a place, or returns a session that can give up its own.
func (s *Server) place(v *Session) (idle *Session, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &pipeline.Error{Op: "open session", Kind: pipeline.Gone, Err: errClosing, Hint: "try again when the device has restarted"}
	}
	n := s.opts.Sessions.MaxSessions
	if len(s.sessions.open) < n {
		s.sessions.open[v] = true
		return nil, nil
	}
	for o := range s.sessions.open {
		if o.finished.Load() {
			return o, nil
		}
	}
	return nil, s.full()
}

// full counts a refusal and returns it.
func (s *Server) full() error {
	s.sessions.count.full.Add(1)
	return &pipeline.Error{Op: "open session", Kind: pipeline.Busy, Err: fmt.Errorf("all %d places for sessions are taken", s.opts.Sessions.MaxSessions),
		Hint: "close another session, or raise the limit on sessions in the configuration"}
}

// SessionRoom is for callers with work to do before [Server.OpenSession]: it
// returns the error of Kind Busy with which that would refuse at this moment, or
// nil.
func (s *Server) SessionRoom() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions.open) < s.opts.Sessions.MaxSessions {
		return nil
	}
	for o := range s.sessions.open {
		if o.finished.Load() {
			return nil
		}
	}
	return s.full()
}

func (s *Server) unregister(v *Session) {
	s.mu.Lock()
	delete(s.sessions.open, v)
	s.mu.Unlock()
}

// closeSessions ends every session; s.ctx is done.
func (s *Server) closeSessions() {
	s.mu.Lock()
	var open []*Session
	for v := range s.sessions.open {
		open = append(open, v)
	}
	s.mu.Unlock()
	for _, v := range open {
		v.Close()
	}
}

var (
	errHangUp   = errors.New("the session is over")
	errLingered = errors.New("the client did not close its finished session")
)
