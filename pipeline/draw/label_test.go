package draw

import (
	"image"
	"math"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"perch/pipeline"
)

// rendered is text as the font's own library draws it, pen at (x, baseline).
func rendered(t *testing.T, text string, size float64, w, h, x, baseline int) *image.Alpha {
	t.Helper()
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		t.Fatal(err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		t.Fatal(err)
	}
	img := image.NewAlpha(image.Rect(0, 0, w, h))
	(&font.Drawer{Dst: img, Src: image.White, Face: face, Dot: fixed.P(x, baseline)}).DrawString(text)
	return img
}

func TestTextIsWhatTheFontSays(t *testing.T) {
	for _, f := range formats {
		p, d := grey(f, 200, 41), newDrawer(t)
		style := TextStyle{Scale: 1, Colour: white, Plate: Colour{}, PlateOpacity: 1, Padding: 3}
		d.Text(p, 7, 5, []byte("Person 0.93"), style)
		want := rendered(t, "Person 0.93", 18, 200, 41, 10, 8+14)
		plate := rect{7, 5, 0, 0}
		w, h := d.Measure([]byte("Person 0.93"), style)
		plate.x1, plate.y1 = 7+w, 5+h
		inked := 0
		for y := range 41 {
			for x := range 200 {
				under := 128.0
				if x >= plate.x0 && x < plate.x1 && y >= plate.y0 && y < plate.y1 {
					under = 16
				}
				cover := float64(want.AlphaAt(x, y).A) / 255
				if cover > 0.9 {
					inked++
				}
				if got := float64(at(p, x, y).y); math.Abs(got-(under+(235-under)*cover)) > 2 {
					t.Fatalf("%v: (%d, %d) has luma %v, the font covers %.2f of it", f, x, y, got, cover)
				}
			}
		}
		if inked < 150 {
			t.Errorf("only %d samples are text", inked)
		}
		checkPadding(t, p)
	}
}

func TestCapitalsAtScaleOneAreThirteenHigh(t *testing.T) {
	p := grey(pipeline.I420, 60, 60)
	newDrawer(t).Text(p, 10, 20, []byte("HE"), TextStyle{Scale: 1, Colour: white})
	first, last := 60, 0
	for y := range 60 {
		for x := range 60 {
			if at(p, x, y).y > 200 {
				first, last = min(first, y), max(last, y)
			}
		}
	}
	if first != 21 || last != 33 { // row 20 has the soft edge
		t.Errorf("capitals are in rows %d to %d, want 21 to 33", first, last)
	}
}

func TestMeasure(t *testing.T) {
	d := newDrawer(t)
	one := TextStyle{Scale: 1}
	w1, h1 := d.Measure([]byte("gate"), one)
	if want := rendered(t, "gate", 18, 100, 40, 0, 20).Bounds(); w1 <= 20 || w1 > want.Dx() || h1 < 13 || h1 > 20 {
		t.Errorf("one line is %dx%d", w1, h1)
	}
	for _, c := range []struct {
		name  string
		text  string
		style TextStyle
		w, h  int
	}{
		{"padding on all sides", "gate", TextStyle{Scale: 1, Padding: 10}, w1 + 20, h1 + 20},
		{"padding below zero", "gate", TextStyle{Scale: 1, Padding: -10}, w1, h1},
		{"the widest line counts", "gate\nga", one, w1, 0},
		{"nothing", "", one, 0, h1},
	} {
		w, h := d.Measure([]byte(c.text), c.style)
		if w != c.w || (c.h != 0 && h != c.h) {
			t.Errorf("%s: %dx%d, want %dx%d", c.name, w, h, c.w, c.h)
		}
	}
	_, h2 := d.Measure([]byte("a\nb"), one)
	_, h3 := d.Measure([]byte("a\nb\n"), one)
	_, h3b := d.Measure([]byte("a\n\nb"), one)
	if h2 <= h1 || h3-h2 != h2-h1 || h3b != h3 {
		t.Errorf("1, 2 and 3 lines are %d, %d, %d and %d high", h1, h2, h3, h3b)
	}
	big, _ := d.Measure([]byte("gate"), TextStyle{Scale: 2})
	if math.Abs(float64(big)-2*float64(w1)) > 4 {
		t.Errorf("twice the size is %d wide, once is %d", big, w1)
	}
	if w, h := d.Measure([]byte(strings.Repeat("long\n", 100000)), one); w != 0 && h > 2*maxText {
		t.Errorf("a text without end is %d high", h)
	}
	for _, scale := range []float32{float32(math.NaN()), -1, 0, 1e30, float32(math.Inf(1))} {
		if w, h := d.Measure([]byte("x"), TextStyle{Scale: scale}); w < 1 || h < 1 || h > 1000 {
			t.Errorf("scale %v: %dx%d", scale, w, h)
		}
	}
}

// inkSpan returns the first and last column of bright samples in some rows.
func inkSpan(p pipeline.Picture, y0, y1 int) (first, last int) {
	first, last = p.Width, -1
	for y := y0; y < y1; y++ {
		for x := range p.Width {
			if at(p, x, y).y > 200 {
				first, last = min(first, x), max(last, x)
			}
		}
	}
	return first, last
}

func TestLinesOfATextAreAligned(t *testing.T) {
	d := newDrawer(t)
	style := TextStyle{Scale: 1, Colour: white}
	w, _ := d.Measure([]byte("MMMMMMMM"), style)
	short, _ := d.Measure([]byte("M"), style)
	for _, c := range []struct {
		align Align
		left  int // of the second line's M
	}{{Left, 10}, {Centre, 10 + (w-short)/2}, {Right, 10 + w - short}} {
		p := grey(pipeline.I420, 200, 60)
		style.Align = c.align
		d.Text(p, 10, 4, []byte("MMMMMMMM\nM"), style)
		first, last := inkSpan(p, 22, 60)
		if first < c.left || first > c.left+3 || last > c.left+short {
			t.Errorf("align %d: the second line's ink is in columns %d to %d, its place begins at %d", c.align, first, last, c.left)
		}
	}
}

func TestRoundPlate(t *testing.T) {
	p, d := grey(pipeline.I420, 70, 60), newDrawer(t)
	d.Text(p, 5, 5, []byte("  "), TextStyle{Scale: 1, Plate: white, PlateOpacity: 0.5, Padding: 10, Radius: 8})
	w, h := d.Measure([]byte("  "), TextStyle{Scale: 1, Padding: 10})
	for _, q := range [][3]int{{5, 5, 128}, {5 + w - 1, 5, 128}, {5, 5 + h - 1, 128}, {5 + w - 1, 5 + h - 1, 128}, {13, 5, 182}, {5, 13, 182}, {5 + w/2, 5 + h/2, 182}, {9, 9, 182}, {4, 20, 128}, {5 + w, 20, 128}} {
		if got := at(p, q[0], q[1]).y; int(got) != q[2] {
			t.Errorf("(%d, %d) has luma %d, want %d", q[0], q[1], got, q[2])
		}
	}
}

func TestErrorLines(t *testing.T) {
	p := grey(pipeline.NV12, 300, 90)
	newDrawer(t).Lines(p, []string{"Hmodel", "Hfile", "", "below the picture"})
	green := codingOf(p).encode(Colour{0, 255, 0})
	want := [2]*image.Alpha{rendered(t, "Hmodel", 18, 300, 90, 10, 20), rendered(t, "Hfile", 18, 300, 90, 10, 50)}
	inked := [2]int{}
	for y := range 90 {
		for x := range 300 {
			got, over := at(p, x, y).y, false
			for i, w := range want {
				if w.AlphaAt(x, y).A == 255 {
					over = true
					inked[i]++
					if got != green.y {
						t.Fatalf("line %d: (%d, %d) has luma %d, want green's %d", i, x, y, got, green.y)
					}
				} else if w.AlphaAt(x, y).A > 0 {
					over = true
				}
			}
			if !over && got != 128 {
				t.Fatalf("(%d, %d) has luma %d where no text is", x, y, got)
			}
		}
	}
	if inked[0] < 40 || inked[1] < 30 {
		t.Errorf("inked %v samples", inked)
	}
	checkPadding(t, p)
}

func TestGlyphsAreBounded(t *testing.T) {
	d := newDrawer(t)
	for size := 10; size < 60; size++ {
		d.face(size, size%2 == 0)
		if len(d.faces) > maxFaces {
			t.Fatalf("%d faces are kept", len(d.faces))
		}
	}
	for _, c := range []struct {
		size int
		last rune
	}{{maxFont, 200}, {6, 2500}} { // the first is bounded by bytes, the second by count
		f := d.face(c.size, true)
		for r := '!'; r < c.last; r++ {
			f.glyph(r)
			if len(f.glyphs) > maxGlyphs || f.ink > maxInk+maxFont*maxFont {
				t.Fatalf("%d glyphs of %d bytes are kept", len(f.glyphs), f.ink)
			}
		}
		if len(f.glyphs) >= int(c.last-'!') {
			t.Errorf("size %d: nothing was dropped", c.size)
		}
		if f.glyph('W').advance == 0 {
			t.Error("a glyph that was dropped does not come back")
		}
	}
}
