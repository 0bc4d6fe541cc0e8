package webrtc

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"perch/pipeline"
)

// stream makes the packets of n pictures, a key frame every tenth; the second
// byte of each counts.
func stream(codec pipeline.Codec, n int, first uint16, stamp uint32) []*rtp.Packet {
	var payloader rtp.Payloader = &codecs.VP8Payloader{EnablePictureID: true}
	if codec == pipeline.CodecH264 {
		payloader = &codecs.H264Payloader{}
	}
	p := rtp.NewPacketizer(1200, 96, 1, payloader, rtp.NewFixedSequencer(first), clockRate)
	var out []*rtp.Packet
	for i := range n {
		data := bytes.Repeat([]byte{byte(i)}, 3000)
		key := i%10 == 0
		switch {
		case codec == pipeline.CodecVP8:
			data[0] = 1
			if key {
				data[0] = 0
			}
		case key:
			nal := append([]byte{0, 0, 0, 1, 0x65}, bytes.Repeat([]byte{byte(i + 1)}, 3000)...)
			data = append([]byte{0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3}, nal...)
		default:
			data = append([]byte{0, 0, 0, 1, 0x41}, bytes.Repeat([]byte{byte(i + 1)}, 3000)...)
		}
		for _, pk := range p.Packetize(data, 0) {
			pk.Timestamp = stamp + uint32(i)*3000
			out = append(out, pk)
		}
	}
	return out
}

// run gives packets to an assembler, ten milliseconds apart, and returns which
// pictures came out.
func run(a *assembler, packets []*rtp.Packet) (pictures []int) {
	now := time.Unix(0, 0)
	var units []pipeline.AccessUnit
	for _, p := range packets {
		now = now.Add(10 * time.Millisecond)
		units = append(units, a.add(p, now)...)
	}
	units = append(units, a.flush()...)
	for _, u := range units {
		pictures = append(pictures, int(ticks(u.PTS)/3000))
	}
	return pictures
}

func span(from, to int) (out []int) {
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

func TestAssembler(t *testing.T) {
	for _, codec := range []pipeline.Codec{pipeline.CodecVP8, pipeline.CodecH264} {
		whole := stream(codec, 30, 65530, 1<<32-4000)
		var of [30][]int // packets of each picture
		for i, p := range whole {
			n := (p.Timestamp + 4000) / 3000
			of[n] = append(of[n], i)
		}
		without := func(drop ...int) (out []*rtp.Packet) {
			for i, p := range whole {
				keep := true
				for _, d := range drop {
					keep = keep && i != d
				}
				if keep {
					out = append(out, p)
				}
			}
			return out
		}
		shuffled := append([]*rtp.Packet(nil), whole[1:]...)
		for i := 0; i+8 <= len(shuffled); i += 8 {
			rand.Shuffle(8, func(a, b int) { shuffled[i+a], shuffled[i+b] = shuffled[i+b], shuffled[i+a] })
		}
		lost := of[12][1]
		late := slices.Insert(without(lost), lost+10, whole[lost])
		padded := append([]*rtp.Packet(nil), whole...)
		for _, p := range stream(codec, 1, 0, 0)[:1] {
			p.SequenceNumber, p.Payload = whole[len(whole)-1].SequenceNumber+1, nil
			padded = append(padded, p)
		}
		unmarked := make([]*rtp.Packet, len(whole))
		for i, p := range whole {
			c := *p
			c.Marker = false
			unmarked[i] = &c
		}
		again := stream(codec, 10, 20000, 86000)
		for _, c := range []struct {
			name    string
			packets []*rtp.Packet
			want    []int
		}{
			{"in order", whole, span(0, 30)},
			{"shuffled", append([]*rtp.Packet{whole[0]}, shuffled...), span(0, 30)},
			{"each twice", append(append([]*rtp.Packet(nil), whole[:40]...), whole...), span(0, 30)},
			{"one sent again in time", late, span(0, 30)},
			{"first packet of a picture lost", without(of[12][0]), append(span(0, 12), span(20, 30)...)},
			{"middle packet lost", without(of[15][1]), append(span(0, 15), span(20, 30)...)},
			{"last packet lost", without(of[13][len(of[13])-1]), append(span(0, 13), span(20, 30)...)},
			{"part of a key frame lost", without(of[10][1]), append(span(0, 10), span(20, 30)...)},
			{"joined late", whole[of[3][1]:], shifted(span(10, 30), 3)},
			{"joined at a picture", whole[of[10][0]:], shifted(span(10, 30), 10)},
			{"padding", padded, span(0, 30)},
			{"no markers", unmarked, span(0, 30)},
			{"begins anew", append(append([]*rtp.Packet(nil), whole...), again...), span(0, 40)},
		} {
			t.Run(string(codec)+" "+c.name, func(t *testing.T) {
				a := newAssembler(codec)
				got := run(a, c.packets)
				if !slices.Equal(got, c.want) {
					t.Errorf("pictures %v, want %v (%d damaged)", got, c.want, a.damaged)
				}
				if len(a.waiting) > gapLength {
					t.Errorf("%d packets wait", len(a.waiting))
				}
			})
		}
	}
}

func shifted(list []int, by int) []int {
	for i := range list {
		list[i] -= by
	}
	return list
}

func TestParameterSetsAreRepeated(t *testing.T) {
	var s parameterSets
	start := "\x00\x00\x00\x01"
	if _, key := s.complete([]byte(start + "\x65a")); key {
		t.Error("a key frame without parameter sets counts as one")
	}
	if _, key := s.complete([]byte(start + "\x67s" + start + "\x68p" + start + "\x65a")); !key {
		t.Error("no key frame")
	}
	got, key := s.complete([]byte(start + "\x65b"))
	if want := start + "\x67s" + start + "\x68p" + start + "\x65b"; !key || string(got) != want {
		t.Errorf("%q, %v", got, key)
	}
	if got, key := s.complete([]byte(start + "\x41c")); key || string(got) != start+"\x41c" {
		t.Errorf("%q, %v", got, key)
	}
}

func TestTicks(t *testing.T) {
	for _, n := range []int64{0, 1, 2, 3003, 89999, 90001, 1 << 33, 1<<40 + 7, -1, -90001} {
		if got := ticks(duration(n)); got != n {
			t.Errorf("%d comes back as %d", n, got)
		}
	}
}

func TestStringsAndNumbersAreJSON(t *testing.T) {
	for _, s := range []string{"", "plain", "quote\" back\\slash", "tab\t nul\x00 line\n", "grün 😀", "bad \xff utf", "</script>\u2028"} {
		var got string
		b := appendString(nil, s)
		if err := json.Unmarshal(b, &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q is written as %s: %v", s, b, err)
		}
	}
	for want, f := range map[string]float64{"30.0": 30, "29.97": 29.97, "0.0": 0, "1e+20": 1e20, "-1.5": -1.5} {
		if got := appendFloat(nil, &f); string(got) != want {
			t.Errorf("%v is written as %s", f, got)
		}
	}
	zero := 0.0
	for _, f := range []float64{zero / zero, 1 / zero, -1 / zero} {
		if got := appendFloat(nil, &f); string(got) != "null" {
			t.Errorf("%v is written as %s", f, got)
		}
	}
}
