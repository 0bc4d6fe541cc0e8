package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxCameras is far above what a Jetson decodes; it bounds what a slip of the
// generator of a file can start.
const maxCameras = 64

// validate reports every value that is not what it should be.
func (c *Config) validate(r *report) {
	c.checkTags(r)
	c.checkDevice(r)
	c.checkHTTP(r)
	c.checkFolders(r)
	c.checkMQTT(r)
	c.checkModels(r)
	c.checkPlatform(r)
	for i, a := range c.WebRTC.Addresses {
		if _, err := netip.ParseAddr(a); err != nil {
			r.bad("webrtc.addresses["+strconv.Itoa(i)+"]", "%s is not an IP address", shown(a))
		}
	}
	c.checkSessions(r)
	c.checkWorkflows(r)
	c.checkSMTP(r)
	c.checkCameras(r)
}

// checkTags checks the choices and bounds that the tags state.
func (c *Config) checkTags(r *report) {
	walkValues("", reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value, tag reflect.StructTag) {
		if choices, ok := tag.Lookup("enum"); ok {
			checkEnum(r, path, v, strings.Split(choices, "|"), tag.Get("default") == "")
		}
		low, okLow := tag.Lookup("min")
		high, okHigh := tag.Lookup("max")
		if okLow && compare(v, low) < 0 || okHigh && compare(v, high) > 0 {
			r.bad(path, "%v is out of range; it may be from %s to %s", v.Interface(), low, high)
		}
	})
}

func checkEnum(r *report, path string, v reflect.Value, choices []string, mayBeEmpty bool) {
	one := func(path, s string) {
		if !slices.Contains(choices, s) && (s != "" || !mayBeEmpty) {
			r.bad(path, "%s is not one of %s%s", shown(s), strings.Join(choices, ", "), didYouMean(s, choices))
		}
	}
	if v.Kind() != reflect.Slice {
		one(path, v.String())
		return
	}
	for i := range v.Len() {
		one(path+"["+strconv.Itoa(i)+"]", v.Index(i).String())
	}
}

// compare returns the sign of v - bound; the bound is written as v would be.
func compare(v reflect.Value, bound string) int {
	b := reflect.New(v.Type()).Elem()
	if err := setText(b, bound); err != nil {
		panic("config: bound " + bound + " " + err.Error())
	}
	if v.CanFloat() {
		return cmp.Compare(v.Float(), b.Float())
	}
	return cmp.Compare(v.Int(), b.Int())
}

func (c *Config) checkDevice(r *report) {
	if c.Device.ID != "" && !matches(`[A-Za-z0-9_-]{1,64}`, c.Device.ID) {
		r.bad("device.id", "%s stands in topics; use 1 to 64 letters, digits, - and _", shown(c.Device.ID))
	}
	checkText(r, "device.name", c.Device.Name, 128)
}

// checkText refuses what would tear a log line or a page apart.
func checkText(r *report, path, s string, limit int) {
	switch {
	case len(s) > limit:
		r.bad(path, "is longer than %d bytes", limit)
	case strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0xfffd }):
		r.bad(path, "has control characters or bytes in it that are no text")
	}
}

func (c *Config) checkHTTP(r *report) {
	if c.HTTP.Private && !c.HTTP.Claim {
		r.bad("http.private", "needs http.claim: true, by which the device gets an owner")
	}
	checkListen(r, "http.listen", c.HTTP.Listen)
	for i, o := range c.HTTP.AllowedOrigins {
		checkOrigin(r, "http.allowed_origins["+strconv.Itoa(i)+"]", o)
	}
}

func checkOrigin(r *report, path, origin string) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Path+u.RawQuery+u.Fragment != "" || u.User != nil {
		r.bad(path, "%s is not an origin; write for example https://console.example.org, each one you mean, without a path", shown(redact(origin)))
	}
}

// checkListen reports what is wrong with host:port, and returns the host.
func checkListen(r *report, path, listen string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		hint := "write host:port or :port, and [address]:port for IPv6"
		if matches(`[0-9]{1,5}`, listen) {
			hint = `write ":` + listen + `"`
		}
		r.bad(path, "%s is not an address to listen on; %s", shown(listen), hint)
		return "", false
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		r.bad(path, "the port %s must be a number from 0 to 65535", shown(port))
		return "", false
	}
	return host, true
}

func (c *Config) checkFolders(r *report) {
	if c.DataDir == "" {
		r.bad("data_dir", "is empty; name a folder")
	}
	if c.CacheDir == "" {
		r.bad("cache_dir", "is empty; name a folder")
	}
	if c.DataDir != "" && c.DataDir == c.CacheDir {
		r.bad("cache_dir", "is data_dir too; the cache may be emptied at any time, so it needs a folder of its own")
	}
}

func (c *Config) checkMQTT(r *report) {
	m := c.MQTT
	checkLogin(r, "mqtt", m.Username, m.Password, m.PasswordFile)
	tls := false
	if m.URL != "" {
		u, err := m.URL.parse()
		schemes := []string{"mqtt", "mqtts", "tcp", "ssl", "tls", "ws", "wss"}
		switch {
		case !strings.Contains(string(m.URL), "://"):
			r.bad("mqtt.url", "has no scheme; write mqtt://host:1883, or mqtts://host:8883 for TLS")
		case err != nil:
			r.bad("mqtt.url", "%v", err)
		case !slices.Contains(schemes, u.Scheme):
			r.bad("mqtt.url", "a broker is not reached by %s://; write mqtt:// or, for TLS, mqtts://", shown(u.Scheme))
		default:
			tls = slices.Contains([]string{"mqtts", "ssl", "tls", "wss"}, u.Scheme)
		}
		if err == nil && !tls {
			for key, file := range map[string]Path{"ca_file": m.CAFile, "cert_file": m.CertFile, "key_file": m.KeyFile} {
				if file != "" {
					r.bad("mqtt."+key, "has no effect, because mqtt.url is not encrypted; write mqtts://")
				}
			}
		}
	}
	if (m.CertFile == "") != (m.KeyFile == "") {
		r.bad("mqtt.cert_file", "cert_file and key_file belong together; set both or none")
	}
	if m.Prefix == "" || strings.ContainsAny(m.Prefix, "+#\x00") || strings.HasPrefix(m.Prefix, "$") || strings.Contains("/"+m.Prefix+"/", "//") {
		r.bad("mqtt.prefix", "%s cannot begin topics; use words with / between them, without +, # and a leading $", shown(m.Prefix))
	}
	checkText(r, "mqtt.prefix", m.Prefix, 128)
	checkText(r, "mqtt.client_id", m.ClientID, 128)
	if m.Embedded.Listen == "" {
		return
	}
	host, ok := checkListen(r, "mqtt.embedded.listen", m.Embedded.Listen)
	if addr, err := netip.ParseAddr(host); ok && host != "localhost" && (err != nil || !addr.IsLoopback()) {
		r.bad("mqtt.embedded.listen", "%s is not loopback; the embedded broker asks for no password, so write 127.0.0.1:1883, or use a real broker", shown(m.Embedded.Listen))
	}
	if m.URL != "" {
		r.bad("mqtt.embedded.listen", "mqtt.url is set too; Perch sends to one broker, so set only one of them")
	}
}

// checkLogin checks user and password of a broker or camera.
func checkLogin(r *report, path, user string, password Secret, file Path) {
	checkText(r, path+".username", user, 256)
	if password != "" && file != "" {
		r.bad(path+".password_file", "there is a password already; set only one of password and password_file")
	}
	if user == "" && (password != "" || file != "") {
		r.bad(path+".username", "there is a password but no user; set username")
	}
}

func (c *Config) checkModels(r *report) {
	if !isModel(c.Models.Default) {
		r.bad("models.default", "%s is not the name of a model; perch model list shows them", shown(c.Models.Default))
	}
	if len(c.Models.Providers) == 0 {
		r.bad("models.providers", "is empty; write at least [cpu]")
	}
	for i, p := range c.Models.Providers {
		if slices.Index(c.Models.Providers, p) < i {
			r.bad("models.providers["+strconv.Itoa(i)+"]", "%s is here twice", p)
		}
	}
	for _, id := range sortedNames(c.Models.TensorRT) {
		if !isModel(id) {
			r.bad("models.tensorrt", "%s is not the name of a model; perch model list shows them", shown(id))
		}
		c.Models.TensorRT[id].check(r, "models.tensorrt."+id)
	}
}

// check reports what TensorRT would not do.
func (e Engine) check(r *report, path string) {
	switch {
	case e.Calibration != "" && !e.INT8:
		r.bad(path, "has a calibration table and not int8: true")
	case e.Calibration != "" && !filepath.IsAbs(e.Calibration):
		r.bad(path, "needs calibration to be an absolute path")
	case e.Workspace < 16<<20 || e.Workspace > 1<<40:
		r.bad(path, "needs workspace to be from 16 MiB to 1 TiB")
	case e.DLA < -1 || e.DLA > 15:
		r.bad(path, "needs dla to be the number of an accelerator, or -1")
	case e.DLA >= 0 && !e.FP16 && !e.INT8:
		r.bad(path, "needs fp16 or int8 for dla, which computes in nothing else")
	}
}

// isModel reports whether s can be the name of a model, which is also the name of its folder.
func isModel(s string) bool { return matches(`[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, s) }

// isElement reports whether s can be the name of a GStreamer element.
func isElement(s string) bool { return matches(`[A-Za-z][A-Za-z0-9_-]{0,63}`, s) }

func codecNames() []string { return []string{"h264", "h265", "mpeg4", "mjpeg", "vp8", "vp9"} }

func (c *Config) checkPlatform(r *report) {
	for codec, element := range c.Platform.Decoders {
		path := "platform.decoders." + codec
		if !slices.Contains(codecNames(), codec) {
			r.bad(path, "is not a codec that can be set%s; known are %s", didYouMean(codec, codecNames()), strings.Join(codecNames(), ", "))
		}
		if !isElement(element) {
			r.bad(path, "%s is not the name of a GStreamer element; gst-inspect-1.0 lists them", shown(element))
		}
	}
	if e := c.Platform.Encoder; e != "" && !isElement(e) {
		r.bad("platform.encoder", "%s is not the name of a GStreamer element; gst-inspect-1.0 lists them", shown(e))
	}
}

// matches reports whether the whole of s matches the pattern.
func matches(pattern, s string) bool {
	return regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(s) && !strings.HasSuffix(s, "\n")
}
