package deliver

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// slackServer answers like Slack's API and its upload place, and remembers.
func slackServer(t *testing.T, answer string) (srv *httptest.Server, heard func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, fmt.Sprintf("%s %s|%s|%s|%s", r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), body))
		mu.Unlock()
		switch {
		case r.URL.Path == "/api/files.getUploadURLExternal":
			fmt.Fprintf(w, `{"ok":true,"upload_url":"http://%s/upload/1","file_id":"F1"}`, r.Host)
		case answer == "429":
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			io.WriteString(w, answer)
		}
	}))
	t.Cleanup(srv.Close)
	return srv, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(all) }
}

func TestSlack(t *testing.T) {
	const bearer = "Bearer xoxb-secret"
	const js, form, octets = "application/json; charset=utf-8", "application/x-www-form-urlencoded", "application/octet-stream"
	file := []File{{Name: "a b.csv", Data: []byte("1,2")}}
	for name, c := range map[string]struct {
		answer string
		post   Post
		hook   bool // an incoming webhook
		want   []string
		final  bool
		says   string
		after  time.Duration
	}{
		"message": {answer: `{"ok":true}`, post: Post{Channel: "#alarms", Text: "hi \"you\""},
			want: []string{`POST /api/chat.postMessage|` + bearer + `|` + js + `|{"channel":"#alarms","text":"hi \"you\""}`}},
		"file": {answer: `{"ok":true}`, post: Post{Channel: "C1", Text: "see", Files: file}, want: []string{
			`POST /api/files.getUploadURLExternal|` + bearer + `|` + form + `|filename=a+b.csv&length=3`,
			`POST /upload/1||` + octets + `|1,2`,
			`POST /api/files.completeUploadExternal|` + bearer + `|` + js + `|{"channel_id":"C1","files":[{"id":"F1","title":"a b.csv"}],"initial_comment":"see"}`}},
		"incoming webhook":     {answer: "ok", hook: true, post: Post{Text: "hi"}, want: []string{`POST /services/T/B/secret||` + js + `|{"text":"hi"}`}},
		"no such channel":      {answer: `{"ok":false,"error":"channel_not_found"}`, post: Post{Channel: "C1"}, final: true, says: `"channel_not_found"`},
		"busy":                 {answer: `{"ok":false,"error":"internal_error"}`, post: Post{Channel: "C1"}, says: `"internal_error"`},
		"too many":             {answer: "429", post: Post{Channel: "C1"}, says: "429", after: 30 * time.Second},
		"a page in between":    {answer: `<html>`, post: Post{Channel: "C1"}, says: "not JSON"},
		"webhook with a file":  {answer: "ok", hook: true, post: Post{Files: file}, final: true, says: "no attachments"},
		"no channel":           {answer: "ok", final: true, says: "no channel"},
		"a token of two words": {answer: "ok", post: Post{Token: "a b", Channel: "C1"}, final: true, says: "token"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, heard := slackServer(t, c.answer)
			w := worker(t, Options{SlackAPI: srv.URL + "/api"})
			p := c.post
			p.Token = orElse(p.Token, "xoxb-secret")
			if c.hook {
				p.Token = srv.URL + "/services/T/B/secret"
			}
			d, err := p.Delivery(time.Now(), time.Hour)
			if err != nil || strings.Contains(d.To, "secret") {
				t.Fatal(d.To, err)
			}
			err = w.Send(t.Context(), d)
			if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("error %v", err)
			}
			if err != nil && (asFailure(err).final != c.final || asFailure(err).after != c.after) {
				t.Errorf("final %v after %v: %v", asFailure(err).final, asFailure(err).after, err)
			}
			if c.want != nil && !slices.Equal(heard(), c.want) {
				t.Errorf("heard\n%s\nwant\n%s", strings.Join(heard(), "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
