package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"perch/pipeline"
)

const (
	maxAnswer    = 64 << 10 // bytes of an answer that are read
	maxRedirects = 5
)

// A Header is one header field of a [Request].
type Header struct{ Name, Value string }

// A Request is a webhook call, ready to be sent.
type Request struct {
	Method  string        `json:"method"`
	URL     string        `json:"url"`
	Headers []Header      `json:"headers,omitempty"`
	Body    []byte        `json:"body,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"` // of one attempt; 0: the worker's
	Guarded bool          `json:"guarded,omitempty"` // only where the guard allows
}

// Check says why the request can never be sent.
func (r *Request) Check() error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("the URL must look like https://host/path") // not quoted: it may hold a password
	}
	for _, h := range r.Headers {
		if !isToken(h.Name) {
			return fmt.Errorf("%q cannot be the name of a header", h.Name)
		}
		if strings.ContainsFunc(h.Value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return fmt.Errorf("the value of header %s has a line break or another control character", h.Name)
		}
	}
	return nil
}

// isToken reports whether s is a token of HTTP (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// Delivery is the request as something owed, to be kept for so long.
func (r *Request) Delivery(created time.Time, keep time.Duration) (pipeline.Delivery, error) {
	return owed(Webhook, origin(r.URL), r, created, keep)
}

// origin is a URL without what may be secret: user, path and query.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "a URL that cannot be read"
	}
	return u.Scheme + "://" + u.Host
}

func (w *Worker) sendRequest(ctx context.Context, r *Request) error {
	if err := r.Check(); err != nil {
		return final(pipeline.BadInput, err)
	}
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return final(pipeline.BadInput, errors.New("the method or the URL is not valid"))
	}
	req.Header.Set("User-Agent", "Perch")
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
			continue
		}
		req.Header.Set(h.Name, h.Value)
	}
	_, err = w.exchange(req, r.Guarded)
	return err
}

// exchange sends a request and returns the beginning of the answer.
func (w *Worker) exchange(req *http.Request, guarded bool) ([]byte, error) {
	client := w.trusted
	if guarded {
		client = w.guarded
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreachable(req.Context(), err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status is what counts
	status := fmt.Errorf("the answer is %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return answer, nil
	case code/100 == 3:
		to := "nowhere"
		if u, err := resp.Location(); err == nil {
			to = "to " + origin(u.String())
		}
		return nil, final(pipeline.Refused, fmt.Errorf("%w, which leads %s and is not followed: write the address that it leads to", status, to))
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests:
		return nil, passing(pipeline.Busy, status, retryAfter(resp.Header.Get("Retry-After")))
	case code/100 == 4:
		return nil, final(pipeline.Refused, status)
	}
	return nil, passing(pipeline.Gone, status, retryAfter(resp.Header.Get("Retry-After")))
}

// stayHome follows a redirect only if the same request goes to the same
// server: headers and body may be meant for nobody else, and a POST that
// became a GET would count as delivered without its body.
func stayHome(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host ||
		req.Method != first.Method || req.ContentLength != first.ContentLength {
		return http.ErrUseLastResponse
	}
	return nil
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return time.Until(at)
	}
	return 0
}
