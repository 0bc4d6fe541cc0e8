package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// system is a device as a maker of kits has it before the image is taken.
type system struct{ data, config, environment, units string }

func newSystem(t *testing.T) system {
	t.Helper()
	dir := t.TempDir()
	s := system{filepath.Join(dir, "elsewhere"), filepath.Join(dir, "perch.yaml"), filepath.Join(dir, "default"), filepath.Join(dir, "units")}
	for _, folder := range []string{"uploads", "workflow-files", "workflows", "models/added", "writers"} {
		if err := os.MkdirAll(filepath.Join(s.data, folder), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"perch.db", "perch.db-wal", "perch.db.schema-3", "perch.db.newer", "device-id", "claim.json", "notes.txt", "uploads/a.mp4"} {
		write(t, filepath.Join(s.data, file), "x")
	}
	if err := os.MkdirAll(filepath.Join(s.units, "perch.service.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.setUp(t, "", "")
	return s
}

// setUp writes configuration and variables anew.
func (s system) setUp(t *testing.T, yaml, environment string) {
	write(t, s.config, yaml+"\n")
	write(t, s.environment, "# of the service\nPERCH_DATA_DIR='"+s.data+"'\n"+environment+"\n")
}

// image runs perch image; PERCH_DATA_DIR of the test's own environment is not the service's.
func (s system) image(t *testing.T, args ...string) outcome {
	t.Helper()
	return finish(t, perch(t, t.Context(), t.TempDir(), append([]string{"image", "--config", s.config, "--environment", s.environment, "--units", s.units}, args...)...))
}

func TestImageNamesWhatBelongsToThisDevice(t *testing.T) {
	s := newSystem(t)
	out := s.image(t)
	if out.status != exitOK {
		t.Fatalf("%d %s", out.status, out.errOut)
	}
	var got []string
	for path := range strings.SplitSeq(strings.TrimSuffix(out.out, "\x00"), "\x00") {
		if name, ok := strings.CutPrefix(path, s.data+"/"); ok { // a Perch of this machine may have files, too
			got = append(got, name)
		}
	}
	if want := []string{"claim.json", "device-id", "perch.db", "perch.db-wal", "perch.db.newer", "perch.db.schema-3", "uploads", "workflow-files", "writers"}; !slices.Equal(got, want) {
		t.Errorf("it names %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(s.data, "perch.db")); err != nil {
		t.Errorf("asking has removed something: %v", err)
	}
	other := t.TempDir()
	s.setUp(t, "workflows: {allow_write: ["+other+", "+filepath.Join(s.data, "uploads", "a.mp4")+"]}", "")
	if out := s.image(t); out.status != exitOK || out.errOut != "perch: "+other+" stays, where workflows may write\n" {
		t.Errorf("folders elsewhere: %d %s", out.status, out.errOut)
	}
}

func TestImageRefusesWhatEveryCopyWouldHave(t *testing.T) {
	s := newSystem(t)
	password := write(t, filepath.Join(t.TempDir(), "password"), "hunter2\n")
	for what, c := range map[string]struct{ yaml, environment, says string }{
		"quoted id":          {"device:\n  id: \"kit\"", "", "perch.yaml:2:7: device.id"},
		"password in quotes": {"mqtt: {url: \"mqtt://b\", username: u, password: \"hunter2\"}", "", "mqtt.password: is a credential"},
		"URL":                {"mqtt:\n  url: mqtt://u:hunter2@b", "", "perch.yaml:2:8: mqtt.url: has a user or password in it"},
		"in one line":        {"cameras: {door: {url: \"rtsp://a:hunter2@192.0.2.1/\"}}", "", "cameras.door.url: has a user"},
		"password file":      {"mqtt: {url: \"mqtt://b\", username: u, password_file: " + password + "}", "", "mqtt.password_file: leads to a password"},
		"variable":           {"", "PERCH_DEVICE_ID=kit", "PERCH_DEVICE_ID: device.id"},
		"quoted variable":    {"", "PERCH_MQTT_URL=\"mqtt://u:hunter2@b\"", "PERCH_MQTT_URL: mqtt.url"},
	} {
		s.setUp(t, c.yaml, c.environment)
		out := s.image(t)
		if out.status != exitBadInput || out.out != "" || !strings.Contains(out.errOut, c.says) {
			t.Errorf("%s: %d %q %s", what, out.status, out.out, out.errOut)
		}
		absent(t, "hunter2", s.units, out.out, out.errOut)
	}
	s.setUp(t, "devise: {}", "")
	if out := s.image(t); out.status != exitConfig || out.out != "" {
		t.Errorf("a configuration that nobody can read: %d %q", out.status, out.out)
	}
}

func TestImageRefusesOverridesOfTheUnit(t *testing.T) {
	s := newSystem(t)
	file := filepath.Join(s.units, "perch.service.d", "override.conf")
	for text, status := range map[string]int{
		"[Service]\nNice=5\nEnvironment=GST_DEBUG=2\n# Environment=PERCH_DEVICE_ID=kit\nExecStart=\n": exitOK,
		"[Service]\nEnvironment=A=b \\\n  PERCH_DEVICE_ID=kit\n":                                      exitBadInput,
		"[Service]\nEnvironmentFile=/etc/kit\n":                                                       exitBadInput,
		"[Service]\nExecStart=/usr/bin/perch run --config /etc/kit.yaml\n":                            exitBadInput,
	} {
		write(t, file, text)
		if out := s.image(t); out.status != status || status != exitOK && !strings.Contains(out.errOut, file+":") {
			t.Errorf("%s\n%d %s", text, out.status, out.errOut)
		}
	}
}

func TestImageWhoseCopiesAskForAnOwner(t *testing.T) {
	s := newSystem(t)
	if out := s.image(t, "--claim"); out.status != exitBadInput || !strings.Contains(out.errOut, "http.claim is false") {
		t.Errorf("%d %s", out.status, out.errOut)
	}
	for _, c := range []struct{ yaml, environment string }{{"http: {claim: true}", ""}, {"http: {claim: false}", "PERCH_HTTP_CLAIM=true"}} {
		s.setUp(t, c.yaml, c.environment)
		if out := s.image(t, "--claim"); out.status != exitOK {
			t.Errorf("%+v: %d %s", c, out.status, out.errOut)
		}
	}
}
