package webrtc_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/webrtc/v4"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

// big puts out n bytes.
func big(n int) func(pipeline.Frame, *pipeline.Result) {
	blob := `"` + strings.Repeat("x", n-2) + `"`
	return func(f pipeline.Frame, r *pipeline.Result) {
		r.Outputs = outputs{{name: "count", json: fmt.Sprint(f.Info().Seq)}, {name: "blob", json: blob}}
	}
}

func TestClientThatDoesNotReadHoldsNobodyElse(t *testing.T) {
	const limit = 4 << 20
	s, _ := sessions(t, webrtc.SessionOptions{BufferLimit: limit, SendTimeout: time.Hour, CompletionDrain: 100 * time.Millisecond})
	deaf := newClient(t, kit{deaf: true})
	v := deaf.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"*"}, Source: newClip(-1)})
	j := start(t, v, &engine{Out: big(200_000)}, pipeline.Lossless, 0)
	sent := func() uint64 { return s.Stats().Sessions.Bytes }
	// The client's side takes a megabyte or so before SCTP tells ours to stop.
	eventually(t, "the limit is reached", func() bool { return sent() > limit })
	before := sent()
	eventually(t, "sending stops", func() bool {
		now := sent()
		stopped := now == before
		before = now
		time.Sleep(100 * time.Millisecond)
		return stopped
	})
	if n := sent(); n > limit*3 {
		t.Errorf("%d bytes were queued, the limit is %d", n, limit)
	}
	other := newClient(t, kit{})
	w := other.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"*"}, Source: newClip(50)})
	start(t, w, &engine{Out: big(200_000)}, pipeline.Lossless, 0)
	if frames, _ := other.all(); len(frames) != 50 || frames[0].header.total != 5 {
		t.Errorf("the other session got %d messages", len(frames))
	}
	// The run can be ended although Show waits.
	j.stop(pipeline.ErrStopped)
	if rec := j.wait(t); rec.Termination != pipeline.Stopped {
		t.Errorf("the record says %s", rec.Termination)
	}
}

func TestMessageIsAbandonedInTheEnd(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{BufferLimit: 1 << 20, SendTimeout: 200 * time.Millisecond})
	cl := newClient(t, kit{deaf: true})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"*"}, Source: newClip(-1)})
	start(t, v, &engine{Out: big(200_000)}, pipeline.Lossless, 0)
	eventually(t, "messages are abandoned and frames go on", func() bool {
		st := s.Stats().Sessions
		return st.Abandoned >= 3 && st.Frames > st.Messages+2
	})
}

// A client that has paused with more before it than may be queued still learns
// that this was the end: it may wait for nothing else.
func TestLastMessageIsNotAbandoned(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{BufferLimit: 64 << 10, SendTimeout: 20 * time.Millisecond, CompletionDrain: 20 * time.Millisecond})
	cl := newClient(t, kit{deaf: true})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"*"}, Source: newClip(20)})
	j := start(t, v, &engine{Out: big(200_000)}, pipeline.Lossless, 0)
	cl.await("the run ends", j.ran)
	eventually(t, "the last message is queued", func() bool {
		st := s.Stats().Sessions
		return st.Messages+st.Abandoned == 21
	})
	close(cl.hearing)
	if _, last := cl.all(); last.header.id != 21 || last.Meta.Frame != 20 {
		t.Errorf("the last message is %s", last.raw)
	}
}

func TestGzip(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{Gzip: true})
	cl := newClient(t, kit{})
	raw := make(chan []byte, 8)
	cl.results.OnMessage(func(m pion.DataChannelMessage) { raw <- m.Data })
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"*"}, Source: newClip(2)})
	start(t, v, &engine{Out: big(100_000)}, pipeline.Lossless, 0)
	for i := range 3 {
		m := <-raw
		body := m[12:]
		if zipped := bytes.HasPrefix(body, []byte{0x1f, 0x8b}); zipped != (i < 2) {
			t.Fatalf("message %d compressed: %v", i+1, zipped)
		}
		if i < 2 {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil || len(body) < 100_000 {
				t.Fatalf("%d bytes, %v", len(body), err)
			}
		}
		if !json.Valid(body) || binary.LittleEndian.Uint32(m) != uint32(i+1) {
			t.Errorf("message %d is %.200s", i+1, body)
		}
	}
}

func TestPictureSizeMayChange(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	parts.encoders.pause = 2 * time.Millisecond // so that pictures wait in it
	cl := newClient(t, kit{video: "recvonly"})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{"crop"}, Source: newClip(30)})
	out := func(f pipeline.Frame, r *pipeline.Result) {
		w := 32
		if f.Info().Seq%10 >= 5 {
			w = 64
		}
		r.Outputs = outputs{{name: "crop", pic: pipeline.NewPicture(w, 32), sole: true}}
	}
	j := start(t, v, &engine{Out: out}, pipeline.Lossless, 0)
	frames, _ := cl.all()
	for _, m := range frames {
		if len(m.Errors) > 0 {
			t.Errorf("%s", m)
		}
	}
	wantPictures(t, cl, 30)
	cl.close()
	j.wait(t)
	if n := len(parts.encoders.specs); n != 7 || parts.encoders.live.Load() != 0 {
		t.Errorf("%d encoders were opened, %d are left", n, parts.encoders.live.Load())
	}
}

func TestKeyFrameOnRequest(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{video: "recvonly"})
	v := cl.join(s, webrtc.SessionRequest{Source: &pipelinetest.Source{N: -1, Every: 5 * time.Millisecond}})
	start(t, v, &engine{Out: facts}, pipeline.Realtime, 0)
	p := <-cl.packets
	eventually(t, "a key frame is forced", func() bool {
		if err := cl.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: p.SSRC}}); err != nil {
			t.Fatal(err)
		}
		return parts.encoders.forced.Load() > 0
	})
}

func TestEncoderThatCannotBeOpenedIsExplained(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	parts.encoders.fail = &pipeline.Error{Op: "open encoder", On: "VP8", Kind: pipeline.Unsupported, Err: errors.New("there is none")}
	cl := newClient(t, kit{video: "recvonly"})
	v := cl.join(s, webrtc.SessionRequest{DataOutput: []string{"count"}, Source: newClip(3)})
	start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	frames, _ := cl.all()
	for _, m := range frames {
		if want := []string{"video: open encoder VP8: there is none"}; !slices.Equal(m.Errors, want) || m.Data == nil {
			t.Errorf("%s", m)
		}
	}
	if len(frames) != 3 || s.Stats().Sessions.Unencoded != 3 {
		t.Errorf("%d messages, %+v", len(frames), s.Stats().Sessions)
	}
}

func TestRealtimeSkipsWhatNobodyCanSee(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{video: "recvonly"})
	offer := cl.offer()
	v, answer, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: offer, Realtime: true, DataOutput: []string{"count"},
		Source: &pipelinetest.Source{N: -1, Every: 2 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	start(t, v, &engine{Out: facts}, pipeline.Realtime, 0)
	eventually(t, "frames pass by", func() bool { return s.Stats().Sessions.Frames > 20 })
	if err := cl.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	m := cl.next()
	if m.Meta.Frame <= 20 || m.header.id != m.Meta.Frame {
		t.Errorf("%s", m)
	}
	// A client pairs by time since the first packet it got.
	first := (<-cl.packets).Timestamp
	for range 50 {
		m := cl.next()
		for p := range cl.packets {
			if p.Timestamp-first >= uint32(*m.Meta.PTS) {
				if p.Timestamp-first != uint32(*m.Meta.PTS) {
					t.Fatalf("no picture for pts %d", *m.Meta.PTS)
				}
				break
			}
		}
	}
}

func TestManyChannels(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{})
	for i := range 20 {
		cl.channel(fmt.Sprint("more ", i)).OnMessage(cl.hear(false)) // the newest gets the results
	}
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, Source: &pipelinetest.Source{N: -1, Every: 5 * time.Millisecond}})
	start(t, v, &engine{Out: facts}, pipeline.Realtime, 0)
	cl.next()
}

func TestMessageThatIsTooLong(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{})
	over := make(chan struct{})
	cl.results.OnClose(func() { close(over) })
	req := webrtc.SessionRequest{Type: "offer", SDP: cl.offer(), StreamOutput: []string{}}
	v, answer, err := s.OpenSession(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	answer = strings.Replace(answer, "max-message-size:65536", "max-message-size:1000000", 1)
	if err := cl.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	cl.say(`{"data_output":["` + strings.Repeat("x", 100_000) + `"]}`)
	cl.await("the channel is closed", over)
	if st := s.Stats().Sessions; st.Malformed != 1 || st.Connected != 1 {
		t.Errorf("%+v", st)
	}
}

func TestManySessionsLeaveNothingBehind(t *testing.T) {
	n := 100
	if text := os.Getenv("PERCH_TEST_SESSIONS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s, parts := sessions(t, webrtc.SessionOptions{UploadDir: dir})
	one := func(i int) {
		t.Run(strconv.Itoa(i), func(t *testing.T) { // whose clean-up comes at its end
			cl := newClient(t, kit{upload: true, video: []string{"", "recvonly", "", "sendrecv"}[i%4]})
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: [][]string{{}, nil}[i%2], DataOutput: []string{"*"}})
			j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
			file := chunks(fileOf(4, 100_000), 49152)
			switch i % 4 {
			case 2: // leaves in the middle
				cl.send(file[:1]...)
			case 3: // and with its camera on
				stop := make(chan struct{})
				defer close(stop)
				go camera(t, cl, pipeline.CodecVP8, 0, 3000, stop)
				cl.next()
			default:
				cl.send(file...)
				if frames, _ := cl.all(); len(frames) != 4 {
					t.Fatalf("%d messages", len(frames))
				}
			}
			cl.close()
			j.wait(t)
		})
	}
	for i := range 8 {
		one(i)
	}
	goroutines, fds, heap := settled(t, 0), openFiles(t), liveHeap()
	for i := range n {
		one(i)
	}
	if m := settled(t, goroutines); m > goroutines {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before\n%s", m, goroutines, buf[:runtime.Stack(buf, true)])
	}
	if m := openFiles(t); m > fds {
		t.Errorf("%d open files, %d before", m, fds)
	}
	if m := liveHeap(); m > heap+4<<20 {
		t.Errorf("%d bytes of heap, %d before", m, heap)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the directory of uploads: %v, %v", left, err)
	}
	if st := s.Stats().Sessions; st.Open != 0 || st.Connected != 0 || parts.encoders.live.Load() != 0 {
		t.Errorf("%+v", st)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
