package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"perch/cmd/internal/api"
	"perch/cmd/internal/clock"
	"perch/pipeline"
	"perch/pipeline/webrtc"
	"perch/storage"
)

// The types of this file answer the questions of the HTTP API from the parts
// of the appliance.

type cameras struct{ *app }

func (a cameras) List() []api.Camera {
	list := []api.Camera{}
	for _, c := range a.app.cameras() {
		list = append(list, a.describe(c))
	}
	return list
}

// firstModel is the first model that a workflow runs, and on what; nothing if
// it runs none.
func (a cameras) firstModel(w *plan) (id string, choice pipeline.ProviderChoice) {
	if len(w.models) == 0 {
		return "", choice
	}
	id = w.models[0].ID
	for _, l := range a.models.All() {
		if l.ID.ID == id {
			choice = l.Session.Provider()
		}
	}
	return id, choice
}

func (a cameras) describe(c *camera) api.Camera {
	state, run := c.Status()
	model, choice := a.firstModel(c.plan.Load())
	if a.media.Platform().Name == "software" {
		choice.Why = "" // the device says it once; there is no hardware that the camera fails to use
	}
	out := api.Camera{
		Name: c.Name, Source: c.id, State: string(cmp.Or(state.State, pipeline.Connecting)), Since: state.Since, Cause: state.Cause,
		Attempt: state.Attempt, NextRetryS: state.NextRetryS, Model: model, Provider: choice.Name, Why: choice.Why,
		Preview: len(c.preview.Codecs()) > 0, Viewers: c.preview.Stats().Viewers, Counts: map[string]int{},
		Frames: pipeline.FrameBooks{Dropped: map[pipeline.Cause]uint64{}},
	}
	if run == nil {
		return out
	}
	s := run.Status()
	out.Run, out.Frames, out.FPS, out.Counts, out.LastFrame = run.ID, s.Books, s.FPS, s.Current, s.LastFrame
	if out.Frames.Dropped == nil {
		out.Frames.Dropped = map[pipeline.Cause]uint64{}
	}
	out.InFlight = s.Books.In - s.Books.Processed
	for _, n := range s.Books.Dropped {
		out.InFlight -= n
	}
	out.Stream = api.Stream{
		Codec: s.Stream.Codec, Width: s.Stream.Width, Height: s.Stream.Height, FPS: s.Stream.FPS, MaxFPS: s.Stream.MaxFPS,
		Decoder: s.Stream.Decoder, Hardware: s.Stream.Hardware, Fallback: s.Stream.Fallback,
	}
	return out
}

// How long a snapshot waits for a picture: of a camera whose pictures are worked
// on rarely, the time between two of them in addition, up to a limit.
const (
	snapshotLimit = 3 * time.Second
	snapshotWait  = 10 * time.Second
)

func (a cameras) Snapshot(ctx context.Context, name string) (pipeline.Picture, time.Time, error) {
	c, err := a.find(name)
	if err != nil {
		return pipeline.Picture{}, time.Time{}, err
	}
	limit := snapshotLimit
	if fps := c.cfg.MaxFPS; fps > 0 {
		limit += min(time.Duration(float64(time.Second)/fps), snapshotWait)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pic, err := c.preview.Snapshot(ctx)
	why, ok := errors.AsType[*pipeline.Error](err)
	if ok && ctx.Err() != nil && c.cfg.MaxFPS > 0 && 1/c.cfg.MaxFPS > snapshotWait.Seconds() {
		why.Hint = fmt.Sprintf("its max_fps is %v: a picture is worked on every %.0f s, and a snapshot waits %v for one", c.cfg.MaxFPS, 1/c.cfg.MaxFPS, limit)
	}
	return pic, time.Now(), err
}

func (a *app) find(name string) (*camera, error) {
	for _, c := range a.cameras() {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, &pipeline.Error{Op: "find camera", On: name, Kind: pipeline.NotFound, Err: errors.New("there is none of that name"), Hint: "GET /api/v1/cameras lists them"}
}

type runs struct{ *app }

func (a runs) List(ctx context.Context, q api.RunQuery) ([]api.Run, error) {
	rows, err := a.store.Runs(ctx, storage.RunFilter{Camera: q.Camera, Before: q.Before, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	list := []api.Run{}
	for i := range rows {
		list = append(list, a.describe(&rows[i]))
	}
	return list, nil
}

func (a runs) Get(ctx context.Context, id string) (api.Run, error) {
	row, err := a.store.Run(ctx, id)
	if err != nil {
		return api.Run{}, err
	}
	out := a.describe(&row)
	if row.Complete != nil {
		out.Record, err = a.store.CompleteJSON(ctx, id)
	}
	return out, err
}

func (a runs) describe(row *storage.Run) api.Run {
	out := api.Run{
		ID: row.Run, State: "running", Camera: row.Camera, Source: row.Source, Workflow: row.Workflow, StartedAt: row.Started,
		Frames:     pipeline.FrameBooks{In: row.Frames, Processed: row.Frames, Dropped: map[pipeline.Cause]uint64{}},
		Detections: row.Detections, DurationS: time.Since(row.Started).Seconds(),
	}
	if c := row.Complete; c != nil {
		out.State, out.EndedAt, out.DurationS, out.Frames = "complete", c.EndedAt, c.DurationS, c.Frames
		out.Detections, out.FPS, out.Termination, out.Errors = c.Detections, c.FPS, c.Termination, c.Errors
		return out
	}
	for _, c := range a.cameras() {
		if _, run := c.Status(); run != nil && run.ID == row.Run {
			s := run.Status()
			out.Frames, out.Detections, out.FPS = s.Books, s.Detections, s.FPS
		}
	}
	if a.session != nil {
		if s, ok := a.session.status(row.Run); ok {
			out.Frames, out.Detections, out.FPS = s.Books, s.Detections, s.FPS
		}
	}
	return out
}

func (a runs) Stop(_ context.Context, id string) error {
	for _, c := range a.cameras() {
		if c.StopRun(id) {
			return nil
		}
	}
	if a.session != nil && a.session.Stop(id) {
		return nil
	}
	return &pipeline.Error{Op: "stop run", On: id, Kind: pipeline.NotFound, Err: errors.New("no such run is going on")}
}

type events struct{ *app }

func (a events) List(ctx context.Context, q api.EventQuery) ([]pipeline.Event, error) {
	return a.store.Events(ctx, storage.EventFilter{Camera: q.Camera, Run: q.Run, Kind: q.Kind, Before: q.Before, Limit: q.Limit})
}

type viewers struct{ *app }

func (a viewers) WatchCamera(ctx context.Context, name string, offer []byte) (id, answer string, err error) {
	c, err := a.find(name)
	if err != nil {
		return "", "", err
	}
	ans, err := a.webrtc.Offer(ctx, c.preview, offer)
	return ans.ID, ans.SDP, err
}

func (a viewers) WatchRun(ctx context.Context, id string, offer []byte) (string, string, error) {
	for _, c := range a.cameras() {
		if _, run := c.Status(); run != nil && run.ID == id {
			return a.WatchCamera(ctx, c.Name, offer)
		}
	}
	return "", "", &pipeline.Error{Op: "watch run", On: id, Kind: pipeline.NotFound, Err: errors.New("no such run is going on")}
}

func (a viewers) End(id string) error { return a.webrtc.End(id) }

type device struct{ *app }

// Ready reports why the device cannot do its work.
func (a device) Ready() error {
	if s := a.store.Stats(); s.Failing != "" {
		return &pipeline.Error{Op: "store results", On: string(a.cfg.DataDir), Kind: pipeline.Storage, Err: errors.New(s.Failing)}
	}
	return nil
}

func (a device) Models() []api.Model {
	list, warm := []api.Model{}, a.warmStates()
	for _, l := range a.models.All() {
		m, choice := l.Model.Manifest(), l.Session.Provider()
		list = append(list, api.Model{
			ID: l.ID.ID, Digest: l.ID.Digest, Task: string(m.Task), Family: m.Head.Family,
			Input: fmt.Sprintf("%dx%d", m.Input.Width, m.Input.Height), Classes: len(m.Labels), Licence: m.Licence,
			State: "ready", Provider: choice.Name, Why: choice.Why, Warmup: warm[l.ID.ID],
		})
	}
	return list
}

func (a device) Status() api.Status {
	s := api.Status{
		Device: a.device, Name: a.name(), Version: version, StartedAt: a.started, UptimeS: time.Since(a.started).Seconds(),
		Platform: a.platform(), Models: a.Models(), MQTT: a.mqtt.status(), Viewers: a.webrtc.Stats().Viewers, Problems: []api.Problem{},
		Clock: a.clockNow(),
		Disk:  diskOf(string(a.cfg.DataDir)),
	}
	st := a.store.Stats()
	s.Storage = api.Storage{OK: st.Failing == "", Path: string(a.cfg.DataDir), Waiting: st.QueueCount, Error: st.Failing}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if size, err := a.store.Size(ctx); err == nil {
		s.Storage.Bytes, s.Storage.Runs = size.File, size.Runs
	}
	s.Problems = a.problems(s, st)
	return s
}

// problems are what a person should look at.
func (a device) problems(s api.Status, st storage.Stats) []api.Problem {
	list := []api.Problem{}
	add := func(part, message, hint string) {
		list = append(list, api.Problem{Part: part, Message: message, Hint: hint})
	}
	if st.Failing != "" {
		add("storage", st.Failing, "results wait in memory until it can be written again; free space or check the disk")
	}
	if st.OutboxLost > 0 {
		add("broker", fmt.Sprintf("%d messages were dropped because the broker was away for too long", st.OutboxLost), "the results themselves are in the database")
	}
	if s.MQTT.Enabled && !s.MQTT.Connected {
		add("broker", cmp.Or(s.MQTT.Error, "not connected yet"), "messages wait on the disk and are sent when it is back")
	}
	for _, m := range s.Models {
		if w := m.Warmup; w != nil && w.Target != "" {
			if w.Error != "" {
				add("model "+m.ID, modelLine(*w), w.Hint)
			}
		} else if m.Why != "" && s.Platform.Name != "software" { // without NVIDIA hardware there is nothing to mend
			add("model "+m.ID, "runs on "+m.Provider+": "+m.Why, "perch doctor says what is missing")
		}
	}
	if s.Disk.TotalBytes > 0 && s.Disk.FreeBytes < s.Disk.TotalBytes/20 {
		add("disk", fmt.Sprintf("%.1f GB are free on %s", float64(s.Disk.FreeBytes)/1e9, s.Disk.Path), "lower storage.max_size or free some space")
	}
	return list
}

func (a device) platform() api.Platform {
	info := a.media.Platform()
	p := api.Platform{Name: info.Name, Decoders: map[string]string{}, Encoders: map[string]string{}}
	for _, j := range info.Jobs {
		if codec, ok := strings.CutPrefix(j.Job, "decode-"); ok {
			p.Decoders[codec] = j.Chosen
		}
		if codec, ok := strings.CutPrefix(j.Job, "encode-"); ok {
			p.Encoders[codec] = j.Chosen
		}
	}
	return p
}

func diskOf(path string) api.Disk {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return api.Disk{Path: path}
	}
	return api.Disk{Path: path, FreeBytes: fs.Bavail * uint64(fs.Bsize), TotalBytes: fs.Blocks * uint64(fs.Bsize)}
}

func (a device) clockNow() api.Clock {
	now := a.clock.Read()
	c := api.Clock{Now: time.Now(), Trusted: now.WallTrusted, BootID: now.BootID}
	if _, err := clock.Synchronised(); err != nil {
		c.Error = err.Error()
	}
	return c
}

// stats are read at each scrape of /metrics.
func (a *app) stats() api.Stats {
	st, v := a.store.Stats(), a.webrtc.Stats()
	out := api.Stats{
		Storage: api.StorageStats{Commits: st.Batches, Results: st.Results, Failures: st.Retries, Waiting: st.QueueCount},
		MQTT:    a.mqtt.stats(),
		Views: api.ViewStats{
			Viewers: v.Viewers, Connected: v.Connected, Accepted: v.Accepted, Rejected: v.Rejected, Full: v.Full, Vanished: v.Vanished,
			Units: v.Units, Skipped: v.Skipped, Packets: v.Packets, Bytes: v.Bytes, KeyAsked: v.KeyRequests,
		},
		Sessions: sessionStats(v.Sessions), Runs: a.ended.read(),
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if size, err := a.store.Size(ctx); err == nil {
		out.Storage.FileBytes = size.File
	}
	for _, l := range a.models.All() {
		s := l.Session.Stats()
		out.Models = append(out.Models, api.ModelStats{ID: l.ID.ID, Pictures: s.Frames, Batches: s.Batches, Errors: s.Failures, Busy: s.Busy})
	}
	for _, c := range a.cameras() {
		p := c.preview.Stats()
		out.Previews = append(out.Previews, api.PreviewStats{
			Camera: c.Name, Viewers: p.Viewers, Encoders: p.Encoders, Shown: p.Shown, Dropped: p.Dropped, Lost: p.Lost,
		})
	}
	return out
}

func sessionStats(s webrtc.SessionStats) api.SessionStats {
	return api.SessionStats{
		Open: s.Open, Connected: s.Connected, Accepted: s.Accepted, Rejected: s.Rejected, Full: s.Full, Vanished: s.Vanished,
		Frames: s.Frames, Messages: s.Messages, Bytes: s.Bytes, Skipped: s.Skipped, Abandoned: s.Abandoned,
		Pictures: s.Pictures, Unencoded: s.Unencoded, Received: s.Received, Damaged: s.Damaged, Overflowed: s.Overflowed,
		Uploads: s.Uploads, UploadsRefused: s.Refused, MalformedMessages: s.Malformed,
	}
}
