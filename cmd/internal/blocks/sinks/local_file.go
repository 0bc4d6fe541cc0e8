package sinks

import (
	"bytes"
	"encoding/json"
	"strings"

	"perch/pipeline/workflow"
)

func localFile(o *Options) *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "local_file_sink@v1", Title: "Local File Sink", Group: "sink", Sink: true,
		Doc: "Writes a text to a file on this device, <prefix>_<year>_<month>_<day>_<hour>_<minute>_<second>_<microsecond>.<type>, below one of the folders of workflows.allow_write. " +
			"separate_files: one file an entry, on the disk when it appears. append_log: entries are added to a file, each at once, and brought to the disk at most every two seconds; JSON becomes a line (.jsonl), of CSV the header stays in the first entry only; when somebody removes, moves or empties the file, entries go to a new one. " +
			"Nothing is written while the disk has less than 64 MiB free.",
		Fields: []workflow.Field{
			{Name: "content", Required: true, Kinds: []workflow.Kind{workflow.StringKind}, Doc: "the text"},
			{Name: "file_type", Literal: workflow.EnumLiteral, Enum: []string{"csv", "json", "txt"}, Default: workflow.StringOf("csv"), Doc: "what the text is; decides the ending of the name"},
			{Name: "output_mode", Required: true, Literal: workflow.EnumLiteral, Enum: []string{"append_log", "separate_files"}, Doc: "entries one after the other in a file, or a file for each"},
			required(text("target_directory", "the folder; made when it is missing. A relative one lies in the first folder that is allowed")),
			{Name: "file_name_prefix", Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.StringLiteral, Default: workflow.StringOf("workflow_output"), Doc: "beginning of the file's name"},
			whole("max_entries_per_file", 1024, 1, 1_000_000, "entries after which append_log begins another file"),
		},
		Outputs: []workflow.Output{errorOutput(), messageOutput()},
		New:     func(p *workflow.Params) (workflow.Block, error) { return newLocalFile(o, p) },
	}
}

type fileBlock struct {
	folders                   []string // allowed
	content, dir, prefix, max workflow.In
	kind                      string
	append                    bool
	log                       *logFile // nil while none is open
	complaints                journal
}

func newLocalFile(o *Options, p *workflow.Params) (workflow.Block, error) {
	b := &fileBlock{folders: o.AllowWrite, content: p.In("content"), dir: p.In("target_directory"), prefix: p.In("file_name_prefix"), max: p.In("max_entries_per_file")}
	kind, _ := p.Const("file_type")
	b.kind, _ = kind.Str()
	mode, _ := p.Const("output_mode")
	b.append = mode.Equal(workflow.StringOf("append_log"))
	if v, ok := p.Const("target_directory"); ok {
		s, _ := v.Str()
		if _, _, err := allowed(b.folders, s); err != nil {
			return nil, p.Fault("target_directory", err.Error(), "")
		}
	}
	if v, ok := p.Const("file_name_prefix"); ok {
		s, _ := v.Str()
		if err := checkPrefix(s); err != nil {
			return nil, p.Fault("file_name_prefix", err.Error(), "")
		}
	}
	return b, nil
}

func (b *fileBlock) Run(c *workflow.Call) error {
	if c.Env().DisableSinks {
		b.say(c, false, disabledByPolicy)
		return nil
	}
	content, err := c.Str(b.content)
	if err != nil {
		return err
	}
	dir, err := c.Str(b.dir)
	if err != nil {
		return err
	}
	prefix, err := c.Str(b.prefix)
	if err != nil {
		return err
	}
	most, err := c.Int(b.max)
	if err != nil {
		return err
	}
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	folder, below, err := allowed(b.folders, dir)
	if err != nil {
		return err
	}
	if b.append && b.kind == "json" {
		var line bytes.Buffer
		if err := json.Compact(&line, []byte(content)); err != nil {
			b.say(c, true, "Invalid JSON content")
			return nil
		}
		content = line.String()
	}
	at := target{folder: folder, below: below, prefix: prefix, ending: b.kind}
	if b.append {
		err = b.add(c, at, content, most)
	} else {
		err = at.write(c.Env().Now(), ended(content))
	}
	if err != nil {
		b.say(c, true, "Could not save: "+err.Error())
		b.complaints.warn(c, "local file", err)
		return nil
	}
	b.say(c, false, "Data saved successfully")
	return nil
}

func (b *fileBlock) say(c *workflow.Call, failed bool, message string) {
	c.Set(0, workflow.BoolOf(failed))
	c.Set(1, workflow.StringOf(message))
}

// add appends an entry to the log, after it has begun a file if need be: the
// first, one elsewhere, or the next when the last one is full or somebody took
// it away.
func (b *fileBlock) add(c *workflow.Call, at target, content string, most int) error {
	if b.kind == "json" {
		at.ending = "jsonl"
	}
	if b.log != nil && b.ends(c, at, most) {
		if err := b.Close(); err != nil {
			return err
		}
	}
	now := c.Env().Now()
	if b.log == nil {
		log, err := at.begin(now)
		if err != nil {
			return err
		}
		b.log = log
	} else if b.kind == "csv" && b.log.entries > 0 {
		content = withoutHeader(content)
	}
	return b.log.add(ended(content), now)
}

// ends reports whether the log goes on in another file.
func (b *fileBlock) ends(c *workflow.Call, at target, most int) bool {
	if b.log.target != at || b.log.entries >= most {
		return true
	}
	if !b.log.lost() {
		return false
	}
	c.Env().Log.Warn("the file of a log was removed, moved or emptied: entries go to a new one", "file", b.log.path())
	return true
}

// Close ends the log's file.
func (b *fileBlock) Close() error {
	if b.log == nil {
		return nil
	}
	log := b.log
	b.log = nil
	return log.close()
}

// ended is text with a line break at its end; nothing stays nothing.
func ended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

// withoutHeader is CSV without its first record, which may have line breaks
// between quotes (RFC 4180).
func withoutHeader(text string) string {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\n' && !quoted:
			return text[i+1:]
		}
	}
	return ""
}
