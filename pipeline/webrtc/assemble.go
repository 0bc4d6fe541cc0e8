package webrtc

import (
	"bytes"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"perch/pipeline"
)

const (
	gapPatience = 150 * time.Millisecond // for a lost packet to be sent again
	gapLength   = 512                    // packets that may wait behind a gap
	maxUnit     = 8 << 20                // bytes of one encoded picture
	lateInRow   = 64                     // packets from before in a row: the sender has begun anew
)

// assembler puts the packets of one track back into encoded pictures. Packets
// are brought into order; a gap is waited for, and what it damaged, up to the
// next key frame, is left out.
type assembler struct {
	codec   pipeline.Codec
	needKey bool // nothing may be handed out before a key frame

	begun   bool
	next    uint16                 // sequence number that is due
	waiting map[uint16]*rtp.Packet // that came before their turn
	gapAt   time.Time              // when the packet that is due was first missed
	late    int                    // packets in a row from before next

	first   uint32 // time stamp of the first packet
	stamp   uint32 // of the picture in hand
	elapsed int64  // of it, since the first, in 1/90000 s
	open    bool   // a picture is in hand
	spoilt  bool   // it lacks something
	doubt   bool   // the next packet need not be the first of its picture
	unit    []byte
	h264    codecs.H264Packet
	sets    parameterSets
	damaged uint64
}

func newAssembler(codec pipeline.Codec) *assembler {
	return &assembler{codec: codec, needKey: true, doubt: true, waiting: map[uint16]*rtp.Packet{}}
}

// add takes a packet that came at now and returns the pictures that are whole.
func (a *assembler) add(p *rtp.Packet, now time.Time) (units []pipeline.AccessUnit) {
	if !a.begun {
		a.begun, a.next, a.first, a.stamp = true, p.SequenceNumber, p.Timestamp, p.Timestamp
	}
	switch ahead := int16(p.SequenceNumber - a.next); {
	case ahead < 0:
		if a.late++; a.late < lateInRow {
			return nil
		}
		a.restart(p.SequenceNumber)
	case ahead > gapLength*4:
		a.restart(p.SequenceNumber)
	}
	a.late = 0
	a.waiting[p.SequenceNumber] = p
	units = a.drain(units)
	if len(a.waiting) == 0 {
		a.gapAt = time.Time{}
		return units
	}
	if a.gapAt.IsZero() {
		a.gapAt = now
	}
	if now.Sub(a.gapAt) >= gapPatience || len(a.waiting) > gapLength {
		a.skip()
		units = a.drain(units)
		a.gapAt = time.Time{}
	}
	return units
}

// drain takes the packets whose turn it is.
func (a *assembler) drain(units []pipeline.AccessUnit) []pipeline.AccessUnit {
	for p := a.waiting[a.next]; p != nil; p = a.waiting[a.next] {
		delete(a.waiting, a.next)
		a.next++
		units = a.take(p, units)
	}
	return units
}

// skip gives up what is missing before the earliest packet that waits.
func (a *assembler) skip() {
	for a.waiting[a.next] == nil {
		a.next++
	}
	a.lose()
}

// restart forgets what waits; the track goes on at seq.
func (a *assembler) restart(seq uint16) {
	clear(a.waiting)
	a.next = seq
	a.lose()
}

func (a *assembler) lose() {
	a.spoilt, a.doubt, a.needKey = true, true, true
	a.h264 = codecs.H264Packet{}
}

// take adds a packet, whose turn it is, to the picture in hand.
func (a *assembler) take(p *rtp.Packet, units []pipeline.AccessUnit) []pipeline.AccessUnit {
	if len(p.Payload) == 0 {
		return units // padding, with which browsers measure the line
	}
	if a.open && p.Timestamp != a.stamp {
		units = a.finish(units) // its sender sets no markers
	}
	if !a.open {
		a.elapsed += int64(int32(p.Timestamp - a.stamp))
		a.stamp, a.open, a.unit = p.Timestamp, true, nil
		a.spoilt, a.doubt = a.doubt && !begins(a.codec, p.Payload), false
	}
	var part []byte
	var err error
	if a.codec == pipeline.CodecVP8 {
		part, err = new(codecs.VP8Packet).Unmarshal(p.Payload)
	} else {
		part, err = a.h264.Unmarshal(p.Payload)
	}
	if err != nil || len(a.unit)+len(part) > maxUnit {
		a.lose()
	} else {
		a.unit = append(a.unit, part...)
	}
	if p.Marker {
		units = a.finish(units)
	}
	return units
}

// finish hands out the picture in hand if it can be decoded.
func (a *assembler) finish(units []pipeline.AccessUnit) []pipeline.AccessUnit {
	u := pipeline.AccessUnit{PTS: duration(a.elapsed), Data: a.unit}
	a.open, a.unit = false, nil
	if len(u.Data) == 0 && !a.spoilt {
		return units
	}
	if !a.spoilt {
		if a.codec == pipeline.CodecVP8 {
			u.Key = u.Data[0]&1 == 0 // RFC 6386, 9.1
		} else {
			u.Data, u.Key = a.sets.complete(u.Data)
		}
	}
	if a.spoilt || a.needKey && !u.Key {
		a.damaged++
		a.needKey = true
		return units
	}
	a.needKey = false
	return append(units, u)
}

// flush hands out what is left at the end of the track.
func (a *assembler) flush() (units []pipeline.AccessUnit) {
	for len(a.waiting) > 0 {
		a.skip()
		units = a.drain(units)
	}
	if a.open {
		units = a.finish(units)
	}
	return units
}

// takeDamaged returns how many pictures were left out since it was last called.
func (a *assembler) takeDamaged() uint64 {
	n := a.damaged
	a.damaged = 0
	return n
}

// begins reports whether a payload is surely the first of a picture.
func begins(codec pipeline.Codec, payload []byte) bool {
	if codec == pipeline.CodecVP8 { // RFC 7741, 4.2
		var p codecs.VP8Packet
		_, err := p.Unmarshal(payload)
		return err == nil && p.S == 1 && p.PID == 0
	}
	kind := payload[0] & 0x1f
	if kind == 24 && len(payload) > 3 { // STAP-A (RFC 6184, 5.7.1): the first of several
		kind = payload[3] & 0x1f
	}
	return kind == 7 || kind == 9 // parameter sets and delimiters come first (ITU-T H.264, 7.4.1.2.3)
}

// duration is the inverse of ticks.
func duration(ticks int64) time.Duration {
	return time.Duration(ticks/clockRate)*time.Second + time.Duration(ticks%clockRate)*time.Second/clockRate
}

// parameterSets remembers an H.264 track's parameter sets. A sender may repeat
// them less often than its key frames.
type parameterSets struct{ sps, pps []byte }

// complete returns an Annex B unit, with parameter sets if it is a key frame.
func (s *parameterSets) complete(unit []byte) (_ []byte, key bool) {
	start := []byte{0, 0, 0, 1} // as the depacketiser writes it
	var sps, pps bool
	for nal := range bytes.SplitSeq(unit, start) {
		if len(nal) == 0 {
			continue
		}
		switch nal[0] & 0x1f { // ITU-T H.264, table 7-1
		case 5:
			key = true
		case 7:
			s.sps, sps = bytes.Clone(nal), true
		case 8:
			s.pps, pps = bytes.Clone(nal), true
		}
	}
	if !key || sps && pps {
		return unit, key
	}
	if s.sps == nil || s.pps == nil {
		return unit, false // it cannot be decoded
	}
	var out []byte
	for _, nal := range [][]byte{s.sps, s.pps} {
		out = append(append(out, start...), nal...)
	}
	return append(out, unit...), true
}
