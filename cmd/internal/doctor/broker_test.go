package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"perch/pipeline"
)

// serve accepts connections until the test ends, and does TLS when it has a
// certificate.
func serve(t *testing.T, cert *tls.Certificate) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if cert != nil {
				// The client's verdict is what is tested.
				_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*cert}}).Handshake()
			} else {
				_, _ = c.Write([]byte("this is no TLS at all\n"))
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// certificate makes one for names, signed by itself, and the file that says so.
func certificate(t *testing.T, until time.Time, names ...string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestBroker(t *testing.T) {
	plain := serve(t, nil)
	ok, ca := certificate(t, time.Now().Add(24*time.Hour), "localhost")
	other, otherCA := certificate(t, time.Now().Add(24*time.Hour), "elsewhere.example")
	old, oldCA := certificate(t, time.Now().Add(-time.Hour), "localhost")
	secure, wrongName, expired := serve(t, &ok), serve(t, &other), serve(t, &old)
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()

	auth := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	refused := &pipeline.Error{Op: "log in at the broker", Kind: pipeline.Refused, Err: errors.New("bad user name or password")}
	for name, tt := range map[string]struct {
		broker Broker
		status Status
		words  []string
	}{
		"none":              {Broker{}, Good, []string{"none is configured"}},
		"no host":           {Broker{URL: "mqtt://"}, Missing, []string{"names no host"}},
		"scheme":            {Broker{URL: "http://localhost"}, Missing, []string{"http://", "mqtt://host:1883"}},
		"nobody":            {Broker{URL: "mqtt://" + closed}, Missing, []string{"refused", "systemctl status mosquitto"}},
		"no such name":      {Broker{URL: "mqtt://no-such-host.invalid"}, Missing, []string{"mqtt.url"}},
		"plain":             {Broker{URL: "mqtt://localhost:" + plain}, Good, []string{"reached"}},
		"let in":            {Broker{URL: "tcp://localhost:" + plain, Auth: auth(nil)}, Good, []string{"lets Perch in"}},
		"refused":           {Broker{URL: "mqtt://localhost:" + plain, Auth: auth(refused)}, Missing, []string{"bad user name", "mqtt.password_file"}},
		"TLS":               {Broker{URL: "mqtts://localhost:" + secure, CAFile: ca}, Good, []string{"certificate is good"}},
		"unknown authority": {Broker{URL: "mqtts://localhost:" + secure}, Missing, []string{"mqtt.ca_file"}},
		"wrong name":        {Broker{URL: "ssl://localhost:" + wrongName, CAFile: otherCA}, Missing, []string{"use the name in mqtt.url"}},
		"expired":           {Broker{URL: "mqtts://localhost:" + expired, CAFile: oldCA}, Missing, []string{"timedatectl"}},
		"no TLS there":      {Broker{URL: "mqtts://localhost:" + plain, CAFile: ca}, Missing, []string{"write mqtt://"}},
		"no authorities":    {Broker{URL: "mqtts://localhost:" + secure, CAFile: ca + "x"}, Missing, []string{"no such file"}},
		"junk":              {Broker{URL: "mqtts://localhost:" + secure, CAFile: junk}, Missing, []string{"holds no certificate"}},
		"no pair":           {Broker{URL: "mqtts://localhost:" + secure, CAFile: ca, CertFile: junk, KeyFile: junk}, Missing, []string{"belongs together"}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, tt.broker.Reachable(), tt.status, tt.words...) })
	}
}

func TestBrokerAddress(t *testing.T) {
	for url, want := range map[string]string{
		"mqtt://h": "h:1883", "mqtts://h": "h:8883", "wss://h/mqtt": "h:443", "ws://h": "h:80", "mqtt://[::1]:99": "[::1]:99",
	} {
		got, _, err := Broker{URL: url}.address()
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", url, got, err)
		}
	}
}
