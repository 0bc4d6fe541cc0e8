package webrtc_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/webrtc"
)

func head(index, total uint32, data string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, index)
	return append(binary.LittleEndian.AppendUint32(b, total), data...)
}

func TestUploadedChunks(t *testing.T) {
	file := fileOf(3, 100_000)
	whole := chunks(file, 1000)
	reversed := slices.Clone(whole)
	slices.Reverse(reversed)
	shuffled := slices.Clone(whole)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	short := fileOf(2, 10_500)
	longLast := slices.Concat([][]byte{head(10, 11, strings.Repeat("z", 900))}, chunks(short, 1000)[10:], chunks(short, 1000)[:10])
	for _, c := range []struct {
		name string
		msgs [][]byte
		file []byte
	}{
		{"in order", whole, file},
		{"in reverse", reversed, file},
		{"shuffled", shuffled, file},
		{"each twice", slices.Concat(whole[:50], whole[:50], whole[50:]), file},
		{"one chunk", chunks(short, 49152), short},
		{"a last chunk that was longer at first", longLast, short},
		{"malformed between", slices.Concat(whole[:1], [][]byte{{1, 2}, head(5, 5, "x"), head(9, 0, ""), []byte("seven b")}, whole[1:]), file},
		{"more after the end", slices.Concat(whole, whole[:2]), file},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, parts := sessions(t, webrtc.SessionOptions{})
			cl := newClient(t, kit{upload: true})
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, Realtime: true})
			j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
			cl.send(c.msgs...)
			_, last := cl.all()
			if last.Reason != nil {
				t.Errorf("%s", last.raw)
			}
			cl.close()
			j.wait(t)
			if len(parts.files.sums) != 1 || parts.files.sums[0] != sha256.Sum256(c.file) || parts.files.paces[0] != pipeline.Realtime {
				t.Error("the file is not what was uploaded")
			}
			if st := s.Stats().Sessions; st.Uploads != 1 || st.Refused != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, says string
		msgs       [][]byte
		opt        webrtc.SessionOptions
	}{
		{"2^32-1 chunks", "4294967295 chunks, at most", [][]byte{head(0, 1<<32-1, "x")}, webrtc.SessionOptions{}},
		{"too many chunks", "11 chunks, at most 10", [][]byte{head(0, 11, "x")}, webrtc.SessionOptions{MaxChunks: 10}},
		{"too large", "at most 5000 are taken", [][]byte{head(0, 6, strings.Repeat("x", 1001))}, webrtc.SessionOptions{MaxUpload: 5000}},
		{"too large by its last chunk", "at most 5000 are taken", [][]byte{head(0, 5, strings.Repeat("x", 1000)), head(4, 5, strings.Repeat("x", 1001))}, webrtc.SessionOptions{MaxUpload: 5000}},
		{"too large in one", "at most 50 are taken", [][]byte{head(0, 1, strings.Repeat("x", 51))}, webrtc.SessionOptions{MaxUpload: 50}},
		{"another total", "another says 4", [][]byte{head(0, 3, "x"), head(1, 4, "x")}, webrtc.SessionOptions{}},
		{"another size", "chunk of 2 bytes after one of 1", [][]byte{head(0, 3, "x"), head(1, 3, "xx")}, webrtc.SessionOptions{}},
		{"empty chunks", "chunk of 0 bytes", [][]byte{head(0, 3, "")}, webrtc.SessionOptions{}},
		{"no directory", "look at the directory", [][]byte{head(0, 1, "x")}, webrtc.SessionOptions{UploadDir: "/dev/null/uploads"}},
		{"no disk for it", "do not fit", [][]byte{head(0, 2, "x")}, webrtc.SessionOptions{KeepFree: 1 << 60}},
		{"no video", "not a video", chunks([]byte("a text"), 49152), webrtc.SessionOptions{}},
		{"never ends", "nothing came for", [][]byte{head(0, 3, "x")}, webrtc.SessionOptions{UploadIdle: 300 * time.Millisecond}},
		{"never begins", "nothing came for", nil, webrtc.SessionOptions{UploadIdle: 300 * time.Millisecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := sessions(t, c.opt)
			cl := newClient(t, kit{upload: true})
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}})
			j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
			cl.await("the result channel opens", cl.opened)
			cl.send(c.msgs...)
			frames, last := cl.all()
			if len(frames) != 1 || len(frames[0].Errors) != 1 || !strings.Contains(frames[0].Errors[0], c.says) || frames[0].header.id != 1 {
				t.Fatalf("the client was told %s", frames)
			}
			if last.header.id != 2 || last.Reason != nil {
				t.Errorf("the last message is %s", last.raw)
			}
			cl.close()
			if rec := j.wait(t); rec.Termination == pipeline.EndOfStream {
				t.Errorf("the record says %s", rec.Termination)
			}
		})
	}
}

func TestKeepalivesAreEchoed(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{UploadIdle: time.Second})
	cl := newClient(t, kit{upload: true})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}})
	start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	for _, m := range [][]byte{{0}, {255}, {}} {
		cl.send(m)
		select {
		case got := <-cl.echoes:
			if !bytes.Equal(got, m) {
				t.Errorf("%v came back as %v", m, got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no echo")
		}
	}
	if err := cl.upload.SendText("k"); err != nil {
		t.Fatal(err)
	}
	if got := <-cl.echoes; string(got) != "k" {
		t.Errorf("text came back as %q", got)
	}
}

func TestUploadReplacesTheDeclaredRateAndTellsTheSizeBeforeRotation(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	parts.files.info = pipeline.StreamInfo{FPS: 24.5, Rotation: 90}
	cl := newClient(t, kit{upload: true})
	declared := 30.0
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DeclaredFPS: &declared})
	start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	cl.send(chunks(fileOf(1, 100), 49152)...)
	m := cl.next()
	if *m.Meta.FPS != 24.5 || *m.Meta.Width != 48 || *m.Meta.Height != 64 { // the frame is 64x48
		t.Errorf("%s", m.raw)
	}
}

func TestSecondSourceIsIgnored(t *testing.T) {
	s, parts := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{upload: true})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"count"}, Source: newClip(5)})
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	cl.send(chunks(fileOf(50, 100), 49152)...)
	frames, _ := cl.all()
	if len(frames) != 5 {
		t.Errorf("%d frames came of the first source", len(frames))
	}
	cl.close()
	j.wait(t)
	if len(parts.files.sums) != 0 {
		t.Error("the upload was opened")
	}
}
