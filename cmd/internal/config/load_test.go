package config

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

var update = flag.Bool("update", false, "write REFERENCE.md instead of comparing it")

const shipped, sample = "../../../packaging/perch.yaml", "../../../packaging/sample/perch.yaml"

func TestShippedFileSaysTheDefaults(t *testing.T) {
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(shipped, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := Defaults(); !reflect.DeepEqual(values(got), values(want)) {
		t.Errorf("as shipped:\n%v\nwant the defaults:\n%v", values(got), values(want))
	}

	// Every line that is commented out must say what holds without it.
	open := regexp.MustCompile(`(?m)^( *)#([a-z0-9_]+:)`).ReplaceAll(data, []byte("$1$2"))
	got, err = Parse("perch.yaml", open, nil)
	if err != nil {
		t.Fatalf("with every comment taken away: %v", err)
	}
	for _, k := range schema() {
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(k.pattern()), `\*`, `[a-z0-9]+`) + "$")
		paths := slices.DeleteFunc(keysOf(got.origin), func(p string) bool { return !pattern.MatchString(p) })
		if len(paths) == 0 && k.pattern() != "platform.decoders.*" {
			t.Errorf("%s is not in the shipped file", k.pattern())
		}
		for _, p := range paths {
			if k.pattern() == "cameras.*.url" || k.pattern() == "cameras.*.username" {
				continue // an example, not the default
			}
			want := reflect.New(k.typ).Elem()
			if isGroup(k.typ) {
				want.Set(reflect.MakeMap(k.typ))
			} else if err := setAny(want, k.tag.Get("default")); err != nil && k.tag.Get("default") != "" {
				t.Fatal(err)
			}
			if v := values(got)[p]; v != text(want) {
				t.Errorf("%s: the shipped file says %q, the default is %q", p, v, text(want))
			}
		}
	}
}

func keysOf(m map[string]origin) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// values is every value of c by path, with credentials revealed.
func values(c *Config) map[string]string {
	m := map[string]string{}
	walkValues("", reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value, _ reflect.StructTag) { m[path] = text(v) })
	return m
}

// text is v as setAny reads it.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Secret:
		return x.Reveal()
	case URL:
		return x.Reveal()
	case Duration:
		return x.String()
	case ByteSize:
		return x.String()
	case []string:
		return strings.Join(x, ",")
	case []Path:
		var list []string
		for _, p := range x {
			list = append(list, string(p))
		}
		return strings.Join(list, ",")
	}
	if isGroup(v.Type()) {
		b, err := json.Marshal(v.Interface())
		if err != nil {
			panic(err)
		}
		return strings.ReplaceAll(string(b), "null", "{}")
	}
	b, err := EncodeYAML(v.Interface())
	if err != nil {
		panic(err)
	}
	return strings.Trim(strings.TrimSpace(string(b)), `"`)
}

func TestSampleOfMakeRun(t *testing.T) {
	c, err := Load(sample, []string{"PERCH_DATA_DIR=/tmp/here", "PERCH_CAMERAS_SAMPLE_URL=/tmp/clip.mp4", "PERCH_TEST_DATA=x"})
	if err != nil {
		t.Fatal(err)
	}
	cam := c.Cameras["sample"]
	if cam == nil || cam.URL.Reveal() != "/tmp/clip.mp4" || !cam.Loop || cam.Confidence != 0.5 || !cam.Enabled {
		t.Errorf("camera: %+v", cam)
	}
	folder, _ := filepath.Abs(filepath.Dir(sample))
	if c.DataDir != "/tmp/here" || string(c.CacheDir) != filepath.Join(folder, "cache") {
		t.Errorf("data_dir %s, cache_dir %s", c.DataDir, c.CacheDir)
	}
	if c.HTTP.Listen != "127.0.0.1:8080" || c.MQTT.Embedded.Listen != "127.0.0.1:1883" {
		t.Errorf("http %s, broker %s", c.HTTP.Listen, c.MQTT.Embedded.Listen)
	}
}

func TestReference(t *testing.T) {
	if *update {
		if err := os.WriteFile("REFERENCE.md", []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("REFERENCE.md")
	if err != nil {
		t.Fatal(err)
	}
	if Reference() != string(want) {
		t.Error("REFERENCE.md does not say what the code does; run: go test ./cmd/internal/config -run TestReference -update")
	}
	for _, k := range schema() {
		if doc := k.tag.Get("doc"); !strings.HasSuffix(doc, ".") {
			t.Errorf("%s is not explained: %q", k.pattern(), doc)
		}
		if (k.tag.Get("min") == "") != (k.tag.Get("max") == "") {
			t.Errorf("%s has only one bound", k.pattern())
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Symlink(filepath.Join(dir, "gone.yaml"), filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		kind pipeline.Kind
		says string
	}{
		{filepath.Join(dir, "none.yaml"), pipeline.NotFound, "--config"},
		{filepath.Join(dir, "link.yaml"), pipeline.NotFound, "symbolic link to " + dir + "/gone.yaml"},
		{dir, pipeline.BadConfig, "is a folder"},
		{write("large.yaml", strings.Repeat("#", MaxFileSize+1), 0o644), pipeline.BadConfig, "larger than 1 MiB"},
		{write("binary.yaml", "\x7fELF\x02\x01\x00\x00", 0o644), pipeline.BadConfig, "binary.yaml"},
	}
	if os.Getuid() != 0 { // root may read everything
		tests = append(tests, struct {
			path string
			kind pipeline.Kind
			says string
		}{write("mine.yaml", "", 0), pipeline.BadConfig, "sudo -u perch"})
	}
	for _, tt := range tests {
		c, err := Load(tt.path, nil)
		if c != nil || pipeline.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v (%v), want %q (%v)", tt.path, err, pipeline.KindOf(err), tt.says, tt.kind)
		}
	}
}

func TestPasswordFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pw", "hunter2\nsecond line\n")
	write("empty", "\n")
	write("perch.yaml", "mqtt: {url: 'mqtts://b', username: u, password_file: pw}\n"+
		"cameras:\n  a: {url: 'rtsp://h', username: v, password_file: pw}\n")
	path := filepath.Join(dir, "perch.yaml")
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u, p := c.MQTT.Credentials(); u != "u" || p.Reveal() != "hunter2" {
		t.Errorf("broker: %s", u)
	}
	if u, p := c.Cameras["a"].Credentials(); u != "v" || p.Reveal() != "hunter2" {
		t.Errorf("camera: %s", u)
	}
	if out, err := c.YAML(); err != nil || strings.Contains(string(out), "hunter2") {
		t.Errorf("printed: %s, %v", out, err)
	}
	_, err = Load(path, []string{"PERCH_MQTT_PASSWORD_FILE=" + dir + "/empty", "PERCH_CAMERAS_A_PASSWORD_FILE=" + dir + "/none"})
	for _, want := range []string{"PERCH_MQTT_PASSWORD_FILE: mqtt.password_file", "first line is empty", "PERCH_CAMERAS_A_PASSWORD_FILE: cameras.a.password_file", "no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestEveryField sets every field to something that is not its default, by the
// file and by the environment, writes the configuration and reads it back.
func TestEveryField(t *testing.T) {
	special := map[string]string{
		"device.id": "dev-1", "http.listen": "127.0.0.1:81", "http.allowed_origins": "https://a.example,https://b.example:8443",
		"mqtt.url": "mqtts://broker.example:8883", "models.default": "other", "platform.decoders.h264": "openh264dec", "platform.encoder": "x264enc",
		"webrtc.addresses": "192.0.2.1,2001:db8::1", "cameras.front-door.url": "rtsp://192.0.2.7:554/s1", "cameras.front-door.decoder": "avdec_h264",
		"models.providers": "cpu,cuda", "workflows.allow_write": "/other/a,/other/b", "smtp.host": "mail.example.org", "smtp.from": "perch@example.org",
		"sessions.allowed_origins": "https://a.example,*", "sessions.stun_servers": "stun:stun.example.org:3478,stun:192.0.2.9",
		"sessions.allow_urls": "public,192.0.2.0/24,cam.example.org:554", "sessions.allow_ice_servers": "private,127.0.0.1:3478", "sessions.shutdown_reserve": "0s", "sessions.rtsp_placeholder_url": "rtsp://192.0.2.8/s",
	}
	// These exclude others and get a configuration of their own.
	apart := []string{"mqtt.password_file", "mqtt.embedded.listen", "cameras.front-door.password_file", "smtp.password_file",
		"sessions.offline", "cameras.front-door.workflow", "cameras.front-door.workflow_parameters",
		"cameras.front-door.loop", "cameras.front-door.width", "cameras.front-door.height", "cameras.front-door.fps"}
	var environ []string
	want := values(Defaults())
	for _, k := range schema() {
		path := strings.ReplaceAll(strings.ReplaceAll(k.pattern(), "cameras.*", "cameras.front-door"), "*", "h264")
		if slices.Contains(apart, path) {
			continue
		}
		value, ok := special[path]
		if !ok {
			value = other(t, k)
		}
		want[path] = value
		environ = append(environ, variable(strings.Split(path, ".")...)+"="+value)
	}
	for _, p := range apart {
		if strings.HasPrefix(p, "cameras.") {
			want[p] = values(&Config{Cameras: map[string]*Camera{"front-door": newCamera()}})[p]
		}
	}
	// The file names the camera: from a variable alone it would be front_door.
	byEnv, err := Parse("perch.yaml", []byte("cameras:\n  front-door:\n"), environ)
	if err != nil {
		t.Fatal(err)
	}
	compareValues(t, "from the environment", values(byEnv), want)

	written, err := byEnv.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{want["mqtt.password"], want["cameras.front-door.password"]} {
		if strings.Contains(string(written), secret) {
			t.Errorf("the written form shows %q", secret)
		}
	}
	if _, err := Parse("written.yaml", written, nil); err == nil || !strings.Contains(err.Error(), "which stands where Perch has hidden") {
		t.Errorf("hidden passwords were read as passwords: %v", err)
	}
	again, err := Parse("written.yaml", []byte(revealed(byEnv, string(written))), nil)
	if err != nil {
		t.Fatal(err)
	}
	compareValues(t, "written and read back", values(again), want)
}

// revealed puts the passwords back where *** stands.
func revealed(c *Config, written string) string {
	mqtt, rest, _ := strings.Cut(written, "smtp:")
	smtp, cams, _ := strings.Cut(rest, "cameras:")
	put := func(s string, p Secret) string {
		return regexp.MustCompile(`password: .*\*\*\*.*`).ReplaceAllString(s, "password: "+p.Reveal())
	}
	return put(mqtt, c.MQTT.Password) + "smtp:" + put(smtp, c.SMTP.Password) + "cameras:" + put(cams, c.Cameras["front-door"].Password)
}

func compareValues(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for path, w := range want {
		if got[path] != w {
			t.Errorf("%s: %s = %q, want %q", what, path, got[path], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
	}
}

// other returns a valid value of k that is not its default.
func other(t *testing.T, k key) string {
	t.Helper()
	def := k.tag.Get("default")
	if choices, ok := k.tag.Lookup("enum"); ok {
		for c := range strings.SplitSeq(choices, "|") {
			if c != def && k.typ.Kind() == reflect.String {
				return c
			}
		}
	}
	switch {
	case k.typ == reflect.TypeFor[Zones]():
		return `{"a":[[0,0],[9.5,0],[9.5,8]]}`
	case k.typ == reflect.TypeFor[Lines]():
		return `{"b-1":[[0,5],[640,5]]}`
	case k.typ == reflect.TypeFor[Names]():
		return `{"coco/3":"nanodet-416","yolov8n-640":"other"}`
	case k.typ == reflect.TypeFor[Engines]():
		return `{"nanodet-416":{"fp16":false,"int8":true,"calibration":"/t","workspace":"2 GiB","dla":1}}`
	case k.typ == reflect.TypeFor[Parameters]():
		return `{"limit":5,"names":["a",true,0.5]}`
	case k.typ == reflect.TypeFor[[]Path]():
		return "/one,/two"
	case k.typ == reflect.TypeFor[Path]():
		return "/other/" + k.path[len(k.path)-1]
	case k.typ == reflect.TypeFor[Duration]():
		return map[bool]string{true: "7d", false: "1.5s"}[def == "30d"]
	case k.typ == reflect.TypeFor[ByteSize]():
		return "96 MiB"
	case k.typ.Kind() == reflect.Bool:
		return map[bool]string{true: "false", false: "true"}[def == "true"]
	case k.typ.Kind() == reflect.Int:
		return k.tag.Get("max")
	case k.typ.Kind() == reflect.Float64:
		return k.tag.Get("min") + ".25"
	case k.typ.Kind() == reflect.Slice:
		return "one,two"
	case k.typ == reflect.TypeFor[Secret]():
		return "pw-of-" + k.path[0]
	}
	return "other-" + k.path[len(k.path)-1]
}

func TestNothingButDefaults(t *testing.T) {
	for _, data := range []string{"", "# nothing\n", "mqtt:\ncameras:\nstorage: ~\n", "\ufeffhttp: {}\n", "---\n"} {
		c, err := Parse("perch.yaml", []byte(data), nil)
		if err != nil {
			t.Errorf("%q: %v", data, err)
			continue
		}
		compareValues(t, data, values(c), values(Defaults()))
	}
	c, err := Load("", []string{"HOME=/", "PERCH_ORT_LIB=/lib/ort.so", "PERCH_TEST_X=1"})
	if err != nil || c.Models.Library != "/lib/ort.so" || c.Storage.MaxAge != Duration(30*24*time.Hour) {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = Load("", []string{"PERCH_MODELS_ONNXRUNTIME=/a.so", "PERCH_ORT_LIB=/b.so"})
	if err != nil || c.Models.Library != "/a.so" {
		t.Errorf("the real name does not win: %+v, %v", c, err)
	}
}

func TestValidateAgain(t *testing.T) {
	c, err := Parse("perch.yaml", []byte("preview:\n  fps: 10\n"), nil)
	if err != nil || c.Validate() != nil {
		t.Fatal(err)
	}
	c.Preview.FPS = 500
	invalid, ok := errors.AsType[*Invalid](c.Validate())
	if !ok || len(invalid.Problems) != 1 || invalid.Problems[0].Line != 2 {
		t.Errorf("%v", c.Validate())
	}
	if err := new(Config).Validate(); err == nil {
		t.Error("an empty Config is valid")
	}
}
