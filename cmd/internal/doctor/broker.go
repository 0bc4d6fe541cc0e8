package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"perch/pipeline"
)

// dialTimeout bounds each step to the broker.
const dialTimeout = 5 * time.Second

// Broker says how to reach the MQTT broker. URL has no credentials.
type Broker struct {
	URL                       string // mqtt, mqtts, tcp, ssl, tls, ws or wss
	CAFile, CertFile, KeyFile string // PEM; "" for the system's authorities and no certificate
	// Auth logs in by MQTT; nil when that is not to be tried. Its error has
	// Kind Refused when the broker does not want us.
	Auth func(ctx context.Context) error
}

// Reachable checks that the broker can be reached, that its certificate is good,
// and that it accepts the user.
func (b Broker) Reachable() Check {
	return Check{Name: "broker", Do: func(ctx context.Context) []Finding {
		if b.URL == "" {
			return good("none is configured, so nothing is sent; mqtt.url names one")
		}
		addr, secure, err := b.address()
		if err != nil {
			return missing(err.Error(), "set mqtt.url to mqtt://host:1883, or mqtts://host:8883 for TLS")
		}
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return missing(addr+": "+dialReason(err), dialHint(err))
		}
		defer conn.Close()
		how := "reached"
		if secure {
			if f := b.handshake(ctx, conn, addr); f != nil {
				return f
			}
			how = "reached, its certificate is good"
		}
		if b.Auth == nil {
			return good("%s: %s", addr, how)
		}
		authCtx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
		defer cancel()
		if err := b.Auth(authCtx); err != nil {
			f := FromError("", err, Missing)
			if f.Hint == "" || pipeline.KindOf(err) == pipeline.Refused {
				f.Hint = "set mqtt.username and mqtt.password or mqtt.password_file to what the broker knows"
			}
			f.Found = addr + ": " + how + ", but " + f.Found
			return []Finding{f}
		}
		return good("%s: %s, and it lets Perch in", addr, how)
	}}
}

// address returns host:port and whether the connection is encrypted. Its error
// does not quote the URL.
func (b Broker) address() (string, bool, error) {
	u, err := url.Parse(b.URL)
	if err != nil || u.Hostname() == "" {
		return "", false, errors.New("mqtt.url names no host")
	}
	ports := map[string]string{"mqtt": "1883", "tcp": "1883", "mqtts": "8883", "ssl": "8883", "tls": "8883", "ws": "80", "wss": "443"}
	port, ok := ports[u.Scheme]
	if !ok {
		return "", false, fmt.Errorf("mqtt.url begins with %s://, which no broker speaks", u.Scheme)
	}
	secure := port == "8883" || port == "443"
	if p := u.Port(); p != "" {
		port = p
	}
	return net.JoinHostPort(u.Hostname(), port), secure, nil
}

// handshake does TLS and returns nil when that went well.
func (b Broker) handshake(ctx context.Context, conn net.Conn, addr string) []Finding {
	host, _, _ := net.SplitHostPort(addr)
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if b.CAFile != "" {
		pem, err := os.ReadFile(b.CAFile)
		if err != nil {
			return missing(err.Error(), "set mqtt.ca_file to a file that "+userName()+" may read")
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return missing(b.CAFile+" holds no certificate in PEM form", "openssl x509 -inform der -in "+b.CAFile+" -out ca.pem")
		}
	}
	if b.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(b.CertFile, b.KeyFile)
		if err != nil {
			return missing(fmt.Sprintf("certificate %s with key %s: %v", b.CertFile, b.KeyFile, err), "set mqtt.cert_file and mqtt.key_file to a pair that belongs together")
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := tls.Client(conn, cfg).HandshakeContext(ctx); err != nil {
		return missing(addr+": "+err.Error(), tlsHint(err))
	}
	return nil
}

func tlsHint(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "set mqtt.ca_file to the certificate of the authority that signed the broker's"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "use the name in mqtt.url for which the broker's certificate was made"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "renew the broker's certificate; if it is not old, the clock here is wrong: timedatectl"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "this port does not speak TLS; write mqtt:// in mqtt.url, or use the TLS port, usually 8883"
	}
	return "see what the broker offers: openssl s_client -connect HOST:PORT"
}

// dialReason is the reason without the addresses that the caller names already.
func dialReason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "no address is known for " + dns.Name
	}
	return err.Error()
}

func dialHint(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "correct the name in mqtt.url, or the name server: resolvectl status"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there; on the broker: systemctl status mosquitto, and its listener must not be bound to localhost only"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no way to that network: ip route"
	}
	return "it does not answer; is it on, and does a firewall let this port through?"
}

// Port checks that an address to listen on is free; key is its name in the
// configuration.
func Port(key, listen string) Check {
	return Check{Name: key, Do: func(ctx context.Context) []Finding {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
		if err == nil {
			defer l.Close()
			return good("%s is free", listen)
		}
		_, port, _ := net.SplitHostPort(listen)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return warning(listen+" is taken, which is right if Perch is running", "systemctl status perch; who has it: sudo ss -ltnp 'sport = :"+port+"'; else set "+key+" to another port")
		case errors.Is(err, syscall.EACCES):
			return missing(listen+": ports below 1024 are for root", "set "+key+" to a higher port")
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			return missing(listen+" is not an address of this machine", "see: ip address; or set "+key+" to :"+port)
		}
		return missing(fmt.Sprintf("%s: %v", listen, err), "set "+key+" to host:port")
	}}
}
