package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

// reload sends SIGHUP and waits until the daemon says so in the log.
func (d *daemon) reload(t *testing.T, says string) {
	t.Helper()
	before := strings.Count(d.log.String(), says)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, d.log, "the log says: "+says, func() bool { return strings.Count(d.log.String(), says) > before })
}

// What a reload says.
const (
	readAgain  = `msg="configuration read again" cameras=`
	withFaults = `msg="configuration read again, with faults" error=`
	notRead    = `msg="configuration not read again; everything goes on as it was" error=`
)

func TestCamerasWithWorkflowsAndReloads(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir, addr := t.TempDir(), freePort(t)
	clip := sample(t, filepath.Join(dir, "street.mp4"), 66)
	example, err := os.ReadFile(example("01_line_counter"))
	if err != nil {
		t.Fatal(err)
	}
	counter := filepath.Join(dir, "workflows", "counter.json")
	if err := os.Mkdir(filepath.Dir(counter), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, counter, string(example))
	head := quiet + "mqtt: {embedded: {listen: \"" + addr + "\"}}\nworkflows: {models: {yolov8n-640: nanodet-416}}\ncameras:\n"
	camera := func(name, more string) string {
		return "  " + name + ": {url: \"" + clip + "\", loop: true, " + more + "}\n"
	}
	gate := camera("gate", "workflow: counter, workflow_parameters: {line: "+line+"}")
	yard := camera("yard", "lines: {door: "+line+"}, zones: {lawn: "+zone+"}")
	conf := filepath.Join(dir, "perch.yaml")
	d := startDaemon(t, dir, head+gate+yard)
	ear := listenTo(t, addr)
	first, other := d.camera(t, "gate", "is live", live), d.camera(t, "yard", "is live", live)
	for _, want := range []string{`"camera":"gate"|"kind":"line.crossed"|"line":"line_counter"`, `"camera":"yard"|"kind":"line.crossed"|"line":"line_door"`, `"camera":"yard"|"kind":"zone.entered"|"zone":"zone_lawn"`} {
		until(t, transcript{ear.heard, d.log}, want, func() bool { return heard(ear, want) })
	}
	d.reload(t, readAgain) // nothing has changed
	same := func(name, run string) {
		t.Helper()
		if c := get[api.Camera](t, d, "/api/v1/cameras/"+name); c.Run != run || c.State != "live" {
			t.Errorf("camera %s is %s with run %s, which was %s\n%s", name, c.State, c.Run, run, d.log)
		}
	}
	same("gate", first.Run)
	same("yard", other.Run)

	write(t, counter, strings.Replace(string(example), `"confidence": 0.6`, `"confidence": 0.5`, 1))
	d.reload(t, readAgain)
	second := d.camera(t, "gate", "has a new run", func(c api.Camera) bool { return live(c) && c.Run != first.Run })
	same("yard", other.Run)
	until(t, d.log, "the first run's record", func() bool { return len(ear.on(first.Run+"/complete")) == 1 })
	if record := get[pipeline.Complete](t, d, "/api/v1/runs/"+first.Run); record.Termination != pipeline.Stopped || len(record.Errors) > 0 || record.Workflow.Name != "counter" {
		t.Errorf("record: %+v", record)
	}

	// What cannot work is refused, says why, and leaves everything as it is.
	write(t, counter, strings.Replace(string(example), "$steps.byte_tracker.tracked_detections", "$steps.people_detector.predictions", 1))
	d.reload(t, withFaults)
	if said := d.log.String(); !strings.Contains(said, "camera gate: compile counter: ") || !strings.Contains(said, "carry no track ids") {
		t.Errorf("the log does not say why:\n%s", said)
	}
	same("gate", second.Run)
	same("yard", other.Run)
	write(t, conf, head+gate+strings.Replace(yard, "loop: true", "lop: true", 1))
	d.reload(t, notRead)
	if said := d.log.String(); !strings.Contains(said, `cameras.yard`) || !strings.Contains(said, `lop`) {
		t.Errorf("the log does not say why:\n%s", said)
	}
	same("gate", second.Run)

	// One camera goes, one comes, and one is read from elsewhere.
	write(t, counter, strings.Replace(string(example), `"confidence": 0.6`, `"confidence": 0.5`, 1))
	write(t, conf, strings.Replace(head, "log: {level: debug}", "log: {level: info}", 1)+gate+camera("roof", "track: false"))
	d.reload(t, readAgain)
	roof := d.camera(t, "roof", "is live", live)
	same("gate", second.Run)
	if status, _ := d.ask(t, "GET", "/api/v1/cameras/yard"); status != http.StatusNotFound {
		t.Errorf("yard: %d", status)
	}
	if !strings.Contains(d.log.String(), `settings changed that take effect at the next start" sections=log`) {
		t.Errorf("the log does not say that the log's level needs a start:\n%s", d.log)
	}
	until(t, transcript{ear.heard}, "the broker is told that yard is gone", func() bool {
		told := ear.on("/cameras/yard/state")
		return len(told) > 0 && strings.Contains(told[len(told)-1].payload, "taken out of the configuration")
	})
	write(t, conf, head+gate+camera("roof", "track: false, stall_after: 20s"))
	d.reload(t, readAgain)
	d.camera(t, "roof", "has begun anew", func(c api.Camera) bool { return live(c) && c.Run != roof.Run })
	same("gate", second.Run)

	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	runs := endedRuns(t, dir)
	if len(runs) != 5 {
		t.Errorf("%d runs", len(runs))
	}
	for _, r := range runs {
		if r.Complete != nil && (r.Complete.Termination != pipeline.Stopped || len(r.Complete.Errors) > 0) {
			t.Errorf("record: %+v", r.Complete)
		}
	}
}

// heard reports whether an event with all these words was heard.
func heard(e *ear, words string) bool {
	for _, m := range e.on("/events") {
		all := true
		for w := range strings.SplitSeq(words, "|") {
			all = all && strings.Contains(m.payload, w)
		}
		if all {
			return true
		}
	}
	return false
}
