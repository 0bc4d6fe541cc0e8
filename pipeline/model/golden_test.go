package model

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"perch/pipeline"
)

// golden is testdata/golden/*.in.json; the README there explains it.
type golden struct {
	Manifest json.RawMessage
	Classes  int
	Frame    [2]int
	Params   struct {
		Confidence, IoU float32
		Max             int
	}
	Outputs []struct {
		Name  string
		Shape []int64
		Axis  int
		Keep  []int
		Fill  float32
		Data  string
		Ints  []int64
	}
}

type wanted struct {
	Box    [4]float32
	Cls    int
	Score  float32
	Points [][]float32 // x, y and, where the network gives one, a score
	Mask   *wantedMask
	Fast   *wantedMask
}

// wantedMask has its bits row after row, without padding between them.
type wantedMask struct {
	X, Y, W, H int
	Bits       []byte
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// decodeYAML is how the program reads model.yaml.
func decodeYAML(data []byte, into any) error {
	return yaml.UnmarshalWithOptions(data, into, yaml.Strict())
}

func (g *golden) tensors(t testing.TB) (outs []Tensor) {
	t.Helper()
	for _, o := range g.Outputs {
		if o.Ints != nil {
			outs = append(outs, Tensor{Name: o.Name, Shape: o.Shape, Ints: o.Ints})
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(o.Data)
		if err != nil {
			t.Fatal(err)
		}
		outer, inner := 1, 1
		for i, d := range o.Shape {
			switch {
			case i < o.Axis:
				outer *= int(d)
			case i > o.Axis:
				inner *= int(d)
			}
		}
		n := int(o.Shape[o.Axis])
		data := make([]float32, outer*n*inner)
		for i := range data {
			data[i] = o.Fill
		}
		for out := range outer {
			for _, k := range o.Keep {
				for i := range inner {
					data[(out*n+k)*inner+i] = math.Float32frombits(binary.LittleEndian.Uint32(raw))
					raw = raw[4:]
				}
			}
		}
		outs = append(outs, Tensor{Name: o.Name, Shape: o.Shape, Data: data})
	}
	return outs
}

func (g *golden) open(t testing.TB, name string) *Model {
	t.Helper()
	manifest, err := Parse(name, g.Manifest, decodeYAML)
	if err != nil {
		t.Fatal(err)
	}
	for i := range g.Classes {
		manifest.Labels = append(manifest.Labels, strings.Repeat("x", i%7+1))
	}
	m, err := Open(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (g *golden) params() Params {
	return Params{Confidence: g.Params.Confidence, IoU: g.Params.IoU, MaxDetections: g.Params.Max}
}

func goldens(t testing.TB) map[string]*golden {
	t.Helper()
	files, err := filepath.Glob("testdata/golden/*.in.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	all := map[string]*golden{}
	for _, f := range files {
		g := new(golden)
		readJSON(t, f, g)
		all[strings.TrimSuffix(filepath.Base(f), ".in.json")] = g
	}
	return all
}

// TestGolden decodes the outputs of real and synthetic networks and compares
// with what an independent script made of them.
func TestGolden(t *testing.T) {
	families := map[string]bool{}
	for name, g := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			m := g.open(t, name)
			families[m.manifest.Head.Family] = true
			var want []wanted
			readJSON(t, filepath.Join("testdata/golden", name+".want.json"), &want)
			in := m.manifest.Input
			d := m.NewDecoder()
			for _, mode := range []MaskMode{MaskAccurate, MaskFast, MaskNone} { // scratch memory must not leak into the next picture
				p := g.params()
				p.Masks = mode
				got, err := d.Decode(g.tensors(t), newTransform(&in, g.Frame[0], g.Frame[1]), p)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, got, want, &m.manifest)
				compareMasks(t, got, want, mode)
			}
			if s := d.Stats(); s.Invalid != 0 || s.Truncated != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
	for name := range Families() {
		if !families[name] {
			t.Errorf("family %s has no golden output", name)
		}
	}
}

func compare(t *testing.T, got []pipeline.Detection, want []wanted, m *Manifest) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("the golden output has no detections")
	}
	if len(got) != len(want) {
		t.Fatalf("%d detections, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Class != w.Cls || g.Label != m.Labels[w.Cls] || !near(g.Score, w.Score, 1e-5) {
			t.Errorf("%d: class %d %q score %v, want %d %v", i, g.Class, g.Label, g.Score, w.Cls, w.Score)
		}
		for k, v := range [4]float32{g.Box.X0, g.Box.Y0, g.Box.X1, g.Box.Y1} {
			if !near(v, w.Box[k], 0.01) {
				t.Errorf("%d: box %v, want %v", i, g.Box, w.Box)
				break
			}
		}
		if len(g.Keypoints) != len(w.Points) {
			t.Fatalf("%d: %d points, want %d", i, len(g.Keypoints), len(w.Points))
		}
		for k, p := range w.Points {
			if !near(g.Keypoints[k].X, p[0], 0.01) || !near(g.Keypoints[k].Y, p[1], 0.01) || len(p) > 2 && !near(g.Keypoints[k].Score, p[2], 1e-5) {
				t.Errorf("%d: point %d is %v, want %v", i, k, g.Keypoints[k], p)
			}
		}
	}
}

// compareMasks allows for one pixel in a thousand that lies so close to an
// outline that rounding decides.
func compareMasks(t *testing.T, got []pipeline.Detection, want []wanted, mode MaskMode) {
	t.Helper()
	for i, w := range want {
		m, ref := got[i].Mask, w.Mask
		if mode == MaskFast {
			ref = w.Fast
		}
		if mode == MaskNone || ref == nil {
			if m != nil {
				t.Errorf("%d: a mask that nobody asked for", i)
			}
			continue
		}
		if m == nil || m.X != ref.X || m.Y != ref.Y || m.Width != ref.W || m.Height != ref.H || len(m.Bits) != m.Stride()*m.Height {
			t.Fatalf("%d: mask %+v, want one of %d,%d %dx%d", i, m, ref.X, ref.Y, ref.W, ref.H)
		}
		differ, on := 0, 0
		for k := range ref.W * ref.H {
			bit := ref.Bits[k/8]&(0x80>>(k%8)) != 0
			if bit {
				on++
			}
			if m.At(ref.X+k%ref.W, ref.Y+k/ref.W) != bit {
				differ++
			}
		}
		if differ > ref.W*ref.H/1000 || m.Area() > on+differ {
			t.Errorf("%d: mode %d: %d of %d pixels differ; %d are set, want %d", i, mode, differ, ref.W*ref.H, m.Area(), on)
		}
	}
}

func near(a, b, tolerance float32) bool { return a-b <= tolerance && b-a <= tolerance }
