package doctor

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWhoListens(t *testing.T) {
	answers := func(body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/claim" {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	silent, rude, gone := listen(), listen(), listen()
	go func() {
		for {
			conn, err := rude.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-x\r\n")
			conn.Close()
		}
	}()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		addr string
		want Listener
	}{
		"perch":                 {answers(`{"device_id":"yard","needed":true}`), Perch},
		"a Perch that starts":   {silent.Addr().String(), Perch},
		"another page":          {answers("<html>"), Another},
		"another API":           {answers(`{"error":"x"}`), Another},
		"no web server":         {rude.Addr().String(), Another},
		"nobody":                {gone.Addr().String(), Nobody},
		"a port for the system": {"127.0.0.1:0", Nobody},
	} {
		if got := WhoListens(t.Context(), c.addr); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
