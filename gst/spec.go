package gst

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"perch/pipeline"
)

// Transport says how RTSP carries pictures.
type Transport string

// The transports. Auto asks for TCP, which loses nothing, and for UDP only
// when the server does not do TCP.
const (
	TransportAuto Transport = "auto"
	TransportTCP  Transport = "tcp"
	TransportUDP  Transport = "udp"
)

// SourceSpec describes a source. Which fields matter depends on Kind.
type SourceSpec struct {
	Kind pipeline.SourceKind
	Name string // the camera's name for people; "" uses the URL, path or device

	URL                string // rtsp, http; may contain user and password
	Username, Password string // rtsp, http; override what the URL contains
	Transport          Transport
	// NoRedirect is for addresses that somebody has approved: a server that
	// sends us to another one is an error.
	NoRedirect bool // rtsp, http
	LatencyMS  int  // rtsp: how long to wait for late packets; 0 means 200

	Path     string // file
	Loop     bool   // file: begin again at the end, in real time, time stamps going on
	RealTime bool   // file: no faster than its time stamps

	Device        string  // v4l2: "/dev/video0"; csi: sensor number, "0"
	Width, Height int     // v4l2, csi, test: wish; 0 means any (test: 1280x720)
	FPS           float64 // v4l2, csi, test: wish; 0 means any (test: 30)

	Pace      pipeline.Pace
	Decoder   string // element that must decode, or "software"; "" lets the platform choose
	MaxFrames uint64 // end of stream after so many; 0 means no limit
	MaxPixels int    // width times height; a stream of larger pictures is refused; 0 means no limit

	codec codec // of a pushed track, which is not for NewSource

	OpenTimeout  time.Duration // until the first frame; 0 means 10 s
	StallTimeout time.Duration // between frames; 0 means 10 s for cameras, 30 s for files
}

const (
	defaultOpen      = 10 * time.Second
	defaultStallLive = 10 * time.Second
	defaultStallFile = 30 * time.Second
	defaultLatencyMS = 200
)

// live reports whether pictures come at the source's own pace.
func (s *SourceSpec) live() bool {
	switch s.Kind {
	case pipeline.SourceFile:
		return s.Loop
	case pipeline.SourceTest:
		return s.Pace == pipeline.Realtime
	}
	return true
}

// normalise checks s, moves credentials out of its URL and fills in defaults.
func (s *SourceSpec) normalise() error {
	var err error
	switch s.Kind {
	case pipeline.SourceFile:
		if s.Path == "" {
			err = errors.New("a file needs a path")
		}
	case pipeline.SourceRTSP:
		err = s.splitURL("rtsp", "rtsps", "rtspt", "rtspu")
	case pipeline.SourceHTTP:
		err = s.splitURL("http", "https")
	case pipeline.SourceV4L2:
		s.Device = cmp.Or(s.Device, "/dev/video0")
	case pipeline.SourceCSI:
		s.Device = cmp.Or(s.Device, "0")
		if !regexp.MustCompile(`^\d+$`).MatchString(s.Device) {
			err = fmt.Errorf("a CSI camera is named by its sensor number, not %q", s.Device)
		}
	case pipeline.SourceTest:
		s.Width, s.Height, s.FPS = cmp.Or(s.Width, 1280), cmp.Or(s.Height, 720), cmp.Or(s.FPS, 30)
	default:
		err = fmt.Errorf("unknown kind of source %q", s.Kind)
	}
	s.Transport = cmp.Or(s.Transport, TransportAuto)
	if s.Transport != TransportAuto && s.Transport != TransportTCP && s.Transport != TransportUDP {
		err = errors.Join(err, fmt.Errorf("unknown transport %q: known are auto, tcp and udp", s.Transport))
	}
	if s.Width < 0 || s.Height < 0 || s.FPS < 0 || s.LatencyMS < 0 || s.OpenTimeout < 0 || s.StallTimeout < 0 || s.MaxPixels < 0 {
		err = errors.Join(err, errors.New("sizes, rates and times must not be negative"))
	}
	s.LatencyMS = cmp.Or(s.LatencyMS, defaultLatencyMS)
	s.OpenTimeout = cmp.Or(s.OpenTimeout, defaultOpen)
	stall := defaultStallLive
	if s.Kind == pipeline.SourceFile {
		stall = defaultStallFile
	}
	s.StallTimeout = cmp.Or(s.StallTimeout, stall)
	return err
}

// splitURL checks the URL and takes user and password out of it.
func (s *SourceSpec) splitURL(schemes ...string) error {
	u, err := url.Parse(s.URL)
	if err != nil {
		// The parser's text quotes the whole URL, password included.
		return errors.New("the URL cannot be understood; write special characters of a password as %XX, or set username and password apart")
	}
	if !contains(schemes, u.Scheme) || u.Host == "" {
		return fmt.Errorf("the URL must look like %s://host/path", schemes[0])
	}
	if u.User != nil {
		pw, _ := u.User.Password()
		s.Username, s.Password = cmp.Or(s.Username, u.User.Username()), cmp.Or(s.Password, pw)
		u.User = nil
	}
	s.URL = u.String()
	return nil
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}

// on returns what errors call the source.
func (s *SourceSpec) on() string {
	if s.Name != "" {
		return s.Name
	}
	switch s.Kind {
	case pipeline.SourceFile:
		return s.Path
	case pipeline.SourceRTSP, pipeline.SourceHTTP:
		return s.scrub(s.URL)
	case pipeline.SourceV4L2, pipeline.SourceCSI:
		return s.Device
	}
	return string(s.Kind)
}

func (s *SourceSpec) id() pipeline.SourceID {
	name := s.on()
	if s.Kind == pipeline.SourceFile && s.Name == "" {
		name = filepath.Base(s.Path)
	}
	return pipeline.SourceID{Kind: s.Kind, Name: name}
}

// checkFile finds what GStreamer would report in its own words, or too late.
func checkFile(path string) *pipeline.Error {
	fail := func(kind pipeline.Kind, text string) *pipeline.Error {
		return &pipeline.Error{Op: "open", On: path, Kind: kind, Err: errors.New(text)}
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fail(pipeline.NotFound, "no such file")
	case err != nil:
		return &pipeline.Error{Op: "open", On: path, Kind: pipeline.BadInput, Err: errors.Unwrap(err)}
	case st.IsDir():
		return fail(pipeline.BadInput, "this is a folder, not a file")
	case !st.Mode().IsRegular():
		return fail(pipeline.BadInput, "this is not a regular file")
	case st.Size() == 0:
		return fail(pipeline.BadInput, "the file is empty")
	}
	f, err := os.Open(path)
	if err != nil {
		return &pipeline.Error{Op: "open", On: path, Kind: pipeline.Refused, Err: errors.Unwrap(err), Hint: "the user that Perch runs as must be able to read it"}
	}
	_ = f.Close() // opened only to see whether it can be
	return nil
}
