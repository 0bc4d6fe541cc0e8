package webrtc_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

// aio is a client made of aiortc, a stack that shares no code with ours. It
// runs in a process of its own.
type aio struct {
	t      testing.TB
	in     *json.Encoder
	events chan event
	answer string
}

type event struct {
	Event, SDP, Type, State, Label, Text, Hex, Payload, Kind string
	Binary                                                   bool
	Frame, Index, Total                                      uint32
	Size, Width, Height                                      int
	PTS, Raw                                                 int64
}

func newAIO(t testing.TB) *aio {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/aio.py") // Debian's own: it has aiortc
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &aio{t: t, in: json.NewEncoder(in), events: make(chan event, 1<<14)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(a.events)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("aiortc said %.200q: %v", lines.Text(), err)
				return
			}
			a.events <- e
		}
	}()
	t.Cleanup(func() {
		_ = in.Close() // ends it, whatever it is at
		limit := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		<-read
		err := cmd.Wait()
		limit.Stop()
		if err != nil || t.Failed() {
			t.Logf("aiortc: %v\n%s", err, stderr.String())
		}
	})
	return a
}

func (a *aio) do(name string, args map[string]any) {
	a.t.Helper()
	if args == nil {
		args = map[string]any{}
	}
	args["do"] = name
	if err := a.in.Encode(args); err != nil {
		a.t.Fatal(err)
	}
}

// next returns the next event of a kind; pictures and states between are
// passed over.
func (a *aio) next(kind string) event {
	a.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-a.events:
			if !ok {
				a.t.Fatalf("aiortc ended; %s was due", kind)
			}
			if e.Event == kind {
				return e
			}
		case <-limit:
			a.t.Fatalf("no %s came", kind)
		}
	}
}

// offer returns the offer for a video direction and channels.
func (a *aio) offer(video string, channels ...string) string {
	a.t.Helper()
	a.do("offer", map[string]any{"video": video, "channels": channels})
	return a.next("offer").SDP
}

func (a *aio) join(s *webrtc.Server, req webrtc.SessionRequest, video string, channels ...string) *webrtc.Session {
	a.t.Helper()
	req.Type, req.SDP = "offer", a.offer(video, channels...)
	v, answer, err := s.OpenSession(a.t.Context(), req)
	if err != nil {
		a.t.Fatal(err)
	}
	a.answer = answer
	a.do("answer", map[string]any{"sdp": answer})
	return v
}

// message puts one message together and checks its chunks on the way.
func (a *aio) message() message {
	a.t.Helper()
	var body []byte
	for i := uint32(0); ; i++ {
		c := a.next("chunk")
		if !c.Binary || c.Index != i || c.Index >= c.Total || c.Index+1 < c.Total && c.Size != 49152 || c.Size > 49152 {
			a.t.Fatalf("chunk %d is %d of %d, %d bytes, binary: %v", i, c.Index, c.Total, c.Size, c.Binary)
		}
		for _, r := range c.Payload {
			body = append(body, byte(r))
		}
		if i+1 == c.Total {
			m := message{raw: body}
			m.header.id, m.header.total = c.Frame, c.Total
			if err := json.Unmarshal(body, &m); err != nil {
				a.t.Fatal(err)
			}
			return m
		}
	}
}

func writeFile(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keys returns an object's keys in their order.
func keys(t testing.TB, object json.RawMessage) (out []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(object)))
	for depth, key := 0, true; ; {
		tok, err := d.Token()
		if err != nil {
			return out
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			key = true
			continue
		case string:
			if depth == 1 && key {
				out = append(out, v)
				key = false
				continue
			}
		}
		if depth == 1 {
			key = true
		}
	}
}

func TestAiortcReadsMessages(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	a := newAIO(t)
	out := func(f pipeline.Frame, r *pipeline.Result) {
		big(200_000)(f, r)
		if f.Info().Seq == 2 {
			r.Outputs = outputs{{name: "count", json: `"zwölf"`}}
		}
	}
	v := a.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"*"}, Source: newClip(3)}, "", "inference")
	if !strings.Contains(a.answer, "webrtc-datachannel") {
		t.Errorf("the answer is\n%s", a.answer)
	}
	j := start(t, v, &engine{Out: out}, pipeline.Lossless, 0)
	for i := range uint32(3) {
		m := a.message()
		if want := []uint32{5, 1, 5}[i]; m.header.id != i+1 || m.Meta.Frame != i+1 || m.header.total != want {
			t.Errorf("message %d has header %+v, frame %d", i+1, m.header, m.Meta.Frame)
		}
		if got := keys(t, m.raw); !slices.Equal(got, []string{"serialized_output_data", "video_metadata", "errors", "processing_complete", "termination_reason"}) {
			t.Errorf("keys are %v", got)
		}
		var parts map[string]json.RawMessage
		if err := json.Unmarshal(m.raw, &parts); err != nil {
			t.Fatal(err)
		}
		if got := keys(t, parts["video_metadata"]); !slices.Equal(got, []string{"frame_id", "received_at", "pts", "time_base", "declared_fps", "measured_fps", "width", "height"}) {
			t.Errorf("metadata keys are %v", got)
		}
		if want := []string{`1`, `"zwölf"`, `3`}[i]; string(m.Data["count"]) != want {
			t.Errorf("message %d says %s", i+1, m.Data["count"])
		}
	}
	last := a.message()
	if last.header.id != 4 || last.header.total != 1 || last.Meta.Frame != 3 || !last.Complete || last.Reason != nil {
		t.Errorf("the last message is %+v %s", last.header, last)
	}
	a.do("close", nil)
	a.next("closed")
	if rec := j.wait(t); rec.Termination != pipeline.EndOfStream {
		t.Errorf("the record says %s", rec.Termination)
	}
}

func TestAiortcUploadsInReverse(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	a := newAIO(t)
	v := a.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"count"}}, "", "inference", "video_upload")
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	for range 2 {
		a.next("open")
	}
	a.do("bytes", map[string]any{"label": "video_upload", "hex": "2a"})
	if e := a.next("echo"); e.Hex != "2a" {
		t.Errorf("the keepalive came back as %q", e.Hex)
	}
	// Enables pacing before the first frame; the server stops after ACK + window.
	a.do("text", map[string]any{"label": "inference", "text": `{"ack":1}`})
	a.do("text", map[string]any{"label": "inference", "text": `what comes after it`})
	eventually(t, "the ACK is handled", func() bool { return s.Stats().Sessions.Malformed == 1 })
	file := fileOf(40, 1_000_000)
	a.do("upload", map[string]any{"path": writeFile(t, file), "size": 49152, "reverse": true})
	for ack := uint32(1); ; {
		m := a.message()
		if m.Complete {
			if m.header.id != 41 || ack != 40 {
				t.Errorf("after ACK %d: %+v %s", ack, m.header, m)
			}
			break
		}
		if m.header.id > ack+1 {
			t.Fatalf("frame %d came after ACK %d", m.header.id, ack)
		}
		if m.header.id == ack+1 { // what stops the server is this one
			if m.header.id == 10 {
				a.silent(300 * time.Millisecond)
			}
			ack = m.header.id
			a.do("text", map[string]any{"label": "inference", "text": fmt.Sprintf(`{"ack":%d}`, ack)})
		}
	}
	a.do("close", nil)
	j.wait(t)
	if parts.files.sums[0] != sha256.Sum256(file) {
		t.Error("the file is not what was uploaded")
	}
}

// silent checks that no chunk comes for a while.
func (a *aio) silent(d time.Duration) {
	a.t.Helper()
	limit := time.After(d) // what must not come cannot be waited for
	for {
		select {
		case e := <-a.events:
			if e.Event == "chunk" {
				a.t.Fatalf("frame %d came", e.Frame)
			}
		case <-limit:
			return
		}
	}
}

func TestAiortcOffers(t *testing.T) {
	a := newAIO(t)
	for _, c := range []struct {
		offers string
		stream []string
		answer string
	}{
		{"sendrecv", nil, "sendrecv"},
		{"sendrecv", []string{}, "recvonly"},
		{"recvonly", []string{"annotated"}, "sendonly"},
		{"recvonly", []string{}, "inactive"},
		{"", []string{}, ""},
	} {
		t.Run(c.offers+" to "+c.answer, func(t *testing.T) {
			a.t = t
			s, _ := sessions(t, webrtc.SessionOptions{})
			defer func() {
				a.do("close", nil)
				a.next("closed")
			}()
			v := a.join(s, webrtc.SessionRequest{StreamOutput: c.stream, Source: newClip(2)}, c.offers, "inference")
			start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
			if m := a.message(); m.header.id != 1 {
				t.Errorf("%s", m)
			}
			if c.offers == "" {
				return
			}
			video := section(t, a.answer, "video")
			if !strings.Contains(video, "a="+c.answer+"\r\n") || !strings.Contains(video, "VP8/90000") || strings.Contains(video, "H264") {
				t.Errorf("the answer is\n%s", video)
			}
			if sends := strings.HasPrefix(c.answer, "send"); sends != strings.Contains(video, "a=msid:perch ") {
				t.Errorf("msid is\n%s", video)
			}
		})
	}
}

// clipEncoder puts out the pictures of a VP8 clip, whatever it is given.
type clipEncoder struct {
	put   func(pipeline.AccessUnit)
	units []pipeline.AccessUnit
	n     int
}

func (c *clipEncoder) Encode(_ pipeline.Picture, pts time.Duration) (bool, error) {
	u := c.units[c.n%len(c.units)]
	c.n++
	u.PTS = pts
	c.put(u)
	return true, nil
}
func (c *clipEncoder) ForceKey()    { c.n = 0 }
func (c *clipEncoder) Close() error { return nil }

func TestAiortcPairsPicturesWithMessages(t *testing.T) {
	clip := units(t, pipeline.CodecVP8)
	s, _ := sessions(t, webrtc.SessionOptions{OpenEncoder: func(_ pipeline.EncoderSpec, put func(pipeline.AccessUnit)) (pipeline.Encoder, error) {
		return &clipEncoder{put: put, units: clip}, nil
	}})
	a := newAIO(t)
	v := a.join(s, webrtc.SessionRequest{Realtime: true, Source: &pipelinetest.Source{N: -1, Every: 30 * time.Millisecond}}, "recvonly", "inference")
	start(t, v, &engine{Out: facts}, pipeline.Realtime, 0)
	told, shown := map[int64]bool{}, map[int64]bool{}
	pairs := func() (n int) {
		for pts := range shown {
			if told[pts] {
				n++
			}
		}
		return n
	}
	limit := time.After(20 * time.Second)
	for pairs() < 30 {
		select {
		case e := <-a.events:
			switch e.Event {
			case "picture":
				shown[e.PTS] = true
			case "chunk":
				var m message
				if err := json.Unmarshal([]byte(e.Payload), &m); err != nil {
					t.Fatal(err)
				}
				told[*m.Meta.PTS] = true
			}
		case <-limit:
			t.Fatalf("%d pairs of %d pictures and %d messages", pairs(), len(shown), len(told))
		}
	}
	newest := slices.Max(slices.Collect(maps.Keys(told)))
	for pts := range shown {
		if pts <= newest && !told[pts] { // later messages are still under way
			t.Errorf("the picture with pts %d has no message", pts)
		}
	}
}

func TestAiortcSendsATrack(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	a := newAIO(t)
	v := a.join(s, webrtc.SessionRequest{StreamOutput: []string{}}, "sendrecv", "inference")
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	for i := range uint32(10) {
		if m := a.message(); m.header.id != i+1 {
			t.Errorf("message %d is %+v", i+1, m.header)
		}
	}
	a.do("close", nil)
	// aiortc ends its track, then takes a moment to close.
	if rec := j.wait(t); rec.Termination != pipeline.ClientGone && rec.Termination != pipeline.EndOfStream {
		t.Errorf("the record says %s", rec.Termination)
	}
	for i, u := range parts.feeds.units {
		if step := (u.PTS - parts.feeds.units[max(i-1, 0)].PTS).Seconds() * 90000; i > 0 && (step < 2999 || step > 3001) {
			t.Errorf("unit %d comes %.0f ticks after the one before", i+1, step) // aiortc's track has 30 pictures a second
		}
	}
}
