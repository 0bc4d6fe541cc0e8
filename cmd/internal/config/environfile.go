package config

import (
	"errors"
	"io/fs"
	"strings"

	"perch/pipeline"
)

// maxEnvironment bounds a file of variables.
const maxEnvironment = 64 << 10

// ReadEnvironment reads a file of variables as systemd reads EnvironmentFile=,
// in the form of [os.Environ]. A file that does not exist has none.
func ReadEnvironment(path string) ([]string, error) {
	data, err := readBounded(path, maxEnvironment)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		e := &pipeline.Error{Op: "read the service's environment", On: path, Kind: pipeline.BadConfig, Err: err}
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			e.Err = pe.Err // without the path, which On has
		}
		if errors.Is(err, fs.ErrPermission) {
			e.Hint = "run perch with sudo, or let the service's user read it: sudo chgrp perch " + path + " && sudo chmod 0640 " + path
		}
		return nil, e
	}
	return parseEnvironment(string(data)), nil
}

// parseEnvironment follows systemd's src/basic/env-file.c. A comment ends with
// its line, as since version 254.
func parseEnvironment(text string) (environ []string) {
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		end := strings.IndexAny(text, "=\r\n")
		switch {
		case text == "":
			return environ
		case text[0] == '#' || text[0] == ';':
			_, text, _ = strings.Cut(text, "\n")
		case end < 0:
			return environ // no variable, only a word
		case text[end] != '=':
			text = text[end:]
		default:
			var value string
			name := strings.TrimRight(text[:end], " \t")
			value, text = environmentValue(text[end+1:])
			environ = append(environ, name+"="+value)
		}
	}
}

// environmentValue reads one value, quoted or not, and returns what follows it.
func environmentValue(text string) (value, rest string) {
	var b strings.Builder
	keep := 0      // so much of the value stays when blanks at its end go
	begun := false // whether an unquoted value has begun, in which quotes are letters
	var quote rune // the quote that is open
	escaped := false
	for i, c := range text {
		newline := c == '\n' || c == '\r'
		switch {
		case escaped:
			escaped = false
			if newline && (quote == 0 || c == '\n') {
				continue
			}
			if quote == '"' && !strings.ContainsRune("\"\\`$", c) {
				b.WriteByte('\\')
			}
		case c == '\\' && quote != '\'':
			escaped, begun, keep = true, begun || quote == 0, b.Len()
			continue
		case quote != 0 && c == quote:
			quote = 0
			continue
		case quote != 0: // taken as it is
		case newline:
			return b.String()[:keep], text[i:]
		case !begun && (c == '"' || c == '\''):
			quote = c
			continue
		case c == ' ' || c == '\t':
			if begun {
				b.WriteRune(c)
			}
			continue
		default:
			begun = true
		}
		b.WriteRune(c)
		keep = b.Len()
	}
	return b.String()[:keep], ""
}
