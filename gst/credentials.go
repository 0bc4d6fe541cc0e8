package gst

import (
	"net/url"
	"regexp"
	"strings"
)

const hidden = "***"

// scrub removes everything secret from text: the source's password however it
// is written, user and password of any URL, and values of parameters that look
// like secrets (many cameras have the password in path or query).
func (s *SourceSpec) scrub(text string) string {
	for _, secret := range []string{s.Password, url.QueryEscape(s.Password), url.PathEscape(s.Password), url.UserPassword("", s.Password).String()[1:]} {
		if secret == "" {
			continue
		}
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, hidden)
			continue
		}
		// A very short one is looked for as a word, or it would eat the text.
		text = regexp.MustCompile(`(^|\W)`+regexp.QuoteMeta(secret)+`($|\W)`).ReplaceAllString(text, "${1}"+hidden+"${2}")
	}
	return scrubURLs(text)
}

// scrubURLs removes what gives itself away without being known.
func scrubURLs(text string) string {
	text = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]*@`).ReplaceAllString(text, "${1}")
	return regexp.MustCompile(`(?i)((?:user_?)?(?:passw(?:or)?d|passwd|pass|pwd|token|secret|api_?key|auth)=)[^&_/\s;,]+`).ReplaceAllString(text, "${1}"+hidden)
}
