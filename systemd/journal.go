package systemd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"perch/pipeline"
)

// journalSocket is where journald listens for whole entries.
const journalSocket = "/run/systemd/journal/socket"

// Bounds of an entry. A datagram may have about 200 kB; what is longer is cut
// and ends in "…".
const (
	maxField  = 16 << 10
	maxFields = 64 // more are in the message only
	maxName   = 64 // journald's own
)

// InJournal reports whether w is the stream that systemd has connected to the
// journal, as JOURNAL_STREAM of sd_journal_stream_fd(3) says by getenv.
func InJournal(getenv func(string) string, w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", sys.Dev, sys.Ino)
}

// Journal returns a handler that writes entries in journald's native protocol
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): the message with its attributes
// for people, and each attribute as a field of its own, so that
// journalctl CAMERA=door finds what was said of a camera. An attribute k of a
// group g becomes G_K; an error becomes ERROR, with KIND, ON and HINT when it is
// one of ours. An entry that journald does not take goes to otherwise.
func Journal(level slog.Leveler, otherwise slog.Handler) slog.Handler {
	return newJournal(journalSocket, level, otherwise)
}

func newJournal(socket string, level slog.Leveler, otherwise slog.Handler) *journal {
	out := &journalOut{addr: &net.UnixAddr{Name: socket, Net: "unixgram"}}
	text := slog.NewTextHandler(&out.text, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		// They have fields of their own.
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	return &journal{out: out, text: text, otherwise: otherwise}
}

// journal is one handler of a family that shares a connection.
type journal struct {
	out       *journalOut
	text      slog.Handler // writes the attributes to out.text
	otherwise slog.Handler
	prefix    string // of names: the groups that are open
	fields    []field
}

type field struct{ name, value string }

type journalOut struct {
	addr *net.UnixAddr

	mu   sync.Mutex
	text bytes.Buffer  // guarded by mu
	conn *net.UnixConn // guarded by mu; nil until the first entry and after a failure
}

func (j *journal) Enabled(ctx context.Context, l slog.Level) bool { return j.text.Enabled(ctx, l) }

func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *j
	next.text, next.otherwise = j.text.WithAttrs(attrs), j.otherwise.WithAttrs(attrs)
	next.fields = j.fields[:len(j.fields):len(j.fields)]
	for _, a := range attrs {
		next.fields = appendFields(next.fields, j.prefix, a)
	}
	return &next
}

func (j *journal) WithGroup(name string) slog.Handler {
	next := *j
	next.text, next.otherwise = j.text.WithGroup(name), j.otherwise.WithGroup(name)
	if name != "" {
		next.prefix = j.prefix + name + "_"
	}
	return &next
}

func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	fields := j.fields[:len(j.fields):len(j.fields)]
	r.Attrs(func(a slog.Attr) bool {
		fields = appendFields(fields, j.prefix, a)
		return len(fields) < maxFields
	})
	err := j.send(ctx, r, fields[:min(len(fields), maxFields)])
	if err == nil {
		return nil
	}
	return j.otherwise.Handle(ctx, r)
}

func (j *journal) send(ctx context.Context, r slog.Record, fields []field) error {
	o := j.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
	if err := j.text.Handle(ctx, r); err != nil {
		return err
	}
	message := strings.TrimSpace(r.Message + " " + strings.TrimSpace(o.text.String()))
	var entry bytes.Buffer
	put(&entry, "MESSAGE", message)
	put(&entry, "PRIORITY", priority(r.Level))
	put(&entry, "SYSLOG_IDENTIFIER", "perch")
	for _, f := range fields {
		put(&entry, f.name, f.value)
	}
	return o.write(entry.Bytes())
}

// write sends a datagram; once more over a new connection, for journald may have
// been restarted.
func (o *journalOut) write(entry []byte) (err error) {
	for range 2 {
		if o.conn == nil {
			if o.conn, err = net.DialUnix("unixgram", nil, o.addr); err != nil {
				o.conn = nil
				return err
			}
		}
		if err = o.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err == nil {
			if _, err = o.conn.Write(entry); err == nil {
				return nil
			}
		}
		o.conn.Close() // the failure that counts is the one before
		o.conn = nil
	}
	return err
}

// put adds a field: a value of several lines with its length.
func put(b *bytes.Buffer, name, value string) {
	if len(value) > maxField {
		value = strings.ToValidUTF8(value[:maxField], "") + "…"
	}
	b.WriteString(name)
	if !strings.Contains(value, "\n") {
		b.WriteString("=" + value + "\n")
		return
	}
	b.WriteByte('\n')
	b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
	b.WriteString(value + "\n")
}

// priority is the level of syslog(3).
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "3"
	case l >= slog.LevelWarn:
		return "4"
	case l >= slog.LevelInfo:
		return "6"
	}
	return "7"
}

// appendFields adds what an attribute says.
func appendFields(to []field, prefix string, a slog.Attr) []field {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "_"
		}
		for _, sub := range v.Group() {
			to = appendFields(to, prefix, sub)
		}
		return to
	}
	name := fieldName(prefix + a.Key)
	if name == "" {
		return to
	}
	to = append(to, field{name, v.String()})
	if err, ok := v.Any().(error); ok && prefix == "" {
		to = append(to, field{"KIND", pipeline.KindOf(err).String()})
		if e, ok := errors.AsType[*pipeline.Error](err); ok {
			if e.On != "" {
				to = append(to, field{"ON", e.On})
			}
			if e.Hint != "" {
				to = append(to, field{"HINT", e.Hint})
			}
		}
	}
	return to
}

// fieldName is key as journald allows it: capitals, digits and _, not one of
// those at the beginning, at most 64; and none of those that the entry has
// anyway. It is "" when nothing is left.
func fieldName(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
	name = strings.TrimLeft(name, "_0123456789")
	switch name {
	case "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER":
		name = "PERCH_" + name
	}
	return name[:min(len(name), maxName)]
}
