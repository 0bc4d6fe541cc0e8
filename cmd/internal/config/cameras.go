package config

import (
	"path"
	"reflect"
	"strconv"
	"strings"

	"perch/pipeline"
)

func (c *Config) checkCameras(r *report) {
	if len(c.Cameras) > maxCameras {
		r.bad("cameras", "there are %d; at most %d may be configured", len(c.Cameras), maxCameras)
		return
	}
	for _, name := range c.CameraNames() {
		at := "cameras." + name
		if !matches(`[a-z0-9_-]{1,64}`, name) {
			r.bad(at, "%s cannot name a camera; names stand in topics and paths, so use 1 to 64 of a-z, 0-9, - and _%s", shown(name), nameHint(name))
		}
		c.Cameras[name].check(r, at)
	}
}

// nameHint offers a name that would do, when one is close.
func nameHint(name string) string {
	better := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c == ' ' || c == '.' || c == '/':
			return '-'
		}
		return -1
	}, name), "-")
	if better == "" || len(better) > 64 {
		return ""
	}
	return "; " + better + " would do"
}

func (cam *Camera) check(r *report, at string) {
	checkLogin(r, at, cam.Username, cam.Password, cam.PasswordFile)
	if cam.Model != "" && !isModel(cam.Model) {
		r.bad(at+".model", "%s is not the name of a model; perch model list shows them", shown(cam.Model))
	}
	if cam.Decoder != "" && !isElement(cam.Decoder) {
		r.bad(at+".decoder", "%s is not the name of a GStreamer element; gst-inspect-1.0 lists them", shown(cam.Decoder))
	}
	if (cam.Width == 0) != (cam.Height == 0) {
		r.bad(at+".width", "width and height belong together; set both or none")
	}
	if cam.MaxFPS > 0 && cam.MaxFPS < pipeline.LeastMaxFPS { // below and above, its bounds say it
		r.bad(at+".max_fps", "%v is out of range; it may be from %v to %v, or 0 for every picture", cam.MaxFPS, pipeline.LeastMaxFPS, pipeline.MostMaxFPS)
	}
	for i, class := range cam.Classes {
		if class == "" {
			r.bad(at+".classes["+strconv.Itoa(i)+"]", "is empty; name a class of the model, or remove it")
		}
	}
	cam.checkWorkflow(r, at)
	if cam.URL == "" {
		r.bad(at+".url", "is missing; write for example url: rtsp://host/stream, v4l2:///dev/video0, csi://0 or the path of a file")
		return
	}
	kind, ok := cam.checkURL(r, at+".url")
	if !ok {
		return
	}
	is, usual := structFields(reflect.ValueOf(cam).Elem()), structFields(reflect.ValueOf(newCamera()).Elem())
	for _, o := range cameraOptions() {
		if !is[o.key].Equal(usual[o.key]) && !strings.Contains(o.kinds, string(kind)) {
			r.bad(at+"."+o.key, "has no effect on this camera; it is for %s", strings.ReplaceAll(o.kinds, " ", ", "))
		}
	}
}

// newCamera returns a camera of which nothing has been said.
func newCamera() *Camera {
	cam := new(Camera)
	setDefaults(reflect.ValueOf(cam).Elem())
	return cam
}

// cameraOptions says which keys mean something only for some kinds of source.
// One that is set in vain is a mistake, because its writer expects something.
func cameraOptions() []struct{ key, kinds string } {
	return []struct{ key, kinds string }{
		{"transport", "rtsp"}, {"latency", "rtsp"},
		{"username", "rtsp http"}, {"password", "rtsp http"}, {"password_file", "rtsp http"},
		{"loop", "file"},
		{"width", "v4l2 csi test"}, {"height", "v4l2 csi test"}, {"fps", "v4l2 csi test"},
		{"decoder", "rtsp http file v4l2"},
	}
}

func (cam *Camera) checkURL(r *report, at string) (pipeline.SourceKind, bool) {
	kind, where := cam.URL.Source()
	fail := func(format string, args ...any) (pipeline.SourceKind, bool) {
		r.bad(at, format, args...)
		return kind, false
	}
	switch kind {
	case pipeline.SourceRTSP, pipeline.SourceHTTP:
		if _, err := cam.URL.parse(); err != nil {
			return fail("%v", err)
		}
	case pipeline.SourceV4L2:
		if !strings.HasPrefix(where, "/dev/") || strings.Contains(where, "..") {
			return fail("%s is not a device; write v4l2:///dev/video0, with three slashes", shown(where))
		}
	case pipeline.SourceCSI:
		if !matches(`[0-9]`, where) {
			return fail("%s is not a sensor number; write csi://0", shown(where))
		}
	case pipeline.SourceTest:
		if !matches(`[a-z0-9-]*`, where) {
			return fail("%s is not a test pattern; write test:// for the usual one", shown(where))
		}
	case pipeline.SourceFile:
		return cam.checkFile(fail, where)
	default:
		scheme, _, _ := strings.Cut(string(cam.URL), "://")
		return fail("cameras are not reached by %s://; write rtsp://, http://, https://, file://, v4l2://, csi:// or test://%s",
			shown(scheme), didYouMean(scheme, []string{"rtsp", "http", "https", "file", "v4l2", "csi", "test"}))
	}
	return kind, true
}

// checkFile catches what is not meant as a file.
func (cam *Camera) checkFile(fail func(string, ...any) (pipeline.SourceKind, bool), where string) (pipeline.SourceKind, bool) {
	base := path.Base(where)
	for _, scheme := range []string{"rtsp", "rtsps", "http", "https", "v4l2", "csi", "test"} {
		if strings.HasPrefix(base, scheme+":") || strings.Contains(where, "/"+scheme+":") {
			return fail("a URL has two slashes after the colon; write %s://", scheme)
		}
	}
	switch {
	case where == "":
		return fail("names no file; write file:///path/to/clip.mp4 or the path alone")
	case strings.HasPrefix(where, "/dev/"):
		return fail("is a device, not a file; write v4l2://%s", where)
	case matches(`[0-9]`, base):
		return fail("is a number; write v4l2:///dev/video%s for a USB camera or csi://%s for a ribbon-cable one", base, base)
	}
	return pipeline.SourceFile, true
}
