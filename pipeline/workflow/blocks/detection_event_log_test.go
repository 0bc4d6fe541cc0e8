package blocks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

const logStep = `"type": "roboflow_core/detection_event_log@v1", "image": "$inputs.image", "detections": "$steps.source.predictions"`

// logging runs the log on frames of tracks.
func logging(t testing.TB, fields string, info *pipeline.StreamInfo, frames ...[]uint64) (*workflowtest.Harness, func()) {
	var dets [][]workflow.Detection
	for _, f := range frames {
		d := []workflow.Detection{}
		for _, id := range f {
			d = append(d, workflowtest.Det(0, 0, 10, 10, 0, "cat", .9, id))
		}
		dets = append(dets, d)
	}
	h := workflowtest.New(t, graphOf(logStep+fields, "event_log", "detections", "total_logged", "total_pending", "complete_events"), nil, workflow.Options{}, info,
		blocks.All(), []*workflow.Manifest{workflowtest.Detections(dets...), workflowtest.Values(workflow.Value{})})
	return h, func() {
		for range frames {
			h.Blank()
		}
	}
}

func TestDetectionEventLog(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		frames [][]uint64
		want   string // logged and pending by frame
		done   string // tracks that are complete, by frame
	}{
		"nobody":               {"", [][]uint64{{}, {}}, "0+0 0+0", "- -"},
		"on the third frame":   {`, "frame_threshold": 3`, [][]uint64{{1}, {1, 2}, {1}, {1, 2}}, "0+1 0+2 1+1 1+1", "- - - -"},
		"at once":              {`, "frame_threshold": 1`, [][]uint64{{1}, {2}}, "1+0 2+0", "- -"},
		"stale":                {`, "frame_threshold": 1, "flush_interval": 1, "stale_frames": 1`, [][]uint64{{1}, {}, {}, {}}, "1+0 1+0 0+0 0+0", "- - 1 -"},
		"stale, never logged":  {`, "frame_threshold": 2, "flush_interval": 1, "stale_frames": 1`, [][]uint64{{1}, {}, {}}, "0+1 0+1 0+0", "- - -"},
		"only every 3rd frame": {`, "frame_threshold": 1, "flush_interval": 3, "stale_frames": 1`, [][]uint64{{1}, {}, {}, {2}, {}, {}, {}}, "1+0 1+0 1+0 1+0 1+0 1+0 0+0", "- - - 1 - - 2"},
		"seen again":           {`, "frame_threshold": 2, "flush_interval": 1, "stale_frames": 2`, [][]uint64{{1}, {}, {1}, {}, {}, {}}, "0+1 0+1 1+0 1+0 1+0 0+0", "- - - - - 1"},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := logging(t, c.fields, nil, c.frames...)
			var got, done []string
			for range c.frames {
				h.Blank()
				got = append(got, h.JSON("total_logged")+"+"+h.JSON("total_pending"))
				f, _ := h.Value("complete_events").Fields()
				done = append(done, strings.Join(append(f.Keys, "-")[:max(len(f.Keys), 1)], ","))
			}
			if s, d := strings.Join(got, " "), strings.Join(done, " "); s != c.want || d != c.done {
				t.Errorf("%s, want %s; complete %s, want %s", s, c.want, d, c.done)
			}
		})
	}
}

func TestDetectionEventLogAsJSON(t *testing.T) {
	unix := float64(workflowtest.Start().Unix())
	for name, c := range map[string]struct {
		info     pipeline.StreamInfo
		fields   string
		every    uint64
		step     time.Duration
		relative [2]float64 // of the second and the fourth frame
	}{
		"a camera":              {pipeline.StreamInfo{FPS: 30, Live: true}, "", 1, time.Second, [2]float64{1, 3}},
		"a file":                {pipeline.StreamInfo{FPS: 4}, "", 1, time.Second, [2]float64{.25, .75}},
		"a file without a rate": {pipeline.StreamInfo{}, `, "fallback_fps": 2`, 1, time.Second, [2]float64{.5, 1.5}},
		"a file, limited":       {pipeline.StreamInfo{FPS: 4, MaxFPS: 2}, "", 2, time.Second / 2, [2]float64{.5, 1.5}},
	} {
		h, _ := logging(t, c.fields+`, "frame_threshold": 2`, &c.info, nil, []uint64{7}, nil, []uint64{7})
		h.Step, h.Every = c.step, c.every
		for range 4 {
			h.Blank()
		}
		enc := func(f float64) string { return string(workflow.AppendFloat(nil, f)) }
		want := fmt.Sprintf(`{"logged":{"7":{"tracker_id":7,"class_name":"cat","first_seen_frame":2,"first_seen_timestamp":%s,"last_seen_frame":4,"last_seen_timestamp":%s,"first_seen_relative":%s,"last_seen_relative":%s,"frame_count":2}},"pending":{}}`,
			enc(unix+1), enc(unix+3), enc(c.relative[0]), enc(c.relative[1]))
		if got := h.JSON("event_log"); got != want {
			t.Errorf("%s: %s\nwant\n%s", name, got, want)
		}
		if d := found(t, h, "detections"); len(d.Items) != 1 || d.Items[0].Track != 7 {
			t.Errorf("%+v", d)
		}
	}
}

func TestDetectionEventLogIsBounded(t *testing.T) {
	many := func(from, n uint64) (ids []uint64) {
		for i := range n {
			ids = append(ids, from+i)
		}
		return ids
	}
	h, play := logging(t, `, "frame_threshold": 1`, nil, many(1, 4096), many(2, 4095), []uint64{9000})
	play()
	if got := h.JSON("total_logged"); got != "4096" {
		t.Errorf("%s logged", got)
	}
	if f, _ := h.Value("complete_events").Fields(); len(f.Keys) != 1 || f.Keys[0] != "1" {
		t.Errorf("%v made room", f.Keys)
	}
	h, _ = logging(t, "", nil, []uint64{0})
	if _, err := h.Try(workflowtest.Picture(8, 8, 0)); err == nil || !strings.Contains(err.Error(), "put a tracker") {
		t.Error(err)
	}
}
