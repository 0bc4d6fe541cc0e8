package gst

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"perch/pipeline"
)

// A setting is a property of a named element, set after the pipeline has been
// built so that nothing of the user's is ever parsed as a launch line.
type setting struct {
	element, property string
	value             any
}

// A plan is what one attempt at playing a source builds.
type plan struct {
	launch   string
	settings []setting
	decoding bool // goes through the element "dec"
}

// The tail brings whatever is decoded into shape: I420 or NV12, in system
// memory, upright. Its elements do nothing where nothing is to be done.
// Conversion comes first: videoflip does not know 4:2:2, which is what many
// cameras' JPEGs are. Few buffers wait here; dropping, where it is wanted, is
// the outlet's work.
const tail = " videoconvert name=head ! capsfilter name=format caps=video/x-raw,format=(string){I420,NV12} ! videoflip video-direction=auto ! " +
	"appsink name=frames max-buffers=3 drop=false sync=false qos=false enable-last-sample=false"

// decode finds the parser and the decoder; only streams that end as pictures
// are looked at, so that an audio track needs no decoder.
const decode = "decodebin name=dec expose-all-streams=false caps=video/x-raw(ANY)"

// newPlan says how to play s. transport is TCP or UDP for RTSP.
func (m *Media) newPlan(s *SourceSpec, transport Transport) (*plan, error) {
	p := &plan{decoding: true}
	set := func(element, property string, value any) {
		p.settings = append(p.settings, setting{element, property, value})
	}
	switch s.Kind {
	case pipeline.SourceFile:
		p.launch = "filesrc name=src ! " + decode
		set("src", "location", s.Path)
	case pipeline.SourceRTSP:
		p.launch = "rtspsrc name=src ! " + decode
		setRTSP(s, transport, set)
	case pipeline.SourceHTTP:
		p.launch = "souphttpsrc name=src is-live=true do-timestamp=true ! multipartdemux single-stream=true ! image/jpeg ! " + decode
		set("src", "location", s.URL)
		set("src", "timeout", int(math.Ceil(s.OpenTimeout.Seconds())))
		set("src", "automatic-redirect", !s.NoRedirect)
		set("src", "retries", 0) // reconnecting is the run's decision
		setCredentials(s, set)
	case pipeline.SourceV4L2:
		p.launch = "v4l2src name=src do-timestamp=true ! capsfilter name=wish caps=" + wishV4L2(s) + " ! " + decode
		set("src", "device", s.Device)
	case pipeline.SourceCSI:
		return p, m.planCSI(s, p, set)
	case pipeline.SourceWebRTC:
		p.launch = "appsrc name=src format=time is-live=true block=true max-buffers=4 max-bytes=0 max-time=0 caps=" + trackCaps(s.codec) + " ! " + decode
	case pipeline.SourceTest:
		p.decoding = false
		p.launch = "videotestsrc name=src pattern=ball ! video/x-raw,format=I420" + wish(s) + " !" + tail
		set("src", "is-live", s.Pace == pipeline.Realtime)
	}
	if p.decoding {
		p.launch += tail
	}
	if s.Kind == pipeline.SourceFile && (s.RealTime || s.Loop) {
		set("frames", "sync", true)
	}
	return p, nil
}

// trackCaps says what is pushed: one picture in each buffer.
func trackCaps(c codec) string {
	if c == codecVP8 {
		return "video/x-vp8"
	}
	return "video/x-h264,stream-format=byte-stream,alignment=au"
}

func setRTSP(s *SourceSpec, transport Transport, set func(string, string, any)) {
	set("src", "location", s.URL)
	set("src", "protocols", string(transport))
	set("src", "latency", s.LatencyMS)
	set("src", "drop-on-latency", true)
	set("src", "tcp-timeout", strconv.FormatInt(s.OpenTimeout.Microseconds(), 10))
	// rtspsrc would go over to TCP by itself; the attempt after this one does.
	set("src", "timeout", strconv.FormatInt(s.OpenTimeout.Microseconds(), 10))
	set("src", "teardown-timeout", strconv.FormatInt((500*time.Millisecond).Nanoseconds(), 10))
	setCredentials(s, set)
}

func setCredentials(s *SourceSpec, set func(string, string, any)) {
	if s.Username != "" || s.Password != "" {
		set("src", "user-id", s.Username)
		set("src", "user-pw", s.Password)
	}
}

func (m *Media) planCSI(s *SourceSpec, p *plan, set func(string, string, any)) error {
	p.decoding = false
	if m.platform.name != jetson || len(m.platform.job(jobCSI).present) == 0 {
		err := &pipeline.Error{Op: "open camera", On: s.on(), Kind: pipeline.Unsupported, Err: fmt.Errorf("CSI cameras need a Jetson's camera element")}
		if m.platform.name == jetson {
			err.Hint = "install it with: apt install " + pkgCSI
		}
		return err
	}
	p.launch = m.platform.job(jobCSI).present[0].element + " name=src ! video/x-raw(memory:NVMM)" + wish(s) + " ! " + m.platform.download + " !" + tail
	set("src", "sensor-id", s.Device)
	return nil
}

// wish returns the fields of caps that s asks for.
func wish(s *SourceSpec) string {
	var b strings.Builder
	if s.Width > 0 {
		fmt.Fprintf(&b, ",width=%d", s.Width)
	}
	if s.Height > 0 {
		fmt.Fprintf(&b, ",height=%d", s.Height)
	}
	if s.FPS > 0 {
		n, d := fraction(s.FPS)
		fmt.Fprintf(&b, ",framerate=%d/%d", n, d)
	}
	return b.String()
}

// wishV4L2 asks for pictures or JPEGs. Without a wish it keeps v4l2src from
// taking the largest size, which USB carries at a few frames a second.
func wishV4L2(s *SourceSpec) string {
	w := wish(s)
	if w != "" {
		return "video/x-raw" + w + ";image/jpeg" + w
	}
	modest := ",width=[1,1920],height=[1,1080],framerate=[15/1,60/1]"
	return "image/jpeg" + modest + ";video/x-raw" + modest + ";video/x-raw;image/jpeg"
}

// fraction writes a frame rate as television does: 29.97 is 30000/1001.
func fraction(fps float64) (n, d int) {
	if r := math.Round(fps); math.Abs(fps-r) < 1e-3 {
		return int(r), 1
	}
	if r := math.Round(fps * 1001 / 1000); math.Abs(fps-r*1000/1001) < 5e-3 {
		return int(r) * 1000, 1001
	}
	return int(math.Round(fps * 1000)), 1000
}
