package deliver

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"perch/pipeline"
)

func TestWhatAnAnswerMeans(t *testing.T) {
	var redirected atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected.Add(1) }))
	t.Cleanup(other.Close)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/ok":
			if r.Method != "POST" || string(body) != "hello" || r.Header.Get("X-A") != "1" || r.Host != "name.example.org" {
				w.WriteHeader(http.StatusBadRequest)
			}
		case "/same":
			http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect)
		case "/get":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/elsewhere":
			http.Redirect(w, r, other.URL+"/x?token=secret", http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			panic(http.ErrAbortHandler)
		case "/busy":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/later":
			w.Header().Set("Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/never":
			w.Header().Set("Retry-After", "99999999")
			w.WriteHeader(http.StatusRequestTimeout)
		default:
			var code int
			fmt.Sscanf(r.URL.Path, "/%d", &code)
			w.WriteHeader(code)
		}
	}))
	t.Cleanup(srv.Close)
	w := worker(t, Options{Log: quiet()})
	const yes, never, later = "arrives", "never", "later"
	for path, c := range map[string]struct {
		want     string
		says     string
		min, max time.Duration // to wait
	}{
		"/ok": {want: yes}, "/204": {want: yes}, "/same": {want: yes}, "/endless": {want: yes},
		"/get": {want: never, says: "302"}, "/elsewhere": {want: never, says: "leads to " + other.URL + " and"}, "/loop": {want: never, says: "307"},
		"/400": {want: never, says: "400 Bad Request"}, "/401": {want: never}, "/404": {want: never},
		"/500": {want: later, says: "500"}, "/503": {want: later}, "/cut": {want: later}, "/slow": {want: later, says: "no answer in time"},
		"/busy":  {want: later, min: 7 * time.Second, max: 7 * time.Second},
		"/later": {want: later, min: 80 * time.Second, max: 90 * time.Second},
		"/never": {want: later, min: maxAfter, max: maxAfter},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r := &Request{Method: "POST", URL: srv.URL + path + "?key=secret", Body: []byte("hello"), Timeout: 500 * time.Millisecond,
				Headers: []Header{{"X-A", "1"}, {"Host", "name.example.org"}, {"Authorization", "Bearer secret"}}}
			if path == "/endless" {
				r.Timeout = 10 * time.Second
			}
			d, err := r.Delivery(time.Now(), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(d.To, "secret") || d.To != srv.URL {
				t.Errorf("destination %q", d.To)
			}
			err = w.Send(t.Context(), d)
			got := yes
			if err != nil {
				f := asFailure(err)
				got = later
				if f.final {
					got = never
				}
				if f.after < c.min || f.after > c.max {
					t.Errorf("waits %v", f.after)
				}
				if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v", err)
				}
			}
			if got != c.want {
				t.Errorf("%s, want %s: %v", got, c.want, err)
			}
		})
	}
	t.Cleanup(func() {
		if redirected.Load() != 0 {
			t.Error("the request went to another server")
		}
	})
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	w := worker(t, Options{})
	for name, r := range map[string]Request{
		"scheme":     {Method: "GET", URL: "file:///etc/passwd"},
		"no host":    {Method: "GET", URL: "http:///x"},
		"not a URL":  {Method: "GET", URL: "http://user:secret@a b"},
		"method":     {Method: "GE T", URL: "http://127.0.0.1:1"},
		"header":     {Method: "GET", URL: "http://127.0.0.1:1", Headers: []Header{{"A\r\nB", "x"}}},
		"empty name": {Method: "GET", URL: "http://127.0.0.1:1", Headers: []Header{{"", "x"}}},
		"value":      {Method: "GET", URL: "http://127.0.0.1:1", Headers: []Header{{"A", "x\r\nB: y"}}},
	} {
		d, err := r.Delivery(time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Send(t.Context(), d); err == nil || !asFailure(err).final || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, d := range []pipeline.Delivery{{Kind: "pigeon"}, {Kind: Webhook, Body: []byte("{")}} {
		if err := w.Send(t.Context(), d); err == nil || !asFailure(err).final {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

// What clients send goes where the guard lets it, to the address that the guard
// has seen; what the device's owner wrote goes anywhere.
func TestTheGuardDecides(t *testing.T) {
	arrived := atomic.Int32{}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	var asked []string
	w := worker(t, Options{RootCAs: pool, Check: func(_ context.Context, raw string) (string, error) {
		asked = append(asked, raw)
		u, err := url.Parse(raw)
		if err != nil {
			return "", err
		}
		switch u.Hostname() {
		case "example.com": // the name in the server's certificate
			return "http://127.0.0.1:" + u.Port(), nil
		case "unknown.example.com":
			return "", &pipeline.Error{Op: "open", Kind: pipeline.Gone, Err: errors.New("the host's name cannot be resolved")}
		}
		return "", &pipeline.Error{Op: "open", Kind: pipeline.Refused, Err: errors.New("loopback is not allowed")}
	}})
	closed := worker(t, Options{RootCAs: pool})
	for name, c := range map[string]struct {
		w       *Worker
		host    string
		guarded bool
		ok      bool
		final   bool
	}{
		"trusted":           {w, "127.0.0.1", false, true, false},
		"guarded, refused":  {w, "127.0.0.1", true, false, true},
		"guarded, allowed":  {w, "example.com", true, true, false},
		"guarded, unknown":  {w, "unknown.example.com", true, false, false},
		"guarded, no guard": {closed, "example.com", true, false, true},
	} {
		r := Request{Method: "GET", URL: "https://" + c.host + ":" + port, Guarded: c.guarded, Timeout: 10 * time.Second}
		d, err := r.Delivery(time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		err = c.w.Send(t.Context(), d)
		if (err == nil) != c.ok || err != nil && asFailure(err).final != c.final {
			t.Errorf("%s: %v", name, err)
		}
	}
	if arrived.Load() != 2 || len(asked) != 3 {
		t.Errorf("%d arrived, the guard was asked of %v", arrived.Load(), asked)
	}
}
