package gst

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"perch/pipeline"
)

func openRehearsal(t testing.TB) *Media {
	t.Helper()
	m, err := Open(Options{Platform: rehearsal, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sizes runs a source and returns the size of each frame's picture. Before frame
// n+1 it wants wishes[n].
func sizes(t *testing.T, m *Media, path string, wishes map[int]pipeline.Size) (pictures []pipeline.Size, c *collector) {
	t.Helper()
	src, err := m.NewSource(lossless(path))
	if err != nil {
		t.Fatal(err)
	}
	c = &collector{}
	c.each = func(_ context.Context, f pipeline.Frame) {
		p := f.Picture()
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		pictures = append(pictures, pipeline.Size{Width: p.Width, Height: p.Height})
		if w, ok := wishes[len(pictures)]; ok {
			src.(pipeline.Scaler).Want(w)
		}
	}
	if err := src.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return pictures, c
}

// runs lists the sizes in the order in which they came, and how many pictures
// each had in a row.
func inARow(pictures []pipeline.Size) (list []pipeline.Size, counts []int) {
	for i, p := range pictures {
		if i == 0 || p != pictures[i-1] {
			list, counts = append(list, p), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return list, counts
}

// Pictures are shrunk and made whole while a source plays: no frame is lost or
// comes twice, each says how large its frame is, and what is on it stays.
func TestPicturesAreShrunkOnDemand(t *testing.T) {
	t.Parallel()
	path := makeVideo(t, "clip.mp4", x264+" ! mp4mux")
	whole, half, third := pipeline.Size{Width: 160, Height: 120}, pipeline.Size{Width: 80, Height: 60}, pipeline.Size{Width: 54, Height: 40}
	for _, tt := range []struct {
		name    string
		wishes  map[int]pipeline.Size
		passing bool // a wish is overtaken by the next
		want    []pipeline.Size
	}{
		{"never", nil, false, []pipeline.Size{whole}},
		{"once", map[int]pipeline.Size{1: half}, false, []pipeline.Size{whole, half}},
		{"and whole again", map[int]pipeline.Size{3: half, 20: {}}, false, []pipeline.Size{whole, half, whole}},
		{"from one size to another", map[int]pipeline.Size{3: half, 20: third}, false, []pipeline.Size{whole, half, third}},
		{"and at once to another", map[int]pipeline.Size{3: half, 4: third}, true, []pipeline.Size{whole, third}},
		{"and at once whole again", map[int]pipeline.Size{3: half, 4: {}, 5: half, 6: {}}, true, []pipeline.Size{whole}},
		{"larger than the frame", map[int]pipeline.Size{1: {Width: 320, Height: 60}}, false, []pipeline.Size{whole}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, c := sizes(t, openRehearsal(t), path, tt.wishes)
			c.wantAll(t, 1, testFrames)
			for i, f := range c.frames {
				if f.Width != 160 || f.Height != 120 {
					t.Errorf("frame %d is %dx%d", i+1, f.Width, f.Height)
				}
			}
			list, counts := inARow(got)
			if tt.passing {
				// Which pictures still come as the first wish had it is chance: none need.
				settled := slices.Compact([]pipeline.Size{list[0], list[len(list)-1]})
				stray := func(s pipeline.Size) bool { return s != half && !slices.Contains(tt.want, s) }
				if !slices.Equal(settled, tt.want) || slices.ContainsFunc(list, stray) {
					t.Errorf("sizes %v, %v in a row; want %v in the end", list, counts, tt.want)
				}
				return
			}
			if !slices.Equal(list, tt.want) {
				t.Errorf("sizes %v, %v in a row; want %v", list, counts, tt.want)
			}
			// A picture or two are under way when a wish is heard, and three wait in the sink.
			if len(tt.want) > 1 && counts[0] > 10 {
				t.Errorf("%d pictures came before one was shrunk", counts[0])
			}
		})
	}
}

// Without a scaler a wish changes nothing.
func TestWithoutAScalerPicturesStayWhole(t *testing.T) {
	t.Parallel()
	path := makeVideo(t, "clip.mp4", x264+" ! mp4mux")
	got, c := sizes(t, openMedia(t), path, map[int]pipeline.Size{1: {Width: 80, Height: 60}})
	c.wantAll(t, 1, testFrames)
	if list, _ := inARow(got); len(list) != 1 {
		t.Errorf("sizes %v", list)
	}
}

// A picture that was taken on its side is shrunk before it is turned.
func TestTurnedPicturesAreShrunk(t *testing.T) {
	t.Parallel()
	path := makeVideo(t, "clip.mp4", x264+" ! mp4mux")
	rotate(t, path, 90)
	got, c := sizes(t, openRehearsal(t), path, map[int]pipeline.Size{2: {Width: 60, Height: 80}})
	if list, _ := inARow(got); !slices.Equal(list, []pipeline.Size{{Width: 120, Height: 160}, {Width: 60, Height: 80}}) {
		t.Errorf("sizes %v", list)
	}
	if f := c.frames[testFrames-1]; f.Width != 120 || f.Height != 160 {
		t.Errorf("the last frame is %dx%d", f.Width, f.Height)
	}
}

// A camera that changes its resolution is noticed although its pictures come in
// the same size as before, even when it is the one that they were shrunk to.
func TestAStreamChangesItsSize(t *testing.T) {
	t.Parallel()
	half := pipeline.Size{Width: 80, Height: 60}
	for name, then := range map[string]pipeline.Size{"it grows": {Width: 320, Height: 240}, "it shrinks": half, "it is taller": {Width: 160, Height: 240}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "changes.ts")
			part := func(size pipeline.Size) string {
				return fmt.Sprintf(" videotestsrc num-buffers=30 ! video/x-raw,format=I420,framerate=25/1,width=%d,height=%d ! x264enc speed-preset=ultrafast key-int-max=10 ! "+
					"h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au ! join.", size.Width, size.Height)
			}
			launch(t, "concat name=join ! h264parse ! mpegtsmux ! filesink location="+path+part(pipeline.Size{Width: 160, Height: 120})+part(then))
			got, c := sizes(t, openRehearsal(t), path, map[int]pipeline.Size{2: half})
			list, counts := inARow(got)
			if !slices.Equal(list, []pipeline.Size{{Width: 160, Height: 120}, half}) || len(got) != 60 {
				t.Fatalf("sizes %v, %v in a row", list, counts)
			}
			for i, f := range c.frames {
				want := pipeline.Size{Width: 160, Height: 120}
				if i >= 30 {
					want = then
				}
				if f.Width != want.Width || f.Height != want.Height {
					t.Errorf("frame %d is %dx%d, want %v", i+1, f.Width, f.Height, want)
				}
			}
		})
	}
}
