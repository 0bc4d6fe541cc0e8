package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"perch/pipeline"
)

// lookupLimit bounds one question to the resolver.
const lookupLimit = 5 * time.Second

// A Guard decides where URLs of clients may lead, [Guard.Check] those of cameras
// and [Guard.CheckICE] those of STUN and TURN servers. Public and private networks
// are open where a rule says so. This machine, link-local addresses and other
// special ones must be named: by their address, or by a range that contains
// nothing else. A port of Perch on this machine must be named with the address.
type Guard struct {
	Setting  string // where Rules come from, for errors
	Rules    []Rule
	OwnPorts []uint16 // that Perch listens on
	// Lookup resolves a name; nil asks the system.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Own returns the addresses of this machine; nil asks the system.
	Own func() ([]netip.Addr, error)
}

// Check decides whether rawURL may be opened, which is rtsp, rtsps, http or
// https. It returns the URL to open, in which the address that was checked
// stands for the name, so that the name cannot mean something else a moment
// later (DNS rebinding). A name in an encrypted URL stays, because the
// certificate is for it; no other server can show that certificate.
//
// Errors: Kind BadInput when it is no such URL, Refused when it is not allowed,
// Gone when its name cannot be resolved. None contains credentials.
func (g Guard) Check(ctx context.Context, rawURL string) (pinned string, err error) {
	u, port, err := parse(rawURL)
	if err != nil {
		// Nothing of the URL is quoted: its parts are not to be told apart.
		return "", &pipeline.Error{Op: "open", On: "URL", Kind: pipeline.BadInput, Err: err}
	}
	addrs, err := g.reach(ctx, u.Scheme+"://"+u.Host, canonical(u.Hostname()), port)
	if err != nil {
		return "", err
	}
	if u.Scheme == "http" || u.Scheme == "rtsp" {
		u.Host = net.JoinHostPort(addrs[0].Unmap().String(), strconv.Itoa(int(port)))
	}
	return u.String(), nil
}

// reach returns the addresses of host that may be connected to, at least one.
func (g Guard) reach(ctx context.Context, on, host string, port uint16) (open []netip.Addr, err error) {
	fail := func(kind pipeline.Kind, err error) ([]netip.Addr, error) {
		return nil, &pipeline.Error{Op: "open", On: on, Kind: kind, Err: err}
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return fail(pipeline.Gone, err)
	}
	own, err := g.own()
	if err != nil {
		return fail(pipeline.Other, fmt.Errorf("ask for this machine's addresses: %w", err))
	}
	var why error
	for _, a := range addrs {
		if err := g.allows(host, a, port, own); err != nil {
			why = err
			continue
		}
		open = append(open, a)
	}
	if len(open) == 0 {
		return fail(pipeline.Refused, why)
	}
	return open, nil
}

// parse checks the form of a URL. Its errors quote nothing.
func parse(rawURL string) (u *url.URL, port uint16, err error) {
	u, err = url.Parse(rawURL)
	if err != nil {
		return nil, 0, errors.New("it cannot be understood; write scheme://host/path, with %20 for a blank")
	}
	port, ok := map[string]uint16{"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}[u.Scheme]
	if !ok {
		return nil, 0, errors.New("it must begin with rtsp://, rtsps://, http:// or https://")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, 0, errors.New("its port must be a number from 1 to 65535")
		}
		port = uint16(n)
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil && !isName(canonical(host)) {
		return nil, 0, errors.New("it names no host; write a name, or an address as 192.0.2.1 or [2001:db8::1]")
	}
	return u, port, nil
}

func (g Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	lookup := g.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	addrs, err := lookup(ctx, host)
	switch {
	case err != nil:
		return nil, errors.New("the host's name cannot be resolved")
	case len(addrs) == 0:
		return nil, errors.New("the host's name has no address")
	}
	return addrs, nil
}

func (g Guard) own() ([]netip.Addr, error) {
	if g.Own != nil {
		return g.Own()
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr())
		}
	}
	return own, nil
}

// allows returns why a, which host resolved to, may not be connected to; nil
// when it may.
func (g Guard) allows(host string, a netip.Addr, port uint16, own []netip.Addr) error {
	a = meant(a)
	what := classify(a)
	mine := what.class == loopback || slices.ContainsFunc(own, func(o netip.Addr) bool { return meant(o) == a })
	if mine && what.class != loopback {
		what = place{netip.PrefixFrom(a, a.BitLen()), loopback}
	}
	if what.class == nowhere {
		return fmt.Errorf("%v is %s", a, what.class)
	}
	ownPort := mine && slices.Contains(g.OwnPorts, port)
	for _, r := range g.Rules {
		if r.port != 0 && r.port != port || ownPort && r.port == 0 {
			continue
		}
		if r.matches(host, a, what) {
			return nil
		}
	}
	if ownPort {
		return fmt.Errorf("port %d of this machine is Perch's own, and %s does not name it", port, g.Setting)
	}
	return fmt.Errorf("%v is %s, which %s does not allow", a, what.class, g.Setting)
}

// matches reports whether r means a, which is a place of the kind what.
func (r Rule) matches(host string, a netip.Addr, what place) bool {
	named := r.host != "" && r.host == host
	switch what.class {
	case publicNet:
		return r.word == "public" || named || r.covers(a)
	case privateNet:
		return r.word == "private" || named || r.covers(a)
	case reserved:
		return named || r.covers(a)
	}
	if named && host == "localhost" && what.class == loopback {
		return true
	}
	// Explicitly: the rule's range is no wider than the special place.
	return r.covers(a) && what.prefix.Contains(r.prefix.Addr()) && r.prefix.Bits() >= what.prefix.Bits()
}
