package webrtc_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

// facts puts out a number, and a picture of the frame's size.
func facts(f pipeline.Frame, r *pipeline.Result) {
	pic := pipeline.NewPicture(f.Info().Width, f.Info().Height)
	pic.Planes[0][0] = byte(f.Info().Seq)
	r.Outputs = outputs{
		{name: "count", json: fmt.Sprint(f.Info().Seq)},
		{name: "annotated", pic: pic, sole: true},
		{name: "boxed", json: `{"x":1}`, pic: pic},
	}
}

func TestUploadInBatchModeReturnsEachFrameOnce(t *testing.T) {
	const frames = 120
	for _, c := range []struct {
		name   string
		stream []string
		acks   func(c *client, m message) // after each message
	}{
		{"no ACKs, no video", []string{}, nil},
		{"no ACKs, video", nil, nil},
		{"late ACKs, no video", []string{}, func(c *client, m message) { c.say(fmt.Sprintf(`{"ack":%d}`, m.Meta.Frame)) }},
		{"late ACKs, video", []string{"annotated"}, func(c *client, m message) { c.say(fmt.Sprintf(`{"ack":%d}`, m.Meta.Frame)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, parts := sessions(t, webrtc.SessionOptions{})
			k := kit{upload: true}
			if c.stream == nil || len(c.stream) > 0 {
				k.video = "recvonly"
			}
			cl := newClient(t, k)
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: c.stream, DataOutput: []string{"count"}})
			j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
			file := fileOf(frames, 150_000)
			cl.send(chunks(file, 49152)...)
			for i := 1; i <= frames; i++ {
				m := cl.next()
				if m.header.id != uint32(i) || m.Meta.Frame != uint32(i) || string(m.Data["count"]) != fmt.Sprint(i) || len(m.Errors) != 0 || m.Complete {
					t.Fatalf("message %d is %s", i, m.raw)
				}
				if want := int64(i-1) * 9000; *m.Meta.PTS != want {
					t.Fatalf("frame %d has pts %d, want %d", i, *m.Meta.PTS, want)
				}
				if c.acks != nil {
					c.acks(cl, m)
				}
			}
			last := cl.next()
			if !last.Complete || last.header.id != frames+1 || last.Meta.Frame != frames || last.Reason != nil {
				t.Errorf("the last message is %s", last.raw)
			}
			if n := parts.encoders.live.Load(); n != 0 {
				t.Errorf("%d encoders are open in a session that is complete", n)
			}
			if k.video != "" {
				wantPictures(t, cl, frames)
			}
			cl.close()
			rec := j.wait(t)
			if rec.Termination != pipeline.EndOfStream || rec.Frames.Processed != frames {
				t.Errorf("the record is %+v", rec)
			}
			if parts.files.sums[0] != sha256.Sum256(file) || parts.files.paces[0] != pipeline.Lossless {
				t.Error("the file is not what was uploaded")
			}
			if n := parts.encoders.live.Load(); n != 0 || parts.files.lent[0].Lent() != 0 {
				t.Errorf("%d encoders and %d frames are left", n, parts.files.lent[0].Lent())
			}
		})
	}
}

// wantPictures reads n pictures, whose time stamps are theirs. A packet that was
// sent again comes late.
func wantPictures(t *testing.T, c *client, n int) {
	t.Helper()
	var first uint32
	stamps := map[uint32]bool{}
	for len(stamps) < n {
		select {
		case p := <-c.packets:
			if len(stamps) == 0 {
				first = p.Timestamp
			}
			if p.Marker {
				stamps[p.Timestamp-first] = true
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of %d pictures came", len(stamps), n)
		}
	}
	for i := range n {
		if !stamps[uint32(i)*9000] {
			t.Fatalf("picture %d did not come; there are %v", i+1, stamps)
		}
	}
}

func TestDataModes(t *testing.T) {
	bad := errors.New("cannot \"do\"\tthis")
	out := func(f pipeline.Frame, r *pipeline.Result) {
		facts(f, r)
		r.Errors = []string{"step a: out of luck"}
		r.Outputs = append(r.Outputs.(outputs), output{name: "odd \"name\"", err: bad})
	}
	none := func(_ pipeline.Frame, r *pipeline.Result) { r.Errors = []string{"it raised"} }
	failed := `{"__serialization_error__":"cannot \"do\"\u0009this"}`
	for _, c := range []struct {
		name string
		ask  []string
		out  func(pipeline.Frame, *pipeline.Result)
		data string
		errs string
	}{
		{"nothing", nil, out, `null`, `["step a: out of luck"]`},
		{"empty names", []string{"", ""}, out, `null`, `["step a: out of luck"]`},
		{"all", []string{"*"}, out, `{"count":1,"boxed":{"x":1},"odd \"name\"":` + failed + `}`, `["step a: out of luck","odd \"name\": cannot \"do\"\u0009this"]`},
		{"named", []string{"boxed", "annotated", "boxed"}, out, `{"boxed":{"x":1},"annotated":{"type":"base64","quality":80}}`, `["step a: out of luck"]`},
		{"star among names", []string{"*", "count"}, out, `{"count":1}`, `["step a: out of luck","Output '*' not found"]`},
		{"missing and failing", []string{"odd \"name\"", "x"}, out, `{"odd \"name\"":` + failed + `}`, `["step a: out of luck","Output 'x' not found","odd \"name\": cannot \"do\"\u0009this"]`},
		{"raised", []string{"count", "x"}, none, `null`, `["it raised","Output 'count' not found","Output 'x' not found"]`},
		{"raised, all", []string{"*"}, none, `null`, `["it raised"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := sessions(t, webrtc.SessionOptions{})
			cl := newClient(t, kit{})
			fps := 30.0
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: c.ask, DeclaredFPS: &fps, Source: &pipelinetest.Source{N: 1}})
			start(t, v, &engine{Out: c.out}, pipeline.Lossless, 0)
			m := cl.next()
			want := `{"serialized_output_data":` + c.data + `,"video_metadata":{"frame_id":1,"received_at":"` + m.Meta.Received +
				`","pts":0,"time_base":1.1111111111111112e-05,"declared_fps":30.0,"measured_fps":null,"width":64,"height":48},"errors":` + c.errs +
				`,"processing_complete":false,"termination_reason":null}`
			if string(m.raw) != want {
				t.Errorf("got  %s\nwant %s", m.raw, want)
			}
			if at, err := time.ParseInLocation("2006-01-02T15:04:05.000000", m.Meta.Received, time.Local); err != nil || time.Since(at).Abs() > time.Minute || len(m.Meta.Received) != 26 {
				t.Errorf("received at %q: %v", m.Meta.Received, err)
			}
			last := cl.next()
			if want := `{"serialized_output_data":null,"video_metadata":{"frame_id":1,"received_at":"` + last.Meta.Received +
				`","pts":null,"time_base":null,"declared_fps":null,"measured_fps":null,"width":null,"height":null},"errors":[],"processing_complete":true,"termination_reason":null}`; string(last.raw) != want {
				t.Errorf("got  %s\nwant %s", last.raw, want)
			}
		})
	}
}

func TestPicturesThatAreMissing(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{video: "recvonly"})
	v := cl.join(s, webrtc.SessionRequest{Source: &pipelinetest.Source{N: 3}})
	out := func(f pipeline.Frame, r *pipeline.Result) {
		if facts(f, r); f.Info().Seq == 1 {
			r.Errors, r.Outputs = []string{"first"}, outputs{{name: "count", json: "1"}}
		}
	}
	j := start(t, v, &engine{Out: out}, pipeline.Lossless, 0)
	frames, _ := cl.all()
	want := []string{"first", "Visualisation blocks were not executed", "or workflow was not configured to output visuals.",
		"Please try to adjust the scene so models detect objects", "or stop preview, update workflow and try again."}
	if len(frames) != 3 || !slices.Equal(frames[0].Errors, want) {
		t.Fatalf("errors are %q", frames[0].Errors)
	}
	if len(frames[1].Errors) != 0 { // the output is looked for until it is found
		t.Errorf("frame 2: %q", frames[1].Errors)
	}
	wantPictures(t, cl, 3)
	cl.close()
	j.wait(t)
	if len(parts.drawn) != 1 || !slices.Equal(parts.drawn[0], want) {
		t.Errorf("drawn: %q", parts.drawn)
	}
}

func TestOutputsChangeAtRunTime(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{video: "recvonly"})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{"annotated"}, Source: &pipelinetest.Source{N: -1, Every: 10 * time.Millisecond}})
	start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	until := func(what string, ok func(message) bool) {
		t.Helper()
		var m message
		for range 500 {
			if m = cl.next(); ok(m) {
				return
			}
		}
		t.Fatalf("%s: the newest message is %s", what, m.raw)
	}
	keys := func(m message) string {
		var k []string
		for name := range m.Data {
			k = append(k, name)
		}
		slices.Sort(k)
		return strings.Join(k, ",")
	}
	until("nothing", func(m message) bool { return m.Data == nil && len(m.Errors) == 0 })
	cl.say(`{"data_output":["*"],"unknown":[{}]}`)
	until("all", func(m message) bool { return keys(m) == "boxed,count" })
	cl.say(`{"data_output":["annotated"],"stream_output":null}`)
	until("one", func(m message) bool { return keys(m) == "annotated" && len(m.Errors) == 0 })
	cl.say(`{"data_output":[""]}`)
	until("empty name", func(m message) bool { return slices.Equal(m.Errors, []string{"Output '' not found"}) })
	for _, malformed := range []string{`{`, ``, `[]`, `null`, `{"data_output":"x"}`, `{"data_output":[1]}`, `{"ack":"x"}`, `{"ack":[]}`, `{"ack":1.5}`,
		`{"stream_output":[null]}`, `{"stream_output":{}}`, "\xff\xfe", strings.Repeat(`{"a":`, 10000)} {
		cl.say(malformed)
	}
	cl.say(`{"data_output":[],"stream_output":["nowhere"]}`)
	until("unknown stream", func(m message) bool { return len(m.Errors) == 4 && m.Data == nil })
	cl.say(`{"stream_output":[]}`)
	until("found again", func(m message) bool { return len(m.Errors) == 0 && m.Data == nil })
	if n := s.Stats().Sessions.Malformed; n != 13 {
		t.Errorf("%d malformed messages counted, want 13", n)
	}
}

func TestACKPacing(t *testing.T) {
	for _, c := range []struct {
		window, stops int // after ACK 5
	}{{0, 6}, {-3, 5}, {4, 9}} {
		t.Run(fmt.Sprint("window ", c.window), func(t *testing.T) {
			s, _ := sessions(t, webrtc.SessionOptions{ACKWindow: c.window})
			cl := newClient(t, kit{upload: true})
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}})
			e := &engine{Out: facts}
			start(t, v, e, pipeline.Lossless, 0)
			cl.say(`{"ack":5}`)
			cl.say(`{"ack":4}`)
			cl.say(`{"ack":-100}`)
			cl.say(`what comes after them`)
			eventually(t, "the ACKs are handled", func() bool { return s.Stats().Sessions.Malformed == 1 })
			cl.send(chunks(fileOf(30, 1000), 49152)...)
			for i := 1; i <= c.stops; i++ {
				if m := cl.next(); m.Meta.Frame != uint32(i) {
					t.Fatalf("message %d is %s", i, m.raw)
				}
			}
			select {
			case m := <-cl.messages:
				t.Fatalf("frame %d came in spite of ACK 5", m.Meta.Frame)
			case <-time.After(300 * time.Millisecond): // what must not come cannot be waited for
			}
			if n := e.begun.Load(); n != int64(c.stops) {
				t.Errorf("the workflow has run on %d frames", n)
			}
			cl.say(`{"ack":" 100 "}`)
			frames, last := cl.all()
			if len(frames) != 30-c.stops || last.header.id != 31 {
				t.Errorf("%d more messages and %s", len(frames), last.raw)
			}
		})
	}
}

func TestDeadlineHoldsWhileTheClientOwesAnACK(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, Source: &pipelinetest.Source{N: -1, Every: time.Millisecond}})
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 500*time.Millisecond)
	cl.say(`{"ack":1}`)
	frames, last := cl.all()
	if last.Reason == nil || *last.Reason != "timeout_reached" {
		t.Errorf("the last message is %s", last.raw)
	}
	if n := uint32(len(frames)); last.Meta.Frame != n || last.header.id != n+1 {
		t.Errorf("after %d frames came %s with id %d", n, last.raw, last.header.id)
	}
	if rec := j.wait(t); rec.Termination != pipeline.TimeoutReached {
		t.Errorf("the record says %s", rec.Termination)
	}
	cl.await("the server closes the connection", cl.closed)
	if st := s.Stats().Sessions; st.Open != 0 || st.Connected != 0 {
		t.Errorf("%+v", st)
	}
}

func TestTimeThatIsUpAtOnceIsSaid(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{CompletionDrain: 20 * time.Second}) // for a slow machine to connect
	cl := newClient(t, kit{})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, Source: newClip(-1)})
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, time.Nanosecond)
	frames, last := cl.all()
	if len(frames) != 0 || last.Reason == nil || *last.Reason != "timeout_reached" || last.Meta.Frame != 0 || last.header.id != 1 {
		t.Errorf("the client was told %s, %s", frames, last)
	}
	if rec := j.wait(t); rec.Termination != pipeline.TimeoutReached {
		t.Errorf("the record says %s", rec.Termination)
	}
}
