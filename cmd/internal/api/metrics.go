package api

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves the Prometheus text format. Numbers are read at scrape time;
// all metric names are in this file. Counters of a camera begin anew with each
// run, as counters may.
func (s *Server) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(s), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxTogether, Timeout: readLimit, ErrorHandling: promhttp.HTTPErrorOnError,
	})
}

// metric is one name with its labels.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("perch_"+name+"_total", help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("perch_"+name, help, labels, nil), prometheus.GaugeValue}
}

// collector renders plain structs as metrics.
type collector struct {
	s *Server

	build, start, clock, diskFree, diskSize, problems                        metric
	camState, camIn, camDone, camDropped, camFPS, camObjects, camAge, camHW  metric
	warmState, warmElapsed, warmExpected                                     metric
	modelReady, modelPictures, modelBatches, modelErrors, modelBusy          metric
	storeOK, storeCommits, storeResults, storeFailures, storeWaiting, dbSize metric
	mqttUp, mqttConnects, mqttConfirmed, mqttWaiting                         metric
	viewers, connected, offers, vanished                                     metric
	sentUnits, skippedUnits, sentPackets, sentBytes, keyAsked                metric
	prevEncoders, prevViewers, prevShown, prevDropped, prevLost, runsEnded   metric
	sessions, sessConnected, sessOffers, sessVanished, sessFrames            metric
	sessMessages, sessBytes, sessPictures, sessTrack, sessUploads, sessOdd   metric
}

func newCollector(s *Server) *collector {
	return &collector{
		s:        s,
		build:    gauge("build_info", "Always 1; the labels say what runs.", "version", "device", "platform"),
		start:    gauge("start_time_seconds", "When Perch started, in Unix time."),
		clock:    gauge("clock_trusted", "1 when the wall clock is synchronised."),
		diskFree: gauge("disk_free_bytes", "Free space where data is kept."),
		diskSize: gauge("disk_size_bytes", "Size of the file system where data is kept."),
		problems: gauge("problems", "Things that a person should look at."),

		camState:   gauge("camera_state", "1 for the state that a camera is in.", "camera", "state"),
		camIn:      counter("camera_frames_in", "Frames that arrived in the present run.", "camera"),
		camDone:    counter("camera_frames_processed", "Frames processed in the present run.", "camera"),
		camDropped: counter("camera_frames_dropped", "Frames dropped in the present run, by cause; max_fps is what was asked for.", "camera", "cause"),
		camFPS:     gauge("camera_fps", "Frames processed per second, over the last few.", "camera"),
		camObjects: gauge("camera_objects", "Objects on the newest picture, by class.", "camera", "class"),
		camAge:     gauge("camera_last_frame_age_seconds", "Time since a frame arrived.", "camera"),
		camHW:      gauge("camera_decoder_info", "Always 1; the labels say what decodes.", "camera", "decoder", "hardware", "fallback"),

		modelReady:    gauge("model_info", "1 when the model is ready; the labels say what it runs on.", "model", "provider", "state", "lesser"),
		warmState:     gauge("model_warmup_info", "1 while a model is on its way to a better provider; the labels say where it stands.", "model", "state", "target"),
		warmElapsed:   gauge("model_warmup_elapsed_seconds", "Time since a model's engine began to be built; 0 while none is.", "model"),
		warmExpected:  gauge("model_warmup_expected_seconds", "How long building it took before; 0 when it never was built here.", "model"),
		modelPictures: counter("model_pictures", "Pictures that a model has seen.", "model"),
		modelBatches:  counter("model_batches", "Inferences.", "model"),
		modelErrors:   counter("model_errors", "Inferences that failed.", "model"),
		modelBusy:     counter("model_busy_seconds", "Time spent in inferences.", "model"),

		storeOK:       gauge("storage_ok", "1 when results can be kept."),
		storeCommits:  counter("storage_commits", "Transactions committed."),
		storeResults:  counter("storage_results", "Results kept."),
		storeFailures: counter("storage_failures", "Transactions that failed."),
		storeWaiting:  gauge("storage_waiting", "Results that are not durable yet."),
		dbSize:        gauge("storage_file_bytes", "Size of the database."),

		mqttUp:        gauge("mqtt_connected", "1 while connected to the broker."),
		mqttConnects:  counter("mqtt_connects", "Connections to the broker."),
		mqttConfirmed: counter("mqtt_confirmed", "Messages that the broker confirmed."),
		mqttWaiting:   gauge("mqtt_waiting", "Messages that the broker has not confirmed."),

		viewers:      gauge("viewers", "Viewers, connected or about to be."),
		connected:    gauge("viewers_connected", "Connected viewers."),
		offers:       counter("viewer_offers", "SDP offers, by what became of them.", "outcome"),
		vanished:     counter("viewers_vanished", "Viewers that never connected or fell silent."),
		sentUnits:    counter("viewer_pictures_sent", "Encoded pictures sent, over all viewers."),
		skippedUnits: counter("viewer_pictures_skipped", "Encoded pictures not sent to viewers that waited for a key frame."),
		sentPackets:  counter("viewer_packets_sent", "RTP packets sent."),
		sentBytes:    counter("viewer_bytes_sent", "RTP payload sent."),
		keyAsked:     counter("viewer_key_requests", "Key frames that viewers asked for."),

		sessions:      gauge("sessions", "Sessions of clients, connected or about to be."),
		sessConnected: gauge("sessions_connected", "Connected sessions."),
		sessOffers:    counter("session_offers", "Offers of sessions, by what became of them.", "outcome"),
		sessVanished:  counter("sessions_vanished", "Sessions whose client never connected or fell silent."),
		sessFrames:    counter("session_frames", "Frames processed for sessions."),
		sessMessages:  counter("session_messages", "Results, by what became of them.", "outcome"),
		sessBytes:     counter("session_bytes_sent", "Bytes of results sent."),
		sessPictures:  counter("session_pictures", "Pictures to be sent back, by what became of them.", "outcome"),
		sessTrack:     counter("session_track_pictures", "Encoded pictures of clients' tracks, by what became of them.", "outcome"),
		sessUploads:   counter("session_uploads", "Uploads that ended, by what became of them.", "outcome"),
		sessOdd:       counter("session_malformed_messages", "Messages of clients that were ignored."),

		prevEncoders: gauge("preview_encoders", "Encoders that run for a camera's preview.", "camera"),
		prevViewers:  gauge("preview_viewers", "Viewers of a camera's preview.", "camera"),
		prevShown:    counter("preview_pictures", "Pictures handed to an encoder.", "camera"),
		prevDropped:  counter("preview_dropped", "Pictures that a preview had no time for.", "camera"),
		prevLost:     counter("preview_lost", "Encoded pictures that a slow viewer missed.", "camera"),
		runsEnded:    counter("runs_ended", "Runs that ended since start, by reason.", "reason"),
	}
}

// Describe sends nothing: what there is depends on cameras and models, so the
// collector is an unchecked one.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	put := func(m metric, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
	}
	st, stats := c.s.Device.Status(), c.s.Options.Stats()
	c.device(put, st)
	for _, cam := range c.s.Cameras.List() {
		c.camera(put, cam, st.Clock.Now)
	}
	c.models(put, st.Models, stats.Models)
	c.parts(put, st, stats)
	c.views(put, stats)
	c.clients(put, stats.Sessions)
}

type putter func(m metric, v float64, labels ...string)

func (c *collector) device(put putter, st Status) {
	put(c.build, 1, st.Version, st.Device, st.Platform.Name)
	put(c.start, float64(st.StartedAt.UnixMilli())/1000)
	put(c.clock, truth(st.Clock.Trusted))
	put(c.diskFree, float64(st.Disk.FreeBytes))
	put(c.diskSize, float64(st.Disk.TotalBytes))
	put(c.problems, float64(len(st.Problems)))
}

func (c *collector) camera(put putter, cam Camera, now time.Time) {
	for _, state := range []string{"connecting", "live", "stalled", "lost", "refused"} {
		put(c.camState, truth(cam.State == state), cam.Name, state)
	}
	put(c.camIn, float64(cam.Frames.In), cam.Name)
	put(c.camDone, float64(cam.Frames.Processed), cam.Name)
	for cause, n := range cam.Frames.Dropped {
		put(c.camDropped, float64(n), cam.Name, string(cause))
	}
	put(c.camFPS, cam.FPS, cam.Name)
	for class, n := range cam.Counts {
		put(c.camObjects, float64(n), cam.Name, class)
	}
	if !cam.LastFrame.IsZero() {
		put(c.camAge, max(now.Sub(cam.LastFrame).Seconds(), 0), cam.Name)
	}
	if cam.Stream.Decoder != "" {
		put(c.camHW, 1, cam.Name, cam.Stream.Decoder, yes(cam.Stream.Hardware), yes(cam.Stream.Fallback != ""))
	}
}

func (c *collector) models(put putter, models []Model, stats []ModelStats) {
	for _, m := range models {
		put(c.modelReady, truth(m.State == "ready"), m.ID, m.Provider, m.State, yes(m.Why != ""))
		if w := m.Warmup; w != nil {
			put(c.warmState, truth(w.Target != ""), m.ID, string(w.State), w.Target)
			put(c.warmElapsed, w.ElapsedS, m.ID)
			put(c.warmExpected, w.ExpectedS, m.ID)
		}
	}
	for _, m := range stats {
		put(c.modelPictures, float64(m.Pictures), m.ID)
		put(c.modelBatches, float64(m.Batches), m.ID)
		put(c.modelErrors, float64(m.Errors), m.ID)
		put(c.modelBusy, m.Busy.Seconds(), m.ID)
	}
}

func (c *collector) parts(put putter, st Status, stats Stats) {
	put(c.storeOK, truth(st.Storage.OK))
	put(c.storeCommits, float64(stats.Storage.Commits))
	put(c.storeResults, float64(stats.Storage.Results))
	put(c.storeFailures, float64(stats.Storage.Failures))
	put(c.storeWaiting, float64(stats.Storage.Waiting))
	put(c.dbSize, float64(stats.Storage.FileBytes))
	for reason, n := range stats.Runs {
		put(c.runsEnded, float64(n), string(reason))
	}
	if st.MQTT.Enabled {
		put(c.mqttUp, truth(st.MQTT.Connected))
		put(c.mqttConnects, float64(stats.MQTT.Connects))
		put(c.mqttConfirmed, float64(stats.MQTT.Confirmed))
		put(c.mqttWaiting, float64(stats.MQTT.Waiting))
	}
}

func (c *collector) views(put putter, stats Stats) {
	v := stats.Views
	put(c.viewers, float64(v.Viewers))
	put(c.connected, float64(v.Connected))
	put(c.offers, float64(v.Accepted), "accepted")
	put(c.offers, float64(v.Rejected), "rejected")
	put(c.offers, float64(v.Full), "full")
	put(c.vanished, float64(v.Vanished))
	put(c.sentUnits, float64(v.Units))
	put(c.skippedUnits, float64(v.Skipped))
	put(c.sentPackets, float64(v.Packets))
	put(c.sentBytes, float64(v.Bytes))
	put(c.keyAsked, float64(v.KeyAsked))
	for _, p := range stats.Previews {
		put(c.prevEncoders, float64(p.Encoders), p.Camera)
		put(c.prevViewers, float64(p.Viewers), p.Camera)
		put(c.prevShown, float64(p.Shown), p.Camera)
		put(c.prevDropped, float64(p.Dropped), p.Camera)
		put(c.prevLost, float64(p.Lost), p.Camera)
	}
}

func (c *collector) clients(put putter, s SessionStats) {
	put(c.sessions, float64(s.Open))
	put(c.sessConnected, float64(s.Connected))
	put(c.sessOffers, float64(s.Accepted), "accepted")
	put(c.sessOffers, float64(s.Rejected), "rejected")
	put(c.sessOffers, float64(s.Full), "full")
	put(c.sessVanished, float64(s.Vanished))
	put(c.sessFrames, float64(s.Frames))
	put(c.sessMessages, float64(s.Messages), "sent")
	put(c.sessMessages, float64(s.Skipped), "skipped")
	put(c.sessMessages, float64(s.Abandoned), "abandoned")
	put(c.sessBytes, float64(s.Bytes))
	put(c.sessPictures, float64(s.Pictures), "encoded")
	put(c.sessPictures, float64(s.Unencoded), "lost")
	put(c.sessTrack, float64(s.Received), "received")
	put(c.sessTrack, float64(s.Damaged), "damaged")
	put(c.sessTrack, float64(s.Overflowed), "overflowed")
	put(c.sessUploads, float64(s.Uploads), "complete")
	put(c.sessUploads, float64(s.UploadsRefused), "refused")
	put(c.sessOdd, float64(s.MalformedMessages))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
