package guard

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"perch/pipeline"
)

// world resolves a few names and owns 192.168.1.5.
func world(t *testing.T, rules ...string) Guard {
	t.Helper()
	g := Guard{Setting: "sessions.allow_urls", OwnPorts: []uint16{8080, 1883}}
	for _, s := range rules {
		r, err := ParseRule(s)
		if err != nil {
			t.Fatalf("%s %v", s, err)
		}
		g.Rules = append(g.Rules, r)
	}
	g.Own = func() ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("fd12::5")}, nil
	}
	g.Lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		text, ok := map[string]string{
			"cam.example.org": "203.0.113.9", "public.example.org": "8.8.8.8", "inside.example.org": "10.1.2.3", "rebind.example.org": "127.0.0.1",
			"meta.example.org": "169.254.169.254", "both.local": "fe80::1%eth0 192.168.1.20", "localhost": "127.0.0.1 ::1", "empty.example.org": "",
			"me.local": "192.168.1.5", "mapped.example.org": "::ffff:127.0.0.1",
		}[host]
		if !ok {
			return nil, errors.New("no such host")
		}
		var list []netip.Addr
		for _, a := range strings.Fields(text) {
			list = append(list, netip.MustParseAddr(a))
		}
		return list, nil
	}
	return g
}

func TestCheck(t *testing.T) {
	const ok = pipeline.Other
	tests := []struct {
		rules string
		url   string
		kind  pipeline.Kind // Other: it is allowed
		want  string        // the URL to open, or words of the error
	}{
		// What the defaults allow.
		{"private", "rtsp://192.168.1.20/stream", ok, "rtsp://192.168.1.20:554/stream"},
		{"private", "rtsp://u:p%40ss@10.0.0.9:8554/a?b=c", ok, "rtsp://u:p%40ss@10.0.0.9:8554/a?b=c"},
		{"private", "http://inside.example.org/video.mjpg", ok, "http://10.1.2.3:80/video.mjpg"},
		{"private", "https://INSIDE.example.org./v", ok, "https://INSIDE.example.org./v"},
		{"private", "rtsp://[fd00::7]/s", ok, "rtsp://[fd00::7]:554/s"},
		{"private", "rtsp://[::ffff:192.168.1.20]/s", ok, "rtsp://192.168.1.20:554/s"},
		{"private", "rtsp://both.local/s", ok, "rtsp://192.168.1.20:554/s"}, // its link-local address is passed over

		// And what not.
		{"private", "rtsp://8.8.8.8/", pipeline.Refused, "8.8.8.8 is a public address, which sessions.allow_urls does not allow"},
		{"private", "http://127.0.0.1/", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private", "http://127.9.9.9:9000/", pipeline.Refused, "this machine"},
		{"private", "http://[::1]/", pipeline.Refused, "this machine"},
		{"private", "http://[::ffff:127.0.0.1]/", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private", "http://[::ffff:7f00:1]/", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private", "http://[::127.0.0.1]/", pipeline.Refused, "reserved"},
		{"private public", "http://[64:ff9b::7f00:1]/", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private public", "http://[64:ff9b::a9fe:a9fe]/", pipeline.Refused, "169.254.169.254 is the metadata service"},
		{"private public", "http://[2002:7f00:1::]/", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private public", "http://169.254.169.254/latest/meta-data/", pipeline.Refused, "the metadata service of a cloud"},
		{"private public", "http://[fd00:ec2::254]/", pipeline.Refused, "the metadata service"},
		{"private public", "http://[fe80::1]/", pipeline.Refused, "a link-local address"},
		{"private public", "http://[fe80::1%25eth0]/", pipeline.Refused, "a link-local address"},
		{"private public", "http://169.254.10.1/", pipeline.Refused, "a link-local address"},
		{"private public", "http://0.0.0.0:8080/", pipeline.Refused, "no address that can be connected to"},
		{"private public", "http://[::]/", pipeline.Refused, "no address that can be connected to"},
		{"private public", "rtsp://239.1.1.1/", pipeline.Refused, "no address"},
		{"private public", "rtsp://255.255.255.255/", pipeline.Refused, "no address"},
		{"private public", "rtsp://100.100.100.200/", pipeline.Refused, "reserved"},
		{"private public", "rtsp://192.0.0.192/", pipeline.Refused, "reserved"},
		{"private", "http://rebind.example.org/", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private", "http://mapped.example.org/", pipeline.Refused, "127.0.0.1 is this machine"},
		{"private", "https://meta.example.org/", pipeline.Refused, "metadata"},
		{"private", "http://localhost:8080/", pipeline.Refused, "Perch's own"},
		{"private", "http://192.168.1.5/", pipeline.Refused, "192.168.1.5 is this machine"},
		{"private", "http://me.local:8080/", pipeline.Refused, "port 8080 of this machine is Perch's own"},
		{"private", "http://[fd12::5]:1883/", pipeline.Refused, "Perch's own"},
		{"", "rtsp://192.168.1.20/", pipeline.Refused, "a private address, which"},

		// Oddly written addresses.
		{"private public", "http://2130706433/", pipeline.BadInput, "it names no host"},
		{"private public", "http://0x7f000001/", pipeline.BadInput, "it names no host"},
		{"private public", "http://0x7f.1/", pipeline.BadInput, "it names no host"},
		{"private public", "http://0177.0.0.1/", pipeline.BadInput, "it names no host"},
		{"private public", "http://127.1/", pipeline.BadInput, "it names no host"},
		{"private public", "http://127.0.0.1./", pipeline.BadInput, "it names no host"},
		{"private public", "http://１２７.0.0.1/", pipeline.BadInput, "it names no host"},

		// What the administrator names.
		{"public", "rtsp://public.example.org/", ok, "rtsp://8.8.8.8:554/"},
		{"public", "rtsp://10.0.0.1/", pipeline.Refused, "private"},
		{"10.1.0.0/16", "rtsp://inside.example.org/", ok, "rtsp://10.1.2.3:554/"},
		{"10.1.0.0/16", "rtsp://10.2.0.1/", pipeline.Refused, "private"},
		{"203.0.113.0/24", "rtsp://cam.example.org/", ok, "rtsp://203.0.113.9:554/"},
		{"Cam.Example.org.", "rtsp://cam.example.org:99/", ok, "rtsp://203.0.113.9:99/"},
		{"cam.example.org:554", "rtsp://cam.example.org/", ok, "rtsp://203.0.113.9:554/"},
		{"cam.example.org:554", "rtsp://cam.example.org:555/", pipeline.Refused, "reserved"},
		{"cam.example.org", "rtsp://203.0.113.9/", pipeline.Refused, "reserved"}, // the name is allowed, not its address
		{"rebind.example.org", "rtsp://rebind.example.org/", pipeline.Refused, "this machine"},
		{"127.0.0.1", "http://127.0.0.1:9000/", ok, "http://127.0.0.1:9000/"},
		{"127.0.0.1", "http://127.0.0.1:8080/", pipeline.Refused, "Perch's own"},
		{"127.0.0.1:8080", "http://127.0.0.1:8080/", ok, "http://127.0.0.1:8080/"},
		{"127.0.0.1:8554", "rtsp://rebind.example.org:8554/s", ok, "rtsp://127.0.0.1:8554/s"}, // the address is allowed, whatever leads to it
		{"127.0.0.0/8", "http://127.0.0.7/", ok, "http://127.0.0.7:80/"},
		{"localhost", "http://localhost:9000/", ok, "http://127.0.0.1:9000/"},
		{"localhost", "http://localhost:8080/", pipeline.Refused, "Perch's own"},
		{"0.0.0.0/0", "http://127.0.0.1/", pipeline.Refused, "this machine"},
		{"0.0.0.0/0", "http://169.254.169.254/", pipeline.Refused, "metadata"},
		{"0.0.0.0/0", "http://8.8.8.8/", ok, "http://8.8.8.8:80/"},
		{"169.254.0.0/16", "http://169.254.10.1/", ok, "http://169.254.10.1:80/"},
		{"169.254.0.0/16", "http://169.254.169.254/", pipeline.Refused, "metadata"},
		{"169.254.169.254", "http://169.254.169.254/", ok, "http://169.254.169.254:80/"},
		{"::/0", "http://[::1]/", pipeline.Refused, "this machine"},
		{"192.168.0.0/16", "http://192.168.1.5/", pipeline.Refused, "this machine"},
		{"192.168.1.5", "http://192.168.1.5/", ok, "http://192.168.1.5:80/"},
		{"192.168.1.5", "http://192.168.1.5:8080/", pipeline.Refused, "Perch's own"},
		{"192.168.1.5:8080", "http://192.168.1.5:8080/", ok, "http://192.168.1.5:8080/"},
		{"private", "http://192.168.1.20:8080/", ok, "http://192.168.1.20:8080/"}, // another machine's port

		// No URL of a camera.
		{"private", "file:///etc/passwd", pipeline.BadInput, "must begin with rtsp://"},
		{"private", "192.168.1.20", pipeline.BadInput, "must begin with"},
		{"private", "rtsp://", pipeline.BadInput, "names no host"},
		{"private", "rtsp://192.168.1.20:0/", pipeline.BadInput, "port"},
		{"private", "rtsp://192.168.1.20:99999/", pipeline.BadInput, "port"},
		{"private", "rtsp://u:secret@ho st/", pipeline.BadInput, "cannot be understood"},
		{"private", "rtsp://u:secret@nobody.example.org/", pipeline.Gone, "cannot be resolved"},
		{"private", "rtsp://empty.example.org/", pipeline.Gone, "has no address"},
	}
	for _, tt := range tests {
		got, err := world(t, strings.Fields(tt.rules)...).Check(t.Context(), tt.url)
		switch {
		case tt.kind == ok && (err != nil || got != tt.want):
			t.Errorf("%s with [%s]: %q, %v; want %q", tt.url, tt.rules, got, err, tt.want)
		case tt.kind != ok && (got != "" || pipeline.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s with [%s]: %q, %v (%v); want %v: %s", tt.url, tt.rules, got, err, pipeline.KindOf(err), tt.kind, tt.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error shows the password: %v", tt.url, err)
		}
	}
}

// With nothing filled in, the system is asked.
func TestSystem(t *testing.T) {
	r, err := ParseRule("private")
	if err != nil {
		t.Fatal(err)
	}
	g := Guard{Rules: []Rule{r}}
	if got, err := g.Check(t.Context(), "http://localhost/"); pipeline.KindOf(err) != pipeline.Refused {
		t.Errorf("%q, %v", got, err)
	}
	own, err := g.own()
	if err != nil || len(own) == 0 {
		t.Errorf("own addresses: %v, %v", own, err)
	}
	g.Own = func() ([]netip.Addr, error) { return nil, errors.New("no netlink") }
	if _, err := g.Check(t.Context(), "http://192.168.1.20/"); err == nil {
		t.Error("allowed although it is not known who we are")
	}
}

func TestRules(t *testing.T) {
	for _, s := range []string{"private", "public", "10.0.0.0/8", "::1", "[::1]:80", "[2001:db8::1]", "127.0.0.1:8554", "cam", "cam_1.example.org:554", "::ffff:10.0.0.1"} {
		if _, err := ParseRule(s); err != nil {
			t.Errorf("%s %v", s, err)
		}
	}
	for s, says := range map[string]string{
		"": "is not an address", "10.0.0.1/8": "write 10.0.0.0/8", "10.0.0.0/33": "is not an address", "cam:0": "port", "cam:http": "port", "cam:70000": "port",
		"rtsp://cam": "is not an address", "fe80::1%eth0": "has a zone", "2130706433": "is not an address", "0x7f000001": "is not an address", "127.1": "is not an address",
		"*.example.org": "is not an address", "a b": "is not an address", "::ffff:10.0.0.0/104": "is not an address", strings.Repeat("a.", 200): "is not an address",
	} {
		if r, err := ParseRule(s); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %+v, %v; want %q", s, r, err, says)
		}
	}
}

// FuzzCheck: with the default rule, nothing but a private address of another
// machine ever comes out of an unencrypted URL.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"rtsp://10.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://127.1/", "rtsp://u:p@both.local:1/", "http://10.0.0.1@127.0.0.1/", "http://127.0.0.1#@10.0.0.1/", "http://10.0.0.1\\@127.0.0.1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		g := world(&testing.T{}, "private")
		got, err := g.Check(context.Background(), raw)
		if err != nil || strings.HasPrefix(got, "https:") || strings.HasPrefix(got, "rtsps:") {
			return
		}
		u, _, err := parse(got)
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, got, err)
		}
		a, err := netip.ParseAddr(u.Hostname())
		if err != nil || !meant(a).IsPrivate() || meant(a).String() == "192.168.1.5" {
			t.Fatalf("%q became %q", raw, got)
		}
	})
}
