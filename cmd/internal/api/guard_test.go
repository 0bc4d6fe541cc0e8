package api_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"perch/cmd/internal/api"
	"perch/cmd/internal/claim"
	"perch/pipeline"
)

// kit is a device that wants an owner.
func kit(t *testing.T, private bool) (*api.Server, *claim.Claim) {
	t.Helper()
	c, err := claim.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := newAppliance(t, pipeline.CodecVP8).options()
	o.Claim, o.Private = c, private
	s, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// from sends a request from an address to a host.
func from(s http.Handler, remote, host, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = remote, host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// old sends a request as it is written, and returns the status of the answer.
func old(t *testing.T, s http.Handler, request string) int {
	t.Helper()
	web := httptest.NewServer(s)
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func TestAnUnclaimedDeviceOnlyWaitsForItsOwner(t *testing.T) {
	s, c := kit(t, false)
	for _, q := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/healthz", 200}, {"GET", "/readyz", 200}, {"GET", "/claim.html", 200}, {"GET", "/claim.js", 200}, {"GET", "/console.css", 200},
		{"GET", "/api/v1/claim", 200}, {"GET", "/", 303}, {"GET", "/api/v1/status", 403}, {"GET", "/metrics", 403}, {"GET", "/api/v1/cameras/yard/snapshot.jpg", 403},
		{"GET", "/index.html", 403}, {"POST", "/whep/cameras/yard", 403}, {"DELETE", "/api/v1/runs/x", 403}, {"POST", "/initialise_webrtc_worker", 403},
		{"POST", "/claim.html", 403}, {"GET", "/api/v1/x.js", 403}, {"POST", "/api/v1/sign-in", 401},
	} {
		if w := from(s, "192.168.1.7:5", "192.168.1.9:8080", q.method, q.path, `{"token":""}`, "Authorization", "Bearer x"); w.Code != q.status {
			t.Errorf("%s %s: %d, want %d: %s", q.method, q.path, w.Code, q.status, w.Body)
		}
	}
	for _, where := range [][2]string{
		{"203.0.113.7:5", "192.168.1.9"}, {"192.168.1.7:5", "rebound.example.org"}, {"192.168.1.7:5", ""}, {"nonsense", "perch"}, {"[2001:db8::1]:5", "perch.local"},
	} {
		if w := from(s, where[0], where[1], "POST", "/api/v1/claim", `{"name":"theft"}`); w.Code != http.StatusForbidden {
			t.Errorf("claimed from %q at %q: %d %s", where[0], where[1], w.Code, w.Body)
		}
	}
	for _, header := range [][]string{
		{"X-Forwarded-For", "203.0.113.7"}, {"Forwarded", "for=203.0.113.7"}, {"X-Real-IP", "203.0.113.7"}, {"Via", "1.1 proxy"}, {"X-Forwarded-Host", "gate.example.org"},
	} {
		if w := from(s, "127.0.0.1:5", "127.0.0.1:8080", "POST", "/api/v1/claim", `{"name":"theft"}`, header...); w.Code != http.StatusForbidden {
			t.Errorf("claimed by a proxy with %q: %d %s", header, w.Code, w.Body)
		}
	}
	if status := old(t, s, "POST /api/v1/claim HTTP/1.0\r\nHost: 127.0.0.1:8080\r\nContent-Length: 16\r\n\r\n{\"name\":\"theft\"}"); status != http.StatusForbidden {
		t.Errorf("claimed as nginx asks: %d", status)
	}
	for _, body := range []string{"", "[]", `{"name":"a\nb"}`, `{"name":"` + strings.Repeat("x", 5000) + `"}`} {
		if w := from(s, "127.0.0.1:5", "localhost:8080", "POST", "/api/v1/claim", body); w.Code != http.StatusBadRequest {
			t.Errorf("claimed with %.30q: %d %s", body, w.Code, w.Body)
		}
	}
	if _, claimed := c.Owner(); claimed {
		t.Error("somebody has claimed it after all")
	}
}

func TestAClaimedDevice(t *testing.T) {
	for _, where := range [][2]string{{"10.0.0.2:5", "perch"}, {"[fe80::1%eth0]:5", "[fe80::2]:8080"}, {"127.0.0.1:5", "perch.local:8080"}} {
		s, _ := kit(t, false)
		if w := from(s, where[0], where[1], "POST", "/api/v1/claim", `{"name":"gate"}`); w.Code != http.StatusCreated {
			t.Errorf("%q: %d %s", where, w.Code, w.Body)
		}
	}
	for _, private := range []bool{false, true} {
		s, _ := kit(t, private)
		w := from(s, "127.0.0.1:5", "localhost", "POST", "/api/v1/claim", `{"name":"gate"}`)
		var got struct{ Token string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Token == "" {
			t.Fatalf("%s, %v", w.Body, err)
		}
		cookie := w.Header().Get("Set-Cookie")
		if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
			t.Errorf("cookie %q", cookie)
		}
		if w := from(s, "127.0.0.1:5", "localhost", "POST", "/api/v1/claim", `{"name":"again"}`); w.Code != http.StatusForbidden {
			t.Errorf("claimed twice: %d", w.Code)
		}
		bearer, kept := []string{"Authorization", "Bearer " + got.Token}, []string{"Cookie", strings.Split(cookie, ";")[0]}
		wrong := []string{"Authorization", "Bearer " + strings.ToLower(got.Token)}
		read := map[bool]int{false: 200, true: 401}[private]
		for _, q := range []struct {
			method, path string
			header       []string
			status       int
		}{
			{"GET", "/api/v1/status", nil, read}, {"GET", "/metrics", nil, read}, {"GET", "/api/v1/status", wrong, read},
			{"GET", "/api/v1/status", bearer, 200}, {"GET", "/metrics", kept, 200}, {"GET", "/healthz", nil, 200}, {"GET", "/claim.html", nil, 200},
			{"DELETE", "/api/v1/runs/none", nil, 401}, {"DELETE", "/api/v1/runs/none", wrong, 401}, {"DELETE", "/api/v1/runs/none", bearer, 404}, {"DELETE", "/api/v1/runs/none", kept, 404},
			{"DELETE", "/whep/views/none", nil, map[bool]int{false: 404, true: 401}[private]}, {"POST", "/api/v1/anything", nil, 401},
		} {
			if w := call(s, q.method, q.path, "", q.header...); w.Code != q.status {
				t.Errorf("private %v, %s %s with %q: %d, want %d: %s", private, q.method, q.path, q.header, w.Code, q.status, w.Body)
			}
		}
		for token, status := range map[string]int{got.Token: 204, "": 401, "x": 401} {
			if w := call(s, "POST", "/api/v1/sign-in", `{"token":"`+token+`"}`); w.Code != status || (w.Header().Get("Set-Cookie") != "") != (status == 204) {
				t.Errorf("sign-in: %d %q, want %d", w.Code, w.Header(), status)
			}
		}
		var st struct {
			Needed, Claimed, Private bool
			Name                     string
			SignedIn                 bool `json:"signed_in"`
		}
		if err := json.Unmarshal(call(s, "GET", "/api/v1/claim", "", bearer...).Body.Bytes(), &st); err != nil || !st.Needed || !st.Claimed || !st.SignedIn || st.Private != private || st.Name != "gate" {
			t.Errorf("%+v, %v", st, err)
		}
	}
}

// Without http.claim everything is as it was.
func TestADeviceThatAsksForNoOwner(t *testing.T) {
	s := newServer(t, newAppliance(t, pipeline.CodecVP8))
	if w := call(s, "GET", "/api/v1/claim", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"needed":false`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := from(s, "127.0.0.1:5", "localhost", "POST", "/api/v1/claim", `{}`); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(s, "POST", "/api/v1/sign-in", `{}`); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A person claims a device in a browser, and signs in from another.
func TestClaimingInABrowser(t *testing.T) {
	s, c := kit(t, true)
	web := httptest.NewServer(s)
	defer web.Close()
	tab, said := browser(t, 900, 900)
	open(t, tab, web.URL) // leads to the page for claiming
	wait(t, tab, "the question", `!document.getElementById('claim').hidden`, said)
	if _, err := chromedp.Run(tab, chromedp.Evaluate[any](`document.getElementById('name').value = 'Gate'; document.querySelector('#claim button').click()`)); err != nil {
		t.Fatal(err)
	}
	wait(t, tab, "the token", `document.getElementById('token-text').textContent.length > 20`, said)
	token := evaluate(t, tab, `document.getElementById('token-text').textContent`)
	if name, _ := c.Owner(); name != "Gate" || !c.Allows(token) {
		t.Errorf("%q with %q", name, token)
	}
	shoot(t, tab, "claimed")
	open(t, tab, web.URL) // signed in by the cookie
	wait(t, tab, "the console", text("#device")+`.includes('jetson-yard')`, said)
	if lines := said(); len(lines) > 0 {
		t.Errorf("the browser's console says %q", lines)
	}

	other, said := browser(t, 900, 900)
	open(t, other, web.URL+"/claim.html")
	wait(t, other, "the question for the token", `!document.getElementById('sign-in').hidden`, said)
	if _, err := chromedp.Run(other, chromedp.Evaluate[any](`document.getElementById('secret').value = 'wrong'; document.querySelector('#sign-in button').click()`)); err != nil {
		t.Fatal(err)
	}
	wait(t, other, "the refusal", text("#trouble")+`.includes('not the token')`, said)
	if _, err := chromedp.Run(other, chromedp.Evaluate[any](`document.getElementById('secret').value = '`+token+`'; document.querySelector('#sign-in button').click()`)); err != nil {
		t.Fatal(err)
	}
	wait(t, other, "being signed in", `!document.getElementById('done').hidden`, said)
}
