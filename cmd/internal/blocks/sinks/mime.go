package sinks

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"time"

	"perch/cmd/internal/deliver"
)

// envelope is a mail before it is written down.
type envelope struct {
	from, subject string
	to, cc        []string
	date          time.Time
	kind, text    string // media type and text
	files         []deliver.File
}

// compose writes the mail (RFC 5322, RFC 2045): the text with the pictures that
// it shows, then the attachments.
func (e *envelope) compose() ([]byte, error) {
	var b bytes.Buffer
	_, domain, _ := strings.Cut(e.from, "@")
	fmt.Fprintf(&b, "From: <%s>\r\nTo: %s\r\n", e.from, angled(e.to))
	if len(e.cc) > 0 {
		fmt.Fprintf(&b, "Cc: %s\r\n", angled(e.cc))
	}
	// Encoded words also take care of line breaks, which would begin a header.
	fmt.Fprintf(&b, "Subject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\nMIME-Version: 1.0\r\n",
		mime.QEncoding.Encode("utf-8", e.subject), e.date.Format(time.RFC1123Z), rand.Text(), domain)
	mixed := multipart.NewWriter(&b)
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%s\r\n\r\n", mixed.Boundary())
	if err := e.writeText(mixed); err != nil {
		return nil, err
	}
	for _, f := range e.files {
		if f.ID == "" {
			if err := writeFile(mixed, f); err != nil {
				return nil, err
			}
		}
	}
	err := mixed.Close()
	return b.Bytes(), err
}

func angled(list []string) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = "<" + a + ">"
	}
	return strings.Join(out, ",\r\n ") // a line each: lines have a limit
}

// writeText writes the text, together with the pictures that it shows if there
// are any (RFC 2387).
func (e *envelope) writeText(mixed *multipart.Writer) error {
	w := mixed
	var related *multipart.Writer
	for _, f := range e.files {
		if f.ID == "" || related != nil {
			continue
		}
		boundary := rand.Text()
		part, err := mixed.CreatePart(textproto.MIMEHeader{"Content-Type": {fmt.Sprintf("multipart/related; boundary=%s; type=%q", boundary, e.kind)}})
		if err != nil {
			return err
		}
		related = multipart.NewWriter(part)
		if err := related.SetBoundary(boundary); err != nil {
			return err
		}
		w = related
	}
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {e.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(part)
	if _, err := q.Write([]byte(e.text)); err != nil {
		return err
	}
	if err := q.Close(); err != nil || related == nil {
		return err
	}
	for _, f := range e.files {
		if f.ID != "" {
			if err := writeFile(related, f); err != nil {
				return err
			}
		}
	}
	return related.Close()
}

func writeFile(w *multipart.Writer, f deliver.File) error {
	header := textproto.MIMEHeader{"Content-Type": {f.Type}, "Content-Transfer-Encoding": {"base64"}}
	place := "attachment"
	if f.ID != "" {
		place = "inline"
		header.Set("Content-ID", "<"+f.ID+">")
	}
	header.Set("Content-Disposition", mime.FormatMediaType(place, map[string]string{"filename": f.Name}))
	part, err := w.CreatePart(header)
	if err != nil {
		return err
	}
	const line = 57 // bytes that give 76 characters
	for rest := f.Data; len(rest) > 0; {
		n := min(line, len(rest))
		if _, err := fmt.Fprintf(part, "%s\r\n", base64.StdEncoding.EncodeToString(rest[:n])); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// url64 is a text in letters that need no escaping anywhere.
func url64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
