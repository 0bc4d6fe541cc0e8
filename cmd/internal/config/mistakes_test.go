package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"perch/pipeline"
)

// TestMistakes has a file, and every problem that must be found in it: where,
// at which path, and some of its words.
func TestMistakes(t *testing.T) {
	tests := []struct {
		name, file string
		environ    []string
		want       []string // "line:column path: words" or "VARIABLE path: words"
	}{
		{
			name: "sessions",
			file: "sessions:\n" +
				"  allowed_origins: ['*', 'console.example.org']\n" +
				"  stun_servers: ['stun:a.example.org:3478', 'turn:b.example.org', 'stun:c.example.org:0']\n" +
				"  allow_urls: [private, 10.0.0.1/8, 'cam.example.org:554', '2130706433', 0x7f.1]\n" +
				"  time_limit: 8d\n" +
				"  shutdown_reserve: 1m\n" +
				"  jpeg_quality: 101\n" +
				"  rtsp_placeholder: demo\n" +
				"  allow_ice_servers: [stun.example.org, 'stun:a.example.org:3478']\n",
			want: []string{
				`2:26 sessions.allowed_origins[1]: "console.example.org" is not an origin`,
				`3:45 sessions.stun_servers[1]: "turn:b.example.org" is not a STUN server; write stun:host:port`,
				`3:67 sessions.stun_servers[2]: "stun:c.example.org:0" is not a STUN server`,
				`4:25 sessions.allow_urls[1]: "10.0.0.1/8" has bits set beyond its length; write 10.0.0.0/8`,
				`4:60 sessions.allow_urls[3]: "2130706433" is not an address`,
				`4:74 sessions.allow_urls[4]: "0x7f.1" is not an address`,
				`5:15 sessions.time_limit: 8d is longer than sessions.time_limit_max, which is 7d`,
				`7:17 sessions.jpeg_quality: 101 is out of range; it may be from 1 to 100`,
				`8:21 sessions.rtsp_placeholder: rtsp_placeholder and rtsp_placeholder_url belong together`,
				`9:41 sessions.allow_ice_servers[1]: "stun:a.example.org:3478" is not an address`,
			},
		},
		{
			name: "a credential where none may be",
			file: "sessions:\n" +
				"  stun_servers: ['turn:u:hunter2@192.0.2.1:3478', 'STUNS:u:hunt@er2@192.0.2.1']\n" +
				"  allow_ice_servers: ['turn:u:hunter2@192.0.2.1:3478']\n",
			want: []string{
				`2:18 sessions.stun_servers[0]: "turn:***@192.0.2.1:3478" is not a STUN server`,
				`2:51 sessions.stun_servers[1]: "STUNS:***@192.0.2.1" is not a STUN server`,
				`3:23 sessions.allow_ice_servers[0]: "turn:***@192.0.2.1:3478" is not an address`,
			},
		},
		{
			name: "sessions, one against the other",
			file: "sessions:\n" +
				"  time_limit: 10s\n" +
				"  shutdown_reserve: 10s\n" +
				"  offline: true\n" +
				"  stun_servers: ['stun:a.example.org']\n" +
				"  rtsp_placeholder: demo\n" +
				"  rtsp_placeholder_url: http://u:secret@cam.example.org/\n",
			want: []string{
				"3:21 sessions.shutdown_reserve: 10s leaves nothing of sessions.time_limit",
				"5:3 sessions.stun_servers: has no effect, because sessions.offline is true",
				"7:25 sessions.rtsp_placeholder_url: must begin with rtsp:// or rtsps://",
			},
		},
		{
			name: "a placeholder that was hidden",
			file: "sessions: {rtsp_placeholder: demo, rtsp_placeholder_url: 'rtsp://***@cam.example.org/'}\n",
			want: []string{
				"1:58 sessions.rtsp_placeholder_url: is ***, which stands where Perch has hidden a credential",
			},
		},
		{
			name:    "upstream's variables",
			file:    "sessions: {ack_window: 4}\n",
			environ: []string{"WEBRTC_WORKER_ENABLED=yes", "WEBRTC_MODAL_FUNCTION_TIME_LIMIT=1h", "WEBRTC_DATA_CHANNEL_ACK_WINDOW=many", "WEBRTC_MODAL_RTSP_PLACEHOLDER=demo", "ALLOW_ORIGINS=*,x"},
			want: []string{
				`ALLOW_ORIGINS sessions.allowed_origins[1]: "x" is not an origin`,
				`WEBRTC_DATA_CHANNEL_ACK_WINDOW sessions.ack_window: "many" is not a whole number`,
				`WEBRTC_MODAL_FUNCTION_TIME_LIMIT sessions.time_limit: "1h" is not a number of seconds`,
				`WEBRTC_MODAL_RTSP_PLACEHOLDER sessions.rtsp_placeholder: rtsp_placeholder and rtsp_placeholder_url belong together`,
				`WEBRTC_WORKER_ENABLED sessions.enabled: "yes" is neither true nor false`,
			},
		},
		{
			name:    "upstream's variables against ours",
			environ: []string{"WEBRTC_WORKER_ENABLED=FALSE", "PERCH_SESSIONS_ENABLED=true", "OFFLINE_MODE=True", "PERCH_SESSIONS_OFFLINE=true"},
			want: []string{
				"WEBRTC_WORKER_ENABLED sessions.enabled: says something else than PERCH_SESSIONS_ENABLED; unset one of them",
			},
		},
		{
			name: "workflows and mail",
			file: "workflows:\n" +
				"  allow_write: [/, '']\n" +
				"  models:\n" +
				"    yolov8n-640: a/b\n" +
				"    coco/3:\n" +
				"smtp:\n" +
				"  username: u\n" +
				"  port: 0\n",
			want: []string{
				"2:17 workflows.allow_write[0]: is the whole machine",
				"2:20 workflows.allow_write[1]: is empty",
				`4:18 workflows.models.yolov8n-640: "a/b" is not the name of a model`,
				`5:5 workflows.models.coco/3: "" is not the name of a model`,
				"7:13 smtp.username: has no effect, because smtp.host is empty",
				"8:9 smtp.port: 0 is out of range",
				"8:9 smtp.port: has no effect, because smtp.host is empty",
			},
		},
		{
			name: "mail without a sender",
			file: "smtp: {host: 'mail.example.org:25', password: p}\n",
			want: []string{
				`1:14 smtp.host: "mail.example.org:25" is not the name or address of a host`,
				"1:1 smtp.from: is missing",
				"1:1 smtp.username: there is a password but no user",
			},
		},
		{
			name: "a camera's workflow",
			file: "cameras:\n" +
				"  door:\n" +
				"    url: rtsp://h\n" +
				"    workflow: count people\n" +
				"    model: other\n" +
				"    track: false\n" +
				"    zones: {yard: [[0, 0], [1, 0], [1, 1]]}\n" +
				"  yard:\n" +
				"    url: rtsp://h\n" +
				"    workflow_parameters: {limit: 5, token: '***'}\n" +
				"    zones:\n" +
				"      in front: [[0, 0], [1, 0], [1, 1]]\n" +
				"      two: [[0, 0], [1, 0]]\n" +
				"      far: [[0, 0], [1, 0], [-1, 20000]]\n" +
				"      odd: [[0, 0], [1], [x, 2]]\n" +
				"    lines:\n" +
				"      gate: [[1, 2], [1, 2]]\n" +
				"      bent: [[1, 2], [1, 3], [4, 5]]\n",
			want: []string{
				`4:15 cameras.door.workflow: "count people" is neither a workflow's name nor the path`,
				"5:12 cameras.door.model: has no effect, because workflow is set",
				"6:12 cameras.door.track: has no effect",
				"7:5 cameras.door.zones: has no effect",
				"10:5 cameras.yard.workflow_parameters: has no effect, because workflow is not set",
				"10:44 cameras.yard.workflow_parameters.token: is ***, which stands where Perch has hidden a credential",
				`12:7 cameras.yard.zones.in front: "in front" stands in topics`,
				"13:7 cameras.yard.zones.two: has 2 corners; a zone has 3 to 256",
				"14:29 cameras.yard.zones.far[2]: lies outside of every picture",
				"15:21 cameras.yard.zones.odd[1]: has 1 values, but must have 2",
				`15:27 cameras.yard.zones.odd[2][0]: "x" is not a number`,
				"17:7 cameras.yard.lines.gate: begins where it ends",
				"18:13 cameras.yard.lines.bent: has 3 values, but must have 2",
			},
		},
		{
			name: "tab",
			file: "http:\n" +
				"\tlisten: ':80'\n",
			want: []string{
				"2:1 : there is a tab in the indentation",
			},
		},
		{
			name: "tab after blanks",
			file: "mqtt:\n" +
				"  prefix: a\n" +
				"  \tusername: b\n",
			want: []string{
				"3:3 : there is a tab",
			},
		},
		{
			name: "tab first",
			file: "\thttp:\n",
			want: []string{
				"1:1 : there is a tab",
			},
		},
		{
			name: "unknown key",
			file: "http:\n" +
				"  listn: ':80'\n",
			want: []string{
				"2:3 http.listn: is not a known key; did you mean listen?",
			},
		},
		{
			name: "swapped letters",
			file: "cameras:\n" +
				"  door:\n" +
				"    ulr: rtsp://h\n" +
				"    url: rtsp://h\n",
			want: []string{
				"3:5 cameras.door.ulr: did you mean url?",
			},
		},
		{
			name: "hyphen",
			file: "data-dir: /x\n",
			want: []string{
				"1:1 data-dir: did you mean data_dir?",
			},
		},
		{
			name: "wrong group",
			file: "listen: ':80'\n" +
				"prefix: x\n",
			want: []string{
				"1:1 listen: listen belongs under http",
				"2:1 prefix: prefix belongs under mqtt",
			},
		},
		{
			name: "no idea",
			file: "zzzzzzzz: 1\n",
			want: []string{
				"1:1 zzzzzzzz: known here are cache_dir, cameras, data_dir",
			},
		},
		{
			name: "two cameras of one name",
			file: "cameras:\n" +
				"  door: {url: 'test://'}\n" +
				"  desk: {url: 'test://'}\n" +
				"  door: {url: 'csi://0'}\n",
			want: []string{
				"4:3 cameras.door: is here a second time; it was on line 2 before",
			},
		},
		{
			name: "key twice",
			file: "log:\n" +
				"  level: info\n" +
				"  level: warn\n",
			want: []string{
				"3:3 log.level: is here a second time; it was on line 2",
			},
		},
		{
			name: "group twice",
			file: "log:\n" +
				"  level: info\n" +
				"http:\n" +
				"log:\n" +
				"  format: json\n",
			want: []string{
				"4:1 log: second time; it was on line 1",
			},
		},
		{
			name: "types",
			file: "http: 8080\n" +
				"preview:\n" +
				"  fps: fast\n" +
				"  max_width: 12.5\n" +
				"  bitrate: 99999999999999999999\n" +
				"models:\n" +
				"  strict: yes\n" +
				"  providers: cuda\n" +
				"mqtt:\n" +
				"  prefix: [a]\n",
			want: []string{
				"1:7 http: is a single value, but must be a group of keys",
				`3:8 preview.fps: "fast" is not a number`,
				`4:14 preview.max_width: "12.5" is not a whole number`,
				`5:12 preview.bitrate: "99999999999999999999" is too large`,
				`7:11 models.strict: "yes" is neither true nor false`,
				"8:14 models.providers: is a single value, but must be a list; write [value]",
				"10:11 mqtt.prefix: is a list, but must be text",
			},
		},
		{
			name: "not a mapping",
			file: "- a\n" +
				"- b\n",
			want: []string{
				"1:1 : is a list, but must be a group of keys",
			},
		},
		{
			name: "durations and sizes",
			file: "storage:\n" +
				"  max_age: 30 days\n" +
				"  max_size: lots\n" +
				"  commit_interval: 1h\n",
			want: []string{
				`2:12 storage.max_age: "30 days" is not a duration; write for example`,
				`3:13 storage.max_size: "lots" is not a size`,
				"4:20 storage.commit_interval: 1h is out of range; it may be from 10ms to 10s",
			},
		},
		{
			name: "ranges",
			file: "preview: {fps: 0, max_width: 100, max_viewers: 1000}\n" +
				"webrtc: {udp_port: 70000}\n" +
				"models: {threads: -1}\n" +
				"cameras:\n" +
				"  a: {url: 'test://', confidence: 1.5, stall_after: 1ms}\n",
			want: []string{
				"1:16 preview.fps: 0 is out of range; it may be from 1 to 60",
				"1:30 preview.max_width: 100 is out",
				"1:48 preview.max_viewers: 1000 is out",
				"2:20 webrtc.udp_port: 70000",
				"3:19 models.threads: -1",
				"5:35 cameras.a.confidence: 1.5 is out of range; it may be from 0 to 1",
				"5:53 cameras.a.stall_after: 1ms",
			},
		},
		{
			name: "frame rates",
			file: "cameras:\n" +
				"  a: {url: 'rtsp://h', max_fps: -1}\n" +
				"  b: {url: 'rtsp://h', max_fps: .nan}\n" +
				"  c: {url: 'rtsp://h', max_fps: 0.001}\n" +
				"  d: {url: 'rtsp://h', max_fps: 1e9}\n" +
				"  e: {url: 'rtsp://h', max_fps: 5 fps}\n" +
				"  f: {url: 'rtsp://h', max_fps: 0.01}\n" +
				"  g: {url: clip.mp4, loop: true, max_fps: 0.5}\n",
			environ: []string{"PERCH_CAMERAS_G_MAX_FPS=NaN"},
			want: []string{
				"2:33 cameras.a.max_fps: -1 is out of range; it may be from 0 to 240",
				`3:33 cameras.b.max_fps: ".nan" is not a number`,
				"4:33 cameras.c.max_fps: 0.001 is out of range; it may be from 0.01 to 240, or 0 for every picture",
				"5:33 cameras.d.max_fps: 1e+09 is out of range; it may be from 0 to 240",
				`6:33 cameras.e.max_fps: "5 fps" is not a number`,
				`PERCH_CAMERAS_G_MAX_FPS cameras.g.max_fps: "NaN" is not a number`,
			},
		},
		{
			name: "choices",
			file: "log:\n" +
				"  level: wran\n" +
				"models:\n" +
				"  providers: [cuda, cup]\n" +
				"platform: {name: jetsn}\n",
			want: []string{
				`2:10 log.level: "wran" is not one of debug, info, warn, error; did you mean warn?`,
				`4:21 models.providers[1]: "cup" is not one of tensorrt, cuda, cpu, rehearsal; did you mean cpu?`,
				"5:18 platform.name: did you mean jetson?",
			},
		},
		{
			name: "engines",
			file: "models:\n" +
				"  tensorrt:\n" +
				"    a: {calibration: /t}\n" +
				"    b: {int8: true, calibration: t}\n" +
				"    c: {workspace: 1 MiB}\n" +
				"    d: {dla: 16}\n" +
				"    e: {dla: 0, fp16: false}\n" +
				"    '../f': {}\n" +
				"    g: {dla: 0, workspace: 2 GiB}\n",
			want: []string{
				"3:5 models.tensorrt.a: has a calibration table and not int8",
				"4:5 models.tensorrt.b: needs calibration to be an absolute path",
				"5:5 models.tensorrt.c: needs workspace to be from 16 MiB to 1 TiB",
				"6:5 models.tensorrt.d: needs dla",
				"7:5 models.tensorrt.e: needs fp16 or int8",
				`2:3 models.tensorrt: "../f" is not the name of a model`,
			},
		},
		{
			name: "http",
			file: "http:\n" +
				"  listen: 8080\n" +
				"  allowed_origins: ['*', 'https://ok.example', 'https://u:hunter2@bad.example/x']\n" +
				"  private: true\n",
			want: []string{
				`2:11 http.listen: write ":8080"`,
				`3:21 http.allowed_origins[0]: "*" is not an origin`,
				"3:48 http.allowed_origins[2]: is not an origin",
				"4:12 http.private: needs http.claim: true",
			},
		},
		{
			name: "folders",
			file: "data_dir: /x\n" +
				"cache_dir: /x\n",
			want: []string{
				"2:12 cache_dir: is data_dir too",
			},
		},
		{
			name: "broker",
			file: "mqtt:\n" +
				"  url: broker.example\n" +
				"  username: u\n" +
				"  password: a\n" +
				"  password_file: /b\n" +
				"  prefix: a/#\n" +
				"  cert_file: /c\n",
			want: []string{
				"2:8 mqtt.url: has no scheme; write mqtt://",
				"5:18 mqtt.password_file: there is a password already",
				`6:11 mqtt.prefix: "a/#" cannot begin topics`,
				"7:14 mqtt.cert_file: belong together",
			},
		},
		{
			name: "broker's scheme",
			file: "mqtt:\n" +
				"  url: http://broker:1883\n",
			want: []string{
				`2:8 mqtt.url: a broker is not reached by "http"`,
			},
		},
		{
			name: "broker's port",
			file: "mqtt:\n" +
				"  url: mqtt://broker:99999\n",
			want: []string{
				"2:8 mqtt.url: the port must be between 1 and 65535",
			},
		},
		{
			name: "TLS files without TLS",
			file: "mqtt:\n" +
				"  url: mqtt://broker\n" +
				"  ca_file: /ca\n",
			want: []string{
				"3:12 mqtt.ca_file: has no effect",
			},
		},
		{
			name: "embedded",
			file: "mqtt:\n" +
				"  embedded: {listen: ':1883'}\n",
			want: []string{
				"2:22 mqtt.embedded.listen: is not loopback",
			},
		},
		{
			name: "two brokers",
			file: "mqtt:\n" +
				"  url: mqtt://b\n" +
				"  embedded: {listen: 'localhost:1883'}\n",
			want: []string{
				"3:22 mqtt.embedded.listen: only one",
			},
		},
		{
			name: "platform",
			file: "platform:\n" +
				"  decoders: {h246: x264dec, vp8: 'a b'}\n" +
				"  encoder: x ! y\n",
			want: []string{
				"2:20 platform.decoders.h246: did you mean h264?",
				"2:34 platform.decoders.vp8: GStreamer element",
				"3:12 platform.encoder: GStreamer element",
			},
		},
		{
			name: "addresses",
			file: "webrtc:\n" +
				"  addresses:\n" +
				"    - 192.0.2.1\n" +
				"    - example.org\n",
			want: []string{
				`4:7 webrtc.addresses[1]: "example.org" is not an IP address`,
			},
		},
		{
			name: "camera names",
			file: "cameras:\n" +
				"  Front Door: {url: 'test://'}\n" +
				"  a/+: {url: 'test://'}\n" +
				"  '#': {url: 'test://'}\n",
			want: []string{
				`2:3 cameras.Front Door: "Front Door" cannot name a camera; names stand in topics and paths, so use 1 to 64 of a-z, 0-9, - and _; front-door would do`,
				"3:3 cameras.a/+: cannot name a camera",
				"4:3 cameras.#: cannot name a camera",
			},
		},
		{
			name: "no url",
			file: "cameras:\n" +
				"  door:\n" +
				"    confidence: 0.4\n" +
				"  desk:\n",
			want: []string{
				"2:3 cameras.door.url: is missing",
				"4:3 cameras.desk.url: is missing",
			},
		},
		{
			name: "urls",
			file: "cameras:\n" +
				"  a: {url: 'rstp://host/x'}\n" +
				"  b: {url: 'rtsp:/host'}\n" +
				"  c: {url: /dev/video0}\n" +
				"  d: {url: '0'}\n" +
				"  e: {url: 'v4l2://video0'}\n" +
				"  f: {url: 'csi://front'}\n" +
				"  g: {url: 'rtsp://:554/'}\n" +
				"  h: {url: 'rtsp://host:port/'}\n" +
				"  i: {url: 'test://A B'}\n" +
				"  j: {url: 'file://'}\n",
			want: []string{
				"2:12 cameras.a.url: did you mean rtsp?",
				"3:12 cameras.b.url: write rtsp://",
				"4:12 cameras.c.url: write v4l2:///dev/video0",
				"5:12 cameras.d.url: v4l2:///dev/video0 for a USB camera",
				"6:12 cameras.e.url: write v4l2:///dev/video0",
				"7:12 cameras.f.url: write csi://0",
				"8:12 cameras.g.url: names no host",
				"9:12 cameras.h.url: the port is not a number",
				"10:12 cameras.i.url: not a test pattern",
				"11:12 cameras.j.url: names no file",
			},
		},
		{
			name: "no effect",
			file: "cameras:\n" +
				"  a: {url: 'rtsp://h', loop: true}\n" +
				"  b: {url: clip.mp4, transport: udp, username: u}\n" +
				"  c: {url: 'csi://0', decoder: x}\n",
			want: []string{
				"2:30 cameras.a.loop: has no effect on this camera; it is for file",
				"3:33 cameras.b.transport: it is for rtsp",
				"3:48 cameras.b.username: it is for rtsp, http",
				"4:32 cameras.c.decoder: has no effect",
			},
		},
		{
			name: "size",
			file: "cameras:\n" +
				"  a: {url: 'v4l2:///dev/video0', width: 640}\n",
			want: []string{
				"2:41 cameras.a.width: set both or none",
			},
		},
		{
			name: "login twice",
			file: "cameras:\n" +
				"  a: {url: 'rtsp://u:hunter2@h', username: v}\n",
			want: []string{
				"2:12 cameras.a.url: has a user in it",
			},
		},
		{
			name: "password with a slash",
			file: "cameras:\n" +
				"  a: {url: 'rtsp://u:hunter2/x@h/s'}\n",
			want: []string{
				"2:12 cameras.a.url: write those as %2F",
			},
		},
		{
			name: "password alone",
			file: "cameras:\n" +
				"  a: {url: 'rtsp://h', password: hunter2}\n",
			want: []string{
				"2:3 cameras.a.username: no user",
			},
		},
		{
			name: "hidden password",
			file: "mqtt: {username: u, password: '***'}\n",
			want: []string{
				"1:31 mqtt.password: write the credential itself",
			},
		},
		{
			name: "secret of the wrong type",
			file: "mqtt:\n" +
				"  username: u\n" +
				"  password: [hunter2]\n",
			want: []string{
				"3:13 mqtt.password: is a list, but must be secret",
			},
		},
		{
			name: "anchors",
			file: "a: &x 1\n" +
				"b: *x\n",
			want: []string{
				"1:4 : anchors and aliases",
			},
		},
		{
			name: "tags",
			file: "a: !!binary hunter2\n",
			want: []string{
				"1:4 : tags and directives",
			},
		},
		{
			name: "second document",
			file: "log: {}\n" +
				"---\n" +
				"http: {}\n",
			want: []string{
				"3:1 : a second document begins here",
			},
		},
		{
			name: "unfinished",
			file: "mqtt:\n" +
				"  password: \"hunter2\n" +
				"log: {}\n",
			want: []string{
				"2:13 : could not find end character of double-quoted text",
			},
		},
		{
			name: "colon",
			file: "mqtt:\n" +
				"  prefix: a: hunter2\n",
			want: []string{
				"2:11 : there is a colon that does not belong here",
			},
		},
		{
			name: "indentation",
			file: "mqtt:\n" +
				"  prefix: a\n" +
				"   username: b\n",
			want: []string{
				"2:11 : check the indentation",
			},
		},
		{
			name: "device",
			file: "device:\n" +
				"  id: 'a b'\n" +
				"  name: \"x\\ny\"\n" +
				"mqtt: {client_id: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n",
			want: []string{
				"2:7 device.id: use 1 to 64 letters",
				"3:9 device.name: has control characters",
				"4:19 mqtt.client_id: is longer than 128 bytes",
			},
		},
		{
			name: "camera's model and decoder",
			file: "cameras:\n" +
				"  a:\n" +
				"    url: test://\n" +
				"    model: ../x\n" +
				"    classes: [person, '']\n" +
				"  b: {url: clip.mp4, decoder: 'a b'}\n",
			want: []string{
				"4:12 cameras.a.model: perch model list",
				"5:23 cameras.a.classes[1]: is empty",
				"6:31 cameras.b.decoder: gst-inspect-1.0",
			},
		},
		{
			name: "port out of range",
			file: "http:\n" +
				"  listen: ':70000'\n",
			want: []string{
				"2:11 http.listen: from 0 to 65535",
			},
		},
		{
			name: "no providers",
			file: "models:\n" +
				"  providers: []\n" +
				"  default: ''\n",
			want: []string{
				"2:3 models.providers: write at least [cpu]",
				"3:12 models.default: is not the name of a model",
			},
		},
		{
			name: "provider twice",
			file: "models:\n" +
				"  providers: [cpu, cpu]\n",
			want: []string{
				"2:20 models.providers[1]: is here twice",
			},
		},
		{
			name: "group instead of a list",
			file: "models: {providers: {a: b}}\n",
			want: []string{
				"1:21 models.providers: is a group of keys, but must be a list",
			},
		},
		{
			name: "list instead of cameras",
			file: "cameras: [a]\n",
			want: []string{
				"1:10 cameras: is a list, but must be a group of keys",
			},
		},
		{
			name: "relative to nothing",
			file: "data_dir: ''\n" +
				"cache_dir: ''\n",
			want: []string{
				"1:11 data_dir: name a folder",
				"2:12 cache_dir: name a folder",
			},
		},
		{
			name: "key without a blank",
			file: "http:\n" +
				"  listen:8080\n",
			want: []string{
				"2:3 http: but must be a group of keys",
			},
		},
		{
			name: "environment",
			file: "http:\n" +
				"  listen: ':80'\n",
			environ: []string{
				"PERCH_HTTP_LISTEN=80",
				"PERCH_HTTP_LISTN=x",
				"PERCH_PREVIEW_FPS=",
				"PERCH_MODELS_PROVIDERS=cuda,gpu",
				"PERCH_MQTT_URL=mqtt://u:hunter2@b:x",
			},
			want: []string{
				"PERCH_HTTP_LISTEN http.listen: is not an address",
				"PERCH_HTTP_LISTN : is not a variable that Perch knows; did you mean PERCH_HTTP_LISTEN?",
				`PERCH_MODELS_PROVIDERS models.providers[1]: "gpu" is not one of`,
				"PERCH_MQTT_URL mqtt.url: the port is not a number",
				`PERCH_PREVIEW_FPS preview.fps: "" is not a number`,
			},
		},
		{
			name: "cameras in the environment",
			file: "cameras:\n" +
				"  front-door: {url: 'test://'}\n" +
				"  back_yard: {url: 'test://'}\n" +
				"  back-yard: {url: 'test://'}\n",
			environ: []string{
				"PERCH_CAMERAS_FRONT_DOR_FPS=5",
				"PERCH_CAMERAS_BACK_YARD_FPS=5",
				"PERCH_CAMERAS_FRONT_DOOR_FSP=5",
			},
			want: []string{
				"PERCH_CAMERAS_BACK_YARD_FPS : could mean back-yard or back_yard",
				"PERCH_CAMERAS_FRONT_DOOR_FSP : did you mean PERCH_CAMERAS_FRONT_DOOR_FPS?",
				"PERCH_CAMERAS_FRONT_DOR_FPS cameras.front_dor: no camera of this name is in the file; did you mean front-door?",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("perch.yaml", []byte(tt.file), tt.environ)
			invalid, ok := errors.AsType[*Invalid](err)
			if !ok || c != nil || pipeline.KindOf(err) != pipeline.BadConfig {
				t.Fatalf("no mistake found: %+v, %v", c, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message shows a password: %v", err)
			}
			var got []string
			for _, p := range invalid.Problems {
				where := p.Variable
				if where == "" {
					where = fmt.Sprintf("%d:%d", p.Line, p.Column)
				}
				got = append(got, where+" "+p.Path+": "+p.What)
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d problems, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for _, want := range tt.want {
				head, words, _ := strings.Cut(want, ": ")
				if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, head+": ") && strings.Contains(g, words) }) {
					t.Errorf("missing %q in:\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

func TestTooMuch(t *testing.T) {
	many := "cameras:\n"
	for i := range maxCameras + 1 {
		many += fmt.Sprintf("  c%d: {url: 'test://'}\n", i)
	}
	unknown := ""
	for i := range 1000 {
		unknown += fmt.Sprintf("unknown%d: 1\n", i)
	}
	indented := ""
	for i := range 300 {
		indented += strings.Repeat(" ", i) + "a:\n"
	}
	tests := map[string]struct{ file, says string }{
		"cameras":     {many, "there are 65; at most 64"},
		"mistakes":    {unknown, "more than 100 mistakes"},
		"brackets":    {"a: " + strings.Repeat("[", 500_000), "nested more than 32 deep"},
		"braces":      {strings.Repeat("{a: ", 100_000), "nested more than 32 deep"},
		"dashes":      {strings.Repeat("- ", 100_000), "nested more than 32 deep"},
		"questions":   {strings.Repeat("? ", 100_000), "nested more than 32 deep"},
		"indentation": {indented, "nested more than 32 deep"},
		"laughs":      {"a: &a [x]\nb: &b [*a,*a]\n", "anchors and aliases"},
		"size":        {strings.Repeat("a", MaxFileSize+1), "larger than 1024 KiB"},
		"lines":       {"a: |\n" + strings.Repeat("\n", maxLines+1), "more than 25000 lines"},
		"full":        {strings.Repeat("- "+strings.Repeat("a", 40)+"\n", 24_000), "is a list"},
		"one line":    {strings.Repeat("a", MaxFileSize), "is a single value"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("perch.yaml", []byte(tt.file), nil); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%.300v, want %q", err, tt.says)
			}
		})
	}
}

func TestPlaceOfProblem(t *testing.T) {
	for p, want := range map[Problem]string{
		{File: "a.yaml", Line: 3, Column: 5, Path: "x.y", What: "is wrong"}: "a.yaml:3:5: x.y: is wrong",
		{File: "a.yaml", Path: "x.y", What: "is wrong"}:                     "a.yaml: x.y: is wrong",
		{Variable: "PERCH_X_Y", Path: "x.y", What: "is wrong"}:              "PERCH_X_Y: x.y: is wrong",
		{Line: 3, Column: 5, What: "is wrong"}:                              "line 3, column 5: is wrong",
	} {
		if p.String() != want {
			t.Errorf("%q, want %q", p, want)
		}
	}
	one := &Invalid{Problems: []Problem{{Path: "a", What: "b"}}}
	two := &Invalid{Problems: []Problem{{Path: "a", What: "b"}, {Path: "c", What: "d"}}}
	if one.Error() != "a: b" || two.Error() != "2 mistakes\n  a: b\n  c: d" {
		t.Errorf("%v; %v", one, two)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "http: {listen: ':80'}\n", "cameras:\n  a:\n    url: rtsp://u:p@h/x\n", "a: [1, {b: ~}]\n", "? a\n: b\n", "x: |\n  y\n", "- - - a\n", "a: \"\\x", "--- \n...\n", "\t", "a:\n\tb", "{", "&a *a", "%YAML 1.2\n---\n"} {
		f.Add(s, "PERCH_CAMERAS_A_URL="+s)
	}
	f.Fuzz(func(t *testing.T, data, env string) {
		c, err := Parse("perch.yaml", []byte(data), []string{env})
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil {
			if invalid, ok := errors.AsType[*Invalid](err); !ok || len(invalid.Problems) == 0 {
				t.Fatalf("an error without a problem: %v", err)
			}
			return
		}
		// What was accepted is printed and read again with the same meaning.
		out, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, r := parse("perch.yaml", out, nil)
		for _, p := range r.problems {
			if !strings.Contains(p.What, "hidden") && !strings.Contains(p.What, hidden) {
				t.Errorf("%s\nis not accepted: %v", out, p)
			}
		}
		got, want := values(again), values(c)
		for path := range want {
			if !strings.HasSuffix(path, "password") && !strings.HasSuffix(path, "url") && got[path] != want[path] {
				t.Errorf("%s: %q, was %q", path, got[path], want[path])
			}
		}
	})
}
