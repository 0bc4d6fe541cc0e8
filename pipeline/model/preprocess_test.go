package model

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"perch/pipeline"
)

// samplingCase is an element of testdata/golden/sampling.json.
type samplingCase struct {
	Name          string
	Width, Height int
	Full          bool
	Matrix        int
	Input         struct {
		Width, Height, Pad               int
		Colour, Layout, Resize, Position string
		Scale                            float64
		Mean, Std                        []float64
	}
	Seed int32
	Want string
}

func (c *samplingCase) input() Input {
	i := c.Input
	return Input{
		Name: "x", Width: i.Width, Height: i.Height, Pad: i.Pad, Scale: i.Scale, Mean: i.Mean, Std: i.Std,
		Colour: Colour(i.Colour), Layout: Layout(i.Layout), Resize: Resize(i.Resize), Position: Position(i.Position),
	}
}

// bytes is the generator of sampling.mjs.
func lcg(p []byte, seed int32) {
	for i := range p {
		seed = (seed*1103515245 + 12345) & 0x7fffffff
		p[i] = byte(seed >> 16)
	}
}

// pictures gives the case's picture in each format, with packed rows and with
// strides longer than the rows, surrounded by bytes that must not matter.
func (c *samplingCase) pictures() map[string]pipeline.Picture {
	packed := pipeline.NewPicture(c.Width, c.Height)
	for k, p := range packed.Planes {
		lcg(p, c.Seed+int32(k))
	}
	packed.FullRange = c.Full
	if c.Matrix == 709 {
		packed.Matrix = pipeline.BT709
	}
	cw, ch := (c.Width+1)/2, (c.Height+1)/2
	uv := make([]byte, 2*cw*ch)
	for i := range cw * ch {
		uv[2*i], uv[2*i+1] = packed.Planes[1][i], packed.Planes[2][i]
	}
	nv12 := packed
	nv12.Format = pipeline.NV12
	nv12.Planes, nv12.Strides = [3][]byte{packed.Planes[0], uv}, [3]int{c.Width, 2 * cw}
	return map[string]pipeline.Picture{
		"I420": packed, "NV12": nv12,
		"I420 with strides": spaced(packed, []int{c.Width, cw, cw}),
		"NV12 with strides": spaced(nv12, []int{c.Width, 2 * cw}),
	}
}

func spaced(pic pipeline.Picture, widths []int) pipeline.Picture {
	for k, w := range widths {
		stride := w + 5 + 2*k
		n := len(pic.Planes[k]) / w
		wide := make([]byte, stride*(n-1)+w) // the last row ends with its last sample
		for i := range wide {
			wide[i] = 0xa5
		}
		for row := range n {
			copy(wide[row*stride:], pic.Planes[k][row*w:][:w])
		}
		pic.Planes[k], pic.Strides[k] = wide, stride
	}
	return pic
}

func openInput(t testing.TB, in Input) *Model {
	t.Helper()
	m, err := Open(Manifest{ID: "test", Input: in, Head: Head{Family: "yolov8"}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSampling compares with an independent script, element by element.
func TestSampling(t *testing.T) {
	var cases []samplingCase
	readJSON(t, "testdata/golden/sampling.json", &cases)
	for _, c := range cases {
		m := openInput(t, c.input())
		in := m.Manifest().Input
		raw, err := base64.StdEncoding.DecodeString(c.Want)
		if err != nil {
			t.Fatal(err)
		}
		for format, pic := range c.pictures() {
			t.Run(c.Name+"/"+format, func(t *testing.T) {
				p := m.NewPreprocessor()
				got := make([]float32, p.Len())
				for i := range got {
					got[i] = float32(math.NaN()) // whatever is left was not written
				}
				if _, err := p.Fill(got, pic); err != nil {
					t.Fatal(err)
				}
				differ := 0
				for i, v := range got {
					want := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
					channel := i * in.Colour.channels() / len(got)
					if in.Layout == NHWC {
						channel = i % in.Colour.channels()
					}
					quarter := in.Scale / in.std(channel) / 4
					off := math.Abs(float64(v-want)) / quarter
					if !(off < 1.01) {
						t.Fatalf("element %d is %v, want %v: %.2f quarters off", i, v, want, off)
					}
					if off > 0.01 {
						differ++
					}
				}
				if differ*100 > len(got) {
					t.Errorf("%d of %d elements are a quarter off", differ, len(got))
				}
			})
		}
	}
}

// TestFillTypes holds the integer and half inputs against the float one.
func TestFillTypes(t *testing.T) {
	pic := noise(pipeline.NewPicture(51, 37), 7)
	in := Input{Name: "x", Width: 32, Height: 32, Layout: NHWC, Pad: 9}
	want := make([]float32, 32*32*3)
	if _, err := openInput(t, in).NewPreprocessor().Fill(want, pic); err != nil {
		t.Fatal(err)
	}
	open := func(typ pipeline.TensorType) *Preprocessor {
		in := in
		in.Type = typ
		return openInput(t, in).NewPreprocessor()
	}
	u8, i32, f16 := make([]uint8, len(want)), make([]int32, len(want)), make([]uint16, len(want))
	if _, err := open(pipeline.Uint8).FillBytes(u8, pic); err != nil {
		t.Fatal(err)
	}
	if _, err := open(pipeline.Int32).FillInt32(i32, pic); err != nil {
		t.Fatal(err)
	}
	if _, err := open(pipeline.Float16).FillHalf(f16, pic); err != nil {
		t.Fatal(err)
	}
	for i, v := range want {
		whole := float32(math.Floor(float64(v) + 0.5))
		if float32(u8[i]) != whole || float32(i32[i]) != whole || halfValue(f16[i]) != float64(v) {
			t.Fatalf("element %d: %v as uint8 %d, int32 %d, half %v", i, v, u8[i], i32[i], halfValue(f16[i]))
		}
	}
}

// halfValue is what the bits of a half float stand for.
func halfValue(b uint16) float64 {
	sign := 1 - 2*float64(b>>15)
	exp, frac := int(b>>10&31), float64(b&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

func TestAsHalf(t *testing.T) {
	for b := range uint16(0x7c00) { // every finite half is its own nearest
		if v := halfValue(b); asHalf(v) != b || b > 0 && asHalf(-v) != b|0x8000 {
			t.Fatalf("half %#x = %v became %#x", b, v, asHalf(v))
		}
	}
	for v, want := range map[float64]uint16{1: 0x3c00, 65519: 0x7bff, 65520: 0x7c00, 1e9: 0x7c00, 2049: 0x6800, 2051: 0x6802, 1e-9: 0} {
		if got := asHalf(v); got != want {
			t.Errorf("asHalf(%v) = %#x, want %#x", v, got, want)
		}
	}
}

// TestKnownColours holds against values of the standards, not of our formulas.
func TestKnownColours(t *testing.T) {
	for _, c := range []struct {
		yuv    [3]byte
		full   bool
		matrix pipeline.ColourMatrix
		rgb    [3]float32
	}{
		{[3]byte{16, 128, 128}, false, pipeline.BT601, [3]float32{0, 0, 0}},
		{[3]byte{235, 128, 128}, false, pipeline.BT601, [3]float32{255, 255, 255}},
		{[3]byte{255, 128, 128}, false, pipeline.BT601, [3]float32{255, 255, 255}},
		{[3]byte{0, 128, 128}, true, pipeline.BT601, [3]float32{0, 0, 0}},
		{[3]byte{255, 128, 128}, true, pipeline.BT709, [3]float32{255, 255, 255}},
		{[3]byte{81, 90, 240}, false, pipeline.BT601, [3]float32{254, 0, 0}},
		{[3]byte{63, 102, 240}, false, pipeline.BT709, [3]float32{255, 1, 0}},
		{[3]byte{173, 42, 26}, false, pipeline.BT709, [3]float32{0, 255, 1}},
		{[3]byte{41, 240, 110}, false, pipeline.BT601, [3]float32{0, 0, 255}},
		{[3]byte{76, 85, 255}, true, pipeline.BT601, [3]float32{254, 0, 0}},
	} {
		pic := pipeline.NewPicture(20, 20)
		pic.FullRange, pic.Matrix = c.full, c.matrix
		for k, p := range pic.Planes {
			for i := range p {
				p[i] = c.yuv[k]
			}
		}
		dst := make([]float32, 16*16*3)
		if _, err := openInput(t, Input{Name: "x", Width: 16, Height: 16, Layout: NHWC}).NewPreprocessor().Fill(dst, pic); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(dst); i += 3 {
			for k, want := range c.rgb { // which were rounded to integers
				if !near(dst[i+k], want, 0.63) {
					t.Fatalf("%v full=%v: pixel %d is %v, want %v", c.yuv, c.full, i/3, dst[i:i+3], c.rgb)
				}
			}
		}
	}
}

// TestFillReuse proves that a change of pictures leaves nothing behind and that
// the steady state allocates nothing.
func TestFillReuse(t *testing.T) {
	m := openInput(t, Input{Name: "x", Width: 64, Height: 64, Pad: 114})
	p := m.NewPreprocessor()
	got, want := make([]float32, p.Len()), make([]float32, p.Len())
	pics := []pipeline.Picture{
		noise(pipeline.NewPicture(320, 180), 1), noise(newNV12(320, 180), 2), noise(pipeline.NewPicture(90, 160), 3),
	}
	full := pics[0]
	full.FullRange = true
	// Crops of all sizes, whose plans share their memory.
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 60 {
		w, h := 1+r.IntN(700), 1+r.IntN(700)
		crop := pipeline.NewPicture(w, h)
		if i%3 == 0 {
			crop = newNV12(w, h)
		}
		pics = append(pics, noise(crop, uint64(i)))
	}
	all := append(pics, full, pics[0])
	for i, pic := range all {
		if _, err := p.Fill(got, pic); err != nil {
			t.Fatal(err)
		}
		if _, err := m.NewPreprocessor().Fill(want, pic); err != nil {
			t.Fatal(err)
		}
		for k := range got {
			if got[k] != want[k] {
				t.Fatalf("picture %d: element %d is %v, a new preprocessor gives %v", i, k, got[k], want[k])
			}
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = p.Fill(got, pics[0]) }); n != 0 {
		t.Errorf("%v allocations a picture", n)
	}
	i420 := slices.DeleteFunc(all, func(pic pipeline.Picture) bool { return pic.Format != pipeline.I420 || pic.FullRange })
	n := testing.AllocsPerRun(3, func() {
		for _, pic := range i420 {
			_, _ = p.Fill(got, pic)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for crops of %d sizes", n, len(i420))
	}
}

// TestFillForHalves: a runtime that narrows to half floats itself is given floats.
func TestFillForHalves(t *testing.T) {
	pic := noise(pipeline.NewPicture(50, 40), 1)
	var got [2][]float32
	for i, typ := range []pipeline.TensorType{pipeline.Float32, pipeline.Float16} {
		p := openInput(t, Input{Name: "x", Width: 32, Height: 32, Type: typ}).NewPreprocessor()
		got[i] = make([]float32, p.Len())
		if _, err := p.Fill(got[i], pic); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
	if !slices.Equal(got[0], got[1]) {
		t.Error("floats for halves are others")
	}
}

func TestFillErrors(t *testing.T) {
	p := openInput(t, Input{Name: "x", Width: 32, Height: 32}).NewPreprocessor()
	good := pipeline.NewPicture(40, 30)
	short := good
	short.Planes[2] = short.Planes[2][:10]
	for name, c := range map[string]struct {
		call func() error
		want string
	}{
		"type":        {func() error { _, err := p.FillBytes(make([]byte, p.Len()), good); return err }, "is float32"},
		"length":      {func() error { _, err := p.Fill(make([]float32, 5), good); return err }, "5"},
		"short plane": {func() error { _, err := p.Fill(make([]float32, p.Len()), short); return err }, "plane 2"},
		"no picture":  {func() error { _, err := p.Fill(make([]float32, p.Len()), pipeline.Picture{}); return err }, "0x0"},
	} {
		if err := c.call(); err == nil || !strings.Contains(err.Error(), c.want) || pipeline.KindOf(err) != pipeline.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Refill must leave the same input as Fill, whoever used the memory before.
func TestRefillWritesThePadWhenItIsNotThere(t *testing.T) {
	m, err := Open(testManifest("yolov8", 64, 64))
	if err != nil {
		t.Fatal(err)
	}
	wide, tall := noise(pipeline.NewPicture(64, 16), 1), noise(pipeline.NewPicture(16, 64), 2)
	a, b, fresh := m.NewPreprocessor(), m.NewPreprocessor(), m.NewPreprocessor()
	shared := make([]float32, a.Len())
	want := make([]float32, a.Len())
	var padded Padding
	for i, step := range []struct {
		p   *Preprocessor
		pic pipeline.Picture
	}{{a, wide}, {a, wide}, {b, wide}, {a, tall}, {a, wide}, {b, tall}, {b, tall}} {
		if _, padded, err = step.p.Refill(shared, step.pic, padded); err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Fill(want, step.pic); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(shared, want) {
			t.Errorf("step %d: Refill differs from Fill", i)
		}
	}
	// Where it says that the pad is there, it is not touched.
	shared[0] = 7
	if _, _, err = b.Refill(shared, tall, padded); err != nil || shared[0] != 7 {
		t.Errorf("the pad was written again: %v, %v", shared[0], err)
	}
	if _, p, err := a.Refill(shared, pipeline.Picture{}, padded); err == nil || p != (Padding{}) {
		t.Error("a picture without a size was taken")
	}
}
