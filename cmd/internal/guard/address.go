package guard

import "net/netip"

// A class says what kind of place an address is.
type class string

const (
	publicNet  class = "a public address"
	privateNet class = "a private address"
	loopback   class = "this machine"
	linkLocal  class = "a link-local address"
	metadata   class = "the metadata service of a cloud"
	reserved   class = "reserved" // reachable in some networks, but nobody's private or public one
	nowhere    class = "no address that can be connected to"
)

// A place is a range of one class.
type place struct {
	prefix netip.Prefix
	class  class
}

// places are the special-purpose ranges (IANA registries of RFC 6890), the
// narrower before the wider; what is in none is public.
func places() []place {
	var list []place
	for _, p := range []struct {
		class  class
		ranges []string
	}{
		{metadata, []string{"169.254.169.254/32", "fd00:ec2::254/128"}},
		{nowhere, []string{"0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8"}},
		{loopback, []string{"127.0.0.0/8", "::1/128"}},
		{linkLocal, []string{"169.254.0.0/16", "fe80::/10"}},
		{privateNet, []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}},
		{reserved, []string{
			"100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
			"::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10",
		}},
	} {
		for _, r := range p.ranges {
			list = append(list, place{netip.MustParsePrefix(r), p.class})
		}
	}
	return list
}

// classify returns what kind of place a is, and the range that says so, which
// is not valid for public addresses.
func classify(a netip.Addr) place {
	for _, p := range places() {
		if p.prefix.Contains(a) {
			return p
		}
	}
	return place{class: publicNet}
}

// meant is the address that a packet to a reaches in the end: the IPv4 address
// inside a mapped one (RFC 4291, 2.5.5.2), a translated one (RFC 6052) or a
// 6to4 one (RFC 3056).
func meant(a netip.Addr) netip.Addr {
	a = a.WithZone("").Unmap()
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}
