package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// copyrightHead begins the file, in Debian's machine-readable format.
// VERSION and ARCH are those of the package.
const copyrightHead = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: perch
Source: perch_VERSION_source.tar.xz
 It belongs beside this package, wherever the package is offered.
Comment:
 The program /usr/bin/perch holds the Go modules below; each stanza names one,
 with its version, and gives its licence as its authors wrote it.
 .
 github.com/go-gst/go-gst (LGPL 2.1) and github.com/go-gst/go-glib (LGPL 3) are
 linked statically. Whoever has this package may change them and link the
 program anew. The source named above has both in its folder lgpl; there, after
 a change, on Debian 12 for amd64,
   go mod edit -replace github.com/go-gst/go-gst=./lgpl/go-gst
   go mod edit -replace github.com/go-gst/go-glib=./lgpl/go-glib
   packaging/deps.sh build cross
   cross/build.sh ARCH changed dist/perch-ARCH
 writes the program, which takes the place of /usr/bin/perch; nothing locks it.
 "make deb" there writes whole packages. The other modules come from any Go
 module proxy in the versions below. The LGPL 3 adds to the GPL 3, whose text
 is in /usr/share/common-licenses/GPL-3 on Debian systems. GStreamer, GLib and
 glibc (LGPL) are not in the package; the program uses those of the system.

Files: *
Copyright: 2026 The Perch authors
License: Apache-2.0
 On Debian systems, the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
`

// copyrightFile lists every part with its licence's own words.
func copyrightFile(version, arch string, parts []part) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(strings.NewReplacer("VERSION", version, "ARCH", arch).Replace(copyrightHead))
	for i, p := range parts {
		files := p.Files
		if files == "" {
			files = "usr/bin/perch"
		}
		holders := copyrightLines(p.notice)
		if len(holders) == 0 {
			holders = []string{"The authors of " + p.Name}
		}
		fmt.Fprintf(&b, "\nFiles: %s\nCopyright: %s\n", files, strings.Join(holders, "\n "))
		// Two parts under licences of one name rarely have one text: the names
		// of licences are kept apart by a number.
		fmt.Fprintf(&b, "License: %s\n", shortName(p.Licence, i+1))
		b.WriteString(indent(p.notice))
		fmt.Fprintf(&b, "Comment: %s %s\n %s\n", p.Name, p.Version, p.Source)
	}
	return b.Bytes(), nil
}

// shortName is a licence's name in the form that the format wants.
func shortName(spdx string, n int) string {
	s := strings.NewReplacer(" AND ", "-and-", " OR ", "-or-").Replace(spdx)
	return fmt.Sprintf("%s-part-%d", s, n)
}

// copyrightLines finds the lines that say whose work it is. The licences' own
// examples and definitions are not such lines.
func copyrightLines(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(strings.Trim(line, " \t\r\n*#/;")), " ")
		low := strings.ToLower(line)
		if !strings.HasPrefix(low, "copyright") && !strings.HasPrefix(low, "(c) ") && !strings.HasPrefix(low, "spdx-filecopyrighttext: ") {
			continue
		}
		if !strings.ContainsAny(line, "0123456789") || strings.Contains(line, "[yyyy]") || strings.Contains(line, "<year>") || strings.Contains(line, "{yyyy}") {
			continue
		}
		if len(line) < 200 && !slices.Contains(found, line) {
			found = append(found, line)
		}
	}
	return found
}

// indent writes text as a field's continuation.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(strings.ReplaceAll(line, "\f", ""), " \t\r\n")
		if line == "" {
			line = "."
		}
		b.WriteString(" " + line + "\n")
	}
	return b.String()
}

// apache is the licence's whole text, from its title to its end.
const apache = `(?s)[ \t]*Apache License\s+Version 2\.0, January 2004.*?of\s+your\s+accepting\s+any\s+such\s+warranty\s+or\s+additional\s+liability\.(\s+END OF TERMS AND CONDITIONS)?`

// shorten puts a reference in the place of the Apache License's text, which is on
// every Debian and Ubuntu system, and which Debian wants nobody to repeat.
func shorten(text string) string {
	return regexp.MustCompile(apache).ReplaceAllString(text, "Apache License, Version 2.0: see /usr/share/common-licenses/Apache-2.0.")
}
