package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"
)

// watch is one viewer: it asks for the camera over WHEP, waits for the first
// packet of the picture and leaves.
func (d *daemon) watch(camera string) error {
	pc, err := newPeer()
	if err != nil {
		return err
	}
	defer func() { _ = pc.GracefulClose() }()
	seen := make(chan error, 1)
	pc.OnTrack(func(tr *pion.TrackRemote, _ *pion.RTPReceiver) { _, _, err := tr.ReadRTP(); seen <- err })
	if _, err := pc.AddTransceiverFromKind(pion.RTPCodecTypeVideo, pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionRecvonly}); err != nil {
		return err
	}
	offer, err := offerOf(pc)
	if err != nil {
		return err
	}
	resp, err := http.Post(d.url+"/whep/cameras/"+camera, "application/sdp", strings.NewReader(offer))
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("WHEP: %d %w\n%s", resp.StatusCode, err, answer)
	}
	if err := pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	select {
	case err := <-seen:
		if err != nil {
			return err
		}
	case <-time.After(30 * time.Second):
		return errors.New("no picture came")
	}
	req, err := http.NewRequest(http.MethodDelete, d.url+resp.Header.Get("Location"), nil)
	if err != nil {
		return err
	}
	if resp, err = http.DefaultClient.Do(req); err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("DELETE view: %s", resp.Status)
	}
	return nil
}

// watchMany lets n viewers come and go, ten at a time.
func (d *daemon) watchMany(t *testing.T, n int) {
	t.Helper()
	for range n / 10 {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := d.watch("gate"); err != nil {
					t.Error(err)
				}
			})
		}
		if wg.Wait(); t.Failed() {
			t.Fatal(d.log)
		}
	}
}

// Viewers come and go for as long as the device lives. The slack is for what
// is not theirs: SQLite's and HTTP's idle connections, and the heap of a
// program with the race detector, which returns memory late.
func TestTwoHundredViewersLeaveNothing(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir := t.TempDir()
	d := startDaemon(t, dir, gate(t, dir, ""))
	d.camera(t, "gate", "is live", live)
	d.watchMany(t, 40) // warm
	before := d.footprint(t)
	d.watchMany(t, 200)
	var after footprint
	until(t, d.log, "what the viewers used is free", func() bool {
		after = d.footprint(t)
		return after.goroutines <= before.goroutines+5 && after.files <= before.files+5 && after.rssMB <= before.rssMB+100
	})
	t.Logf("before %+v, after %+v", before, after)
	if _, metrics := d.ask(t, "GET", "/metrics"); !strings.Contains(metrics, "\nperch_viewers 0\n") || !strings.Contains(metrics, `perch_viewer_offers_total{outcome="accepted"} 240`) {
		t.Error("/metrics does not count the viewers")
	}
}

// playing is JavaScript that is true when the picture moves and is not black.
const playing = `(() => {
	const v = document.querySelector('.camera video');
	if (!(v && v.videoWidth > 0 && v.currentTime > (window.began ??= v.currentTime) + 0.5)) return false;
	const c = Object.assign(document.createElement('canvas'), {width: v.videoWidth, height: v.videoHeight});
	const g = c.getContext('2d');
	g.drawImage(v, 0, 0);
	const seen = g.getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 < 3);
	return seen.reduce((a, b) => a + b, 0) / seen.length > 40;
})()`

// The whole way in one: a file becomes a camera, and a person sees it in a
// browser with what the model finds.
func TestTheConsoleShowsTheLivePicture(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	b := startBrowser(t)
	dir := t.TempDir()
	d := startDaemon(t, dir, gate(t, dir, ""))
	d.camera(t, "gate", "is live", live)
	p := b.open(t, d.log, d.url+"/")
	for what, shown := range map[string]string{
		"the picture plays":    playing,
		"the camera is live":   `document.querySelector('.camera')?.dataset.state === 'live'`,
		"people are counted":   `/[1-9]\d*\s*person/.test(document.querySelector('.camera .counts')?.innerText ?? '')`,
		"the run is listed":    `(document.querySelector('.runs')?.innerText ?? '').includes('gate')`,
		"nothing is offline":   `document.querySelector('#offline')?.hidden`,
		"frames are processed": `Number((document.querySelector('.camera .processed')?.innerText ?? '').replace(/\D.*/, '')) > 0`,
	} {
		p.await(what, shown)
	}
}
