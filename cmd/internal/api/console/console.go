// Package console is the page that a browser shows: plain HTML, CSS and
// modules, embedded, so that it works without a network and without a build.
package console

import (
	"embed"
	"io/fs"
)

//go:embed page
var page embed.FS

// Files returns index.html and what it needs.
func Files() fs.FS {
	sub, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // "page" is a valid path
	}
	return sub
}
