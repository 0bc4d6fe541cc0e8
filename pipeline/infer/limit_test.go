package infer

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
)

// Hours for a build, and half an hour for everything else.
func TestTimeToOpen(t *testing.T) {
	for name, c := range map[string]struct {
		builds bool
		takes  time.Duration
		limit  time.Duration // of a build; 0 is the default
		want   string        // "" for no error
		hint   string
	}{
		"a build of three hours": {builds: true, takes: 3 * time.Hour},
		"a build of five hours":  {builds: true, takes: 5 * time.Hour, want: "building an engine took longer than 4h0m0s", hint: "models.build_timeout"},
		"a build of a day":       {builds: true, takes: 24 * time.Hour, limit: 25 * time.Hour},
		"a long load":            {takes: 29 * time.Minute},
		"a load that hangs":      {takes: time.Hour, want: "loading took longer than 30m0s", hint: "restart Perch"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := &Runtime{cfg: Config{Log: slog.New(slog.DiscardHandler)}, opening: make(chan struct{}, 1)}
				o, err := Options{BuildTimeout: c.limit}.withDefaults(rt)
				if err != nil {
					t.Fatal(err)
				}
				op := &opening{rt: rt, name: "m", o: o}
				err = op.exclusively(t.Context(), func() error {
					if c.builds {
						op.building()
					}
					time.Sleep(c.takes)
					return nil
				}, func() {})
				rt.opening <- struct{}{} // C code that was given up comes back at last
				synctest.Wait()
				if c.want == "" && err == nil {
					return
				}
				e, ok := errors.AsType[*pipeline.Error](err)
				if !ok || c.want == "" || e.Kind != pipeline.Stuck || !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}
