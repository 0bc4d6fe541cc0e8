package pipeline

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
)

func TestContoursByHand(t *testing.T) {
	for name, c := range map[string]struct {
		rows []string
		want [][]Point
	}{
		"nothing":    {[]string{"...", "..."}, nil},
		"a pixel":    {[]string{"...", ".#."}, [][]Point{{{1, 1}}}},
		"a line":     {[]string{"####"}, [][]Point{{{0, 0}, {3, 0}}}},
		"a diagonal": {[]string{"#..", ".#.", "..#"}, [][]Point{{{0, 0}, {2, 2}}}},
		"a square":   {[]string{"###", "###", "###"}, [][]Point{{{0, 0}, {0, 2}, {2, 2}, {2, 0}}}},
		"a cross":    {[]string{".#.", "###", ".#."}, [][]Point{{{1, 0}, {0, 1}, {1, 2}, {2, 1}}}},
		"a ring":     {[]string{"###", "#.#", "###"}, [][]Point{{{0, 0}, {0, 2}, {2, 2}, {2, 0}}}},
		"two":        {[]string{"#.#", "#..", "#.#"}, [][]Point{{{0, 0}, {0, 2}}, {{2, 0}}, {{2, 2}}}},
		"a spur":     {[]string{"##..", "####", "##.."}, [][]Point{{{0, 0}, {0, 2}, {1, 2}, {2, 1}, {3, 1}, {2, 1}, {1, 0}}}},
	} {
		if got := maskOf(0, 0, c.rows...).Contours(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	moved := maskOf(640, 480, "##", "##").Contours()
	if want := [][]Point{{{640, 480}, {640, 481}, {641, 481}, {641, 480}}}; !reflect.DeepEqual(moved, want) {
		t.Errorf("in the frame: %v", moved)
	}
}

// TestContoursAreOpenCVs compares with what OpenCV found; testdata/contours.cjs
// asked it.
func TestContoursAreOpenCVs(t *testing.T) {
	data, err := os.ReadFile("testdata/contours.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Rows     []string
		Contours []struct {
			Area   float64
			Points [][2]float32
		}
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) < 80 {
		t.Fatal(len(cases), err)
	}
	for i, c := range cases {
		m := maskOf(0, 0, c.Rows...)
		got := m.Contours()
		if len(got) != len(c.Contours) {
			t.Fatalf("mask %d: %d contours, OpenCV finds %d\n%s", i, len(got), len(c.Contours), m.picture())
		}
		// OpenCV lists them from the last to the first.
		slices.SortStableFunc(c.Contours, func(a, b struct {
			Area   float64
			Points [][2]float32
		}) int {
			return cmp.Or(cmp.Compare(a.Points[0][1], b.Points[0][1]), cmp.Compare(a.Points[0][0], b.Points[0][0]))
		})
		for k, want := range c.Contours {
			points := make([][2]float32, len(got[k]))
			for j, p := range got[k] {
				points[j] = [2]float32{p.X, p.Y}
			}
			if !reflect.DeepEqual(points, want.Points) {
				t.Fatalf("mask %d, contour %d: %v, OpenCV gives %v\n%s", i, k, points, want.Points, m.picture())
			}
			if a := PolygonArea(got[k]); a != want.Area {
				t.Errorf("mask %d, contour %d: area %v, OpenCV's is %v", i, k, a, want.Area)
			}
		}
	}
}

func TestPolygon(t *testing.T) {
	for name, c := range map[string]struct {
		rows []string
		want []Point
	}{
		"nothing":        {[]string{"."}, nil},
		"a pixel":        {[]string{".#"}, []Point{{1, 0}, {1, 0}, {1, 0}}},
		"a line":         {[]string{"###"}, []Point{{0, 0}, {2, 0}, {2, 0}}},
		"the largest":    {[]string{"##...", "##.##", "...##", "#..##"}, []Point{{3, 1}, {3, 3}, {4, 3}, {4, 1}}},
		"of equal ones":  {[]string{"##.##", "##.##"}, []Point{{0, 0}, {0, 1}, {1, 1}, {1, 0}}},
		"not the longer": {[]string{"####..", "......", "..##..", "..##.."}, []Point{{2, 2}, {2, 3}, {3, 3}, {3, 2}}},
	} {
		if got := maskOf(0, 0, c.rows...).Polygon(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestMaskFromPolygonByHand(t *testing.T) {
	for name, c := range map[string]struct {
		polygon []Point
		x, y    int
		want    string
	}{
		"a square":        {[]Point{{1, 1}, {3, 1}, {3, 2}, {1, 2}}, 1, 1, "###\n###\n"},
		"between centres": {[]Point{{0.5, 0.5}, {2.5, 0.5}, {2.5, 1.5}, {0.5, 1.5}}, 1, 1, "##\n"},
		"a triangle":      {[]Point{{0, 0}, {4, 0}, {0, 4}}, 0, 0, "#####\n####.\n###..\n##...\n#....\n"},
		"a flat slope":    {[]Point{{0, 0}, {4, 1}, {0, 1}}, 0, 0, "#....\n#####\n"},
		"a point":         {[]Point{{2, 2}}, 2, 2, "#\n"},
		"padded":          {[]Point{{1, 2}, {3, 2}, {3, 2}}, 1, 2, "###\n"},
		"cut off":         {[]Point{{-5, -5}, {1, -5}, {1, 1}, {-5, 1}}, 0, 0, "##\n##\n"},
		"all of it":       {[]Point{{-1e9, -1e9}, {1e9, -1e9}, {1e9, 1e9}, {-1e9, 1e9}}, 0, 0, "######\n######\n######\n######\n######\n"},
		"a bow tie":       {[]Point{{0, 0}, {4, 4}, {4, 0}, {0, 4}}, 0, 0, "#...#\n##.##\n#####\n##.##\n#...#\n"},
		// Once around the outer square, then around the inner: what is inside twice
		// is outside, but for its edge.
		"a hole": {[]Point{{0, 0}, {4, 0}, {4, 4}, {0, 4}, {0, 0}, {1, 1}, {3, 1}, {3, 3}, {1, 3}, {1, 1}}, 0, 0, "#####\n#####\n##.##\n#####\n#####\n"},
	} {
		m := MaskFromPolygon(c.polygon, 6, 5)
		if m == nil || m.X != c.x || m.Y != c.y || m.picture() != c.want {
			t.Errorf("%s: %+v\n%s\nwant at %d,%d\n%s", name, m, m.picture(), c.x, c.y, c.want)
		}
	}
	nan := float32(math.NaN())
	for name, polygon := range map[string][]Point{
		"nothing": nil, "outside": {{-3, -3}, {-1, -3}, {-1, -1}}, "behind": {{7, 1}, {9, 1}, {9, 3}}, "not a number": {{0, 0}, {nan, 4}, {4, 4}},
		"infinite": {{0, 0}, {float32(math.Inf(1)), 4}, {4, 4}}, "between two pixels": {{1.2, 1.2}, {1.8, 1.2}, {1.8, 1.8}},
	} {
		if m := MaskFromPolygon(polygon, 6, 5); m != nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// filled is a mask with its holes filled: what cannot be reached from outside
// over empty pixels that share a side. It shares nothing with border following.
func filled(m *Mask) *Mask {
	out := NewMask(m.X, m.Y, m.Width, m.Height)
	seen := map[[2]int]bool{{-1, -1}: true}
	for todo := [][2]int{{-1, -1}}; len(todo) > 0; {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, q := range [][2]int{{p[0] + 1, p[1]}, {p[0] - 1, p[1]}, {p[0], p[1] + 1}, {p[0], p[1] - 1}} {
			in := q[0] >= -1 && q[1] >= -1 && q[0] <= m.Width && q[1] <= m.Height
			if in && !seen[q] && !m.At(m.X+q[0], m.Y+q[1]) {
				seen[q] = true
				todo = append(todo, q)
			}
		}
	}
	for y := range m.Height {
		for x := range m.Width {
			if !seen[[2]int{x, y}] {
				out.Set(m.X+x, m.Y+y)
			}
		}
	}
	return out
}

// TestPolygonsFillTheirMask: the polygons of all parts, filled, are the mask
// with its holes filled.
func TestPolygonsFillTheirMask(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		m := NewMask(r.IntN(50), r.IntN(50), 1+r.IntN(24), 1+r.IntN(16))
		share := r.Float64()
		for y := range m.Height {
			for x := range m.Width {
				if r.Float64() < share {
					m.Set(m.X+x, m.Y+y)
				}
			}
		}
		got := NewMask(m.X, m.Y, m.Width, m.Height)
		for _, c := range m.Contours() {
			part := MaskFromPolygon(c, 100, 100)
			for y := range part.Height {
				for x := range part.Width {
					if part.At(part.X+x, part.Y+y) {
						got.Set(part.X+x, part.Y+y)
					}
				}
			}
		}
		if want := filled(m); got.picture() != want.picture() {
			t.Fatalf("mask %d:\n%s\nfilled by its polygons:\n%s\nwant\n%s", i, m.picture(), got.picture(), want.picture())
		}
	}
}

// BenchmarkPolygon finds the outline of a disc of 480 by 540 pixels.
func BenchmarkPolygon(b *testing.B) {
	m := NewMask(700, 200, 480, 540)
	for y := range m.Height {
		half := int(240 * math.Sqrt(max(0, 1-math.Pow((float64(y)-270)/270, 2))))
		m.SetRun(m.Y+y, m.X+240-half, m.X+240+half)
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(m.Polygon()) < 100 {
			b.Fatal("no disc")
		}
	}
}
