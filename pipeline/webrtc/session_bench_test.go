package webrtc_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

// sizes of results: numbers only, and with an image.
var sizes = []int{300, 200_000}

// result is a frame and what a workflow put out for it, n bytes in all.
func result(n int) (pipeline.Frame, *pipeline.Result) {
	blob := `"` + strings.Repeat("x", max(n-300, 0)) + `"`
	f := pipelinetest.NewFrame(pipeline.NewPicture(64, 48), 1, 0, nil)
	return f, &pipeline.Result{Outputs: outputs{{name: "blob", json: blob}}}
}

// attend joins a session and returns it and the number of each message's frame.
func attend(b *testing.B) (*webrtc.Session, <-chan uint32) {
	b.Helper()
	s, _ := sessions(b, webrtc.SessionOptions{})
	cl := newClient(b, kit{})
	got := make(chan uint32, 1<<16)
	cl.results.OnMessage(func(m pion.DataChannelMessage) {
		if binary.LittleEndian.Uint32(m.Data[4:])+1 == binary.LittleEndian.Uint32(m.Data[8:]) {
			got <- binary.LittleEndian.Uint32(m.Data)
		}
	})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, DataOutput: []string{"*"}, Source: newClip(1)})
	b.Cleanup(v.Close)
	cl.await("the channel opens", cl.opened)
	return v, got
}

// BenchmarkSession measures results through a session's data channel, and the
// same bytes in the same chunks through a channel of plain pion.
func BenchmarkSession(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("session/%d", n), func(b *testing.B) {
			v, got := attend(b)
			f, r := result(n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			done := make(chan struct{})
			b.ResetTimer()
			go func() {
				for range b.N {
					<-got
				}
				close(done)
			}()
			for range b.N {
				if err := v.Show(f, r); err != nil {
					b.Fatal(err)
				}
			}
			<-done
		})
		b.Run(fmt.Sprintf("pion/%d", n), func(b *testing.B) { plain(b, n) })
	}
}

// plain sends b.N messages of n bytes from one pion connection to another.
func plain(b *testing.B, n int) {
	from, to := newClient(b, kit{}), newClient(b, kit{noChan: true})
	got := make(chan struct{}, 1<<16)
	to.pc.OnDataChannel(func(dc *pion.DataChannel) {
		dc.OnMessage(func(m pion.DataChannelMessage) {
			if m.Data[0] == 1 { // the last chunk of a message
				got <- struct{}{}
			}
		})
	})
	offer := pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: from.offer()}
	if err := to.pc.SetRemoteDescription(offer); err != nil {
		b.Fatal(err)
	}
	answer, err := to.pc.CreateAnswer(nil)
	if err != nil {
		b.Fatal(err)
	}
	gathered := pion.GatheringCompletePromise(to.pc)
	if err := to.pc.SetLocalDescription(answer); err != nil {
		b.Fatal(err)
	}
	<-gathered
	if err := from.pc.SetRemoteDescription(*to.pc.LocalDescription()); err != nil {
		b.Fatal(err)
	}
	from.await("the channel opens", from.opened)
	const limit = 32 << 20
	low := make(chan struct{}, 1)
	from.results.SetBufferedAmountLowThreshold(limit / 4)
	from.results.OnBufferedAmountLow(func() {
		select {
		case low <- struct{}{}:
		default:
		}
	})
	page := make([]byte, 12+49152)
	b.SetBytes(int64(n))
	b.ReportAllocs()
	done := make(chan struct{})
	b.ResetTimer()
	go func() {
		for range b.N {
			<-got
		}
		close(done)
	}()
	for range b.N {
		for left := n; left > 0; left -= 49152 {
			if from.results.BufferedAmount() > limit {
				<-low
			}
			page[0] = 0
			if left <= 49152 {
				page[0] = 1
			}
			if err := from.results.Send(page[:12+min(left, 49152)]); err != nil {
				b.Fatal(err)
			}
		}
	}
	<-done
}

// BenchmarkSessionLatency measures the time from a finished frame to its
// received message at 30 frames a second.
func BenchmarkSessionLatency(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			v, got := attend(b)
			f, r := result(n)
			tick := time.NewTicker(time.Second / 30)
			defer tick.Stop()
			took := make([]time.Duration, 0, b.N)
			for range b.N {
				<-tick.C
				at := time.Now()
				if err := v.Show(f, r); err != nil {
					b.Fatal(err)
				}
				<-got
				took = append(took, time.Since(at))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		})
	}
}
