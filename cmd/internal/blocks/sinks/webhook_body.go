package sinks

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

const jpegQuality = 95

// fill makes the body: files and form fields together, form fields alone, or
// JSON, in this order of precedence. It returns the body's media type.
func (b *webhookBlock) fill(c *workflow.Call, r *deliver.Request) (contentType string, err error) {
	switch {
	case len(b.files.Names()) > 0:
		r.Body, contentType, err = b.multipart(c)
	case len(b.form.Names()) > 0:
		r.Body, err = b.urlEncoded(c)
		contentType = "application/x-www-form-urlencoded"
	case len(b.payload.Names()) > 0 || b.given || b.method != http.MethodGet:
		r.Body, err = b.json(c)
		contentType = "application/json"
	}
	return contentType, err
}

func (b *webhookBlock) json(c *workflow.Call) ([]byte, error) {
	values, err := b.payload.Read(c)
	if err != nil {
		return nil, err
	}
	fields := &workflow.Fields{Keys: b.payload.Names(), Values: values}
	enc := workflow.Encoder{JPEG: c.Env().JPEG, Quality: jpegQuality, Frame: c.Frame()}
	return enc.Append(nil, workflow.ObjectOf(fields))
}

func (b *webhookBlock) urlEncoded(c *workflow.Call) ([]byte, error) {
	values, err := b.form.Read(c)
	if err != nil {
		return nil, err
	}
	var parts []string
	for i, name := range b.form.Names() {
		for _, v := range several(values[i]) {
			s, err := query.Text(v)
			if err != nil {
				return nil, err
			}
			parts = append(parts, url.QueryEscape(name)+"="+url.QueryEscape(s))
		}
	}
	return []byte(strings.Join(parts, "&")), nil
}

// multipart writes form fields, then files. A file's name is its field's and it
// has no media type, as the clients that servers are written for do it.
func (b *webhookBlock) multipart(c *workflow.Call) (body []byte, contentType string, err error) {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	values, err := b.form.Read(c)
	if err != nil {
		return nil, "", err
	}
	for i, name := range b.form.Names() {
		for _, v := range several(values[i]) {
			if err := writePart(c, w, fmt.Sprintf(`form-data; name="%s"`, quoted(name)), v); err != nil {
				return nil, "", err
			}
		}
	}
	if values, err = b.files.Read(c); err != nil {
		return nil, "", err
	}
	for i, name := range b.files.Names() {
		if err := writePart(c, w, fmt.Sprintf(`form-data; name="%s"; filename="%s"`, quoted(name), quoted(name)), values[i]); err != nil {
			return nil, "", err
		}
	}
	err = w.Close()
	return buf.Bytes(), w.FormDataContentType(), err
}

func writePart(c *workflow.Call, w *multipart.Writer, disposition string, v workflow.Value) error {
	content, err := contentOf(c, v)
	if err != nil {
		return err
	}
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}})
	if err != nil {
		return err
	}
	_, err = part.Write(content)
	return err
}

// contentOf are the bytes of a file made of a value: a picture as JPEG, a text
// as it is, everything else as text.
func contentOf(c *workflow.Call, v workflow.Value) ([]byte, error) {
	if b, ok := v.Bytes(); ok {
		return b, nil
	}
	if img, ok := v.Image(); ok {
		return c.Env().JPEG(img.Picture, jpegQuality)
	}
	return query.AppendText(nil, v)
}

// quoted escapes what would end a quoted string of a multipart header, as
// browsers do (HTML, multipart/form-data encoding algorithm).
func quoted(s string) string {
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(s)
}
