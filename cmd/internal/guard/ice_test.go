package guard

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"perch/pipeline"
)

func TestCheckICE(t *testing.T) {
	const ok = pipeline.Other
	tests := []struct {
		rules string
		uri   string
		kind  pipeline.Kind // Other: it is allowed
		want  string        // the URIs to use, or words of the error
	}{
		// What the defaults allow: relays and reflectors are on the internet.
		{"private public", "stun:public.example.org:19302", ok, "stun:8.8.8.8:19302"},
		{"private public", "stun:PUBLIC.example.org.", ok, "stun:8.8.8.8:3478"},
		{"private public", "turn:inside.example.org?transport=tcp", ok, "turn:10.1.2.3:3478?transport=tcp"},
		{"private public", "turn:[2001:4860:4860::8888]:53?transport=udp", ok, "turn:[2001:4860:4860::8888]:53?transport=udp"},
		{"private public", "stun:192.168.1.20", ok, "stun:192.168.1.20:3478"},
		{"private public", "stun:twofold.example.org:99", ok, "stun:[2001:4860::1]:99 stun:8.8.4.4:99"},                 // one of each family
		{"private public", "turns:public.example.org?transport=tcp", ok, "turns:public.example.org:5349?transport=tcp"}, // its certificate names it
		{"private public", "stun:[::ffff:8.8.8.8]:99", ok, "stun:8.8.8.8:99"},
		{"private public", "stun:mapped.example.com", ok, "stun:8.8.4.4:3478 stun:[2001:4860::1]:3478"}, // as the system's resolver may say it
		{"private public", "stun:both.local", ok, "stun:192.168.1.20:3478"},
		{"private public", "stun:192.168.1.20:8080", ok, "stun:192.168.1.20:8080"}, // another machine's port

		// And what not.
		{"private public", "turn:127.0.0.1:1883?transport=tcp", pipeline.Refused, "port 1883 of this machine is Perch's own"},
		{"private public", "turn:127.0.0.1:9000?transport=tcp", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private public", "turns:127.0.0.1:9000", pipeline.Refused, "this machine"},
		{"private public", "stun:[::ffff:127.0.0.1]:9000", pipeline.Refused, "this machine"},
		{"private public", "stun:localhost", pipeline.Refused, "this machine"},
		{"private public", "stun:me.local:9000", pipeline.Refused, "192.168.1.5 is this machine"},
		{"private public", "turn:rebind.example.org", pipeline.Refused, "this machine"},
		{"private public", "turns:rebind.example.org", pipeline.Refused, "this machine"},
		{"private public", "stun:169.254.169.254:80", pipeline.Refused, "metadata"},
		{"private public", "turn:[fe80::1]", pipeline.Refused, "link-local"},
		{"private public", "stun:0.0.0.0:8080", pipeline.Refused, "no address"},
		{"private public", "stun:255.255.255.255", pipeline.Refused, "no address"},
		{"private public", "stun:cam.example.org", pipeline.Refused, "reserved"},
		{"private", "stun:8.8.8.8", pipeline.Refused, "a public address, which sessions.allow_urls does not allow"},
		{"", "stun:192.168.1.20", pipeline.Refused, "a private address"},

		// What the administrator names.
		{"127.0.0.1:3478", "turn:127.0.0.1", ok, "turn:127.0.0.1:3478"},
		{"127.0.0.1", "turn:127.0.0.1:1883?transport=tcp", pipeline.Refused, "Perch's own"},

		// No server.
		{"private public", "http://192.168.1.20", pipeline.BadInput, "must begin with stun:"},
		{"private public", "stun://192.168.1.20", pipeline.BadInput, "names no host"},
		{"private public", "stun:", pipeline.BadInput, "names no host"},
		{"private public", "stun:secret@192.168.1.20", pipeline.BadInput, "names no host"},
		{"private public", "stun:2130706433", pipeline.BadInput, "names no host"},
		{"private public", "stun:192.168.1.20:0", pipeline.BadInput, "port"},
		{"private public", "stun:192.168.1.20:x", pipeline.BadInput, "port"},
		{"private public", "stun:192.168.1.20?transport=tcp", pipeline.BadInput, "follows"},
		{"private public", "turn:192.168.1.20?transport=tcp&x=secret", pipeline.BadInput, "may follow"},
		{"private public", "turn:192.168.1.20#secret", pipeline.BadInput, "follows"},
		{"private public", "turn:secret%zz", pipeline.BadInput, ""},
		{"private public", "turn:nobody.example.org", pipeline.Gone, "cannot be resolved"},
	}
	for _, tt := range tests {
		g := world(t, strings.Fields(tt.rules)...)
		lookup := g.Lookup
		g.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			if host == "twofold.example.org" {
				return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("2001:4860::1"), netip.MustParseAddr("2001:4860::2"), netip.MustParseAddr("8.8.4.4"), netip.MustParseAddr("8.8.8.8")}, nil
			}
			if host == "mapped.example.com" {
				return []netip.Addr{netip.MustParseAddr("::ffff:8.8.4.4"), netip.MustParseAddr("8.8.4.4"), netip.MustParseAddr("2001:4860::1")}, nil
			}
			return lookup(ctx, host)
		}
		got, err := g.CheckICE(t.Context(), tt.uri)
		switch {
		case tt.kind == ok && (err != nil || !slices.Equal(got, strings.Fields(tt.want))):
			t.Errorf("%s with [%s]: %q, %v; want %q", tt.uri, tt.rules, got, err, tt.want)
		case tt.kind != ok && (got != nil || pipeline.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s with [%s]: %q, %v (%v); want %v: %s", tt.uri, tt.rules, got, err, pipeline.KindOf(err), tt.kind, tt.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error shows too much: %v", tt.uri, err)
		}
	}
}

// FuzzCheckICE: with the default rules, no address of this machine and no
// special one ever comes out of a URI that is not encrypted.
func FuzzCheckICE(f *testing.F) {
	for _, s := range []string{"stun:10.0.0.1", "turn:[::ffff:127.0.0.1]:1?transport=tcp", "stun:127.1", "turn:both.local", "stun:10.0.0.1@127.0.0.1", "stun:127.0.0.1#@10.0.0.1", "turn:[fe80::1%eth0]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		g := world(&testing.T{}, "private", "public")
		got, err := g.CheckICE(context.Background(), raw)
		if err != nil || strings.HasPrefix(got[0], "stuns:") || strings.HasPrefix(got[0], "turns:") {
			return
		}
		for _, uri := range got {
			s, err := parseICE(uri)
			if err != nil {
				t.Fatalf("%q became %q: %v", raw, uri, err)
			}
			a, err := netip.ParseAddr(s.host)
			if err != nil {
				t.Fatalf("%q became %q: %v", raw, uri, err)
			}
			if c := classify(meant(a)).class; c != publicNet && c != privateNet || meant(a).String() == "192.168.1.5" {
				t.Fatalf("%q became %q, which is %s", raw, uri, c)
			}
		}
	})
}
