package visual_test

import (
	"testing"

	"perch/pipeline/workflow"
)

func TestShapes(t *testing.T) {
	box := det(40, 30, 100, 90, 0)
	for _, c := range []struct {
		name, typ, properties string
		dets                  []workflow.Detection
		probes                []probe
	}{
		{"box", "bounding_box_visualization@v1", "", []workflow.Detection{box}, []probe{
			{39, 60, white}, {40, 60, white}, {41, 60, untouched}, {38, 60, untouched}, {99, 60, white}, {100, 60, white}, {70, 29, white}, {70, 90, white}, {70, 60, untouched},
		}},
		{"thick round box", "bounding_box_visualization@v1", `"thickness": 4, "roundness": 1`, []workflow.Detection{box}, []probe{
			{38, 60, white}, {41, 60, white}, {42, 60, untouched}, {40, 30, untouched}, {99, 89, untouched},
		}},
		{"corners", "corner_visualization@v1", "", []workflow.Detection{box}, []probe{
			{38, 28, white}, {54, 31, white}, {55, 31, untouched}, {41, 44, white}, {41, 45, untouched}, {101, 91, white}, {70, 30, untouched},
		}},
		{"circle through the corners", "circle_visualization@v1", "", []workflow.Detection{det(50, 50, 80, 90, 0)}, []probe{
			{65, 94, white}, {65, 95, white}, {65, 45, white}, {40, 70, white}, {65, 70, untouched}, {60, 90, untouched},
		}}, // centre (65, 70), radius 25
		{"ellipse", "ellipse_visualization@v1", "", []workflow.Detection{det(60, 10, 100, 80, 0)}, []probe{
			{80, 93, white}, {119, 80, white}, {40, 80, white}, {80, 66, untouched}, {80, 80, untouched},
		}}, // centre (80, 80), 40 by 14, open at the top
		{"dot", "dot_visualization@v1", `"position": "BOTTOM_CENTER", "radius": 6`, []workflow.Detection{box}, []probe{
			{70, 90, white}, {70, 85, white}, {70, 94, white}, {70, 97, untouched}, {64, 84, untouched},
		}},
		{"dot with outline", "dot_visualization@v1", `"radius": 10, "outline_thickness": 4`, []workflow.Detection{box}, []probe{
			{70, 60, white}, {70, 54, white}, {70, 50, black}, {60, 60, black}, {70, 47, untouched},
		}},
		{"dot on the mask", "dot_visualization@v1", `"position": "CENTER_OF_MASS"`, []workflow.Detection{masked(box, block(10, 10)...)}, []probe{
			{45, 35, white}, {70, 60, untouched},
		}},
		{"triangle", "triangle_visualization@v1", "", []workflow.Detection{box}, []probe{
			{70, 20, white}, {66, 20, white}, {73, 20, white}, {70, 27, white}, {70, 19, untouched}, {66, 28, untouched}, {70, 31, untouched},
		}},
		{"colour", "color_visualization@v1", "", []workflow.Detection{box, det(80, 60, 120, 110, 1)}, []probe{
			{40, 30, 182}, {99, 59, 182}, {90, 70, 72}, {110, 100, 72}, {39, 30, untouched}, {100, 50, untouched},
		}},
		{"mask: the smaller one shows", "mask_visualization@v1", `"opacity": 1`, []workflow.Detection{
			masked(det(40, 30, 44, 34, 1), "####", "#..#", "####"), masked(det(38, 28, 48, 38, 0), block(10, 10)...), box,
		}, []probe{
			{40, 30, black}, {41, 31, white}, {38, 28, white}, {47, 37, white}, {48, 38, untouched}, {70, 60, untouched},
		}},
		{"outline of the mask", "polygon_visualization@v1", `"thickness": 1`, []workflow.Detection{masked(box, block(10, 8)...)}, []probe{
			{40, 30, white}, {49, 37, white}, {45, 37, white}, {45, 33, untouched}, {50, 37, untouched}, {99, 60, untouched},
		}},
		{"outline without a mask", "polygon_visualization@v1", "", []workflow.Detection{box}, []probe{{40, 60, white}, {99, 60, white}, {70, 60, untouched}}},
		{"halo", "halo_visualization@v1", `"opacity": 1, "kernel_size": 8`, []workflow.Detection{masked(det(60, 40, 100, 80, 0), block(40, 40)...)}, []probe{
			{80, 60, untouched}, {59, 60, 208}, {58, 60, 182}, {57, 60, 155}, {55, 60, untouched}, // see the drawer's own test
		}},
		{"halo of a box", "halo_visualization@v1", `"opacity": 0.5, "kernel_size": 8`, []workflow.Detection{det(60, 40, 100, 80, 0)}, []probe{{80, 60, untouched}, {58, 60, 155}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			properties := with(custom)
			if c.properties != "" {
				properties += ", " + c.properties
			}
			check(t, try(t, c.typ, properties, c.dets...), c.probes...)
		})
	}
}

func TestBackground(t *testing.T) {
	dets := []workflow.Detection{det(40, 30, 100, 90, 0), masked(det(110, 30, 150, 90, 0), "##", "#.")}
	check(t, try(t, "background_color_visualization@v1", with(`"opacity": 0.25, "color": [255, 255, 255]`), dets...),
		probe{40, 30, untouched}, probe{99, 89, untouched}, probe{39, 30, 155}, probe{110, 30, untouched}, probe{110, 31, untouched}, probe{111, 31, 155}, probe{140, 60, 155})
	check(t, try(t, "background_color_visualization@v1", found), probe{0, 0, 72}, probe{159, 119, 72})
}

func TestBlurAndPixelate(t *testing.T) {
	for _, c := range []struct {
		name, spec string
		inside     uint8
	}{
		{"blur", graph("blur_visualization@v1", with(`"kernel_size": 8`)), 110},
		{"pixelate", graph("pixelate_visualization@v1", with(`"pixel_size": 8`)), 110},
	} {
		h := start(t, c.spec, nil, []workflow.Detection{det(40, 32, 104, 96, 0)})
		in := stripes()
		h.Frame(in)
		img, _ := h.Value("image").Image()
		check(t, img.Picture, probe{60, 60, c.inside}, probe{61, 60, c.inside}, probe{62, 60, c.inside}, probe{63, 60, c.inside}, // the mean of 100 and 120
			probe{38, 60, 120}, probe{36, 60, 100}, probe{104, 60, 100}, probe{60, 31, 100}, probe{60, 96, 100})
	}
}

func TestCropShowsWhatWasThere(t *testing.T) {
	h := start(t, graph("crop_visualization@v1", with(custom+`, "position": "BOTTOM_RIGHT", "border_thickness": 1`)), nil,
		[]workflow.Detection{det(20, 20, 40, 40, 0), det(50, 50, 50, 90, 0)})
	in := stripes()
	h.Frame(in)
	img, _ := h.Value("image").Image()
	p := img.Picture
	// The box of 20 by 20 is shown as 40 by 40 from (40, 40) on; column x there
	// is column 20+(x-40)/2 of before, 20 and 21 are 100, 22 and 23 are 120.
	check(t, p, probe{40, 60, white}, probe{79, 60, white}, probe{60, 40, white}, probe{42, 60, 100}, probe{46, 60, 120}, probe{50, 60, 100}, probe{20, 30, 100}, probe{39, 60, 120})
}
