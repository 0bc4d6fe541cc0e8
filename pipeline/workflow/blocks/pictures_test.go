package blocks_test

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow/workflowtest"
)

func TestImageSlicer(t *testing.T) {
	const step = `"type": "roboflow_core/image_slicer@v1", "image": "$inputs.image"`
	for name, c := range map[string]struct {
		fields string
		w, h   int
		want   string
	}{
		"smaller than a slice": {"", 100, 50, "0,0 100x50"},
		"two by two":           {`, "slice_width": 20, "slice_height": 10, "overlap_ratio_width": 0, "overlap_ratio_height": 0`, 40, 20, "0,0 20x10; 20,0 20x10; 0,10 20x10; 20,10 20x10"},
		"overlapping":          {`, "slice_width": 20, "slice_height": 20, "overlap_ratio_height": 0`, 40, 20, "0,0 20x20; 16,0 20x20; 32,0 8x20"}, // a fifth of 20 is 4
		"a rest":               {`, "slice_width": 30, "slice_height": 20, "overlap_ratio_width": 0, "overlap_ratio_height": 0`, 40, 20, "0,0 30x20; 30,0 10x20"},
	} {
		h := run(t, graphOf(step+c.fields, "slices"), nil)
		for range 2 {
			h.Frame(ramp(c.w, c.h))
			var got []string
			names := map[string]bool{}
			for _, v := range list(t, h, "slices") {
				img, _ := v.Image()
				o, p := img.Origin, img.Picture
				names[o.Name] = true
				got = append(got, fmt.Sprintf("%d,%d %dx%d", o.X, o.Y, p.Width, p.Height))
				if p.Planes[0][0] != uint8(4*o.X+o.Y) || p.Check() != nil {
					t.Errorf("%s: the slice at %d, %d begins with %d", name, o.X, o.Y, p.Planes[0][0])
				}
			}
			if s := strings.Join(got, "; "); s != c.want || len(names) != len(got) {
				t.Errorf("%s: %s (%d names), want %s", name, s, len(names), c.want)
			}
		}
	}
	h := run(t, graphOf(step+`, "slice_width": 1, "slice_height": 1`, "slices"), nil)
	if _, err := h.Try(workflowtest.Picture(100, 100, 0)); err == nil || !strings.Contains(err.Error(), "10000 slices") {
		t.Error(err)
	}
	refused(t, graphOf(step+`, "overlap_ratio_width": 1`))
}

func TestConvertGrayscale(t *testing.T) {
	h := run(t, graphOf(`"type": "roboflow_core/convert_grayscale@v1", "image": "$inputs.image"`, "image"), nil)
	src := ramp(33, 15)
	h.Frame(src)
	p := image(t, h, "image").Picture
	for i := range src.Planes[0] {
		if p.Planes[0][i] != src.Planes[0][i] {
			t.Fatalf("luma %d changed", i)
		}
	}
	for _, plane := range p.Planes[1:] {
		for _, v := range plane {
			if v != 128 {
				t.Fatalf("colour %d is left", v)
			}
		}
	}
	if src.Planes[1][5] != 5 {
		t.Error("the step changed what it was given")
	}
}

func TestCameraFocus(t *testing.T) {
	const step = `"type": "roboflow_core/camera_focus@v1", "image": "$inputs.image"`
	// Four columns 0, 0, 10, 10 and four rows: steps of 10 over two columns at the left two of the four, so 100 for half of
	// the pixels. What falls does not count, so neither does the picture turned around.
	pic := pipeline.NewPicture(4, 4)
	for i := range pic.Planes[0] {
		pic.Planes[0][i] = byte(i % 4 / 2 * 10)
	}
	turned := pipeline.NewPicture(4, 4)
	for i := range turned.Planes[0] {
		turned.Planes[0][i] = byte(10 - i%4/2*10)
	}
	full := pic
	full.FullRange = true
	for _, c := range []struct {
		pic  pipeline.Picture
		want float64
	}{{full, 50}, {pic, 50 * (255.0 / 219) * (255.0 / 219)}, {turned, 0}, {workflowtest.Picture(4, 4, 9), 0}, {workflowtest.Picture(1, 1, 9), 0}} {
		h := run(t, graphOf(step, "focus_measure", "image"), nil)
		h.Frame(c.pic)
		if got, _ := h.Value("focus_measure").Float(); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("%v, want %v", got, c.want)
		}
		shown := image(t, h, "image").Picture
		low := byte(16)
		if c.pic.FullRange {
			low = 0
		}
		if shown.Planes[0][len(shown.Planes[0])-1] != low || (c.want > 0) != (shown.Planes[0][0] > low) {
			t.Errorf("%v", shown.Planes[0])
		}
	}
	h := run(t, graphOf(step, "focus_measure"), nil)
	h.Frame(full)
	if got := h.JSON("focus_measure"); got != "50.0" {
		t.Error(got)
	}
}

func TestImageBlur(t *testing.T) {
	const step = `"type": "roboflow_core/image_blur@v1", "image": "$inputs.image"`
	for _, fields := range []string{"", `, "blur_type": "average"`, `, "blur_type": "median"`, `, "blur_type": "bilateral"`, `, "blur_type": "average", "kernel_size": 4`} {
		h := run(t, graphOf(step+fields, "image"), nil)
		h.Frame(workflowtest.Picture(33, 17, 77)) // what is even stays
		p := image(t, h, "image").Picture
		for i, plane := range p.Planes {
			for _, v := range plane {
				if want := []byte{77, 128, 128}[i]; v != want {
					t.Fatalf("%q, plane %d: %d, want %d", fields, i, v, want)
				}
			}
		}
		src := scene(33, 17, 10, 5, 6)
		h.Frame(src)
		if p = image(t, h, "image").Picture; fields != `, "blur_type": "median"` && p.Planes[0][5*33+10] == 200 {
			t.Errorf("%q: the corner of the square is as it was", fields)
		}
		if src.Planes[0][5*33+10] != 200 {
			t.Error("the step changed what it was given")
		}
	}
	for _, fields := range []string{`, "kernel_size": 4`, `, "blur_type": "median", "kernel_size": 2`, `, "blur_type": "motion"`, `, "kernel_size": 0`, `, "kernel_size": 101`} {
		refused(t, graphOf(step+fields))
	}
}
