package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A sent is a request that the examples' server got.
type sent struct {
	method, path, query, kind, origin, dynamic string
	json                                       map[string]json.RawMessage
	form                                       map[string][]string
	file                                       image.Image
	key                                        string
}

type receiver struct {
	t    *testing.T
	mu   sync.Mutex
	seen map[string]bool
	all  []sent
}

// again reports whether a request is another attempt at one that arrived: on a
// busy machine an answer may come too late for its sender. A GET has no key, but
// no two have the same picture.
func (r *receiver) again(q *http.Request, body []byte) bool {
	id := q.Header.Get("Idempotency-Key")
	if id == "" {
		id = q.Method + q.URL.String() + string(body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	defer func() { r.seen[id] = true }()
	return r.seen[id]
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil || r.again(q, body) {
		return // an attempt that its sender gave up is made again
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	s := sent{method: q.Method, path: q.URL.Path, query: q.URL.RawQuery, origin: q.Header.Get("x-data-origin"), dynamic: q.Header.Get("x-dynamic-header"), key: q.Header.Get("Idempotency-Key")}
	if s.kind, _, _ = strings.Cut(q.Header.Get("Content-Type"), ";"); s.kind == "multipart/form-data" {
		s.form, s.file, err = formOf(q)
	} else {
		err = json.NewDecoder(q.Body).Decode(&s.json)
	}
	if err != nil {
		r.t.Errorf("%s %s: %v", q.Method, q.URL, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, s)
}

// formOf reads a form with a picture, which net/http does not do for GET.
func formOf(q *http.Request) (form map[string][]string, pic image.Image, err error) {
	r, err := q.MultipartReader()
	if err != nil {
		return nil, nil, err
	}
	form = map[string][]string{}
	for {
		var p *multipart.Part
		if p, err = r.NextPart(); err == io.EOF {
			return form, pic, nil
		}
		if err != nil {
			return form, pic, err
		}
		if p.FormName() == "image" {
			pic, err = jpeg.Decode(p)
		} else {
			var b []byte
			b, err = io.ReadAll(p)
			form[p.FormName()] = append(form[p.FormName()], string(b))
		}
		if err != nil {
			return form, pic, err
		}
	}
}

func (s *stage) reports(t *testing.T, in []*image.YCbCr) {
	r := &receiver{t: t}
	server := httptest.NewServer(r)
	defer server.Close()
	// The example's server is at port 9999, and it reports after 30 seconds.
	file := s.variant(t, "06_webhook_report", "http://127.0.0.1:9999", server.URL, `"interval": 30`, `"interval": 5`)
	want := expect[crossed](t, s, "crossings", map[string]any{"score": 0.2, "label": "person", "fps": rate, "line": json.RawMessage(line), "corners": true})
	found := expect[[][]object](t, s, "objects", map[string]any{"score": 0.2, "label": "person"})
	out := filepath.Join(s.dir, "06.mp4")
	run, frames := s.process(t, file, "--param", "line="+line, "--param", "query_parameter=gate 7&x", "--out", out)
	s.crossings(t, run.Run, followed(t, want.Frames, frames), want)
	at := want.Counts[5*rate] // an interval that began with frame 1, at a tenth of a second, is over with frame 51
	if at[1] == 0 {
		t.Error("nobody has gone out")
	}
	query := fmt.Sprintf("static=static-query-param&list-param=a&list-param=b&list-param=c&bool-param=True&numeric-param=21.37&dynamic-input=gate+7%%26x&count-out=%d", at[1])
	most := 1 + int(run.EndedAt.Sub(run.StartedAt)/(5*time.Second)) // cooldown_seconds is 5
	got := map[string]int{}
	for _, q := range r.all {
		what := q.method + " " + q.path
		got[what]++
		if (q.key == "") != (q.method == http.MethodGet) {
			t.Errorf("%s: idempotency key %q", what, q.key)
		}
		switch q.path {
		case "/data-sink/json-payload":
			if text := fmt.Sprintf("%s", q.json); text != fmt.Sprintf("map[aggregated_value:%d]", at[1]-want.Counts[0][1]) || !strings.EqualFold(q.query, query) || q.origin != "workflows" || q.dynamic != "gate 7&x" {
				t.Errorf("%s: %s %s %q %q\nexpected %s and %v", what, q.query, text, q.origin, q.dynamic, query, at)
			}
		case "/data-sink/active-learning":
			pic, err := jpeg.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(strings.Trim(string(q.json["image"]), `"`))))
			if err != nil {
				t.Fatal(err)
			}
			if got[what] == 1 {
				sameObjects(t, what, q.json["predictions"], found[0])
				samePicture(t, what, in[0], pic)
			}
		case "/data-sink/multi-part-data":
			if fmt.Sprint(q.form) != "map[form_field:[gate 7&x]]" || q.file == nil {
				t.Errorf("%s: form %v, picture %v", what, q.form, q.file != nil)
			} else if got[what] == 1 {
				samePicture(t, what, in[0], q.file)
			}
		}
	}
	for _, method := range []string{"GET", "POST", "PUT"} {
		if n := got[method+" /data-sink/json-payload"]; n != 1 {
			t.Errorf("%d reports by %s, expected 1", n, method)
		}
		if n := got[method+" /data-sink/multi-part-data"]; n < 1 || n > most {
			t.Errorf("%d pictures by %s, expected 1 to %d", n, method, most)
		}
	}
	if n := got["POST /data-sink/active-learning"]; n < 1 || n > most || len(got) != 7 {
		t.Errorf("requests: %v, expected 1 to %d", got, most)
	}
	s.drawn(t, in, s.pictures(t, out, 768, 576, len(in)), want.Frames, look{beside: []image.Rectangle{image.Rect(646, 0, 655, 576), image.Rect(550, 0, 768, 30)}})
}

// samePicture checks that a JPEG shows a frame.
func samePicture(t *testing.T, what string, frame *image.YCbCr, pic image.Image) {
	t.Helper()
	full, ok := pic.(*image.YCbCr)
	if !ok || full.Rect != frame.Rect {
		t.Errorf("%s: the picture is %T of %v", what, pic, pic.Bounds())
		return
	}
	sum := 0.0
	for i, y := range frame.Y { // a JPEG has the full range
		sum += math.Abs(float64(full.Y[i]) - (float64(y)-16)*255/219)
	}
	if sum /= float64(len(frame.Y)); sum > 4 {
		t.Errorf("%s: the picture differs from the frame by %.1f", what, sum)
	}
}
