// Package guard decides which network addresses a client may make Perch
// connect to, so that a request cannot be used to reach what only the device
// can reach (server-side request forgery, CWE-918).
package guard

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// A Rule allows some addresses. [ParseRule] makes one.
type Rule struct {
	word   string       // "private" or "public"; else ""
	prefix netip.Prefix // of an address or range; else not valid
	host   string       // name, lower case, without a final dot; else ""
	port   uint16       // 0: any but Perch's own
}

var errRule = errors.New(`is not an address; write private, public, a range as 192.0.2.0/24, an address, or a host name, the latter two with :port where only one is meant`)

// ParseRule reads one entry of a list of what is allowed: "private" (RFC 1918
// and RFC 4193), "public", a range ("192.0.2.0/24"), an address or a host name,
// the last two with a port if need be ("127.0.0.1:8554"). Its errors are the
// end of a sentence that begins with the entry.
func ParseRule(s string) (Rule, error) {
	if s == "private" || s == "public" {
		return Rule{word: s}, nil
	}
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil || p.Addr().Zone() != "" || p.Addr().Is4In6() {
			return Rule{}, errRule
		}
		if p != p.Masked() {
			return Rule{}, errors.New("has bits set beyond its length; write " + p.Masked().String())
		}
		return Rule{prefix: p}, nil
	}
	r, host := Rule{}, s
	if h, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Rule{}, errors.New("has a port that is not a number from 1 to 65535")
		}
		host, r.port = h, uint16(n)
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return Rule{}, errors.New("has a zone; write the address without %")
		}
		a = a.Unmap()
		r.prefix = netip.PrefixFrom(a, a.BitLen())
		return r, nil
	}
	r.host = canonical(host)
	if !isName(r.host) {
		return Rule{}, errRule
	}
	return r, nil
}

// canonical is the form of a host name in which names are compared.
func canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// isName reports whether host is a name of DNS (RFC 1123, 2.1). A last label
// that begins like a number is an IPv4 address written oddly (2130706433,
// 0x7f.1, 0177.0.0.1), which resolvers understand and readers do not.
func isName(host string) bool {
	if len(host) > 253 {
		return false
	}
	label := regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return false
		}
	}
	return !regexp.MustCompile(`^([0-9]+|0x[0-9a-f]*)$`).MatchString(labels[len(labels)-1])
}

// covers reports whether r names the address itself or a range that it is in.
func (r Rule) covers(a netip.Addr) bool { return r.prefix.IsValid() && r.prefix.Contains(a) }
