package visual

import (
	"math"
	"slices"
	"testing"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// A plate of 30 by 10 at (100, 50), and a picture of the same size.
func TestPlaces(t *testing.T) {
	for a, want := range map[track.Anchor][2][2]int{ // plate, enlarged picture
		track.TopLeft: {{100, 40}, {70, 40}}, track.TopCentre: {{85, 40}, {85, 40}}, track.TopRight: {{70, 40}, {100, 40}},
		track.CentreLeft: {{70, 45}, {70, 45}}, track.Centre: {{85, 45}, {85, 45}}, track.CentreRight: {{100, 45}, {100, 45}},
		track.BottomLeft: {{100, 50}, {70, 50}}, track.BottomCentre: {{85, 50}, {85, 50}}, track.BottomRight: {{70, 50}, {100, 50}},
		track.CentreOfMass: {{85, 45}, {85, 45}},
	} {
		if x, y := beside(a, pipeline.Point{X: 100, Y: 50}, 30, 10); [2]int{x, y} != want[0] {
			t.Errorf("%v: the plate is at %d, %d, want %v", a, x, y, want[0])
		}
		if x, y := away(a, pipeline.Point{X: 100, Y: 50}, 30, 10); [2]int{x, y} != want[1] {
			t.Errorf("%v: the picture is at %d, %d, want %v", a, x, y, want[1])
		}
	}
	pic := workflowtest.Picture(100, 60, 0)
	for _, c := range [][4]int{{-5, -5, 0, 0}, {95, 55, 70, 50}, {20, 20, 20, 20}} {
		if x, y := inside(pic, c[0], c[1], 30, 10); x != c[2] || y != c[3] {
			t.Errorf("(%d, %d) becomes (%d, %d), want (%d, %d)", c[0], c[1], x, y, c[2], c[3])
		}
	}
	if x, y := inside(pic, 50, 50, 300, 100); x != 0 || y != 0 {
		t.Errorf("what is larger than the picture begins at (%d, %d)", x, y)
	}
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), 1e30} {
		if n := near(v); n >= 0 {
			t.Errorf("%v is at %d", v, n)
		}
	}
}

// The texts are those of Roboflow's block.
func TestLabels(t *testing.T) {
	plain := workflowtest.Det(10.4, 20, 50.4, 81.9, 3, "dog", 0.8749, 0)
	full := plain
	full.Track, full.Has = 42, workflow.HasTimeInZone|workflow.HasArea|workflow.HasConvertedArea
	full.TimeInZone, full.AreaPX, full.AreaConverted = 12.5, 1234.567, 3
	full.Mask = pipeline.NewMask(10, 20, 9, 9)
	full.Mask.Set(11, 21)
	full.Mask.Set(12, 21)
	time := func(s float64) workflow.Detection {
		return workflow.Detection{Has: workflow.HasTimeInZone, TimeInZone: s}
	}
	for _, c := range []struct {
		says string
		det  workflow.Detection
		want string
	}{
		{"Class", plain, "dog"},
		{"Confidence", plain, "0.87"},
		{"Class and Confidence", plain, "dog 0.87"},
		{"Index", plain, "5"},
		{"Dimensions", plain, "30, 50 40x61"},
		{"Area", plain, "2476"}, // 40 by 61.9
		{"Area", full, "2"},
		{"Area (mask)", plain, "Area (mask): N/A"},
		{"Area (mask)", full, "Area (mask): 1234.57"},
		{"Area (converted)", plain, "Area (conv): N/A"},
		{"Area (converted)", full, "Area (conv): 3.00"},
		{"Tracker Id", plain, "No Tracker ID"},
		{"Tracker Id", full, "42"},
		{"Time In Zone", plain, "In zone: N/A"},
		{"Time In Zone", full, "In zone: 12.5s"},
		{"Time In Zone", time(2), "In zone: 2.0s"},
		{"Time In Zone", time(0.456), "In zone: 0.46s"},
		{"Time In Zone", time(0), "In zone: N/A"},
		{"Class", workflow.Detection{}, ""},
	} {
		if got := string(appendLabel(nil, c.says, 5, &c.det)); got != c.want {
			t.Errorf("%s: %q, want %q", c.says, got, c.want)
		}
	}
	for _, says := range labelTexts() {
		if _, err := parseLabel(workflow.StringOf(says)); err != nil {
			t.Error(err)
		}
	}
}

func TestColoursByAxis(t *testing.T) {
	palette, err := draw.NewPalette("CUSTOM", 0, []string{"RED", "GREEN", "BLUE"})
	if err != nil {
		t.Fatal(err)
	}
	dets := []workflow.Detection{workflowtest.Det(0, 0, 1, 1, 4, "", 1, 0), workflowtest.Det(0, 0, 1, 1, -1, "", 1, 5)}
	red, green, blue, grey := draw.Colour{R: 255}, draw.Colour{G: 255}, draw.Colour{B: 255}, draw.Colour{R: 128, G: 128, B: 128}
	for axis, want := range map[string][]draw.Colour{"INDEX": {red, green}, "CLASS": {green, blue}, "TRACK": {grey, blue}} {
		s := scene{found: dets, palette: palette, axis: axis}
		if got := []draw.Colour{s.colour(0), s.colour(1)}; !slices.Equal(got, want) {
			t.Errorf("by %s: %v, want %v", axis, got, want)
		}
	}
}

func TestRelativePlaces(t *testing.T) {
	pic := workflowtest.Picture(101, 60, 0)
	for name, want := range map[string][2]int{ // Python rounds 50.5 to 50
		"top_left": {3, -4}, "top_center": {50 - 15 + 3, -4}, "top_right": {101 - 30 + 3, -4},
		"center_left": {3, 30 - 5 - 4}, "center": {38, 21}, "bottom_right": {74, 46}, "bottom_center": {38, 46}, "bottom_left": {3, 46}, "center_right": {74, 21},
	} {
		if x, y := relative(pic, corners[name], 3, -4, 30, 10); [2]int{x, y} != want {
			t.Errorf("%s: (%d, %d), want %v", name, x, y, want)
		}
	}
}

func TestTrailsAreBounded(t *testing.T) {
	b := &traceBlock{trails: map[pipeline.TrackID]*trail{}}
	for id := range pipeline.TrackID(3 * maxTrails) {
		if tr := b.trail(id + 1); tr != nil {
			tr.points, tr.frames = append(tr.points, pipeline.Point{}), append(tr.frames, 1)
		}
	}
	if len(b.trails) != maxTrails {
		t.Errorf("%d trails are kept, want %d", len(b.trails), maxTrails)
	}
	b.forget(1)
	if len(b.trails) != 0 || len(b.spare) != maxTrails {
		t.Errorf("%d trails and %d spare ones are kept", len(b.trails), len(b.spare))
	}
	if b.trail(9999) == nil || len(b.spare) != maxTrails-1 || b.trail(0) != nil {
		t.Error("a spare trail is not used again, or what is untracked has one")
	}
}

func TestStillTracksAreBounded(t *testing.T) {
	b := &heatmapBlock{still: map[pipeline.TrackID]pipeline.Point{}}
	for id := range pipeline.TrackID(3*maxStill + 5) {
		b.moved(id, pipeline.Point{}, 25)
		if len(b.still) > maxStill {
			t.Fatalf("%d tracks are remembered", len(b.still))
		}
	}
}
