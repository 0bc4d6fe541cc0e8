package main

import (
	"image"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// pixels decodes a video into a file of packed I420.
func (s *stage) pixels(t *testing.T, video string) string {
	t.Helper()
	return media(t, filepath.Join(t.TempDir(), "video.yuv"), "filesrc location="+video+" ! qtdemux ! h264parse ! avdec_h264 ! video/x-raw,format=I420")
}

// pictures are the first of a video, or all.
func (s *stage) pictures(t *testing.T, video string, w, h, most int) (list []*image.YCbCr) {
	t.Helper()
	f, err := os.Open(s.pixels(t, video))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for most == 0 || len(list) < most {
		p := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
		for i, plane := range [][]byte{p.Y, p.Cb, p.Cr} {
			if _, err := io.ReadFull(f, plane); err == io.EOF && i == 0 {
				return list
			} else if err != nil {
				t.Fatalf("%s is not of %dx%d: %v", video, w, h, err)
			}
		}
		list = append(list, p)
	}
	return list
}

// studio is a colour as video has it: BT.601, 16 to 235.
func studio(r, g, b uint8) [3]float64 {
	y, cb, cr := color.RGBToYCbCr(r, g, b)
	return [3]float64{16 + float64(y)*219/255, 128 + (float64(cb)-128)*224/255, 128 + (float64(cr)-128)*224/255}
}

// palette has the first colours of the package supervision's default palette,
// for the classes that are on the sample: person, car.
func palette(class int) [3]float64 {
	if class == 2 {
		return studio(0xff, 0xa1, 0xa0)
	}
	return studio(0xa3, 0x51, 0xfb)
}

// mean is the mean colour of a rectangle.
func mean(p *image.YCbCr, r image.Rectangle) (m [3]float64) {
	r = r.Intersect(p.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := p.YCbCrAt(x, y)
			m[0], m[1], m[2] = m[0]+float64(c.Y), m[1]+float64(c.Cb), m[2]+float64(c.Cr)
		}
	}
	for k := range m {
		m[k] /= float64(max(1, r.Dx()*r.Dy()))
	}
	return m
}

func distance(a, b [3]float64) float64 {
	return math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2])
}

// edge is a piece of the left side of an object's box, if nothing else is
// drawn over it.
func edge(o object, all []object, beside []image.Rectangle) (image.Rectangle, bool) {
	x, top, bottom := int(o.Box[0]), int(o.Box[1])+4, int(o.Box[3])-4
	r := image.Rect(x, top, x+1, bottom)
	near := image.Rect(x-4, top-4, x+5, bottom+4)
	if x < 4 || bottom-top < 16 || bottom > 570 || top < 4 {
		return r, false
	}
	for _, q := range all {
		if q != o && near.Overlaps(around(q)) {
			return r, false
		}
	}
	return r, !slices.ContainsFunc(beside, near.Overlaps)
}

// around is where an object's box and label may be.
func around(o object) image.Rectangle {
	r := image.Rect(int(o.Box[0])-4, int(o.Box[1])-40, int(o.Box[2])+5, int(o.Box[3])+5)
	r.Max.X = max(r.Max.X, r.Min.X+190)
	return r
}

// hasBoxes reports whether a picture has boxes that the frame has not: many
// samples took a colour of the palette. It asks for no object's place, so a
// detection that another processor's arithmetic moves by a sample changes nothing.
func hasBoxes(in, got *image.YCbCr) bool {
	const least = 150 // samples of every fourth: a person has hundreds, an encoder alone leaves none
	n := 0
	for y := 0; y < in.Rect.Dy(); y += 2 {
		for x := 0; x < in.Rect.Dx(); x += 2 {
			at := image.Rect(x, y, x+1, y+1)
			was, is := mean(in, at), mean(got, at)
			for _, class := range []int{0, 2} {
				if p := palette(class); distance(is, p) < 45 && distance(was, p) > 75 {
					n++
				}
			}
		}
	}
	return n >= least
}

// veiled is a colour below three tenths of #5bb573, which lines and zones have.
func veiled(c [3]float64) [3]float64 {
	for k, v := range studio(0x5b, 0xb5, 0x73) {
		c[k] += 0.3 * (v - c[k])
	}
	return c
}

// look is what is drawn besides boxes.
type look struct {
	labels bool
	beside []image.Rectangle // that may have something drawn
	zone   image.Rectangle   // that lies below a veil, all that is drawn in it as well
}

// colour is what a colour that is drawn in the middle of a rectangle becomes.
func (l look) colour(c [3]float64, r image.Rectangle) [3]float64 {
	if r.Min.Add(r.Max).Div(2).In(l.zone) {
		return veiled(c)
	}
	return c
}

// unlike is how much of a rectangle of a picture is not as it was, in steps of
// luma, where free, which has a flag a sample, does not allow it.
func (l look) unlike(in, got *image.YCbCr, r image.Rectangle, free []bool) float64 {
	green := studio(0x5b, 0xb5, 0x73)[0]
	sum, n := 0.0, 0.0
	for y := r.Min.Y; y < r.Max.Y; y += 2 {
		for x := r.Min.X; x < r.Max.X; x++ {
			if free[y*got.Rect.Dx()+x] {
				continue
			}
			should := float64(in.Y[in.YOffset(x, y)])
			if image.Pt(x, y).In(l.zone) {
				should += 0.3 * (green - should)
			}
			sum += math.Abs(should - float64(got.Y[got.YOffset(x, y)]))
			n++
		}
	}
	return sum / max(n, 1)
}

// mark sets the flags of a rectangle of a picture.
func mark(flags []bool, of, r image.Rectangle) {
	r = r.Intersect(of)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			flags[y*of.Dx()+x] = true
		}
	}
}

// drawn checks that pictures have boxes, and labels above them or not, and are
// otherwise those that came in, as far as an encoder leaves them so.
func (s *stage) drawn(t *testing.T, in, got []*image.YCbCr, want [][]object, l look) {
	t.Helper()
	edges, plates := 0, 0
	nothing := make([]bool, in[0].Rect.Dx()*in[0].Rect.Dy())
	for i := 0; i < len(in); i += 3 { // which is enough
		free := slices.Clone(nothing)
		for _, r := range l.beside {
			mark(free, in[i].Rect, r)
		}
		for _, o := range want[i] {
			mark(free, in[i].Rect, around(o))
			r, ok := edge(o, want[i], l.beside)
			if !ok {
				continue
			}
			edges++
			if is, should := mean(got[i], r), l.colour(palette(o.Class), r); distance(is, should) > 45 {
				t.Errorf("frame %d: the box of %+v is %.0f, not %.0f", i+1, o, is, should)
			}
			inside := image.Rect(int(o.Box[0])+4, int(o.Box[1])+4, int(o.Box[2])-3, int(o.Box[3])-3)
			other := slices.ContainsFunc(want[i], func(q object) bool { return q != o && inside.Overlaps(around(q)) })
			if d := l.unlike(in[i], got[i], inside, nothing); !other && d > 10 {
				t.Errorf("frame %d: inside of %+v something is drawn: %.1f", i+1, o, d)
			}
			// The label's plate ends at the box's upper left corner.
			plate := image.Rect(int(o.Box[0])+2, int(o.Box[1])-8, int(o.Box[0])+30, int(o.Box[1])-3)
			if plate.Min.Y < 20 || plate.Max.X > 760 {
				continue
			}
			if is := distance(mean(got[i], plate), l.colour(palette(o.Class), plate)) < 60; is != l.labels {
				t.Errorf("frame %d: above the box of %+v is %.0f; a label is there: %v", i+1, o, mean(got[i], plate), is)
			}
			plates++
		}
		if d := l.unlike(in[i], got[i], in[i].Rect, free); d > 4 {
			t.Errorf("frame %d: outside of what is to be drawn the picture differs by %.1f", i+1, d)
		}
	}
	if edges < len(in)/6 || plates < len(in)/12 {
		t.Errorf("only %d boxes and %d labels could be looked at on %d frames", edges, plates, len(in))
	}
}
