package gst

import (
	"slices"
	"strings"
	"testing"

	"perch/pipeline"
)

// A machine that is not here: what its registry and its devices are said to be.
type machine struct{ elements, files []string }

func (m machine) has(e string) bool    { return slices.Contains(m.elements, e) }
func (m machine) exists(f string) bool { return slices.Contains(m.files, f) }

var (
	softwareElements = []string{"avdec_h264", "openh264dec", "avdec_h265", "jpegdec", "x264enc", "openh264enc", "vp8enc", "vp8dec", "v4l2src", "rtspsrc"}
	jetsonElements   = append([]string{"nvvidconv", "nvarguscamerasrc", "nvv4l2decoder", "nvjpegdec", "nvv4l2h264enc"}, softwareElements...)
)

func TestPlatforms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		machine machine
		options Options
		want    string
		jobs    map[string]string // job to chosen element
		because map[string]string // job to a word of why it is not the best
	}{
		{"software", machine{elements: softwareElements}, Options{}, software,
			map[string]string{"decode-h264": "avdec_h264", "encode-h264": "x264enc", "decode-vp9": ""}, nil},
		{"orin nx", machine{jetsonElements, []string{"/dev/v4l2-nvenc"}}, Options{}, jetson,
			map[string]string{"decode-h264": "nvv4l2decoder", "decode-h265": "nvv4l2decoder", "decode-jpeg": "nvjpegdec", "encode-h264": "nvv4l2h264enc", "csi-camera": "nvarguscamerasrc"}, nil},
		{"orin nano has no encoder", machine{elements: jetsonElements}, Options{}, jetson,
			map[string]string{"encode-h264": "x264enc"}, map[string]string{"encode-h264": "no device /dev/v4l2-nvenc"}},
		{"jetson without its plugins", machine{softwareElements, []string{"/etc/nv_tegra_release"}}, Options{}, jetson,
			map[string]string{"decode-h264": "avdec_h264", "csi-camera": ""}, map[string]string{"decode-h264": "nvidia-l4t-gstreamer"}},
		{"pc", machine{elements: append([]string{"nvh264dec", "nvh265dec"}, softwareElements...)}, Options{}, nvidia,
			map[string]string{"decode-h264": "nvh264dec", "encode-h264": "x264enc", "decode-jpeg": "jpegdec"}, nil},
		{"told to be software", machine{elements: jetsonElements}, Options{Platform: software}, software,
			map[string]string{"decode-h264": "avdec_h264"}, nil},
		{"told which element", machine{elements: softwareElements}, Options{Elements: map[string]string{"encode-h264": "openh264enc"}}, software,
			map[string]string{"encode-h264": "openh264enc"}, nil},
		{"no libav", machine{elements: []string{"openh264dec"}}, Options{}, software,
			map[string]string{"decode-h264": "openh264dec"}, map[string]string{"decode-h264": "gstreamer1.0-libav"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := choosePlatform(tt.options, tt.machine)
			if err != nil {
				t.Fatal(err)
			}
			info := p.info()
			if info.Name != tt.want || info.Why == "" {
				t.Errorf("platform %q because %q, want %q", info.Name, info.Why, tt.want)
			}
			for _, j := range info.Jobs {
				if want, ok := tt.jobs[j.Job]; ok && j.Chosen != want {
					t.Errorf("%s: chosen %q, want %q", j.Job, j.Chosen, want)
				}
				if want := tt.because[j.Job]; !strings.Contains(j.Fallback, want) || want == "" && tt.jobs[j.Job] != "" && j.Fallback != "" {
					t.Errorf("%s: fallback %q, want %q", j.Job, j.Fallback, want)
				}
				if j.Chosen == "" && len(j.Missing) == 0 {
					t.Errorf("%s: nobody does it and nothing is missing", j.Job)
				}
				for _, m := range j.Missing {
					if m.Package == "" {
						t.Errorf("%s: which package brings %s?", j.Job, m.Element)
					}
				}
			}
		})
	}
}

func TestPlatformRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Platform: "amiga"}, {Elements: map[string]string{"decode-h266": "x"}}, {Elements: map[string]string{"decode-h264": "nosuchdec"}}} {
		_, err := choosePlatform(o, machine{})
		wantError(t, err, pipeline.BadConfig)
	}
}

// This machine's own table, from its real registry.
func TestPlatformHere(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	info := m.Platform()
	for _, j := range info.Jobs {
		if j.Chosen == "" && !strings.HasPrefix(j.Job, "csi") {
			t.Errorf("%s: nothing does it; missing %+v", j.Job, j.Missing)
		}
	}
	for _, c := range []pipeline.Codec{pipeline.CodecH264, pipeline.CodecVP8} {
		if e, _ := m.EncoderChoice(c); e == "" {
			t.Errorf("nothing encodes %s", c)
		}
	}
	if e, _ := m.EncoderChoice("H266"); e != "" {
		t.Errorf("%s encodes H266", e)
	}
	if v := m.Version(); !strings.HasPrefix(v, "1.") {
		t.Errorf("version %q", v)
	}
}

// There is no V4L2 or CSI camera where these tests run: what is tested is what
// would be built for one.
func TestCameraPlans(t *testing.T) {
	t.Parallel()
	on := func(m machine) *Media {
		p, err := choosePlatform(Options{}, m)
		if err != nil {
			t.Fatal(err)
		}
		return &Media{platform: p}
	}
	nano, pc := on(machine{elements: jetsonElements}), on(machine{elements: softwareElements})
	plan := func(m *Media, s SourceSpec) *plan {
		if err := s.normalise(); err != nil {
			t.Fatal(err)
		}
		p, err := m.newPlan(&s, TransportTCP)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	csi := plan(nano, SourceSpec{Kind: pipeline.SourceCSI, Device: "1", Width: 1920, Height: 1080, FPS: 30})
	want := "nvarguscamerasrc name=src ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30/1 ! nvvidconv name=scaler ! capsfilter name=size caps=video/x-raw,format=NV12 ! videoconvert name=head"
	if !strings.HasPrefix(csi.launch, want) {
		t.Errorf("got  %s\nwant %s", csi.launch, want)
	}
	if !slices.Contains(csi.settings, setting{"src", "sensor-id", "1"}) {
		t.Errorf("settings %v", csi.settings)
	}
	s := SourceSpec{Kind: pipeline.SourceCSI}
	if err := s.normalise(); err != nil {
		t.Fatal(err)
	}
	_, err := pc.newPlan(&s, TransportTCP)
	wantError(t, err, pipeline.Unsupported, "Jetson")

	usb := plan(pc, SourceSpec{Kind: pipeline.SourceV4L2, Width: 640, Height: 480, FPS: 29.97})
	for _, w := range []string{"v4l2src", "video/x-raw,width=640,height=480,framerate=30000/1001", "image/jpeg,width=640,height=480,framerate=30000/1001", "decodebin"} {
		if !strings.Contains(usb.launch, w) {
			t.Errorf("%q lacks %q", usb.launch, w)
		}
	}
	if !slices.Contains(usb.settings, setting{"src", "device", "/dev/video0"}) {
		t.Errorf("settings %v", usb.settings)
	}
	// What GStreamer has here must at least be able to read it.
	openMedia(t)
	for _, s := range []SourceSpec{{Kind: pipeline.SourceV4L2}, {Kind: pipeline.SourceV4L2, Width: 640}} {
		p, err := newPlayer(plan(pc, s).launch)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
}

// A camera that is not there is reported in the driver's words.
func TestNoV4L2Camera(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	err := play(t, m, SourceSpec{Kind: pipeline.SourceV4L2, Device: "/dev/video-none"}, &collector{})
	wantError(t, err, pipeline.NotFound, "/dev/video-none")
	t.Log(err)
}

func TestScrub(t *testing.T) {
	t.Parallel()
	s := SourceSpec{Kind: pipeline.SourceRTSP, URL: "rtsp://admin:s%40cr%C3%ABt@10.0.0.1/ch1?password=hunter2&x=1"}
	if err := s.normalise(); err != nil {
		t.Fatal(err)
	}
	if s.Username != "admin" || s.Password != "s@crët" || strings.Contains(s.URL, "@") {
		t.Fatalf("%+v", s)
	}
	if id := s.id(); id.Name != "rtsp://10.0.0.1/ch1?password=***&x=1" || id.Kind != pipeline.SourceRTSP {
		t.Errorf("%+v", id)
	}
	for in, want := range map[string]string{
		"open rtsp://admin:s%40cr%C3%ABt@10.0.0.1/x":               "open rtsp://10.0.0.1/x",
		"said s@crët to it":                                        "said *** to it",
		"s%40cr%C3%ABt":                                            "***",
		"rtsp://h/user=admin_password=tlJwpbo6_channel=1_stream=0": "rtsp://h/user=admin_password=***_channel=1_stream=0",
		"http://h/v?user=a&pwd=b&token=c":                          "http://h/v?user=a&pwd=***&token=***",
		"nothing to hide":                                          "nothing to hide",
	} {
		if got := s.scrub(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	short := SourceSpec{Password: "a"}
	if got := short.scrub("a camera says a:a"); strings.Contains(got, "a:a") || !strings.Contains(got, "camera") {
		t.Errorf("got %q", got)
	}
	named := SourceSpec{Kind: pipeline.SourceRTSP, Name: "yard", URL: "rtsp://u:p@h/"}
	if err := named.normalise(); err != nil || named.id().Name != "yard" {
		t.Errorf("%v %+v", err, named.id())
	}
}

func TestFraction(t *testing.T) {
	t.Parallel()
	for fps, want := range map[float64][2]int{30: {30, 1}, 29.97: {30000, 1001}, 59.94: {60000, 1001}, 12.5: {12500, 1000}, 23.976: {24000, 1001}} {
		if n, d := fraction(fps); n != want[0] || d != want[1] {
			t.Errorf("%v is %d/%d, want %v", fps, n, d, want)
		}
	}
}
