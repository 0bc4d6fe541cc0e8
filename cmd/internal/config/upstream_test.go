package config

import (
	"strings"
	"testing"
	"time"
)

// Each variable of Roboflow Inference, in its own notation, sets its key, and
// Perch's own variable and the environment as a whole win over the file.
func TestUpstreamVariables(t *testing.T) {
	file := "sessions: {enabled: true, ack_window: 7}\n"
	c, err := Parse("perch.yaml", []byte(file), []string{
		"WEBRTC_WORKER_ENABLED=False", "WEBRTC_REALTIME_PROCESSING=FALSE", "WEBRTC_DATA_CHANNEL_ACK_WINDOW=-3",
		"WEBRTC_DATA_CHANNEL_BUFFER_SIZE_LIMIT=1048576", "WEBRTC_DATA_CHANNEL_BUFFER_DRAINING_DELAY=0.25",
		"WEBRTC_GZIP_PREVIEW_FRAME_COMPRESSION=True", "WEBRTC_PREVIEW_FRAME_JPEG_QUALITY=55",
		"WEBRTC_MODAL_FUNCTION_TIME_LIMIT=1800", "WEBRTC_MODAL_FUNCTION_MAX_TIME_LIMIT=604800", "WEBRTC_MODAL_SHUTDOWN_RESERVE=2",
		"WEBRTC_MODAL_RESPONSE_TIMEOUT=90", "WEBRTC_MODAL_PUBLIC_STUN_SERVERS=stun:a.example.org:3478,stun:b.example.org:3478",
		"WEBRTC_MODAL_RTSP_PLACEHOLDER=demo", "WEBRTC_MODAL_RTSP_PLACEHOLDER_URL=rtsp://u:secret@cam.example.org/1",
		"ALLOW_ORIGINS=https://a.example", "ALLOW_API_KEY_FROM_HEADERS=false", "PERCH_SESSIONS_GZIP=true",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Sessions{
		AllowedOrigins: []string{"https://a.example"}, JPEGQuality: 55, Gzip: true, BufferLimit: 1 << 20,
		DrainDelay: Duration(250 * time.Millisecond), StartTimeout: Duration(90 * time.Second), TimeLimit: Duration(30 * time.Minute),
		TimeLimitMax: Duration(7 * 24 * time.Hour), ShutdownReserve: Duration(2 * time.Second),
		STUNServers:     []string{"stun:a.example.org:3478", "stun:b.example.org:3478"},
		RTSPPlaceholder: "demo", RTSPPlaceholderURL: "rtsp://u:secret@cam.example.org/1",
	}
	defaults := Defaults().Sessions
	want.MaxSessions, want.ConnectTimeout, want.Linger, want.MaxUpload = defaults.MaxSessions, defaults.ConnectTimeout, defaults.Linger, defaults.MaxUpload
	want.MaxChunks, want.UploadIdle, want.MaxPixels, want.AllowURLs, want.RTSPTimeout = defaults.MaxChunks, defaults.UploadIdle, defaults.MaxPixels, defaults.AllowURLs, defaults.RTSPTimeout
	want.AllowICEServers, want.Reconnect = defaults.AllowICEServers, defaults.Reconnect
	got, expected := values(c), values(&Config{Sessions: want})
	for path, v := range expected {
		if strings.HasPrefix(path, "sessions.") && got[path] != v {
			t.Errorf("%s is %q, want %q", path, got[path], v)
		}
	}
	if b, err := c.YAML(); err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("the written form shows the placeholder's password: %v", err)
	}
	if len(c.Notes()) != 0 {
		t.Errorf("notes: %q", c.Notes())
	}
}

// What means nothing here is said to mean nothing.
func TestIgnoredVariablesAreNamed(t *testing.T) {
	c, err := Load("", []string{"WEBRTC_MODAL_WATCHDOG_TIMEMOUT=60", "WEBRTC_SESSION_HEARTBEAT_URL=http://h", "HOME=/"})
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(c.Notes(), "\n")
	if len(c.Notes()) != 2 || !strings.Contains(notes, "WEBRTC_MODAL_WATCHDOG_TIMEMOUT has no effect: ") || !strings.Contains(notes, "WEBRTC_SESSION_HEARTBEAT_URL has no effect: ") {
		t.Errorf("notes: %q", notes)
	}
	for name := range ignoredUpstream() {
		for _, k := range schema() {
			if k.tag.Get("upstream") == name {
				t.Errorf("%s is both read and ignored", name)
			}
		}
	}
}

func TestWorkflowFolders(t *testing.T) {
	c, err := Parse("/etc/perch/perch.yaml", []byte("data_dir: /data\ncameras:\n  a: {url: 'rtsp://h', workflow: count}\n  b: {url: 'rtsp://h', workflow: wf/b.json}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.WorkflowFile(c.Cameras["a"].Workflow); got != "/data/workflows/count.json" {
		t.Errorf("a name is %s", got)
	}
	if got := c.WorkflowFile(c.Cameras["b"].Workflow); got != "/etc/perch/wf/b.json" {
		t.Errorf("a path is %s", got)
	}
	if got := c.WriteFolders(); len(got) != 1 || got[0] != "/data/workflow-files" {
		t.Errorf("may write below %q", got)
	}
	c, err = Parse("/etc/perch/perch.yaml", []byte("workflows: {dir: wf, allow_write: [out, /srv/x]}\n"), nil)
	if err != nil || c.WorkflowDir() != "/etc/perch/wf" || strings.Join(c.WriteFolders(), ",") != "/etc/perch/out,/srv/x" {
		t.Errorf("%s, %q, %v", c.WorkflowDir(), c.WriteFolders(), err)
	}
}
