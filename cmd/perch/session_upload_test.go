package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"perch/pipeline"
)

// Whether or not the client wants video, and however it acknowledges, a file
// gives one result for each of its pictures, in order.
func TestAnUploadGivesEachFrameOnce(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	const frames = 120
	broker := startMosquitto(t, "")
	ear := broker.listen(t)
	dir := t.TempDir()
	file := smallClip(t, filepath.Join(t.TempDir(), "clip.mp4"), frames)
	d := startDaemon(t, dir, brief+"mqtt: {url: \""+broker.url()+"\"}\n")
	t.Run("at once", func(t *testing.T) {
		for _, video := range []bool{false, true} {
			for _, acks := range []bool{false, true} {
				t.Run(fmt.Sprintf("video %v acks %v", video, acks), func(t *testing.T) {
					t.Parallel()
					uploadOnce(t, d, file, frames, video, acks)
				})
			}
		}
	})
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	list := endedRuns(t, dir)
	if len(list) != 4 {
		t.Errorf("%d runs", len(list))
	}
	for _, r := range list {
		if c := r.Complete; c.Termination != pipeline.EndOfStream || c.Frames.Processed != frames || len(c.Errors) > 0 {
			t.Errorf("record: %+v", c)
		}
		if got := ear.on(r.Run + "/complete"); len(got) != 1 {
			t.Errorf("%d messages of the end of run %s", len(got), r.Run)
		}
	}
}

// uploadOnce is a session that uploads a file and checks what comes back.
func uploadOnce(t *testing.T, d *daemon, file string, frames int, video, acks bool) {
	direction, stream := "", []string{}
	if video {
		direction, stream = "recvonly", []string{"part"}
	}
	g := d.guest(t, direction, false)
	g.join(map[string]any{"webrtc_realtime_processing": false, "stream_output": stream})
	acked := uint32(1)
	if acks {
		g.say(`{"ack":1}`) // paces from the first frame on
	}
	g.send(file)
	all, last := g.all(func(r result) {
		if !acks {
			return
		}
		if r.id > acked+1 {
			t.Errorf("frame %d came after ACK %d", r.id, acked)
		}
		time.Sleep(time.Millisecond) // work
		acked = r.id
		g.say(fmt.Sprintf(`{"ack":%d}`, acked))
	})
	if len(all) != frames {
		t.Errorf("%d results of %d pictures", len(all), frames)
	}
	var times []int64
	for i, r := range all {
		if int(r.id) != i+1 || r.Meta.Frame != r.id || len(r.Errors) > 0 || string(r.Data["height"]) != "144" || r.Meta.PTS == nil {
			t.Fatalf("result %d: %+v", i+1, r)
		}
		times = append(times, *r.Meta.PTS)
	}
	if last.id != uint32(frames)+1 || last.Meta.Frame != uint32(frames) || last.Reason != nil {
		t.Errorf("the last message: %+v", last)
	}
	if video {
		var shown []int64
		// RTP may lose some: a packet at the very end leaves no gap to ask about.
		until(t, d.log, "the pictures come", func() bool { shown = g.pictures(); return len(shown) >= len(times)*9/10 })
		if lost := len(times) - len(shown); lost > 0 {
			t.Logf("%d pictures were lost or are late", lost)
		}
		for _, at := range shown {
			if !slices.Contains(times, at) {
				t.Errorf("a picture of time %d, results of times %v", at, times)
			}
		}
	}
	g.leave()
}

// Sessions come and go for as long as the device lives. PERCH_TEST_SESSIONS
// says how many, for a long test.
func TestManySessionsLeaveNothing(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	n := 30
	if s := os.Getenv("PERCH_TEST_SESSIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const frames = 120
	dir := t.TempDir()
	file := smallClip(t, filepath.Join(t.TempDir(), "clip.mp4"), frames)
	d := startDaemon(t, dir, brief)
	for i := range 6 { // warm
		uploadOnce(t, d, file, frames, i%3 == 0, i%2 == 0)
	}
	before := d.footprint(t)
	for i := range n {
		uploadOnce(t, d, file, frames, i%3 == 0, i%2 == 0)
		if t.Failed() {
			t.Fatalf("session %d\n%s", i+1, d.log)
		}
	}
	var after footprint
	until(t, d.log, "what the sessions used is free", func() bool {
		after = d.footprint(t)
		return after.goroutines <= before.goroutines+5 && after.files <= before.files+5
	})
	t.Logf("before %+v, after %d sessions %+v", before, n, after)
	// The slack is for the heap of a program with the race detector, which
	// returns memory late; it does not grow with the number of sessions.
	if after.rssMB > before.rssMB+60 {
		t.Errorf("resident memory grew from %d to %d MB", before.rssMB, after.rssMB)
	}
	left, err := os.ReadDir(filepath.Join(dir, "uploads"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d uploads are left: %v", len(left), err)
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	if list := endedRuns(t, dir); len(list) != min(n+6, 100) { // a page of the list
		t.Errorf("%d runs", len(list))
	}
}
