package storage

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
)

// exported keeps a run with an empty frame, odd labels and a track, and
// returns it in the given format.
func exported(t *testing.T, format Format) string {
	t.Helper()
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	d := person(10)
	d.Track = 7
	record(t, s, frame("R1", 1, d, pipeline.Detection{Class: 1, Label: "car", Score: 0.25, Box: pipeline.Box{X0: -4.5, Y0: 1, X1: 20.125, Y1: 30}}))
	record(t, s, frame("R1", 2))
	third := frame("R1", 3, pipeline.Detection{Class: 9, Label: `=HYPERLINK("http://x","y")`, Score: 1, Box: pipeline.Box{X1: 1, Y1: 1}})
	third.Data, third.Errors = []byte(`{"count": 1}`), []string{"step \"a\" failed"}
	record(t, s, third)
	finish(t, s, "R1", 3)
	var b bytes.Buffer
	if err := s.Export(t.Context(), &b, "R1", format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExportCSV(t *testing.T) {
	want := CSVHeader + `
1,0,2026-03-04T05:06:07.153456Z,person,0,0.75,10,100,60,300,7
1,0,2026-03-04T05:06:07.153456Z,car,1,0.25,-4.5,1,20.125,30,
2,0.04,2026-03-04T05:06:07.193456Z,,,,,,,,
3,0.08,2026-03-04T05:06:07.233456Z,"'=HYPERLINK(""http://x"",""y"")",9,1,0,0,1,1,
`
	got := exported(t, CSV)
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if rows, err := csv.NewReader(strings.NewReader(got)).ReadAll(); err != nil || len(rows) != 5 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	for in, want := range map[string]string{"": "", "dog": "dog", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\ta": "'\ta", "\ra": "'\ra"} {
		if got := harmless(in); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

func TestExportJSONL(t *testing.T) {
	want := `{"frame":1,"pts_s":0,"time":"2026-03-04T05:06:07.153456Z","detections":[{"label":"person","class":0,"score":0.75,"box":[10,100,60,300],"track":7},{"label":"car","class":1,"score":0.25,"box":[-4.5,1,20.125,30]}]}
{"frame":2,"pts_s":0.04,"time":"2026-03-04T05:06:07.193456Z","detections":[]}
{"frame":3,"pts_s":0.08,"time":"2026-03-04T05:06:07.233456Z","detections":[{"label":"=HYPERLINK(\"http://x\",\"y\")","class":9,"score":1,"box":[0,0,1,1]}],"outputs":{"count":1},"errors":["step \"a\" failed"]}
`
	if got := exported(t, JSONL); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The rules that COCO's own tools rely on.
func TestExportCOCO(t *testing.T) {
	text := exported(t, COCO)
	var c struct {
		Images []struct {
			ID            int
			Width, Height int
			FileName      string `json:"file_name"`
		}
		Annotations []struct {
			ID, IsCrowd  int
			Image        int `json:"image_id"`
			Category     int `json:"category_id"`
			BBox         []float64
			Area         float64
			Segmentation []any
		}
		Categories []struct {
			ID   int
			Name string
		}
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(c.Images) != 3 || len(c.Annotations) != 3 || len(c.Categories) != 4 {
		t.Fatalf("%d images, %d annotations, %d categories", len(c.Images), len(c.Annotations), len(c.Categories))
	}
	images, names, files := map[int]bool{}, map[int]string{}, map[string]bool{}
	for _, i := range c.Images {
		images[i.ID], files[i.FileName] = true, true
		if i.Width != 1920 || i.Height != 1080 {
			t.Errorf("image %+v", i)
		}
	}
	for _, cat := range c.Categories {
		names[cat.ID] = cat.Name
	}
	if len(images) != 3 || len(files) != 3 || len(names) != 4 || names[1] != "person" {
		t.Errorf("ids are not unique: %v, %v, %v", images, files, names)
	}
	for i, a := range c.Annotations {
		if a.ID != i+1 || !images[a.Image] || names[a.Category] == "" || len(a.BBox) != 4 || a.BBox[2]*a.BBox[3] != a.Area || a.Segmentation == nil {
			t.Errorf("annotation %+v", a)
		}
	}
	if got := fmt.Sprint(c.Annotations[0].BBox, c.Annotations[0].Area); got != "[10 100 50 200] 10000" {
		t.Errorf("box and area %s", got)
	}
}

func TestExportRefuses(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	wantKind(t, s.Export(t.Context(), &bytes.Buffer{}, "R1", "xlsx"), pipeline.BadConfig)
	for _, f := range []Format{CSV, JSONL, COCO} {
		wantKind(t, s.Export(t.Context(), &bytes.Buffer{}, "R9", f), pipeline.NotFound)
		if err := s.Export(t.Context(), brokenPipe{}, "R1", f); f != JSONL && !errors.Is(err, errBroken) {
			t.Errorf("%s to a broken pipe: %v", f, err)
		}
	}
}

var errBroken = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }
