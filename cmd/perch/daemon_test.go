package main

import (
	"fmt"
	"image"
	_ "image/jpeg"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

// gate is a configuration with a short piece of the sample as a camera.
func gate(t *testing.T, dir, more string) string {
	t.Helper()
	return quiet + more + "cameras:\n  gate: {url: \"" + sample(t, filepath.Join(dir, "gate.mp4"), 50) + "\", loop: true, confidence: 0.3}\n"
}

func TestTheDaemonFromStartToStop(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir, addr := t.TempDir(), freePort(t)
	yaml := gate(t, dir, "mqtt: {embedded: {listen: \""+addr+"\"}}\n")
	d := startDaemon(t, dir, yaml)
	ear := listenTo(t, addr)
	until(t, d.log, "the retained status is heard", func() bool { return len(ear.on("/status")) > 0 })
	if status, body := d.ask(t, "GET", "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, body)
	}
	first := d.camera(t, "gate", "is live and sees people", func(c api.Camera) bool { return live(c) && c.Counts["person"] > 0 })
	if first.Source.Kind != pipeline.SourceFile || first.Stream.Width != 768 || first.Stream.Height != 576 || first.Provider == "" || !first.Preview {
		t.Errorf("camera: %+v", first)
	}
	resp, err := http.Get(d.url + "/api/v1/cameras/gate/snapshot.jpg")
	if err != nil {
		t.Fatal(err)
	}
	pic, kind, err := image.DecodeConfig(resp.Body)
	resp.Body.Close()
	if err != nil || kind != "jpeg" || pic.Width*576 != pic.Height*768 {
		t.Errorf("snapshot: %s %dx%d, %v", kind, pic.Width, pic.Height, err)
	}
	_, metrics := d.ask(t, "GET", "/metrics")
	for _, want := range []string{
		`perch_camera_state{camera="gate",state="live"} 1`, `perch_storage_ok 1`, `perch_mqtt_connected 1`, "\ngo_goroutines ",
		`perch_camera_frames_processed_total{camera="gate"} `, `perch_model_pictures_total{model="nanodet-416"} `,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}

	if status, body := d.ask(t, "DELETE", "/api/v1/runs/"+first.Run); status != http.StatusNoContent {
		t.Errorf("DELETE run: %d %s", status, body)
	}
	second := d.camera(t, "gate", "has begun a new run", func(c api.Camera) bool { return live(c) && c.Run != first.Run })
	until(t, d.log, "the first run's record is published", func() bool { return len(ear.on(first.Run+"/complete")) == 1 })
	if status, _ := d.ask(t, "DELETE", "/api/v1/runs/"+first.Run); status != http.StatusNotFound {
		t.Errorf("DELETE of a run that has ended: %d", status)
	}

	// A second daemon on the same port and database does not touch the first.
	port := strings.TrimPrefix(d.url, "http://")
	other := finish(t, perch(t, t.Context(), dir, "run", "--config", write(t, filepath.Join(dir, "other.yaml"), strings.Replace(yaml, "127.0.0.1:0", port, 1))))
	if other.status != exitConfig || !strings.Contains(other.errOut, "in use") {
		t.Errorf("the second daemon: exit status %d\n%s", other.status, other.errOut)
	}
	if c := get[api.Camera](t, d, "/api/v1/cameras/gate"); c.Run != second.Run || c.State != "live" {
		t.Errorf("the first daemon now: %+v", c)
	}
	id := get[api.Status](t, d, "/api/v1/status").Device

	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	// What was sent last may still be on its way to the listener.
	until(t, d.log, "the end is heard", func() bool {
		got := ear.on("/status")
		return len(got) > 0 && strings.Contains(got[len(got)-1].payload, `"offline"`)
	})
	list := endedRuns(t, dir)
	if len(list) != 2 || list[0].Run != first.Run || list[1].Run != second.Run {
		t.Fatalf("%d runs", len(list))
	}
	for _, r := range list {
		if r.Complete.Termination != pipeline.Stopped || len(r.Complete.Errors) != 0 || r.Complete.Detections["person"] == 0 {
			t.Errorf("record: %+v", r.Complete)
		}
		if got := ear.on(r.Run + "/complete"); len(got) != 1 {
			t.Errorf("%d messages of the end of run %s", len(got), r.Run)
		}
	}
	if got := ear.on("/status"); got[0].topic != "perch/"+id+"/status" {
		t.Errorf("status messages: %v", got)
	}

	again := startDaemon(t, dir, quiet)
	if got := get[api.Status](t, again, "/api/v1/status").Device; got != id {
		t.Errorf("the device was %s and is now %s", id, got)
	}
}

func TestARunThatWasCutShortIsClosedOnce(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir := t.TempDir()
	yaml := gate(t, dir, "")
	d := startDaemon(t, dir, yaml)
	c := d.camera(t, "gate", "has processed ten frames", func(c api.Camera) bool { return c.Frames.Processed > 10 })
	d.kill()
	for range 2 { // the second start finds nothing to close
		d = startDaemon(t, dir, quiet)
		record := get[pipeline.Complete](t, d, "/api/v1/runs/"+c.Run)
		if record.Schema != pipeline.CompleteSchema || record.Termination != pipeline.Failed || len(record.Errors) != 1 || !strings.Contains(record.Errors[0], "closed at the next start") {
			t.Errorf("record: %+v", record)
		}
		d.kill()
	}
	if list := endedRuns(t, dir); len(list) != 1 {
		t.Errorf("%d runs", len(list))
	}
}

// footprint is what a process holds: goroutines by its own metrics, the rest
// by the kernel.
type footprint struct{ goroutines, files, rssMB int }

func (d *daemon) footprint(t *testing.T) (f footprint) {
	t.Helper()
	_, metrics := d.ask(t, "GET", "/metrics")
	for line := range strings.Lines(metrics) {
		if _, err := fmt.Sscanf(line, "go_goroutines %d", &f.goroutines); err == nil {
			break
		}
	}
	proc := fmt.Sprintf("/proc/%d", d.cmd.Process.Pid)
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	f.files = len(files)
	statm, err := os.ReadFile(proc + "/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		t.Fatal(err)
	}
	f.rssMB = resident * os.Getpagesize() >> 20
	return f
}
