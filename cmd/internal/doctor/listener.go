package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// A Listener is who listens at an address of this machine.
type Listener int

const (
	Nobody Listener = iota
	Perch
	Another
)

// WhoListens asks who listens at http.listen. One that does not answer is taken
// for a Perch that starts: it takes the address before anything else.
func WhoListens(ctx context.Context, listen string) Listener {
	const limit = 2 * time.Second
	conn, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "tcp", listen)
	if err != nil {
		if isTimeout(err) {
			return Perch
		}
		return Nobody
	}
	client := http.Client{Timeout: limit, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	defer conn.Close() // the client has closed it, if it came to use it
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/v1/claim", nil)
	if err != nil {
		return Another
	}
	resp, err := client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		var is struct {
			Device string `json:"device_id"`
		}
		if err = json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&is); err == nil && is.Device != "" {
			return Perch
		}
	}
	if isTimeout(err) {
		return Perch
	}
	return Another
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
