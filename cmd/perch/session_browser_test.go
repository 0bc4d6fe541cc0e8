package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A browser is a headless Chromium with a camera that shows a test picture.
type browser struct{ ctx context.Context }

func startBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine; make test installs it")
	}
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true))...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return &browser{ctx}
}

// A tab is one page of a browser, and whom it has asked for something.
type tab struct {
	t   *testing.T
	ctx context.Context
	log fmt.Stringer // shown when something is waited for in vain

	mu    sync.Mutex
	hosts map[string]bool // guarded by mu
}

func (b *browser) open(t *testing.T, log fmt.Stringer, address string) *tab {
	t.Helper()
	p := &tab{t: t, log: log, hosts: map[string]bool{}}
	var cancel context.CancelFunc
	p.ctx, cancel = chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	if err := chromedp.Listen(p.ctx, p.note); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(p.ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	return p
}

// note keeps whom a request goes to.
func (p *tab) note(ev any) {
	e, ok := ev.(*network.EventRequestWillBeSent)
	if !ok {
		return
	}
	if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hosts[u.Host] = true
	}
}

// asked returns the hosts of all the page's requests, sorted.
func (p *tab) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.hosts))
}

// js returns what JavaScript makes of an expression, promises awaited.
func js[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", expression, err, p.log)
	}
	return v
}

// do runs JavaScript for what it does; its result is not read.
func (p *tab) do(statement string) {
	p.t.Helper()
	js[bool](p, "(async () => { await ("+statement+"); return true; })()")
}

// await waits until an expression is true.
func (p *tab) await(what, expression string) {
	p.t.Helper()
	until(p.t, p.log, what, func() bool { return js[bool](p, "!!("+expression+")") })
}

// A site serves the page with the published client and files for it. Its
// origin is not Perch's, as that of an application is not.
func site(t *testing.T, dir string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join("testdata", "session.html"))
	})
	mux.HandleFunc("GET /sdk.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, os.Getenv("PERCH_TEST_SDK")) })
	mux.Handle("GET /files/", http.StripPrefix("/files/", http.FileServer(http.Dir(dir))))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// jsonOf writes a value down for JavaScript.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
