package blocks

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
)

// shapes are what OpenCV makes of polygons; see testdata/geometry.cjs.
type shapes struct {
	Shapes []struct {
		Points     [][2]float64
		Hull       [][2]float64
		Simplified map[string][][2]float64
		Approx     [][2]float64
		Rect       struct{ Width, Height, Angle, X, Y float64 }
	}
	Transforms []struct{ From, To, Points, Moved [][2]float64 }
}

func readShapes(t *testing.T) (s shapes) {
	t.Helper()
	b, err := os.ReadFile("testdata/geometry.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Shapes) < 40 || len(s.Transforms) < 10 {
		t.Fatalf("%d shapes, %d transforms", len(s.Shapes), len(s.Transforms))
	}
	return s
}

func places(pts [][2]float64) (out []place) {
	for _, p := range pts {
		out = append(out, place{p[0], p[1]})
	}
	return out
}

func TestConvexHullIsOpenCVs(t *testing.T) {
	for i, s := range readShapes(t).Shapes {
		got, want := convexHull(places(s.Points)), places(s.Hull)
		at := slices.Index(want, got[0])
		if at < 0 || len(got) != len(want) || !slices.Equal(got, append(slices.Clone(want[at:]), want[:at]...)) {
			t.Errorf("shape %d: %v, want %v from any of them on", i, got, want)
		}
	}
	if got := convexHull(nil); len(got) != 0 {
		t.Error(got)
	}
}

// A contour's hull begins where the contour does, on which the simplified
// polygon depends.
func TestHullOfAContourBeginsWithIt(t *testing.T) {
	contour := places([][2]float64{{5, 0}, {4, 1}, {0, 2}, {1, 6}, {8, 9}, {9, 3}})
	want := places([][2]float64{{5, 0}, {0, 2}, {1, 6}, {8, 9}, {9, 3}})
	if got := convexHull(contour); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestApproximateIsOpenCVs(t *testing.T) {
	for i, s := range readShapes(t).Shapes {
		pts := places(s.Points)
		if got, want := approximate(pts, perimeter(pts)/100), places(s.Approx); !slices.Equal(got, want) {
			t.Errorf("shape %d: %v, want %v", i, got, want)
		}
		for n, corners := range s.Simplified {
			want, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			if got := simplified(places(s.Hull), want); !slices.Equal(got, places(corners)) {
				t.Errorf("shape %d to %s corners: %v, want %v", i, n, got, corners)
			}
		}
	}
}

func TestRotatedRectIsOpenCVs(t *testing.T) {
	for i, s := range readShapes(t).Shapes {
		c, w, h, angle := rotatedRect(places(s.Points))
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-3*max(1, math.Abs(b)) }
		if !near(w*h, s.Rect.Width*s.Rect.Height) {
			t.Errorf("shape %d: area %v, want %v", i, w*h, s.Rect.Width*s.Rect.Height)
			continue
		}
		if s.Rect.Width*s.Rect.Height == 0 {
			continue // OpenCV has other angles for lines
		}
		if !near(c.x, s.Rect.X) || !near(c.y, s.Rect.Y) || !near(w, s.Rect.Width) || !near(h, s.Rect.Height) || !near(angle, s.Rect.Angle) {
			t.Errorf("shape %d: %v, %v x %v at %v°, want %+v", i, c, w, h, angle, s.Rect)
		}
		// Every point lies in it, and its corners are that far apart.
		k := corners(c, w, h, angle)
		if !near(k[0].minus(k[1]).length(), h) || !near(k[1].minus(k[2]).length(), w) || !near(k[2].minus(k[3]).length(), h) {
			t.Errorf("shape %d: corners %v", i, k)
		}
		for _, p := range places(s.Points) {
			for e := range k {
				if edge := k[(e+1)%4].minus(k[e]); edge.cross(p.minus(k[e])) < -1e-6*edge.length()*100 {
					t.Errorf("shape %d: %v is outside of %v", i, p, k)
				}
			}
		}
	}
}

func TestMiddle(t *testing.T) {
	if m, ok := middle(places([][2]float64{{0, 0}, {10, 0}, {10, 4}, {0, 4}})); !ok || m != (place{5, 2}) {
		t.Error(m, ok)
	}
	if m, ok := middle(places([][2]float64{{0, 9}, {9, 0}, {0, 0}})); !ok || m != (place{3, 3}) {
		t.Error(m, ok)
	}
	if _, ok := middle(places([][2]float64{{0, 0}, {5, 5}})); ok {
		t.Error("a line has no middle")
	}
}
