package deliver

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
)

// A postOffice is a mail server, as much of it as RFC 5321 asks for.
type postOffice struct {
	ln       net.Listener
	pair     tls.Certificate
	pool     *x509.CertPool
	wrapped  bool              // encrypted from the first byte
	startTLS bool              // offered
	auth     string            // mechanisms; "": no login
	password string            // that is right
	replies  map[string]string // to a line, instead of 250

	mu    sync.Mutex
	lines []string // of all conversations
	mails []string
}

func openPostOffice(t *testing.T, set func(*postOffice)) *postOffice {
	t.Helper()
	cert := httptest.NewTLSServer(nil) // for its certificate
	cert.Close()
	p := &postOffice{pair: cert.TLS.Certificates[0], pool: x509.NewCertPool(), startTLS: true, password: "right"}
	p.pool.AddCert(cert.Certificate())
	set(p)
	var err error
	if p.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := p.ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() { p.ln.Close(); wg.Wait() })
	return p
}

func (p *postOffice) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if p.wrapped {
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{p.pair}})
	}
	r := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	read := func() string {
		line, err := r.ReadString('\n')
		if err != nil {
			return ""
		}
		return strings.TrimRight(line, "\r\n")
	}
	say("220 office.example.org")
	secure := p.wrapped
	for {
		line := read()
		if line == "" {
			return
		}
		p.mu.Lock()
		p.lines = append(p.lines, line)
		p.mu.Unlock()
		if reply := p.replies[line]; reply != "" {
			say("%s", reply)
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-office.example.org")
			if p.startTLS && !secure {
				say("250-STARTTLS")
			}
			if p.auth != "" {
				say("250-AUTH %s", p.auth)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{p.pair}})
			r, secure = bufio.NewReader(conn), true
		case "AUTH":
			if p.login(rest, say, read) {
				say("235 welcome")
			} else {
				say("535 wrong")
			}
		case "DATA":
			say("354 go on")
			var mail strings.Builder
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				mail.WriteString(strings.TrimPrefix(l, ".")) // RFC 5321, 4.5.2
			}
			if reply := p.replies["end of data"]; reply != "" {
				say("%s", reply)
				continue
			}
			p.mu.Lock()
			p.mails = append(p.mails, mail.String())
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

func (p *postOffice) login(rest string, say func(string, ...any), read func() string) bool {
	decode := func(s string) string { b, _ := base64.StdEncoding.DecodeString(s); return string(b) }
	mechanism, initial, _ := strings.Cut(rest, " ")
	if mechanism == "PLAIN" {
		return decode(initial) == "\x00me@example.org\x00"+p.password
	}
	say("334 %s", base64.StdEncoding.EncodeToString([]byte("Username:")))
	user := decode(read())
	say("334 %s", base64.StdEncoding.EncodeToString([]byte("Password:")))
	return user == "me@example.org" && decode(read()) == p.password
}

func (p *postOffice) port() int { return p.ln.Addr().(*net.TCPAddr).Port }

func TestMail(t *testing.T) {
	const yes, never, later = "arrives", "never", "later"
	plainServer := func(p *postOffice) { p.startTLS = false }
	for name, c := range map[string]struct {
		office func(*postOffice)
		server MailServer
		to     []string
		want   string
		says   string
		mails  int
	}{
		"STARTTLS and PLAIN":    {func(p *postOffice) { p.auth = "LOGIN PLAIN" }, MailServer{Username: "me@example.org", Password: "right"}, nil, yes, "", 1},
		"LOGIN only":            {func(p *postOffice) { p.auth = "LOGIN XOAUTH2" }, MailServer{Username: "me@example.org", Password: "right"}, nil, yes, "", 1},
		"no login":              {func(*postOffice) {}, MailServer{}, nil, yes, "", 1},
		"in the clear":          {plainServer, MailServer{Plain: true}, nil, yes, "", 1},
		"in the clear, login":   {func(p *postOffice) { p.startTLS, p.auth = false, "PLAIN" }, MailServer{Plain: true, Username: "me@example.org", Password: "right"}, nil, yes, "", 1},
		"no encryption offered": {plainServer, MailServer{Username: "me@example.org", Password: "right"}, nil, never, "no encryption", 0},
		"wrong password":        {func(p *postOffice) { p.auth = "PLAIN" }, MailServer{Username: "me@example.org", Password: "wrong"}, nil, later, "login: 535", 0},
		"unknown certificate":   {func(p *postOffice) { p.pool = x509.NewCertPool() }, MailServer{}, nil, later, "encryption", 0},
		"sender refused": {func(p *postOffice) {
			p.replies = map[string]string{"MAIL FROM:<me@example.org> BODY=8BITMIME": "550 not you"}
		}, MailServer{}, nil, never, "sender: 550", 0},
		"greylisted":             {func(p *postOffice) { p.replies = map[string]string{"RCPT TO:<b@example.org>": "451 come back"} }, MailServer{}, nil, later, "451", 0},
		"one of two refused":     {func(p *postOffice) { p.replies = map[string]string{"RCPT TO:<b@example.org>": "550 nobody"} }, MailServer{}, nil, never, "sent to 1 of 2 recipients: recipient b@example.org: 550", 1},
		"too large":              {func(p *postOffice) { p.replies = map[string]string{"end of data": "552 too large"} }, MailServer{}, nil, never, "552", 0},
		"full":                   {func(p *postOffice) { p.replies = map[string]string{"end of data": "452 full"} }, MailServer{}, nil, later, "452", 0},
		"nobody":                 {func(*postOffice) {}, MailServer{}, []string{}, never, "no recipient", 0},
		"a command as recipient": {func(*postOffice) {}, MailServer{}, []string{"a@example.org>\r\nRSET"}, later, "line", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			office := openPostOffice(t, c.office)
			w := worker(t, Options{RootCAs: office.pool})
			s := c.server
			s.Host, s.Port, s.From = "127.0.0.1", office.port(), "me@example.org"
			l := &Letter{Server: &s, To: c.to, Text: []byte("Subject: x\r\n\r\n.dot\r\nend"), Timeout: 10 * time.Second}
			if c.to == nil {
				l.To = []string{"a@example.org", "b@example.org"}
			}
			d, err := l.Delivery(time.Now(), time.Hour)
			if err != nil || strings.Contains(d.To, "right") {
				t.Fatal(d.To, err)
			}
			err = w.Send(t.Context(), d)
			got := yes
			if err != nil {
				got = later
				if asFailure(err).final {
					got = never
				}
			}
			office.mu.Lock()
			defer office.mu.Unlock()
			if got != c.want || err != nil && !strings.Contains(err.Error(), c.says) || len(office.mails) != c.mails {
				t.Errorf("%s, want %s; %d mails: %v\n%s", got, c.want, len(office.mails), err, strings.Join(office.lines, "\n"))
			}
			if c.mails == 1 && len(office.mails) == 1 && office.mails[0] != "Subject: x\r\n\r\n.dot\r\nend\r\n" {
				t.Errorf("mail %q", office.mails[0])
			}
			if len(office.lines) > 0 && office.lines[0] != "EHLO [127.0.0.1]" {
				t.Errorf("greeted with %q", office.lines[0])
			}
		})
	}
}

func TestTheDevicesOwnMailServer(t *testing.T) {
	office := openPostOffice(t, func(*postOffice) {})
	l := &Letter{To: []string{"a@example.org"}, Text: []byte("\r\n"), Guarded: true} // the guard is about others' servers
	d, err := l.Delivery(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	with := worker(t, Options{RootCAs: office.pool, Server: MailServer{Host: "127.0.0.1", Port: office.port(), From: "perch@example.org"}})
	if err := with.Send(t.Context(), d); err != nil || len(office.mails) != 1 {
		t.Errorf("%v, %d mails", err, len(office.mails))
	}
	if err := worker(t, Options{}).Send(t.Context(), d); !asFailure(err).final || !strings.Contains(err.Error(), "smtp.host") {
		t.Errorf("no server: %v", err)
	}
	l.Server = &MailServer{Host: "127.0.0.1", Port: office.port(), From: "x@example.org"}
	if d, err = l.Delivery(time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := with.Send(t.Context(), d); !asFailure(err).final || pipeline.KindOf(err) != pipeline.Refused {
		t.Errorf("a client's server without a guard: %v", err)
	}
}

// Port 465 cannot be had in a test, so this speaks to such a server by hand.
func TestEncryptedFromTheFirstByte(t *testing.T) {
	office := openPostOffice(t, func(p *postOffice) { p.wrapped = true })
	w := worker(t, Options{RootCAs: office.pool})
	conn, err := net.Dial("tcp", office.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := &MailServer{Host: "127.0.0.1", Port: smtps, From: "me@example.org"}
	l := &Letter{Server: s, To: []string{"a@example.org"}, Text: []byte("\r\n")}
	if err := w.handIn(tls.Client(conn, w.opt.tls(s.Host)), s, l); err != nil || len(office.mails) != 1 {
		t.Errorf("%v, %d mails", err, len(office.mails))
	}
}
