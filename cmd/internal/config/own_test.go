package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// owned loads a configuration and returns what Own says of it.
func owned(t *testing.T, text string, environ ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "perch.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, environ)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range c.Own() {
		lines = append(lines, strings.TrimPrefix(p.String(), file+":"))
	}
	return strings.Join(lines, "\n")
}

func TestOwn(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"": "",
		"device: {name: kit}\nmqtt: {url: \"mqtt://broker\", prefix: site}\nhttp: {claim: true}\ncameras: {door: {url: \"rtsp://192.0.2.1/stream?channel=1\"}}": "",
		"device:\n  id: \"kit\"\n":                                                                                      "2:7: device.id: is the name of one device",
		"mqtt: {url: \"mqtt://u:hunter2@broker\"}":                                                                      "1:13: mqtt.url: has a user or password in it",
		"mqtt: {url: \"mqtt://broker\", username: u, password: 'hunter2', client_id: one}":                              "username: is a login\npassword: is a credential\nclient_id: is the name",
		"cameras: {door: {url: \"rtsp://192.0.2.1/user=a_password=hunter2_x=1\"}}":                                      "cameras.door.url: has a credential in it",
		"cameras: {door: {url: \"rtsp://192.0.2.1/\", username: u, password_file: " + secret + "}}":                     "cameras.door.username: is a login\ncameras.door.password_file: leads to a password",
		"sessions: {rtsp_placeholder: x, rtsp_placeholder_url: \"rtsp://u:hunter2@192.0.2.1/\"}":                        "sessions.rtsp_placeholder_url: has a credential in it",
		"cameras: {door: {url: \"rtsp://192.0.2.1/\", workflow: w, workflow_parameters: {slack_token: hunter2, n: 1}}}": "cameras.door.workflow_parameters.slack_token: is a credential",
	} {
		got := owned(t, text)
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s\nshows the credential: %s", text, got)
		}
		lines := strings.Split(want, "\n")
		if (want == "") != (got == "") || want != "" && strings.Count(got, "\n") != len(lines)-1 {
			t.Errorf("%s\ngives %q, want %q", text, got, want)
		}
		for _, line := range lines {
			if !strings.Contains(got, line) {
				t.Errorf("%s\ngives %q, want %q", text, got, line)
			}
		}
	}
	if got := owned(t, "", "PERCH_DEVICE_ID=kit", "PERCH_SMTP_HOST=mail", "PERCH_SMTP_FROM=a@example.org", "PERCH_SMTP_USERNAME=u", "PERCH_SMTP_PASSWORD=hunter2"); got !=
		"PERCH_DEVICE_ID: device.id: is the name of one device\nPERCH_SMTP_USERNAME: smtp.username: is a login\nPERCH_SMTP_PASSWORD: smtp.password: is a credential" {
		t.Errorf("of the environment: %q", got)
	}
}

// A key that is added later, and sounds like a name or a credential, says what it is.
func TestEveryKeyThatSoundsOwnIs(t *testing.T) {
	sounds := regexp.MustCompile(`(^|[._])(id|user|username|pass(word)?|password_file|key_file|secret|token|client_id|api_key)$`)
	found := 0
	for _, k := range schema() {
		if !sounds.MatchString(k.pattern()) {
			continue
		}
		found++
		if _, tagged := k.tag.Lookup("own"); !tagged && fmt.Sprint(k.typ) != "config.Secret" {
			t.Errorf("%s is neither a Secret nor tagged own", k.pattern())
		}
	}
	if found < 12 {
		t.Errorf("only %d keys sound so: has the test gone blind?", found)
	}
}
