package visual_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// show writes a default as the specification does.
func show(v workflow.Value) string {
	if s, ok := v.Str(); ok {
		return s
	}
	if items, ok := v.Items(); ok && len(items) == 0 {
		return "[]"
	}
	return v.Describe()
}

// The specification's table: each block's own fields with their defaults; a
// field without one is required. c stands for the fields of colours, p for
// predictions.
func TestFieldsAndDefaultsAreThoseOfTheSpecification(t *testing.T) {
	const c = "color_palette=DEFAULT palette_size=10 custom_colors=[] color_axis=CLASS "
	const plate = "text_color=WHITE text_scale=1 text_thickness=1 text_padding=10 border_radius=0"
	want := map[string]string{
		"bounding_box_visualization@v1":         "p " + c + "thickness=2 roundness=0",
		"label_visualization@v1":                "p " + c + "text=Class text_position=TOP_LEFT " + plate,
		"line_counter_visualization@v1":         "zone color=#5bb573 thickness=2 text_thickness=1 text_scale=1 count_in=0 count_out=0 opacity=0.3",
		"polygon_zone_visualization@v1":         "zone color=#5bb573 opacity=0.3",
		"trace_visualization@v1":                "p " + c + "position=CENTER trace_length=30 thickness=1",
		"dot_visualization@v1":                  "p " + c + "position=CENTER radius=4 outline_thickness=0",
		"corner_visualization@v1":               "p " + c + "thickness=4 corner_length=15",
		"circle_visualization@v1":               "p " + c + "thickness=2",
		"ellipse_visualization@v1":              "p " + c + "thickness=2 start_angle=-45 end_angle=235",
		"triangle_visualization@v1":             "p " + c + "position=TOP_CENTER base=10 height=10 outline_thickness=0",
		"color_visualization@v1":                "p " + c + "opacity=0.5",
		"mask_visualization@v1":                 "p " + c + "opacity=0.5",
		"polygon_visualization@v1":              "p " + c + "thickness=2",
		"halo_visualization@v1":                 "p " + c + "opacity=0.8 kernel_size=40",
		"blur_visualization@v1":                 "p kernel_size=15",
		"pixelate_visualization@v1":             "p pixel_size=20",
		"background_color_visualization@v1":     "p color=BLACK opacity=0.5",
		"crop_visualization@v1":                 "p " + c + "position=TOP_CENTER scale_factor=2 border_thickness=2",
		"classification_label_visualization@v1": "p " + c + "text=Class text_position=TOP_LEFT " + plate,
		"heatmap_visualization@v1": "p metadata=null position=BOTTOM_CENTER opacity=0.2 radius=40 kernel_size=25 top_hue=0 low_hue=125 " +
			"ignore_stationary=true motion_threshold=25",
		"keypoint_visualization@v1": "p annotator_type=edge color=#A351FB text_color=black text_scale=0.5 text_thickness=1 text_padding=10 thickness=2 " +
			"radius=10 edges=null",
		"text_display@v1": "text text_parameters=null text_parameters_operations=null text_color=WHITE background_color=BLACK background_opacity=1 font_scale=1 " +
			"font_thickness=2 padding=10 text_align=left border_radius=0 position_mode=relative anchor=top_left offset_x=10 offset_y=10 position_x=0 position_y=0",
	}
	for _, m := range all() {
		name := strings.TrimPrefix(m.Type, "roboflow_core/")
		got := map[string]bool{}
		for _, f := range m.Fields[2:] { // after image and copy_image
			switch {
			case f.Name == "predictions":
				got["p"] = f.Required
			case f.Required:
				got[f.Name] = true
			default:
				got[f.Name+"="+show(f.Default)] = true
			}
		}
		fields := strings.Fields(want[name])
		if len(fields) != len(got) {
			t.Errorf("%s has %d fields, want %d", name, len(got), len(fields))
		}
		for _, f := range fields {
			if !got[f] {
				t.Errorf("%s: %s is missing; there are %v", name, f, got)
			}
		}
		if m.Fields[0].Name != "image" || m.Fields[1].Name != "copy_image" || show(m.Fields[1].Default) != "true" {
			t.Errorf("%s begins with other fields", name)
		}
	}
	if len(want) != len(all()) {
		t.Errorf("there are %d blocks, want %d", len(all()), len(want))
	}
}

func bind(spec string, parameters map[string]workflow.Value) (*workflow.Engine, error) {
	g, err := workflow.Compile([]byte(spec), workflow.NewLibrary(all(), library(nil, []workflow.Detection{det(40, 30, 100, 90, 0)})), nil)
	if err != nil {
		return nil, err
	}
	return g.Bind(nil, workflow.Options{Parameters: parameters})
}

// A parameter's value is checked before the first frame.
func TestParameters(t *testing.T) {
	for _, c := range []struct {
		typ, properties string
		v               workflow.Value
		want            string // of the error; "" for none
	}{
		{"label_visualization@v1", with(`"text_color": "$inputs.p"`), workflow.StringOf("RED"), ""},
		{"label_visualization@v1", with(`"text_color": "$inputs.p"`), workflow.StringOf("light"), "no colour"},
		{"label_visualization@v1", with(`"text": "$inputs.p"`), workflow.StringOf("Index"), ""},
		{"label_visualization@v1", with(`"text": "$inputs.p"`), workflow.StringOf("Name"), `"Name"`},
		{"dot_visualization@v1", with(`"position": "$inputs.p"`), workflow.StringOf("BOTTOM_LEFT"), ""},
		{"dot_visualization@v1", with(`"position": "$inputs.p"`), workflow.StringOf("BELOW"), `"BELOW"`},
		{"color_visualization@v1", with(`"color_palette": "$inputs.p"`), workflow.StringOf("Matplotlib Tab10"), ""},
		{"color_visualization@v1", with(`"color_axis": "$inputs.p"`), workflow.StringOf("ROW"), `"ROW"`},
		{"line_counter_visualization@v1", `"zone": "$inputs.p"`, workflow.ValueOfPoints([]pipeline.Point{{X: 1}, {Y: 1}}), ""},
		{"line_counter_visualization@v1", `"zone": "$inputs.p"`, workflow.StringOf("door"), "list of points"},
		{"polygon_zone_visualization@v1", `"zone": "$inputs.p"`, workflow.ValueOfPoints([]pipeline.Point{{X: 1}, {Y: 1}}), "three points"},
	} {
		e, err := bind(graph(c.typ, c.properties), map[string]workflow.Value{"p": c.v})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s with %s: %v", c.typ, c.properties, err)
			} else if err := e.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		if _, ok := errors.AsType[*workflow.SpecError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s = %s: %v", c.typ, c.properties, c.v.Describe(), err)
		}
	}
}

func TestLabelsAtEveryAnchor(t *testing.T) {
	style := draw.TextStyle{Scale: 0.5, Colour: whiteColour, Plate: violet, PlateOpacity: 1, Padding: 1}
	w, h := size(t, "person", style)
	for anchor, want := range map[string][2]int{ // of a box from (60, 40) to (100, 80)
		"TOP_LEFT": {60, 40 - h}, "TOP_CENTER": {80 - w/2, 40 - h}, "TOP_RIGHT": {100 - w, 40 - h},
		"CENTER_LEFT": {60 - w, 60 - h/2}, "CENTER": {80 - w/2, 60 - h/2}, "CENTER_RIGHT": {100, 60 - h/2},
		"BOTTOM_LEFT": {60, 80}, "BOTTOM_CENTER": {80 - w/2, 80}, "BOTTOM_RIGHT": {100 - w, 80}, "CENTER_OF_MASS": {80 - w/2, 60 - h/2},
	} {
		got := try(t, "label_visualization@v1", with(fmt.Sprintf(`"text_scale": 0.5, "text_padding": 1, "text_position": %q`, anchor)), det(60, 40, 100, 80, 0))
		if !same(got, drawn(t, want[0], want[1], "person", style)) {
			t.Errorf("%s: the label is not at %v", anchor, want)
		}
	}
}

// A camera's decoder gives NV12; what is drawn is the same.
func TestFramesInNV12(t *testing.T) {
	spec := graph("bounding_box_visualization@v1", found)
	want := try(t, "bounding_box_visualization@v1", found, det(40, 30, 100, 90, 0))
	in := workflowtest.Picture(width, height, 128)
	nv12 := pipeline.Picture{Format: pipeline.NV12, Width: width, Height: height, Planes: [3][]byte{in.Planes[0], make([]byte, width*height/2)}, Strides: [3]int{width, width}}
	for i := range nv12.Planes[1] {
		nv12.Planes[1][i] = 128
	}
	h := start(t, spec, nil, []workflow.Detection{det(40, 30, 100, 90, 0)})
	h.Frame(nv12)
	img, _ := h.Value("image").Image()
	if !same(img.Picture, want) {
		t.Error("the picture is another one")
	}
}

// The image may change its size, as a crop does.
func TestImagesOfChangingSize(t *testing.T) {
	h := start(t, graph("heatmap_visualization@v1", with(`"ignore_stationary": false, "opacity": 1`)), nil, []workflow.Detection{det(10, 10, 30, 30, 0)})
	for _, size := range [][2]int{{160, 120}, {64, 48}, {33, 21}, {160, 120}} {
		h.Frame(workflowtest.Picture(size[0], size[1], 128))
		img, ok := h.Value("image").Image()
		if !ok || img.Picture.Width != size[0] || img.Picture.Height != size[1] || changed(img.Picture, 0, 0, size[0], size[1]) == 0 {
			t.Errorf("%v: no picture of this size with something on it", size)
		}
	}
}
