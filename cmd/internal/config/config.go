// Package config is the configuration file and nothing but the file: what can
// be said in it, what each value must look like, and where a mistake stands.
//
// Values come from the defaults in this package, then from one YAML file, then
// from the environment; all three are read by the same code. The file is
// strict: a key that is not known is a mistake. All mistakes are reported at
// once, each with its file, line and column or the name of its variable.
package config

// Config is the whole configuration. Its tags are the only description there
// is: the defaults, the bounds, the reference and the names of the environment
// variables are read from them.
type Config struct {
	Device    Device             `yaml:"device"`
	HTTP      HTTP               `yaml:"http"`
	DataDir   Path               `yaml:"data_dir" default:"/var/lib/perch" doc:"Folder of what must survive: results, models, the device's id. A relative path starts at the folder of this file."`
	CacheDir  Path               `yaml:"cache_dir" default:"/var/cache/perch" doc:"Folder of what can be made again: TensorRT engines, GStreamer's registry."`
	Log       Log                `yaml:"log"`
	MQTT      MQTT               `yaml:"mqtt"`
	Storage   Storage            `yaml:"storage"`
	Models    Models             `yaml:"models"`
	Platform  Platform           `yaml:"platform"`
	Preview   Preview            `yaml:"preview"`
	WebRTC    WebRTC             `yaml:"webrtc"`
	Sessions  Sessions           `yaml:"sessions"`
	Workflows Workflows          `yaml:"workflows"`
	SMTP      SMTP               `yaml:"smtp"`
	Cameras   map[string]*Camera `yaml:"cameras"`

	file   string
	origin map[string]origin // where each value that was set came from, by path
	notes  []string
}

// Device says who this device is.
type Device struct {
	ID   string `yaml:"id" own:"is the name of one device" doc:"The device's name in topics and records: letters, digits, - and _. Empty: made at the first start and kept in data_dir/device-id."`
	Name string `yaml:"name" doc:"What people call it; shown in the console."`
}

// HTTP is the control API and the console.
type HTTP struct {
	Listen         string   `yaml:"listen" default:":8080" doc:"Address and port of the API and the console. 127.0.0.1:8080 keeps it to this machine; port 0 takes a free one."`
	AllowedOrigins []string `yaml:"allowed_origins" doc:"Other web sites that may use the API, for example https://console.example.org."`
	Claim          bool     `yaml:"claim" doc:"The device wants an owner: until somebody in its network claims it on its page nothing else is answered; then who has the token may change things and start sessions. false: everybody may everything."`
	Private        bool     `yaml:"private" doc:"Reading and watching need the owner's token, too. It needs http.claim."`
}

// Log is what goes to the journal.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug|info|warn|error" doc:"The least important message that is still written."`
	Format string `yaml:"format" default:"text" enum:"text|json" doc:"How a message is written. text: in systemd's journal each attribute is a field as well, for journalctl CAMERA=door."`
}

// MQTT is the broker that results are sent to.
type MQTT struct {
	URL          URL      `yaml:"url" doc:"The broker: mqtt://host:1883, or mqtts://host:8883 for TLS. Empty: nothing is sent, unless mqtt.embedded.listen is set."`
	Username     string   `yaml:"username" own:"is a login" doc:"Who to be at the broker."`
	Password     Secret   `yaml:"password" doc:"Its password. Never shown; better in a file of its own."`
	PasswordFile Path     `yaml:"password_file" own:"leads to a password" doc:"A file whose first line is the password."`
	CAFile       Path     `yaml:"ca_file" doc:"PEM file of the authorities that may sign the broker's certificate. Empty: those of the system."`
	CertFile     Path     `yaml:"cert_file" doc:"PEM file of the certificate that Perch shows to the broker."`
	KeyFile      Path     `yaml:"key_file" own:"leads to a private key" doc:"PEM file of that certificate's key."`
	Prefix       string   `yaml:"prefix" default:"perch" doc:"The first part of every topic; the device's id follows it."`
	ClientID     string   `yaml:"client_id" own:"is the name of one device" doc:"The client identifier. Empty: perch- and the device's id."`
	Embedded     Embedded `yaml:"embedded"`

	FromFile Secret `yaml:"-" json:"-"` // what PasswordFile holds; filled in by Load
}

// Embedded is the broker inside Perch, for trying it out.
type Embedded struct {
	Listen string `yaml:"listen" doc:"Loopback address of a broker inside Perch, for trying it out: 127.0.0.1:1883. Empty: none."`
}

// Storage is what is kept of the results, and for how long.
type Storage struct {
	Keep           string   `yaml:"keep" default:"every" enum:"every|changes|events" doc:"Which results are kept: of every frame, of frames whose detections changed, or none but events and run records."`
	MaxSize        ByteSize `yaml:"max_size" default:"8 GiB" min:"64 MiB" max:"16 TiB" doc:"The oldest results go when the database is larger than this."`
	MaxAge         Duration `yaml:"max_age" default:"30d" min:"1h" max:"3650d" doc:"Results older than this go."`
	CommitInterval Duration `yaml:"commit_interval" default:"2s" min:"10ms" max:"10s" doc:"Results of this long are written together, which spares an SD card. It is what a power cut can cost; events and the ends of runs are written at once."`
}

// Models is what runs on the pictures, and on what.
type Models struct {
	Default   string   `yaml:"default" default:"nanodet-416" doc:"The model of every camera that names none."`
	Dir       Path     `yaml:"dir" doc:"Folder of added models. Empty: data_dir/models."`
	Library   Path     `yaml:"onnxruntime" doc:"ONNX Runtime's library, libonnxruntime.so. Empty: the one that came with Perch."`
	Providers []string `yaml:"providers" default:"tensorrt,cuda,cpu" enum:"tensorrt|cuda|cpu|rehearsal" doc:"What models may run on, best first. The first that is ready is taken; TensorRT's engine is built beside it, then the model moves there. rehearsal builds nothing, takes models.rehearsal for it and runs on the CPU: it shows what the first hour looks like without a GPU."`
	Strict    bool     `yaml:"strict" doc:"Refuse to start when the first of models.providers does not work, instead of taking the next."`
	Threads   int      `yaml:"threads" default:"0" min:"0" max:"64" doc:"Threads of a model on the CPU. 0: chosen from the number of cores."`
	FP16      bool     `yaml:"fp16" default:"true" doc:"Let TensorRT compute in half precision, which is faster and rarely less exact."`
	TensorRT  Engines  `yaml:"tensorrt" doc:"How TensorRT builds a model, by the model's id: {ID: {fp16: true, int8: false, calibration: /absolute/path, workspace: 1 GiB, dla: -1}}. calibration is the table of INT8's ranges, needed unless the model has its own (QDQ); dla is the number of a deep learning accelerator, -1 for none. What is not said is as here; models.fp16 counts for models that are not named."`
	BuildFree ByteSize `yaml:"build_memory" default:"0" min:"0" max:"1 TiB" doc:"Memory that must be free before an engine is built; until then it waits. 0: the workspace and four times the model."`
	BuildTime Duration `yaml:"build_timeout" default:"4h" min:"1s" max:"7d" doc:"How long an engine may take to build, before the build is given up. Loading one that is built has half an hour."`
	Deadline  Duration `yaml:"deadline" default:"30s" min:"100ms" max:"10m" doc:"An inference that takes longer is given up, and its frames fail."`
	Rehearsal Duration `yaml:"rehearsal" default:"60s" min:"10ms" max:"1h" doc:"How long the provider rehearsal takes to build."`
}

// Platform is which GStreamer elements do the work.
type Platform struct {
	Name     string            `yaml:"name" default:"auto" enum:"auto|jetson|nvidia|software|rehearsal" doc:"Which elements decode, scale and encode. auto: the best that are installed. rehearsal is software that shrinks pictures on demand as a Jetson does, to try that without one."`
	Decoders map[string]string `yaml:"decoders" doc:"The element that decodes this codec (h264, h265, mpeg4, mjpeg, vp8, vp9), whatever the platform says."`
	Encoder  string            `yaml:"encoder" doc:"The element that encodes previews, whatever the platform says."`
}

// Preview is the live picture.
type Preview struct {
	Codec      string  `yaml:"codec" default:"auto" enum:"auto|h264|vp8" doc:"How live pictures are encoded."`
	MaxWidth   int     `yaml:"max_width" default:"1280" min:"160" max:"3840" doc:"Wider pictures are made smaller, in pixels."`
	FPS        float64 `yaml:"fps" default:"15" min:"1" max:"60" doc:"At most so many pictures a second."`
	Bitrate    int     `yaml:"bitrate" default:"2000000" min:"100000" max:"50000000" doc:"Bits a second of one camera's preview."`
	MaxViewers int     `yaml:"max_viewers" default:"16" min:"1" max:"256" doc:"At most so many viewers, over all cameras."`
}

// WebRTC is how viewers reach the live picture.
type WebRTC struct {
	UDPPort   int      `yaml:"udp_port" default:"0" min:"0" max:"65535" doc:"The one UDP port of all viewers, to be opened in a firewall. 0: a free one for each."`
	Addresses []string `yaml:"addresses" doc:"IP addresses under which viewers outside a 1:1 NAT see this device."`
}

// A Camera is one source and what is done with it.
type Camera struct {
	URL                URL        `yaml:"url" doc:"Where the pictures come from: rtsp://host/path, http://host/video.mjpg, a file, v4l2:///dev/video0, csi://0 or test://."`
	Enabled            bool       `yaml:"enabled" default:"true" doc:"Whether it runs."`
	Username           string     `yaml:"username" own:"is a login" doc:"Who to be at the camera."`
	Password           Secret     `yaml:"password" doc:"Its password. Never shown."`
	PasswordFile       Path       `yaml:"password_file" own:"leads to a password" doc:"A file whose first line is the password."`
	Transport          string     `yaml:"transport" default:"auto" enum:"auto|tcp|udp" doc:"How RTSP brings the pictures. auto: UDP, then TCP."`
	Latency            Duration   `yaml:"latency" default:"200ms" min:"0s" max:"10s" doc:"How long RTSP waits for packets that are late."`
	Model              string     `yaml:"model" doc:"The model that runs on it. Empty: models.default."`
	Confidence         float64    `yaml:"confidence" default:"0" min:"0" max:"1" doc:"Detections with a lower score do not count. 0: the model's own value."`
	IoU                float64    `yaml:"iou" default:"0" min:"0" max:"1" doc:"Of two boxes that overlap more than this, the better one stays. 0: the model's own value."`
	Classes            []string   `yaml:"classes" doc:"Only these classes count. Empty: all."`
	Track              bool       `yaml:"track" default:"true" doc:"Follow objects from frame to frame and give each a number (ByteTrack)."`
	Workflow           string     `yaml:"workflow" doc:"The workflow that runs on it: a name in workflows.dir, or the path of a JSON file. Empty: the model, the tracker, and the zones and lines below."`
	WorkflowParameters Parameters `yaml:"workflow_parameters" doc:"Values for the workflow's inputs, by name."`
	Zones              Zones      `yaml:"zones" doc:"Areas by name, each a list of corners [x, y] in pixels of the picture: {yard: [[0, 0], [640, 0], [640, 360]]}. Entering and leaving them, and how many are inside, is told."`
	Lines              Lines      `yaml:"lines" doc:"Lines by name, each two points [x, y] in pixels of the picture: {gate: [[0, 200], [640, 200]]}. Crossings are counted, in each direction."`
	MaxFPS             float64    `yaml:"max_fps" default:"0" min:"0" max:"240" doc:"Pictures a second to work on, at most: 5, or 0.5 for one every two seconds; 0.01 is the least. The others are left out and counted under dropped as max_fps. The live picture shows what is worked on. 0: every one."`
	Keep               string     `yaml:"keep" enum:"every|changes|events" doc:"As storage.keep, for this camera. Empty: storage.keep."`
	StallAfter         Duration   `yaml:"stall_after" default:"10s" min:"1s" max:"1h" doc:"A camera without a picture for so long is stalled; after twice as long its run ends and another begins. When its connection breaks it is opened anew at once, and if it is back before that, its run and counts go on, and its tracks if it took less than 3 s."`
	Loop               bool       `yaml:"loop" doc:"Play a file again and again, at its own speed, as a camera would."`
	Width              int        `yaml:"width" default:"0" min:"0" max:"7680" doc:"Width to ask of a v4l2, csi or test camera, in pixels. 0: its own."`
	Height             int        `yaml:"height" default:"0" min:"0" max:"4320" doc:"Height to ask for, in pixels. 0: its own."`
	FPS                float64    `yaml:"fps" default:"0" min:"0" max:"240" doc:"Pictures a second to ask for. 0: its own."`
	Decoder            string     `yaml:"decoder" doc:"The element that decodes this camera, whatever the platform says."`

	FromFile Secret `yaml:"-" json:"-"` // what PasswordFile holds; filled in by Load
}
