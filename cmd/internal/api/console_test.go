package api_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"perch/pipeline"
)

// browser opens a tab of headless Chromium and collects what its console says.
func browser(t *testing.T, width, height int) (context.Context, func() []string) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine: the console is not tested")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	alloc, cancel := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var said []string
	tab, cancel := chromedp.NewContext(alloc, chromedp.WithListener(func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			said = append(said, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			said = append(said, fmt.Sprint(e.Type, ": ", string(e.Args[0].Value)))
		case *log.EventEntryAdded:
			said = append(said, fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text, " ", e.Entry.URL))
		}
	}))
	t.Cleanup(cancel)
	return tab, func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), said...) }
}

// playing is true when the camera's picture moves and is not black.
const playing = `(() => {
	const v = document.querySelector('[data-camera=yard] video');
	if (!(v && v.videoWidth > 0 && v.currentTime > (window.began ??= v.currentTime) + 0.5)) return false;
	const c = Object.assign(document.createElement('canvas'), {width: v.videoWidth, height: v.videoHeight});
	const g = c.getContext('2d');
	g.drawImage(v, 0, 0);
	const seen = g.getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 < 3);
	return seen.reduce((a, b) => a + b, 0) / seen.length > 40 && v.videoWidth === 320;
})()`

// text is JavaScript for what an element says.
func text(selector string) string {
	return fmt.Sprintf(`(document.querySelector(%q)?.innerText ?? '')`, selector)
}

func evaluate(t *testing.T, ctx context.Context, js string) string {
	t.Helper()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+js+")"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wait asks until js is true.
func wait(t *testing.T, ctx context.Context, what, js string, said func() []string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); evaluate(t, ctx, js) != "true"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s\nconsole: %q\npage: %s", what, said(), evaluate(t, ctx, `document.body.innerText`))
		}
	}
}

func open(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
}

func TestConsolePlaysTheLivePicture(t *testing.T) {
	for _, codec := range []pipeline.Codec{pipeline.CodecVP8, pipeline.CodecH264} {
		t.Run(string(codec), func(t *testing.T) {
			a := newAppliance(t, codec)
			web := httptest.NewServer(newServer(t, a))
			defer web.Close()
			tab, said := browser(t, 1440, 1000)
			open(t, tab, web.URL)
			wait(t, tab, "the picture to play", playing, said)
			if got := evaluate(t, tab, `document.querySelector('[data-camera=yard] .veil').hidden`); got != "true" {
				t.Error("words lie over a live picture")
			}
			page := evaluate(t, tab, `document.body.innerText`)
			for _, want := range []string{
				"jetson-yard", "2 cameras", "Live", "4\nperson", "1\nbicycle", "15.0", "23,448", "Dropped\n12\n", "Dropped: 11 replaced by a newer frame, 1 failed in the model or a step. Left out by max_fps: 23,460", "30 frames/s · at most 15 processed", "avdec_h264 · software",
				"nvv4l2decoder is not installed", "libcudart.so.12 was not found", "Refused", "The camera refuses user admin", "Check user and password",
				"CPU; building engine for TensorRT, 1 min 35 s of about 5 min 0 s", "End of the stream", "delivery.mp4 (file)", "session 7 (WebRTC)", "Client gone", "person 80,211", "Synchronised",
			} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q:\n%s", want, page)
				}
			}
			if got := evaluate(t, tab, `document.querySelector('.runs tbody tr:nth-child(2) a').getAttribute('href')`); got != "api/v1/runs/01J9ZC0000000000000000000A" {
				t.Errorf("the record is at %s", got)
			}
			if lines := said(); len(lines) > 0 {
				t.Errorf("the browser's console says %q", lines)
			}
			shoot(t, tab, string(codec))
		})
	}
}

// shoot writes a screenshot if somebody wants to look at it.
func shoot(t *testing.T, tab context.Context, name string) {
	dir := os.Getenv("PERCH_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/console-"+name+".png", png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestConsoleWatchesOnlyWhatIsSeenAndComesBack(t *testing.T) {
	a := newAppliance(t, pipeline.CodecVP8)
	web := httptest.NewServer(newServer(t, a))
	defer web.Close()
	tab, said := browser(t, 800, 900)
	open(t, tab, web.URL)
	wait(t, tab, "the picture to play", playing, said)

	// Scrolled away, no encoder may run.
	evaluate(t, tab, `(document.body.style.setProperty('padding-top', '4000px'), scrollTo(0, 0))`)
	until(t, "nobody watches", func() bool { return a.feed.watching.Load() == 0 && a.views.Stats().Viewers == 0 })
	evaluate(t, tab, `document.body.style.removeProperty('padding-top')`)
	until(t, "somebody watches again", func() bool { return a.feed.watching.Load() == 1 })

	// Nor while the tab is hidden.
	const hide = `(Object.defineProperty(document, 'hidden', {value: %v, configurable: true}), document.dispatchEvent(new Event('visibilitychange')))`
	evaluate(t, tab, fmt.Sprintf(hide, true))
	until(t, "nobody watches", func() bool { return a.feed.watching.Load() == 0 })
	evaluate(t, tab, fmt.Sprintf(hide, false))
	until(t, "somebody watches again", func() bool { return a.feed.watching.Load() == 1 })

	// The camera goes away and comes back.
	a.mu.Lock()
	a.cameras[0].State, a.cameras[0].Cause = "lost", "the cable was pulled"
	a.mu.Unlock()
	wait(t, tab, "the cause to be shown", text(".veil-text")+`.includes('The cable was pulled')`, said)
	until(t, "nobody watches", func() bool { return a.feed.watching.Load() == 0 })
	a.mu.Lock()
	a.cameras[0].State, a.cameras[0].Cause = "live", ""
	a.mu.Unlock()
	evaluate(t, tab, `delete window.began`)
	wait(t, tab, "the picture to play again", playing, said)

	// The device does not answer: the page says so.
	if lines := said(); len(lines) > 0 {
		t.Errorf("the browser's console says %q", lines)
	}
	web.CloseClientConnections()
	web.Listener.Close()
	wait(t, tab, "the page to say it", text("#offline")+`.includes('cannot be reached') && !document.querySelector('#offline').hidden`, said)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
