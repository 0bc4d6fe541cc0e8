package pipeline

import (
	"math"
	"strings"
	"testing"
)

// maskOf reads rows of # and dots, the first pixel of which is at (x, y).
func maskOf(x, y int, rows ...string) *Mask {
	m := NewMask(x, y, len(rows[0]), len(rows))
	for j, row := range rows {
		for i, c := range row {
			if c == '#' {
				m.Set(x+i, y+j)
			}
		}
	}
	return m
}

// picture shows a mask as maskOf reads it.
func (m *Mask) picture() string {
	var b strings.Builder
	for y := range m.Height {
		for x := range m.Width {
			if m.At(m.X+x, m.Y+y) {
				b.WriteByte('#')
			} else {
				b.WriteByte('.')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestMask(t *testing.T) {
	m := maskOf(10, 20, "#........#", "..........", ".........#")
	if m.Stride() != 2 || len(m.Bits) != 6 || m.Bits[0] != 0x80 || m.Bits[1] != 0x40 || m.Area() != 3 {
		t.Errorf("%d %08b, area %d", m.Stride(), m.Bits, m.Area())
	}
	if !m.At(10, 20) || !m.At(19, 22) || m.At(0, 0) || m.At(11, 20) || m.At(9, 20) || m.At(20, 20) || m.At(10, 19) || m.At(10, 23) {
		t.Error("At is off")
	}
	for _, p := range [][2]int{{9, 20}, {20, 20}, {10, 19}, {10, 23}, {25, 20}} {
		m.Set(p[0], p[1])
	}
	if m.Area() != 3 {
		t.Errorf("pixels outside were set: %s", m.picture())
	}
	m.SetRun(21, 0, 12)
	m.SetRun(22, 17, 99)
	m.SetRun(99, 0, 99)
	m.SetRun(19, 0, 99)
	m.SetRun(20, 15, 15)
	if want := "#........#\n##........\n.......###\n"; m.picture() != want {
		t.Errorf("runs:\n%s", m.picture())
	}
}

func TestSetBits(t *testing.T) {
	for from := range 26 {
		for to := range 26 {
			row := make([]byte, 4)
			SetBits(row, from, to)
			for i := range 32 {
				if on := row[i/8]&(0x80>>(i%8)) != 0; on != (i >= from && i < to) {
					t.Fatalf("%d to %d: %08b", from, to, row)
				}
			}
		}
	}
}

func TestCentroid(t *testing.T) {
	for name, c := range map[string]struct {
		m    *Mask
		want Point
	}{
		"a pixel":   {maskOf(0, 0, "#"), Point{0.5, 0.5}},
		"elsewhere": {maskOf(100, 7, "...", ".#."), Point{101.5, 8.5}},
		"a square":  {maskOf(2, 3, "##", "##"), Point{3, 4}},
		"an L":      {maskOf(0, 0, "#.", "##"), Point{0.5 + 1.0/3, 0.5 + 2.0/3}},
		"bytes":     {maskOf(0, 0, "########"+"########"+"####"), Point{10, 0.5}},
	} {
		got, ok := c.m.Centroid()
		if !ok || math.Abs(float64(got.X-c.want.X)) > 1e-5 || math.Abs(float64(got.Y-c.want.Y)) > 1e-5 {
			t.Errorf("%s: %v %v, want %v", name, got, ok, c.want)
		}
	}
	if got, ok := NewMask(1, 1, 5, 5).Centroid(); ok {
		t.Errorf("an empty mask has its centre at %v", got)
	}
}
