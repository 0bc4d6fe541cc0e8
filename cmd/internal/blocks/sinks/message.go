package sinks

import (
	"html"
	"strings"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

// messageFields are the fields of a text with values put in, and what goes
// along with it.
func messageFields() []workflow.Field {
	return []workflow.Field{
		{Name: "message", Required: true, Literal: workflow.StringLiteral, Doc: "the text; {{ $parameters.name }} stands for a value of message_parameters"},
		{Name: "message_parameters", Form: workflow.Named, Kinds: workflow.Anything(), Literal: workflow.AnyLiteral, Doc: "values for the text, by name"},
		{Name: "message_parameters_operations", Literal: workflow.ObjectLiteral, Doc: "operations on those values, by name"},
		{Name: "attachments", Form: workflow.Named, Kinds: []workflow.Kind{workflow.StringKind, workflow.BytesKind, workflow.ImageKind},
			Doc: "files that go along, by file name; an image becomes JPEG"},
	}
}

// message is a text with values put in, and what goes along with it.
type message struct {
	text        *query.Template
	values      *query.Inputs
	attachments []workflow.NamedIn
}

func newMessage(p *workflow.Params) (message, error) {
	m := message{attachments: p.Named("attachments")}
	var err error
	if m.values, err = query.CompileInputs(p, "message_parameters", "message_parameters_operations"); err != nil {
		return m, err
	}
	v, _ := p.Const("message")
	s, _ := v.Str()
	m.text, err = query.ParseTemplate(s, m.values.Names()...)
	return m, query.Fault(p, "message", err)
}

// plain is the text with the values put in.
func (m *message) plain(c *workflow.Call) (string, error) {
	values, err := m.values.Read(c)
	if err != nil {
		return "", err
	}
	b, err := m.text.Append(nil, values...)
	return string(b), err
}

// html is the text as HTML, in which values are escaped and pictures are shown.
// The text itself may have markup.
func (m *message) html(c *workflow.Call) (string, []deliver.File, error) {
	values, err := m.values.Read(c)
	if err != nil {
		return "", nil, err
	}
	var shown []deliver.File
	safe := make([]workflow.Value, len(values))
	for i, v := range values {
		if !m.text.Uses(i) {
			continue
		}
		name := m.values.Names()[i]
		if img, ok := v.Image(); ok {
			jpeg, err := c.Env().JPEG(img.Picture, jpegQuality)
			if err != nil {
				return "", nil, err
			}
			id := "image_" + url64(name)
			shown = append(shown, deliver.File{Name: name + ".jpg", Type: "image/jpeg", Data: jpeg, ID: id})
			safe[i] = workflow.StringOf(`<img src="cid:` + id + `" alt="` + html.EscapeString(name) + `" style="max-width: 600px; height: auto;">`)
			continue
		}
		s, err := query.Text(v)
		if err != nil {
			return "", nil, err
		}
		safe[i] = workflow.StringOf(html.EscapeString(s))
	}
	b, err := m.text.Append(nil, safe...)
	return strings.ReplaceAll(string(b), "\n", "<br>\n"), shown, err
}

// files are the attachments.
func (m *message) files(c *workflow.Call) ([]deliver.File, error) {
	var files []deliver.File
	for _, a := range m.attachments {
		v := c.Value(a.In)
		content, err := contentOf(c, v)
		if err != nil {
			return nil, err
		}
		f := deliver.File{Name: a.Key, Type: "application/octet-stream", Data: content}
		if _, ok := v.Image(); ok {
			f.Type = "image/jpeg"
			if low := strings.ToLower(f.Name); !strings.HasSuffix(low, ".jpg") && !strings.HasSuffix(low, ".jpeg") {
				f.Name += ".jpg"
			}
		}
		files = append(files, f)
	}
	return files, nil
}
