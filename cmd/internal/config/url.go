package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"perch/pipeline"
)

// A URL says where a camera or broker is. [Load] has taken user and password
// out of it. Some cameras want credentials in the query or even in the path;
// those stay, but no printed form shows them.
type URL string

// Reveal returns the URL as it must be used.
func (u URL) Reveal() string { return string(u) }

// String returns the URL without credentials.
func (u URL) String() string { return redact(string(u)) }

// Format hides credentials from every verb.
func (u URL) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		_, _ = f.Write([]byte(strconv.Quote(u.String())))
		return
	}
	_, _ = f.Write([]byte(u.String()))
}

// MarshalText implements [encoding.TextMarshaler] without credentials.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *URL) UnmarshalText(b []byte) error {
	*u = URL(strings.TrimSpace(string(b)))
	return nil
}

// redact hides what looks like a credential anywhere in a URL.
func redact(s string) string {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && isNetwork(scheme) {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			s = scheme + "://" + hidden + rest[at:]
		}
	} else if scheme, rest, ok := strings.Cut(s, ":"); ok && slices.Contains([]string{"stun", "stuns", "turn", "turns"}, strings.ToLower(scheme)) {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 { // which these may not have, and people write
			s = scheme + ":" + hidden + rest[at:]
		}
	}
	// http://host/mjpg?usr=a&pwd=b and rtsp://host/user=a_password=b_channel=1
	named := regexp.MustCompile(`(?i)(pass(?:word|wd|phrase)?|pwd|psw|token|secret|api_?key|auth[a-z]*|sig(?:nature)?|key)=[^&/;]*`)
	return named.ReplaceAllString(s, "$1="+hidden)
}

// isNetwork reports whether URLs of this scheme have a host and credentials.
func isNetwork(scheme string) bool {
	switch strings.ToLower(scheme) {
	case "file", "v4l2", "csi", "test":
		return false
	}
	return true
}

// splitCredentials takes user and password out of a URL. They reach to the last
// @ before the path, because cameras have passwords with an @ inside that
// people write as they are.
func splitCredentials(u URL) (rest URL, user string, password Secret, err error) {
	scheme, after, ok := strings.Cut(string(u), "://")
	if !ok || !isNetwork(scheme) {
		return u, "", "", nil
	}
	end := strings.IndexAny(after, "/?#")
	if end < 0 {
		end = len(after)
	}
	at := strings.LastIndexByte(after[:end], '@')
	if at < 0 {
		if _, port, found := strings.Cut(after[:end], ":"); found && strings.Contains(after[end:], "@") {
			if _, err := strconv.Atoi(port); err != nil {
				return u, "", "", errors.New("the password seems to have a /, ? or # in it; write those as %2F, %3F and %23, or use the keys username and password")
			}
		}
		return u, "", "", nil
	}
	name, pass, _ := strings.Cut(after[:at], ":")
	return URL(scheme + "://" + after[at+1:]), unescape(name), Secret(unescape(pass)), nil
}

// unescape undoes %40 and the like; a % that begins no escape is itself.
func unescape(s string) string {
	if v, err := url.PathUnescape(s); err == nil {
		return v
	}
	return s
}

// parse checks the URL of something that has a host. Its errors quote nothing.
func (u URL) parse() (*url.URL, error) {
	v, err := url.Parse(string(u))
	if err != nil {
		// The reason, not the *url.Error around it, which quotes the URL.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		if strings.Contains(err.Error(), "port") {
			return nil, errors.New("the port is not a number")
		}
		return nil, errors.New("is not a URL; write scheme://host/path, with %20 for a blank")
	}
	if v.Hostname() == "" {
		return nil, errors.New("names no host")
	}
	if p := v.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("the port must be between 1 and 65535")
		}
	}
	return v, nil
}

// Source says what kind of source the URL names and where it is: a path for a
// file, a device node for V4L2, a sensor number for CSI, a pattern for the test
// source ("" for the usual one), else the URL. Never print where for a network
// source; print the URL.
func (u URL) Source() (kind pipeline.SourceKind, where string) {
	s := string(u)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return pipeline.SourceFile, s
	}
	switch strings.ToLower(scheme) {
	case "file":
		return pipeline.SourceFile, unescape(rest)
	case "rtsp", "rtsps", "rtspt", "rtspu":
		return pipeline.SourceRTSP, s
	case "http", "https":
		return pipeline.SourceHTTP, s
	case "v4l2":
		return pipeline.SourceV4L2, rest
	case "csi":
		return pipeline.SourceCSI, rest
	case "test":
		return pipeline.SourceTest, rest
	}
	return "", s
}
