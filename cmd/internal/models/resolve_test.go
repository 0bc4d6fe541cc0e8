package models

import (
	"log/slog"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/model"
)

func TestResolve(t *testing.T) {
	r, err := Open(Options{
		Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Aliases: map[string]string{"yolov8n-640": "nanodet-416", "lost": "nanodet-417", "nanodet-416": "lost", "twice": "yolov8n-640", "shop/3": "nanodet-416"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"nanodet-416": "nanodet-416", // what is there comes before any alias
		"yolov8n-640": "nanodet-416", "shop/3": "nanodet-416",
	} {
		if id, err := r.Resolve(name); err != nil || id != want {
			t.Errorf("%s: %q %v", name, id, err)
		}
		m, err := r.Manifest(name)
		if err != nil || m.ID != want || m.Task != model.Detection || len(m.Labels) != 80 {
			t.Errorf("%s: %s for %s with %d labels, %v", name, m.ID, m.Task, len(m.Labels), err)
		}
	}
	for name, c := range map[string][]string{
		"nanodet-461":                  {`nanodet-461`, "no such model", "did you mean nanodet-416?", "perch model add", `workflows.models: {"nanodet-461": nanodet-416}`},
		"yolov8s-640":                  {"did you mean yolov8n-640?"},
		"lost":                         {`alias of "nanodet-417"`, "did you mean nanodet-416?"},
		"twice":                        {`alias of "yolov8n-640"`}, // an alias is no model
		"dog-breed-xpaq6/1":            {"no such model", "perch model add"},
		"../nanodet-416":               {"no such model"},
		"":                             {"no such model"},
		strings.Repeat("y", 1_000_000): {"no such model"},
	} {
		id, err := r.Resolve(name)
		if err == nil || id != "" || pipeline.KindOf(err) != pipeline.NotFound {
			t.Errorf("%.20s: %q %v", name, id, err)
			continue
		}
		for _, want := range c {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.20s: %.500s does not say %q", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "did you mean") && strings.HasPrefix(name, "dog") {
			t.Errorf("%.20s: %v is far-fetched", name, err)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("%.20s: the error has %d bytes", name, len(err.Error()))
		}
		if _, err := r.Load(t.Context(), name); pipeline.KindOf(err) != pipeline.NotFound {
			t.Errorf("%.20s was loaded: %v", name, err)
		}
	}
}
