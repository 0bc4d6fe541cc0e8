package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"perch/pipeline"
)

// tlsConfig reads the certificates anew for each connection, so that renewed
// ones are used without a restart.
func (o *Options) tlsConfig(host string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", o.CAFile)
		}
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

func isTLS(u *url.URL) bool {
	return u.Scheme == "ssl" || u.Scheme == "tls" || u.Scheme == "mqtts" || u.Scheme == "wss"
}

// dial opens the network connection. ctx ends the attempt.
func (o *Options) dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var cfg *tls.Config
	if isTLS(u) {
		var err error
		if cfg, err = o.tlsConfig(u.Hostname()); err != nil {
			return nil, &pipeline.Error{Op: "read certificates for", On: u.Host, Kind: pipeline.BadConfig, Err: err}
		}
	}
	if strings.HasPrefix(u.Scheme, "ws") {
		return paho.NewWebsocket(u.String(), cfg, dialTimeout, nil, nil)
	}
	reach := o.Dial
	if reach == nil {
		reach = (&net.Dialer{}).DialContext
	}
	conn, err := reach(ctx, "tcp", u.Host)
	if err != nil || cfg == nil {
		return conn, err
	}
	encrypted := tls.Client(conn, cfg)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return encrypted, nil
}

// connect makes one attempt. lost is closed when the connection has gone and
// paho has stopped working on it. Cancelling ctx cuts the connection.
func (c *Client) connect(ctx context.Context, l *ledger) (cl paho.Client, lost <-chan struct{}, err error) {
	gone := make(chan struct{})
	o := paho.NewClientOptions().AddBroker(c.broker.String()).SetClientID(c.opt.ClientID).
		SetUsername(c.opt.Username).SetPassword(c.opt.Password).
		SetProtocolVersion(4).   // 3.1.1; unset, paho tries 3.1 after each refusal
		SetCleanSession(true).   // the outbox is our session
		SetAutoReconnect(false). // and reconnecting is our business, with states that are seen
		SetConnectRetry(false).
		SetStore(l).SetKeepAlive(c.opt.Keepalive).SetPingTimeout(pingTimeout).
		SetConnectTimeout(dialTimeout).SetWriteTimeout(c.write).
		SetOrderMatters(false).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			c.note(err)
			close(gone)
		})
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ paho.ClientOptions) (net.Conn, error) {
		conn, err := c.opt.dial(ctx, u)
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	})
	if !c.opt.Publisher {
		will, err := c.statusMessage(Offline, "connection_lost", time.Now())
		if err != nil {
			return nil, nil, err
		}
		o.SetBinaryWill(c.topic("status"), will, 1, true)
	}
	cl = paho.NewClient(o)
	token := cl.Connect().(*paho.ConnectToken)
	token.Wait() // bounded by dialTimeout, and by ctx through the connection
	if err := token.Error(); err != nil {
		return nil, nil, c.explain(ctx, token.ReturnCode(), err)
	}
	return cl, gone, nil
}

// explain says what an attempt that failed means for the reader.
func (c *Client) explain(ctx context.Context, code byte, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &pipeline.Error{Op: "connect to broker", On: c.broker.String(), Kind: pipeline.Gone, Err: err}
	var invalid *tls.CertificateVerificationError
	var config *pipeline.Error
	switch {
	case code == packets.ErrRefusedBadUsernameOrPassword || code == packets.ErrRefusedNotAuthorised:
		e.Kind, e.Hint = pipeline.Refused, "check mqtt.username and mqtt.password, and what the broker allows this user"
	case code == packets.ErrRefusedIDRejected:
		e.Kind, e.Hint = pipeline.Refused, "the broker does not accept the client id "+c.opt.ClientID
	case errors.As(err, &invalid):
		e.Kind, e.Err, e.Hint = pipeline.Refused, invalid, "the broker's certificate is not trusted: check mqtt.ca and the host name in mqtt.url"
	case errors.As(err, &config):
		e.Kind, e.Err, e.Hint = pipeline.Refused, config, "check mqtt.ca, mqtt.cert and mqtt.key"
	default:
		e.Hint = "check that the broker runs and that mqtt.url is right; Perch keeps trying"
	}
	return e
}
