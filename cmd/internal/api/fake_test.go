package api_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"perch/cmd/internal/api"
	"perch/cmd/internal/api/console"
	"perch/pipeline"
	"perch/pipeline/webrtc"
)

// appliance plays the device's part: real previews, invented figures.
type appliance struct {
	mu      sync.Mutex
	status  api.Status
	cameras []api.Camera
	runs    []api.Run
	events  []pipeline.Event
	ready   error
	broken  error // what Runs and Events fail with
	stopped []string
	asked   []any // queries as they arrived
	picture pipeline.Picture

	feed  *loop
	views *webrtc.Server
}

var start = time.Date(2026, 5, 4, 9, 30, 0, 0, time.UTC)

const finished = `{"schema":"perch.run.complete/1",  "run_id":"01J9ZC0000000000000000000A", "note":"spaces and order are kept"}`

func newAppliance(t testing.TB, codecs ...pipeline.Codec) *appliance {
	t.Helper()
	views, err := webrtc.Open(webrtc.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := views.Close(); err != nil {
			t.Error(err)
		}
	})
	a := &appliance{views: views, feed: newLoop(t, codecs...), picture: pipeline.NewPicture(64, 48)}
	now := time.Now()
	a.status = api.Status{
		Device: "jetson-yard", Version: "0.1.0", StartedAt: now.Add(-75 * time.Hour), UptimeS: 75 * 3600,
		Platform: api.Platform{Name: "software", Decoders: map[string]string{"H.264": "avdec_h264"}, Encoders: map[string]string{"VP8": "vp8enc"}},
		Models: []api.Model{{ID: "nanodet-plus-m-416", Digest: "sha256:00", Task: "detect", Classes: 80, State: "ready", Provider: "cpu",
			Warmup: &pipeline.ModelState{State: pipeline.ModelBuilding, Provider: "cpu", Target: "tensorrt", ElapsedS: 95, ExpectedS: 300}}},
		Storage: api.Storage{OK: true, Path: "/var/lib/perch/perch.db", Bytes: 48 << 20, Runs: 214},
		Disk:    api.Disk{Path: "/var/lib/perch", FreeBytes: 41e9, TotalBytes: 64e9},
		MQTT:    api.MQTT{Enabled: true, Connected: true, Broker: "tcp://127.0.0.1:1883", Since: now},
		Clock:   api.Clock{Now: now, Trusted: true, BootID: "b"},
	}
	a.cameras = []api.Camera{
		{
			Name: "yard", Source: pipeline.SourceID{Kind: "rtsp", Name: "rtsp://10.0.0.21:554/stream1"}, State: "live", Since: now.Add(-26 * time.Minute),
			Run: "01J9ZC0000000000000000000B", FPS: 14.97, Counts: map[string]int{"person": 4, "bicycle": 1},
			Frames: pipeline.FrameBooks{In: 46920, Processed: 23448, Dropped: map[pipeline.Cause]uint64{pipeline.DropBusy: 11, pipeline.DropError: 1, pipeline.DropRate: 23460}},
			Stream: api.Stream{Codec: "H.264", Width: 320, Height: 180, FPS: 30, MaxFPS: 15, Decoder: "avdec_h264", Fallback: "nvv4l2decoder is not installed"},
			Model:  "nanodet-plus-m-416", Provider: "cpu", Why: "CUDA: libcudart.so.12 was not found", Preview: true, LastFrame: now,
		},
		{
			Name: "door", Source: pipeline.SourceID{Kind: "rtsp", Name: "rtsp://10.0.0.22:554/"}, State: "refused", Since: now.Add(-4 * time.Minute),
			Cause: "the camera refuses user admin", Hint: "check user and password", Attempt: 7, NextRetryS: 52, Preview: true, Model: "nanodet-plus-m-416",
		},
	}
	a.runs = []api.Run{
		{ID: "01J9ZC0000000000000000000B", State: "running", Camera: "yard", Source: pipeline.SourceID{Kind: "rtsp", Name: "yard"}, StartedAt: now.Add(-26 * time.Minute), DurationS: 1564,
			Frames: pipeline.FrameBooks{In: 46920, Processed: 23448, Dropped: map[pipeline.Cause]uint64{"busy": 12, "max_fps": 23460}}, Detections: map[string]uint64{"person": 80211, "bicycle": 4022}, FPS: 14.97},
		{ID: "01J9ZC0000000000000000000A", State: "complete", Source: pipeline.SourceID{Kind: "file", Name: "delivery.mp4"}, StartedAt: start, EndedAt: start.Add(time.Minute), DurationS: 60,
			Frames: pipeline.FrameBooks{In: 900, Processed: 900}, Detections: map[string]uint64{"person": 12}, FPS: 15, Termination: pipeline.EndOfStream, Record: json.RawMessage(finished)},
		{ID: "01J9ZC00000000000000000009", State: "complete", Source: pipeline.SourceID{Kind: pipeline.SourceWebRTC, Name: "session 7"}, StartedAt: start, EndedAt: start.Add(time.Minute), DurationS: 60,
			Frames: pipeline.FrameBooks{In: 900, Processed: 900}, FPS: 15, Termination: pipeline.ClientGone, Record: json.RawMessage(finished)},
	}
	a.events = []pipeline.Event{{Schema: pipeline.EventSchema, ID: "01J9ZC0000000000000000000E", Device: "jetson-yard", Time: start, Kind: "camera.lost", Camera: "door"}}
	return a
}

// options wires the appliance to a server, as cmd/perch does.
func (a *appliance) options() api.Options {
	return api.Options{
		Device: a, Cameras: cameras{a}, Runs: runs{a}, Events: events{a}, Viewers: viewers{a}, Stats: a.stats, Console: console.Files(),
		Schemas:        fstest.MapFS{"run.complete.v1.json": {Data: []byte(`{"$id":"x"}`)}, "secret.txt": {Data: []byte("x")}},
		AllowedOrigins: []string{"https://console.example.org"},
	}
}

func (a *appliance) Status() api.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := a.status
	st.Viewers = a.views.Stats().Viewers
	return st
}
func (a *appliance) Ready() error        { return a.ready }
func (a *appliance) Models() []api.Model { return a.status.Models }

func (a *appliance) stats() api.Stats {
	return api.Stats{
		Models: []api.ModelStats{{ID: "nanodet-plus-m-416", Pictures: 9, Batches: 5, Errors: 1, Busy: 1500 * time.Millisecond}},
		MQTT:   api.MQTTStats{Connects: 2, Confirmed: 77, Waiting: 3}, Storage: api.StorageStats{Commits: 8, Results: 100},
		Views: api.ViewStats{Accepted: a.views.Stats().Accepted}, Previews: []api.PreviewStats{{Camera: "yard", Encoders: 1, Shown: 4}},
		Sessions: api.SessionStats{Open: 2, Connected: 1, Full: 3, Messages: 40, Abandoned: 1, UploadsRefused: 5},
		Runs:     map[pipeline.Reason]uint64{pipeline.EndOfStream: 6},
	}
}

type cameras struct{ *appliance }

func (a cameras) List() []api.Camera {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]api.Camera(nil), a.cameras...)
}

func (a cameras) Snapshot(_ context.Context, name string) (pipeline.Picture, time.Time, error) {
	switch name {
	case "yard":
		return a.picture, start, nil
	case "door":
		return pipeline.Picture{}, time.Time{}, &pipeline.Error{Op: "take snapshot", On: name, Kind: pipeline.Gone, Err: errors.New("there is no picture now")}
	}
	return pipeline.Picture{}, time.Time{}, unknown(name)
}

func unknown(name string) error {
	return &pipeline.Error{Op: "find", On: name, Kind: pipeline.NotFound, Err: errors.New("there is none"), Hint: "look at the list"}
}

type runs struct{ *appliance }

func (a runs) List(_ context.Context, q api.RunQuery) ([]api.Run, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, q)
	list := append([]api.Run(nil), a.appliance.runs...)
	return list[:min(q.Limit, len(list))], a.broken
}

func (a runs) Get(_ context.Context, id string) (api.Run, error) {
	for _, r := range a.appliance.runs {
		if r.ID == id {
			return r, nil
		}
	}
	return api.Run{}, unknown(id)
}

func (a runs) Stop(_ context.Context, id string) error {
	if id != a.appliance.runs[0].ID {
		return unknown(id)
	}
	a.stopped = append(a.stopped, id)
	return nil
}

type events struct{ *appliance }

func (a events) List(_ context.Context, q api.EventQuery) ([]pipeline.Event, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, q)
	return a.appliance.events, a.broken
}

type viewers struct{ *appliance }

func (a viewers) WatchCamera(ctx context.Context, name string, offer []byte) (string, string, error) {
	if name != "yard" {
		return "", "", unknown(name)
	}
	answer, err := a.views.Offer(ctx, a.feed, offer)
	return answer.ID, answer.SDP, err
}

func (a viewers) WatchRun(ctx context.Context, id string, offer []byte) (string, string, error) {
	if id != a.appliance.runs[0].ID {
		return "", "", unknown(id)
	}
	return a.WatchCamera(ctx, "yard", offer)
}

func (a viewers) End(id string) error { return a.views.End(id) }

// loop is a feed that plays encoded pictures for ever, in real time.
type loop struct {
	units    map[pipeline.Codec][]pipeline.AccessUnit
	watching atomic.Int64
}

func newLoop(t testing.TB, codecs ...pipeline.Codec) *loop {
	t.Helper()
	const data = "../../../pipeline/webrtc/testdata/"
	l := &loop{units: map[pipeline.Codec][]pipeline.AccessUnit{}}
	for _, c := range codecs {
		path := map[pipeline.Codec]string{pipeline.CodecVP8: data + "bars.ivf", pipeline.CodecH264: data + "bars.h264"}[c]
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if c == pipeline.CodecVP8 {
			for body = body[32:]; len(body) > 12; { // IVF
				n := binary.LittleEndian.Uint32(body)
				frame := body[12:][:n]
				l.units[c] = append(l.units[c], pipeline.AccessUnit{Data: frame, Key: frame[0]&1 == 0})
				body = body[12+n:]
			}
			continue
		}
		delimiter := []byte{0, 0, 0, 1, 9}
		for _, u := range bytes.Split(body, delimiter)[1:] {
			u = append(bytes.Clone(delimiter), u...)
			l.units[c] = append(l.units[c], pipeline.AccessUnit{Data: u, Key: bytes.Contains(u, []byte{0, 0, 1, 0x65})})
		}
	}
	return l
}

func (l *loop) Watch(codec pipeline.Codec) (pipeline.Watch, error) {
	u := l.units[codec]
	if u == nil {
		return nil, &pipeline.Error{Op: "open encoder", On: string(codec), Kind: pipeline.Unsupported, Err: errors.New("there is none")}
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{loop: l, out: make(chan pipeline.AccessUnit, 8), key: make(chan struct{}, 1), cancel: cancel}
	l.watching.Add(1)
	w.wg.Go(func() { w.play(ctx, u) })
	return w, nil
}

type watch struct {
	loop   *loop
	out    chan pipeline.AccessUnit
	key    chan struct{}
	cancel func()
	wg     sync.WaitGroup
	once   sync.Once
}

func (w *watch) Units() <-chan pipeline.AccessUnit { return w.out }

func (w *watch) NeedKey() {
	select {
	case w.key <- struct{}{}:
	default:
	}
}

func (w *watch) Close() {
	w.once.Do(func() { w.cancel(); w.wg.Wait(); w.loop.watching.Add(-1) })
}

func (w *watch) play(ctx context.Context, units []pipeline.AccessUnit) {
	const each = time.Second / 15
	tick := time.NewTicker(each)
	defer tick.Stop()
	for i, n := 0, 0; ; i, n = (i+1)%len(units), n+1 {
		select {
		case <-ctx.Done():
			return
		case <-w.key:
			i = 0
		case <-tick.C:
		}
		u := units[i]
		u.PTS, u.Duration = time.Duration(n)*each, each
		select {
		case w.out <- u:
		case <-ctx.Done():
			return
		}
	}
}
