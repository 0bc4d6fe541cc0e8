package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"perch/pipeline"
)

const smtps = 465 // encrypted from the first byte

// A MailServer is where mail is handed in.
type MailServer struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Username string `json:"username,omitempty"` // "": no login
	Password string `json:"password,omitempty"`
	From     string `json:"from"` // the sender's address, of the envelope
	// Plain does without encryption on other ports than 465.
	Plain bool `json:"plain,omitempty"`
}

// A Letter is a mail, ready to be sent.
type Letter struct {
	Server  *MailServer   `json:"server,omitempty"` // nil: the device's own
	To      []string      `json:"to"`               // addresses, those of Cc and Bcc included
	Text    []byte        `json:"text"`             // header and body, RFC 5322
	Timeout time.Duration `json:"timeout,omitempty"`
	Guarded bool          `json:"guarded,omitempty"` // only where the guard allows; not for the device's own server
}

// Delivery is the letter as something owed, to be kept for so long.
func (l *Letter) Delivery(created time.Time, keep time.Duration) (pipeline.Delivery, error) {
	to := "the device's mail server"
	if l.Server != nil {
		to = "mail server " + net.JoinHostPort(l.Server.Host, strconv.Itoa(l.Server.Port))
	}
	return owed(Mail, to, l, created, keep)
}

// Check says why the letter can never be sent.
func (l *Letter) Check() error {
	switch s := l.Server; {
	case len(l.To) == 0:
		return errors.New("it has no recipient")
	case s == nil:
		return nil
	case s.Host == "" || net.ParseIP(s.Host) == nil && strings.ContainsAny(s.Host, "/@: \r\n"):
		return errors.New("the name of the mail server is not the name of a host")
	case !strings.Contains(s.From, "@"):
		return errors.New("the sender is not an address")
	}
	return nil
}

func (w *Worker) sendLetter(ctx context.Context, l *Letter) error {
	if err := l.Check(); err != nil {
		return final(pipeline.BadInput, err)
	}
	s, guarded := l.Server, l.Guarded
	if s == nil {
		s, guarded = &w.opt.Server, false
	}
	if s.Host == "" {
		return final(pipeline.BadConfig, errors.New("no mail server is configured: set smtp.host and smtp.from"))
	}
	limit := l.Timeout
	if limit <= 0 {
		limit = w.opt.Attempt
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := w.dialer(guarded)(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return unreachable(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if s.Port == smtps {
		conn = tls.Client(conn, w.opt.tls(s.Host))
	}
	if err := w.handIn(conn, s, l); err != nil {
		conn.Close()
		return mailFailure(ctx, err)
	}
	return nil
}

// handIn speaks SMTP (RFC 5321).
func (w *Worker) handIn(conn net.Conn, s *MailServer, l *Letter) error {
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello(literal(conn.LocalAddr())); err != nil {
		return err
	}
	if s.Port != smtps && !s.Plain {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return final(pipeline.Unsupported, errors.New("the mail server offers no encryption (STARTTLS)"))
		}
		if err := c.StartTLS(w.opt.tls(s.Host)); err != nil {
			return fmt.Errorf("encryption: %w", err)
		}
	}
	if s.Username != "" {
		// A wrong password is mended on the device, and then the mail should go.
		if err := c.Auth(&login{user: s.Username, password: s.Password}); err != nil {
			return passing(pipeline.Refused, fmt.Errorf("login: %w", err), 0)
		}
	}
	if err := c.Mail(s.From); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	var refused error
	accepted := 0
	for _, to := range l.To {
		switch err := c.Rcpt(to); {
		case err == nil:
			accepted++
		case isFinal(err):
			refused = errors.Join(refused, fmt.Errorf("recipient %s: %w", to, err))
		default:
			return fmt.Errorf("recipient %s: %w", to, err) // nothing was sent: all of it again
		}
	}
	if accepted > 0 {
		if err := data(c, l.Text); err != nil {
			return err
		}
		c.Quit() // the mail has been accepted, whatever is said now
	}
	if refused != nil {
		return final(pipeline.Refused, fmt.Errorf("sent to %d of %d recipients: %w", accepted, len(l.To), refused))
	}
	return nil
}

func data(c *smtp.Client, text []byte) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.Close()
}

// literal is a domain literal (RFC 5321, 4.1.3): the device may have no name
// that others know.
func literal(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return "localhost"
	}
	if net.ParseIP(host).To4() == nil {
		host = "IPv6:" + host
	}
	return "[" + host + "]"
}

func isFinal(err error) bool {
	reply, ok := errors.AsType[*textproto.Error](err)
	return ok && reply.Code/100 == 5
}

// mailFailure is what an error of a conversation means (RFC 5321, 4.2.1): 5xx
// are for good, 4xx and a broken connection are not.
func mailFailure(ctx context.Context, err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if isFinal(err) {
		return final(pipeline.Refused, err)
	}
	return unreachable(ctx, err)
}

// login is PLAIN (RFC 4616), or LOGIN where the server knows nothing else.
// Unlike the library's it does not insist on encryption: that was decided
// before, by [MailServer.Plain].
type login struct{ user, password string }

func (l *login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	for _, m := range server.Auth {
		if m == "PLAIN" {
			return "PLAIN", []byte("\x00" + l.user + "\x00" + l.password), nil
		}
	}
	return "LOGIN", nil, nil
}

func (l *login) Next(prompt []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch string(prompt) {
	case "Username:", "User Name\x00":
		return []byte(l.user), nil
	case "Password:", "Password\x00":
		return []byte(l.password), nil
	}
	return nil, errors.New("the mail server asks for something else than user and password")
}
