package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"perch/pipeline"
)

// client makes the HTTP client of one sort of deliveries.
func (o *Options) client(dial func(context.Context, string, string) (net.Conn, error), proxy func(*http.Request) (*url.URL, error)) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dial, Proxy: proxy, TLSClientConfig: o.tls(""), ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxIdleConns: 2 * o.Destinations, MaxIdleConnsPerHost: o.Parallel,
			IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: stayHome,
	}
}

func (o *Options) tls(host string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs, ServerName: host}
}

// dialer returns how to reach servers of one sort of deliveries.
func (w *Worker) dialer(guarded bool) func(context.Context, string, string) (net.Conn, error) {
	if guarded {
		return w.dialGuarded
	}
	return (&net.Dialer{}).DialContext
}

// dialGuarded connects to host:port if the guard allows it, to the very
// address that the guard has looked at.
func (w *Worker) dialGuarded(ctx context.Context, network, address string) (net.Conn, error) {
	if w.opt.Check == nil {
		return nil, forbid(address, errors.New("workflows of clients may not reach anything from here"))
	}
	// http, whatever is spoken: the guard then puts an address in place of the name.
	pinned, err := w.opt.Check(ctx, "http://"+address)
	switch kind := pipeline.KindOf(err); {
	case kind == pipeline.Refused || kind == pipeline.BadInput:
		return nil, forbid(address, err)
	case err != nil:
		return nil, err
	}
	u, err := url.Parse(pinned)
	if err != nil || u.Port() == "" {
		return nil, forbid(address, errors.New("the guard names no address"))
	}
	return (&net.Dialer{}).DialContext(ctx, network, u.Host)
}

// forbidden marks the guard's refusal, which is for good.
type forbidden struct{ error }

func forbid(address string, err error) error {
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		err = e.Err // which of the guard's error is left after Op and On
	}
	return &pipeline.Error{Op: "open", On: address, Kind: pipeline.Refused, Err: forbidden{err}}
}
