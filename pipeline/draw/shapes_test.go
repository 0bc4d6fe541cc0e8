package draw

import (
	"testing"

	"perch/pipeline"
)

var white = Colour{255, 255, 255}

func TestBoxes(t *testing.T) {
	box := pipeline.Box{X0: 3, Y0: 2, X1: 9, Y1: 7}
	for _, c := range []struct {
		name      string
		box       pipeline.Box
		thickness int
		want      []string
	}{
		{"one wide, inside", box, 1, []string{
			"............",
			"............",
			"...######...",
			"...#....#...",
			"...#....#...",
			"...#....#...",
			"...######...",
			"............",
			"............",
		}},
		{"two wide, on the side", box, 2, []string{
			"............",
			"..########..",
			"..########..",
			"..##....##..",
			"..##....##..",
			"..##....##..",
			"..########..",
			"..########..",
			"............",
		}},
		{"without area", pipeline.Box{X0: 5, Y0: 4, X1: 5, Y1: 4}, 2, []string{
			"............",
			"............",
			"............",
			"....##......",
			"....##......",
			"............",
			"............",
			"............",
			"............",
		}},
		{"sides swapped and half outside", pipeline.Box{X0: 20, Y0: 6, X1: 8, Y1: -4}, 1, []string{
			"........#...",
			"........#...",
			"........#...",
			"........#...",
			"........#...",
			"........####",
			"............",
			"............",
			"............",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range formats {
				p := grey(f, 12, 9)
				newDrawer(t).Box(p, c.box, white, c.thickness, 0)
				checkArt(t, p, c.want...)
			}
		})
	}
}

func TestRoundBox(t *testing.T) {
	p := grey(pipeline.I420, 40, 30)
	newDrawer(t).Box(p, pipeline.Box{X0: 1, Y0: 1, X1: 39, Y1: 29}, white, 2, 0.5) // radius 14/2
	for _, c := range []struct {
		name string
		x, y int
		want uint8
	}{
		{"the corner", 0, 0, 128}, {"beyond the arc", 1, 1, 128}, {"on the arc", 3, 2, 235}, {"inside the arc", 5, 5, 128},
		{"outer half of the side", 20, 0, 235}, {"inner half", 20, 1, 235}, {"inside the side", 20, 2, 128},
		{"left side", 0, 15, 235}, {"its inner half", 1, 15, 235}, {"inside it", 2, 15, 128},
		{"the side's beginning", 8, 0, 235},
	} {
		if got := at(p, c.x, c.y).y; got != c.want {
			t.Errorf("%s at (%d, %d) has luma %d, want %d", c.name, c.x, c.y, got, c.want)
		}
	}
	for y := range 30 {
		for x := range 40 {
			if q := at(p, x, y).y; q != at(p, 39-x, y).y || q != at(p, x, 29-y).y {
				t.Fatalf("not symmetric at (%d, %d)", x, y)
			}
		}
	}
}

func TestCorners(t *testing.T) {
	p := grey(pipeline.NV12, 12, 9)
	newDrawer(t).Corners(p, pipeline.Box{X0: 1, Y0: 1, X1: 11, Y1: 8}, white, 1, 3)
	checkArt(t, p,
		"............",
		".###....###.",
		".#........#.",
		".#........#.",
		"............",
		".#........#.",
		".#........#.",
		".###....###.",
		"............",
	)
}

func TestPolygons(t *testing.T) {
	for _, c := range []struct {
		name   string
		points []pipeline.Point
		want   []string
	}{
		{"triangle", []pipeline.Point{{X: 1, Y: 1}, {X: 7, Y: 1}, {X: 1, Y: 5}}, []string{
			"........",
			".#####..",
			".####...",
			".##.....",
			".#......",
			"........",
		}},
		{"bow tie: the even-odd rule needs no order", []pipeline.Point{{X: 0, Y: 0}, {X: 8, Y: 6}, {X: 8, Y: 0}, {X: 0, Y: 6}}, []string{
			"#......#",
			"##....##",
			"###..###",
			"###..###",
			"##....##",
			"#......#",
		}},
		{"two points have no inside", []pipeline.Point{{X: 0, Y: 0}, {X: 8, Y: 6}}, []string{
			"........", "........", "........", "........", "........", "........",
		}},
		{"half outside", []pipeline.Point{{X: 6, Y: -9}, {X: 99, Y: -9}, {X: 99, Y: 2}, {X: 6, Y: 2}}, []string{
			"......##", "......##", "........", "........", "........", "........",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range formats {
				p := grey(f, 8, 6)
				newDrawer(t).Polygon(p, c.points, white, 1)
				checkArt(t, p, c.want...)
			}
		})
	}
}

func TestLineOnSampleBordersIsSharp(t *testing.T) {
	p := grey(pipeline.I420, 10, 6)
	newDrawer(t).Line(p, pipeline.Point{X: -5, Y: 3}, pipeline.Point{X: 50, Y: 3}, white, 2, 1)
	checkArt(t, p, "..........", "..........", "##########", "##########", "..........", "..........")
	q := grey(pipeline.I420, 10, 6)
	newDrawer(t).Line(q, pipeline.Point{X: -5, Y: 3}, pipeline.Point{X: 50, Y: 3}, white, 2, 0.25)
	if got := at(q, 5, 2).y; got != 155 { // 128 + 107/4
		t.Errorf("a line of opacity 0.25 has luma %d, want 155", got)
	}
}

func TestRoundShapes(t *testing.T) {
	d := newDrawer(t)
	dot := grey(pipeline.NV12, 11, 11)
	d.Dot(dot, pipeline.Point{X: 5.5, Y: 5.5}, 4, white, 0, Colour{})
	checkArt(t, dot,
		"...........",
		"...+++++...",
		"..++###++..",
		".++#####++.",
		".+#######+.",
		".+#######+.",
		".+#######+.",
		".++#####++.",
		"..++###++..",
		"...+++++...",
		"...........",
	)
	circle := grey(pipeline.I420, 41, 41)
	centre := pipeline.Point{X: 20.5, Y: 20.5}
	d.Circle(circle, centre, 15, white, 2)
	arc := grey(pipeline.I420, 41, 41)
	d.Arc(arc, centre, 15, 15, 0, 360, white, 2)
	for y := range 41 {
		for x := range 41 {
			a, b := at(circle, x, y).y, at(arc, x, y).y
			if diff(a, b) > 24 { // a chord's sagitta, in soft edges
				t.Fatalf("(%d, %d): the circle has luma %d, the whole arc %d", x, y, a, b)
			}
		}
	}
	// At (31, 31) the middle is 15.556 away: 0.944 of the colour.
	for _, q := range [][3]int{{35, 20, 235}, {20, 35, 235}, {5, 20, 235}, {20, 20, 128}, {31, 31, 229}} {
		if got := at(circle, q[0], q[1]).y; int(got) != q[2] {
			t.Errorf("the circle has luma %d at %v", got, q[:2])
		}
	}
}

func TestArcIsOpenAtTheTop(t *testing.T) {
	p := grey(pipeline.I420, 60, 60)
	newDrawer(t).Arc(p, pipeline.Point{X: 30, Y: 30}, 20, 10, -45, 235, white, 2)
	for _, c := range []struct {
		name string
		x, y int
		on   bool
	}{{"right", 50, 30, true}, {"bottom", 30, 39, true}, {"left", 9, 30, true}, {"top", 30, 20, false}} {
		if got := at(p, c.x, c.y).y > 180; got != c.on {
			t.Errorf("%s: drawn is %v", c.name, got)
		}
	}
}

func TestTriangleStandsOnItsTip(t *testing.T) {
	p := grey(pipeline.I420, 12, 8)
	newDrawer(t).Triangle(p, pipeline.Point{X: 6, Y: 6}, 8, 4, white, 0, Colour{})
	checkArt(t, p,
		"............",
		"............",
		"...#######..", // of two middles on the border the right one counts
		"....#####...",
		".....###....",
		"......#.....",
		"............",
		"............",
	)
}
