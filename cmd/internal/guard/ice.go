package guard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"perch/pipeline"
)

// CheckICE decides whether a STUN or TURN server may be used, by its URI (RFC
// 7064, RFC 7065). It returns the URIs to use in its stead: one with an IPv4
// address and one with an IPv6 address that were checked, as far as the server
// has them, for the reason that [Guard.Check] gives. A name stays where the
// connection is encrypted.
//
// Errors are as those of [Guard.Check].
func (g Guard) CheckICE(ctx context.Context, uri string) (pinned []string, err error) {
	s, err := parseICE(uri)
	if err != nil {
		return nil, &pipeline.Error{Op: "open", On: "STUN or TURN server", Kind: pipeline.BadInput, Err: err}
	}
	addrs, err := g.reach(ctx, s.at(s.host), s.host, s.port)
	if err != nil {
		return nil, err
	}
	if s.scheme == "stuns" || s.scheme == "turns" {
		return []string{s.at(s.host) + s.transport}, nil
	}
	var has4, has6 bool
	for _, a := range addrs {
		a, known := a.Unmap(), &has6
		if a.Is4() {
			known = &has4
		}
		if !*known {
			*known = true
			pinned = append(pinned, s.at(a.String())+s.transport)
		}
	}
	return pinned, nil
}

// An iceServer is the URI of a STUN or TURN server in its parts.
type iceServer struct {
	scheme, host string
	port         uint16
	transport    string // "?transport=udp", "?transport=tcp" or ""
}

func (s iceServer) at(host string) string {
	return s.scheme + ":" + net.JoinHostPort(host, strconv.Itoa(int(s.port)))
}

// parseICE checks the form of such a URI. Its errors quote nothing.
func parseICE(uri string) (iceServer, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return iceServer{}, errors.New("its address cannot be understood; write turn:host:port")
	}
	s := iceServer{scheme: u.Scheme, host: u.Opaque}
	var ok bool
	if s.port, ok = map[string]uint16{"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}[u.Scheme]; !ok {
		return iceServer{}, errors.New("it must begin with stun:, stuns:, turn: or turns: and name a server")
	}
	if host, port, err := net.SplitHostPort(s.host); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return iceServer{}, errors.New("its port must be a number from 1 to 65535")
		}
		s.host, s.port = host, uint16(n)
	} else {
		s.host = strings.TrimSuffix(strings.TrimPrefix(s.host, "["), "]")
	}
	s.host = canonical(s.host)
	if _, err := netip.ParseAddr(s.host); err != nil && !isName(s.host) {
		return iceServer{}, errors.New("it names no host; write a name, or an address as 192.0.2.1 or [2001:db8::1]")
	}
	switch {
	case u.Fragment != "" || u.RawQuery != "" && strings.HasPrefix(u.Scheme, "stun"):
		return iceServer{}, errors.New("something follows after its port")
	case u.RawQuery == "transport=udp" || u.RawQuery == "transport=tcp":
		s.transport = "?" + u.RawQuery
	case u.RawQuery != "":
		return iceServer{}, errors.New("after its port only ?transport=udp or ?transport=tcp may follow")
	}
	return s, nil
}
