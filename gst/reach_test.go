package gst

import (
	"net"
	"strings"
	"testing"

	"perch/pipeline"
)

func TestACameraThatIsAwayIsExplainedByTheNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for kind, url := range map[pipeline.SourceKind]string{
		pipeline.SourceRTSP: "rtsp://viewer:geheim@" + addr + "/stream", pipeline.SourceHTTP: "http://viewer:geheim@" + addr + "/video.mjpg",
	} {
		_, err := watch(t, SourceSpec{Kind: kind, URL: url}, 1)
		if pipeline.KindOf(err) != pipeline.Gone || !strings.Contains(err.Error(), addr+": connect: connection refused") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestReachKnowsTheUsualPortsAndLeavesOtherSourcesAlone(t *testing.T) {
	for _, s := range []SourceSpec{{Kind: pipeline.SourceFile, Path: "/x.mp4"}, {Kind: pipeline.SourceTest}, {Kind: pipeline.SourceRTSP, URL: "rtsp://%zz"}} {
		if err := reach(&s); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	err := reach(&SourceSpec{Kind: pipeline.SourceRTSP, URL: "rtsp://host.invalid/stream"})
	if err == nil || !strings.Contains(err.Error(), "host.invalid") {
		t.Errorf("a host that there is not: %v", err)
	}
}
