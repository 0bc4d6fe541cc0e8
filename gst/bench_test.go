package gst

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"perch/pipeline"
)

// BenchmarkSource decodes the sample clip through a source; compare its
// frames/s with those of BenchmarkGstLaunch, which decodes the same and throws
// the pictures away.
func BenchmarkSource(b *testing.B) {
	path := clip(b)
	m := openMedia(b)
	frames := 0
	for b.Loop() {
		src, err := m.NewSource(lossless(path))
		if err != nil {
			b.Fatal(err)
		}
		if err := src.Run(b.Context(), outletFunc(func(_ context.Context, f pipeline.Frame) { frames++; f.Release() })); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(frames)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkGstLaunch is what GStreamer does by itself.
func BenchmarkGstLaunch(b *testing.B) {
	path := clip(b)
	info, err := openMedia(b).Probe(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	frames := 0
	for b.Loop() {
		if out, err := exec.Command("gst-launch-1.0", "-q", "filesrc", "location="+path, "!", "decodebin", "!", "fakesink", "sync=false").CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		frames += int(info.Frames)
	}
	b.ReportMetric(float64(frames)/b.Elapsed().Seconds(), "frames/s")
}

func clip(b *testing.B) string {
	path := os.Getenv("PERCH_TEST_CLIP")
	if path == "" {
		b.Skip("PERCH_TEST_CLIP does not name the sample clip")
	}
	return path
}
