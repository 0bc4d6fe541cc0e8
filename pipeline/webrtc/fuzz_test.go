package webrtc

import (
	"encoding/binary"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"perch/pipeline"
)

// FuzzUpload gives an upload a series of chunks: a file of length-prefixed
// messages. Whatever comes, the file stays within its limits and what is
// reported whole is what was sent.
func FuzzUpload(f *testing.F) {
	msg := func(index, total uint32, data string) []byte {
		b := binary.LittleEndian.AppendUint32([]byte{byte(8 + len(data))}, index)
		return append(binary.LittleEndian.AppendUint32(b, total), data...)
	}
	f.Add(append(msg(0, 2, "ab"), msg(1, 2, "c")...))
	f.Add(append(msg(1, 2, "c"), msg(0, 2, "ab")...))
	f.Add(append(msg(2, 3, "c"), append(msg(2, 3, "longer"), append(msg(1, 3, "ab"), msg(0, 3, "ab")...)...)...))
	f.Add(msg(0, 1<<32-1, "x"))
	f.Add(msg(5, 5, "x"))
	f.Add([]byte{3, 1, 2, 3})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 12
		file, err := anonymous(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		disk := &space{free: freeBytes}
		u := &upload{file: file, limit: uploadLimit{size: limit, chunks: 64}, space: disk}
		sent := map[uint32]string{}
		for len(in) > 0 {
			n := min(int(in[0]), len(in)-1)
			m := in[1 : 1+n]
			in = in[1+n:]
			index, total, data, err := readUpload(m)
			if err != nil {
				continue
			}
			whole, err := u.add(index, total, data)
			if err != nil {
				break
			}
			sent[index] = string(data)
			if whole {
				var want strings.Builder
				for i := range total {
					want.WriteString(sent[i])
				}
				got, err := os.ReadFile(pathOf(file))
				if err != nil || string(got) != want.String() {
					t.Fatalf("the file is %q, want %q: %v", got, want.String(), err)
				}
				break
			}
		}
		if info, err := file.Stat(); err != nil || info.Size() > limit {
			t.Fatalf("the file has %d bytes: %v", info.Size(), err)
		}
		if u.settle(u.owed); disk.owed != 0 {
			t.Fatalf("%d bytes are kept for an upload that is over", disk.owed)
		}
	})
}

func FuzzControl(f *testing.F) {
	for _, s := range []string{`{"stream_output":["a"],"data_output":["*"],"ack":17}`, `{"ack":"5"}`, `{"ack":5.0}`, `{"ack":-1}`, `{"ack":1e400}`,
		`{"ack":null,"data_output":null}`, `{"data_output":[""]}`, `{"data_output":[null]}`, `{"data_output":{}}`, `[]`, `null`, `{`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := readControl(in)
		if err != nil {
			if c.ACK != nil || c.Data != nil || c.Stream != nil {
				t.Fatalf("an error, and yet %+v", c)
			}
			return
		}
		w := newWishes(SessionRequest{}, slog.New(slog.DiscardHandler))
		before := w.acked()
		w.apply(c)
		if w.acked() < before {
			t.Fatalf("the ACK went from %d to %d", before, w.acked())
		}
		seen := map[string]bool{}
		for _, n := range w.outputs().names {
			if seen[n] {
				t.Fatalf("%q is there twice", n)
			}
			seen[n] = true
		}
	})
}

// FuzzOffer answers offers as a server does, to the end: a browser's SDP reaches
// all of the library below.
func FuzzOffer(f *testing.F) {
	for _, name := range []string{"pion.sdp", "aiortc.sdp", "chromium.sdp"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), true)
		f.Add(string(text), false)
	}
	f.Add("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", true)
	s, err := Open(Options{Listen: "127.0.0.1:0", Sessions: SessionOptions{MaxSessions: 64, GatherTimeout: 20 * time.Millisecond}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, sdp string, video bool) {
		hang := time.AfterFunc(20*time.Second, func() {
			debug.SetTraceback("all")
			panic("no answer in 20 s")
		})
		defer hang.Stop()
		req := SessionRequest{Type: "offer", SDP: sdp}
		if !video {
			req.StreamOutput = []string{}
		}
		v, answer, err := s.OpenSession(t.Context(), req)
		if err != nil {
			return
		}
		v.Close()
		if !strings.Contains(answer, "a=candidate:") {
			t.Fatalf("an answer without an address:\n%s", answer)
		}
	})
}

// FuzzTrack gives an assembler packets made of the input: sequence number, time
// stamp and length of each, then its payload.
func FuzzTrack(f *testing.F) {
	for _, codec := range []pipeline.Codec{pipeline.CodecVP8, pipeline.CodecH264} {
		var in []byte
		for i, p := range stream(codec, 2, 65534, 1<<32-10) {
			in = append(in, byte(i), byte(p.Timestamp>>8), byte(min(len(p.Payload), 40)))
			in = append(in, p.Payload[:min(len(p.Payload), 40)]...)
		}
		f.Add(in, codec == pipeline.CodecVP8)
	}
	f.Fuzz(func(t *testing.T, in []byte, vp8 bool) {
		codec := pipeline.CodecH264
		if vp8 {
			codec = pipeline.CodecVP8
		}
		a := newAssembler(codec)
		now := time.Unix(0, 0)
		keyed := false
		for len(in) >= 3 {
			n := min(int(in[2]), len(in)-3)
			p := &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(in[0]) << 6, Timestamp: uint32(in[1]) << 20, Marker: in[0]&1 == 1}, Payload: in[3 : 3+n]}
			in = in[3+n:]
			now = now.Add(50 * time.Millisecond)
			for _, u := range a.add(p, now) {
				if keyed = keyed || u.Key; !keyed || len(u.Data) == 0 {
					t.Fatalf("a unit of %d bytes, key %v, before any key frame", len(u.Data), u.Key)
				}
			}
			if len(a.waiting) > gapLength+1 || len(a.unit) > maxUnit {
				t.Fatalf("%d packets wait, %d bytes are in hand", len(a.waiting), len(a.unit))
			}
		}
	})
}
