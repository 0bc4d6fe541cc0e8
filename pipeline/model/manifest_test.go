package model

import (
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"perch/packaging/models"
	"perch/pipeline"
)

// TestBuiltin reads the model that comes with the program.
func TestBuiltin(t *testing.T) {
	s := &Store{Dir: t.TempDir(), Builtin: models.Files, Decode: decodeYAML, Encode: yaml.Marshal}
	e, err := s.Get(models.Default)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Builtin || e.Digest != "sha256:268ff6feaa3e6e705b63a23d283f85f17870a78e933bce7279140adb03eb2d65" || e.Bytes != 7650481 {
		t.Errorf("%+v", e)
	}
	m, err := Open(e.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Labels()) != 80 || !reflect.DeepEqual(m.Labels(), coco80()) || !reflect.DeepEqual(m.Params(), Params{Confidence: 0.5, IoU: 0.6, MaxDetections: 300}) {
		t.Errorf("%d labels, %+v", len(m.Labels()), m.Params())
	}
	if err := m.Check(publishedGraphs()["nanodet-416"].g); err != nil {
		t.Error(err)
	}
	graph, err := e.Graph()
	if err != nil || len(graph) != 7650481 {
		t.Error(len(graph), err)
	}
	if _, err := fs.Stat(models.Files, models.Default+"/LICENSE"); err != nil {
		t.Error(err)
	}
}

// fullManifest has every field set, to what is no default.
func fullManifest() Manifest {
	offset, first := 0.25, 0
	return Manifest{
		ID: "full.model_1", Description: "d", Task: Keypoints,
		Input: Input{
			Name: "in", Width: 320, Height: 240, Layout: NHWC, Type: pipeline.Uint8, Colour: BGR, Scale: 0.5,
			Mean: []float64{1, 2, 3}, Std: []float64{4, 5, 6}, Resize: Stretch, Position: TopLeft, Pad: 7,
		},
		Head: Head{
			Family: "yolov8-pose", Strides: []int{8, 16}, RegMax: 9, Offset: &offset, Decoded: true, Units: Normalised, FirstClass: &first,
			Keypoints: []string{"nose", "tail"}, PointValues: 2, SizeInput: "size", Activation: None, Confidence: 0.25, IoU: 0.75,
		},
		Labels: []string{"a b", "yes", "1"}, Licence: "MIT", Source: "s",
	}
}

func TestManifestRoundTrip(t *testing.T) {
	want := fullManifest()
	v := reflect.ValueOf(want)
	for _, part := range []reflect.Value{v, v.FieldByName("Input"), v.FieldByName("Head")} {
		for i := range part.NumField() {
			name := part.Type().Field(i).Name
			if name != "Guessed" && part.Field(i).IsZero() {
				t.Errorf("%s is not set: this test does not cover it", name)
			}
		}
	}
	data, err := yaml.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("x", data, decodeYAML)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v\n%s", got, want, data)
	}
}

func TestManifestDefaults(t *testing.T) {
	m, err := Parse("x", []byte("id: a\ninput: {name: i, width: 64, height: 64}\nhead: {family: yunet}\n"), decodeYAML)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Name: "i", Width: 64, Height: 64, Layout: NCHW, Type: pipeline.Float32, Colour: RGB, Scale: 1, Resize: Letterbox, Position: Centre}
	if !reflect.DeepEqual(m.Input, in) || m.Task != Faces || m.Head.Confidence != 0.6 || len(m.Head.Keypoints) != 5 {
		t.Errorf("%+v", m)
	}
	opened, err := Open(m)
	if err != nil {
		t.Fatal(err)
	}
	opened.Manifest().Head.Strides[0] = 99
	if opened.Manifest().Head.Strides[0] != 8 {
		t.Error("a model's manifest can be changed from outside")
	}
}

// TestValidate makes every mistake at once and wants each by its path.
func TestValidate(t *testing.T) {
	bad := -1.0
	third := 2
	m := Manifest{
		ID: "../evil", Task: "dance",
		Input: Input{Width: 5, Height: 9999, Layout: "hwcn", Type: "float8", Colour: "cmyk", Resize: "crop", Position: "left", Pad: 300, Mean: []float64{1, 2}, Std: []float64{0}},
		Head: Head{
			Family: "yolov8", Strides: []int{0, 8}, RegMax: 9999, Offset: &bad, Units: "miles", FirstClass: &third, Activation: "relu",
			Keypoints: []string{"nose"}, Confidence: 2, IoU: -1,
		},
		Labels: []string{"a", " "},
	}
	err := m.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, path := range []string{
		"id:", "task:", "input.name:", "input.width:", "input.height:", "input.layout:", "input.type:", "input.colour:", "input.scale:", "input.mean:", "input.std[0]:",
		"input.resize:", "input.position:", "input.pad:", "head.strides[0]:", "head.reg_max:", "head.offset:", "head.units:", "head.first_class:", "head.activation:",
		"head.keypoints:", "head.confidence:", "head.iou:", "labels[1]:",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+path) {
			t.Errorf("%s is missing in\n%v", path, err)
		}
	}
	m = Manifest{Head: Head{Family: "yolo99"}}
	if err := m.Validate(); !strings.Contains(err.Error(), `head.family: "yolo99" is not known; known are blazeface,`) {
		t.Error(err)
	}
	if _, err := Open(m); pipeline.KindOf(err) != pipeline.BadConfig {
		t.Error(err)
	}
}

func TestParseMistakes(t *testing.T) {
	for data, want := range map[string]string{
		"id: a\nhead: {famly: yolov8}\n": "famly",
		"id: [":                          "",
		"id: a\n\tinput: x\n":            "",
	} {
		_, err := Parse("folder/model.yaml", []byte(data), decodeYAML)
		if err == nil || pipeline.KindOf(err) != pipeline.BadConfig || !strings.Contains(err.Error(), "folder/model.yaml") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestValidID(t *testing.T) {
	for _, id := range []string{"a", "yolov8n", "0", "a.b-c_d", strings.Repeat("x", 64)} {
		if !validID(id) {
			t.Errorf("%q was refused", id)
		}
	}
	for _, id := range []string{"", ".", "..", "-a", ".a", "A", "a/b", `a\b`, "a b", "ä", "a\x00", strings.Repeat("x", 65), tempPrefix + "1"} {
		if validID(id) {
			t.Errorf("%q was accepted", id)
		}
	}
}

// TestReadmeNamesEverything keeps README.md complete.
func TestReadmeNamesEverything(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range Families() {
		if !strings.Contains(string(data), "`"+name+"`") {
			t.Errorf("README.md does not name family %s", name)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Manifest](), reflect.TypeFor[Input](), reflect.TypeFor[Head]()} {
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			if key != "-" && !strings.Contains(string(data), "`"+key+"`") && !strings.Contains(string(data), key+":") {
				t.Errorf("README.md does not explain %s", key)
			}
		}
	}
}
