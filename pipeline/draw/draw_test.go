package draw

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"perch/pipeline"
)

// grey returns a picture of mid grey whose rows are padded with a mark that
// drawing must not touch.
func grey(format pipeline.PixelFormat, w, h int) pipeline.Picture {
	cw, ch := (w+1)/2, (h+1)/2
	p := pipeline.Picture{Format: format, Width: w, Height: h}
	plane := func(i, used, rows int) {
		p.Strides[i] = used + 7
		p.Planes[i] = bytes.Repeat([]byte{0xEE}, p.Strides[i]*rows)
		for y := range rows {
			copy(p.Planes[i][y*p.Strides[i]:][:used], bytes.Repeat([]byte{128}, used))
		}
	}
	plane(0, w, h)
	if format == pipeline.NV12 {
		plane(1, 2*cw, ch)
	} else {
		plane(1, cw, ch)
		plane(2, cw, ch)
	}
	return p
}

// at returns the colour stored for a luma sample.
func at(p pipeline.Picture, x, y int) yuv {
	u, v := chroma(p, x/2, y/2)
	return yuv{p.Planes[0][y*p.Strides[0]+x], *u, *v}
}

func clone(p pipeline.Picture) pipeline.Picture {
	for i := range p.Planes {
		p.Planes[i] = bytes.Clone(p.Planes[i])
	}
	return p
}

// checkPadding fails if the bytes between rows were touched.
func checkPadding(t *testing.T, p pipeline.Picture) {
	t.Helper()
	used := [3]int{p.Width, (p.Width + 1) / 2, (p.Width + 1) / 2}
	if p.Format == pipeline.NV12 {
		used[1] *= 2
	}
	for i, plane := range p.Planes {
		for k, b := range plane {
			if k%max(p.Strides[i], 1) >= used[i] && b != 0xEE {
				t.Fatalf("plane %d: padding at row %d was overwritten", i, k/p.Strides[i])
			}
		}
	}
}

func newDrawer(t testing.TB) *Drawer {
	t.Helper()
	d, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func one(b pipeline.Box) *pipeline.Result {
	return &pipeline.Result{Detections: []pipeline.Detection{{Box: b, Label: "person", Score: 0.874, Track: 12}}}
}

func TestBoxIsWhereItShouldBe(t *testing.T) {
	for _, format := range []pipeline.PixelFormat{pipeline.I420, pipeline.NV12} {
		t.Run(format.String(), func(t *testing.T) {
			p := grey(format, 200, 160)
			newDrawer(t).Draw(p, one(pipeline.Box{X0: 40, Y0: 60, X1: 120, Y1: 140}))
			want := codingOf(p).encode(ClassColour(0))
			for _, q := range [][2]int{{40, 60}, {119, 60}, {41, 139}, {118, 138}, {40, 100}, {119, 100}} {
				if got := at(p, q[0], q[1]); got != want {
					t.Errorf("border at %v is %v, want %v", q, got, want)
				}
			}
			for _, q := range [][2]int{{42, 62}, {117, 137}, {39, 100}, {120, 100}, {80, 140}, {80, 100}} {
				if got := at(p, q[0], q[1]); got != (yuv{128, 128, 128}) {
					t.Errorf("%v is %v, want it untouched", q, got)
				}
			}
			checkPadding(t, p)
		})
	}
}

func TestFormatsAgree(t *testing.T) {
	a, b := grey(pipeline.I420, 321, 241), grey(pipeline.NV12, 321, 241)
	for _, p := range []pipeline.Picture{a, b} {
		d := newDrawer(t)
		d.Draw(p, busy(321, 241, 20))
		d.Polygon(p, []pipeline.Point{{X: 10, Y: 10}, {X: 300, Y: 50}, {X: 100, Y: 230}}, Colour{255, 0, 0}, 0.3)
		checkPadding(t, p)
	}
	for y := range a.Height {
		for x := range a.Width {
			if at(a, x, y) != at(b, x, y) {
				t.Fatalf("(%d,%d): I420 has %v, NV12 has %v", x, y, at(a, x, y), at(b, x, y))
			}
		}
	}
}

func TestClippingAndNonsense(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	boxes := []pipeline.Box{
		{X0: -50, Y0: -50, X1: 10, Y1: 10}, {X0: 60, Y0: 30, X1: 900, Y1: 900}, {X0: -9, Y0: -9, X1: 999, Y1: 999},
		{X0: -inf, Y0: -inf, X1: inf, Y1: inf}, {X0: nan, Y0: nan, X1: nan, Y1: nan},
		{X0: 30, Y0: 30, X1: 20, Y1: 20}, {X0: 5, Y0: 5, X1: 5, Y1: 5}, {X0: 1e30, Y0: -1e30, X1: 1e30, Y1: 1e30},
	}
	for _, format := range []pipeline.PixelFormat{pipeline.I420, pipeline.NV12} {
		for _, size := range [][2]int{{1, 1}, {2, 2}, {3, 5}, {17, 9}, {65, 33}, {64, 48}} {
			d := newDrawer(t)
			for _, b := range boxes {
				p := grey(format, size[0], size[1])
				r := one(b)
				r.Detections[0].Score = nan
				r.Detections[0].Class = -3
				r.Detections[0].Keypoints = []pipeline.Keypoint{{Point: pipeline.Point{X: b.X0, Y: b.Y1}, Score: 1}}
				d.Draw(p, r)
				q := []pipeline.Point{{X: b.X0, Y: b.Y0}, {X: b.X1, Y: b.Y0}, {X: b.X1, Y: b.Y1}}
				d.Polygon(p, q, Colour{1, 2, 3}, 2)
				everything(d, p, q)
				checkPadding(t, p)
			}
		}
	}
}

func TestTooSmallPlanesAreLeftAloneAndCounted(t *testing.T) {
	p := grey(pipeline.I420, 64, 48)
	p.Planes[2] = p.Planes[2][:10]
	before := clone(p)
	d := newDrawer(t)
	d.Draw(p, one(pipeline.Box{X1: 64, Y1: 48}))
	if !bytes.Equal(p.Planes[0], before.Planes[0]) {
		t.Error("drew on a picture that it must not touch")
	}
	if got := d.Stats(); got != (Stats{Skipped: 1}) {
		t.Errorf("stats are %+v", got)
	}
}

func TestFirstDetectionIsOnTop(t *testing.T) {
	p := grey(pipeline.I420, 200, 200)
	box := pipeline.Box{X0: 20, Y0: 60, X1: 120, Y1: 160}
	newDrawer(t).Draw(p, &pipeline.Result{Detections: []pipeline.Detection{{Box: box, Class: 1}, {Box: box, Class: 2}}})
	if got, want := at(p, 20, 100), codingOf(p).encode(ClassColour(1)); got != want {
		t.Errorf("the border is %v, want the first detection's %v", got, want)
	}
}

func TestLabelText(t *testing.T) {
	for _, c := range []struct {
		det  pipeline.Detection
		want string
	}{
		{pipeline.Detection{Label: "person", Score: 0.874}, "person 87%"},
		{pipeline.Detection{Label: "dog", Score: 0.995, Track: 7}, "dog 100% #7"},
		{pipeline.Detection{Class: 5, Score: 3}, "class 5 100%"},
		{pipeline.Detection{Label: "x", Score: float32(math.NaN())}, "x 0%"},
	} {
		if got := string(appendLabel(nil, &c.det)); got != c.want {
			t.Errorf("label is %q, want %q", got, c.want)
		}
	}
}

func TestPlateIsReadable(t *testing.T) {
	p := grey(pipeline.I420, 400, 300)
	newDrawer(t).Draw(p, one(pipeline.Box{X0: 100, Y0: 100, X1: 300, Y1: 200}))
	k := codingOf(p)
	plate, text := k.encode(ClassColour(0)), k.encode(ink(ClassColour(0)))
	var plates, texts int
	for y := 84; y < 100; y++ {
		for x := 100; x < 200; x++ {
			switch at(p, x, y).y {
			case plate.y:
				plates++
			case text.y:
				texts++
			}
		}
	}
	if plates < 300 || texts < 60 {
		t.Errorf("above the box are %d samples of plate and %d of text", plates, texts)
	}
	// Without room above, the plate lies inside.
	q := grey(pipeline.I420, 400, 300)
	newDrawer(t).Draw(q, one(pipeline.Box{X0: 100, Y0: 4, X1: 300, Y1: 200}))
	if at(q, 102, 8) != plate {
		t.Errorf("inside at the top is %v, want the plate's %v", at(q, 102, 8), plate)
	}
}

func TestLineCoversItsMiddleAndNothingElse(t *testing.T) {
	p := grey(pipeline.NV12, 120, 90)
	newDrawer(t).Polyline(p, []pipeline.Point{{X: 10, Y: 10}, {X: 100, Y: 70}}, false, Colour{255, 255, 255}, 2)
	if got := at(p, 55, 40); got.y != 235 {
		t.Errorf("the middle of the line has luma %d, want 235", got.y)
	}
	if got := at(p, 100, 10); got != (yuv{128, 128, 128}) {
		t.Errorf("away from the line is %v", got)
	}
	if got := at(p, 100, 69); got.y < 200 {
		t.Errorf("the end of the line has luma %d", got.y)
	}
}

func TestPolygonTintsItsInside(t *testing.T) {
	p := grey(pipeline.I420, 100, 100)
	newDrawer(t).Polygon(p, []pipeline.Point{{X: 20, Y: 20}, {X: 80, Y: 20}, {X: 80, Y: 80}, {X: 20, Y: 80}}, Colour{255, 255, 255}, 0.5)
	if got := at(p, 50, 50); got != (yuv{182, 128, 128}) {
		t.Errorf("inside is %v, want half way from 128 to 235", got)
	}
	if got := at(p, 20, 20).y; got != 182 {
		t.Errorf("the first sample inside has luma %d", got)
	}
	if got := at(p, 10, 50); got != (yuv{128, 128, 128}) {
		t.Errorf("outside is %v", got)
	}
}

func TestColoursFollowMatrixAndRange(t *testing.T) {
	red := Colour{255, 0, 0}
	for _, c := range []struct {
		k    coding
		want yuv
	}{ // from the tables of BT.601 and BT.709
		{coding{pipeline.BT601, false}, yuv{81, 90, 240}},
		{coding{pipeline.BT709, false}, yuv{63, 102, 240}},
		{coding{pipeline.BT601, true}, yuv{76, 85, 255}},
		{coding{pipeline.BT709, true}, yuv{54, 99, 255}},
	} {
		if got := c.k.encode(red); got != c.want {
			t.Errorf("red in %+v is %v, want %v", c.k, got, c.want)
		}
	}
	for class := range 24 {
		if ClassColour(class) == ClassColour(class+1) {
			t.Errorf("classes %d and %d look the same", class, class+1)
		}
	}
}

// TestGolden compares whole pictures; PERCH_GOLDEN=write makes them anew, to be
// looked at before they are committed.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		w, h int
	}{{"small-odd", 321, 181}, {"hd", 1280, 720}} {
		t.Run(c.name, func(t *testing.T) {
			p := grey(pipeline.I420, c.w, c.h)
			d := newDrawer(t)
			d.Draw(p, busy(c.w, c.h, 8))
			w, h := float32(c.w), float32(c.h)
			d.Polygon(p, []pipeline.Point{{X: w * .55, Y: h * .5}, {X: w * .95, Y: h * .55}, {X: w * .85, Y: h * .9}, {X: w * .6, Y: h * .8}}, Colour{0xff, 0xb0, 0x2e}, 0.2)
			d.Text(p, int(w*.55), int(h*.5), []byte("zone: gate"), TextStyle{Scale: 1, Colour: Colour{255, 255, 255}, Plate: Colour{0x20, 0x30, 0x50}, PlateOpacity: 1, Padding: 4, Radius: 3})
			compare(t, filepath.Join("testdata", c.name+".png"), p)
		})
	}
}

func compare(t *testing.T, path string, p pipeline.Picture) {
	t.Helper()
	got := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for y := range p.Height {
		for x := range p.Width {
			c := at(p, x, y)
			// Planes side by side in one pixel: the golden picture holds Y, U
			// and V themselves, so that nothing is lost to a conversion.
			got.SetRGBA(x, y, color.RGBA{c.y, c.u, c.v, 255})
		}
	}
	if os.Getenv("PERCH_GOLDEN") == "write" {
		var buf bytes.Buffer
		if err := png.Encode(&buf, got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	// One step apart is allowed: arm64 fuses multiply and add.
	apart, worst := 0, 0
	for y := range p.Height {
		for x := range p.Width {
			g, w := got.RGBAAt(x, y), color.RGBAModel.Convert(want.At(x, y)).(color.RGBA)
			d := max(diff(g.R, w.R), diff(g.G, w.G), diff(g.B, w.B))
			worst = max(worst, d)
			if d > 1 {
				apart++
			}
		}
	}
	if apart > 0 {
		t.Errorf("%s: %d pixels differ, by up to %d", path, apart, worst)
	}
}

func diff(a, b uint8) int { return max(int(a), int(b)) - min(int(a), int(b)) }

// busy is a result with n objects spread over the picture.
func busy(w, h, n int) *pipeline.Result {
	labels := []string{"person", "bicycle", "car", "dog", "traffic light"}
	r := &pipeline.Result{}
	for i := range n {
		x, y := float32(w)*float32(i%4)/4+5, float32(h)*float32(i/4%5)/5+9
		r.Detections = append(r.Detections, pipeline.Detection{
			Box:   pipeline.Box{X0: x, Y0: y, X1: x + float32(w)/6, Y1: y + float32(h)/4},
			Class: i, Label: labels[i%len(labels)], Score: 0.31 + float32(i)/30, Track: pipeline.TrackID(i * 7),
		})
	}
	return r
}

func BenchmarkDraw20Boxes1080p(b *testing.B) {
	for _, format := range []pipeline.PixelFormat{pipeline.I420, pipeline.NV12} {
		b.Run(format.String(), func(b *testing.B) {
			p, d, r := grey(format, 1920, 1080), newDrawer(b), busy(1920, 1080, 20)
			b.ReportAllocs()
			for b.Loop() {
				d.Draw(p, r)
			}
		})
	}
}
