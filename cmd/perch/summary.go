package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"perch/pipeline"
)

// summary prints one file's completion record for people.
func (p *processor) summary(path string, c *pipeline.Complete) {
	w := tabwriter.NewWriter(p.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%s\n", path)
	fmt.Fprintf(w, "  frames\t%d processed of %d%s, %.1f a second over %.1f s\n",
		c.Frames.Processed, c.Frames.In, drops(c.Frames.Dropped), c.FPS, c.DurationS)
	fmt.Fprintf(w, "  found\t%s\n", found(c.Detections))
	for _, m := range c.Models {
		inf := c.LatencyMS[pipeline.StageInference.String()]
		fmt.Fprintf(w, "  model\t%s on %s, %.1f ms a frame (median %.1f, p99 %.1f)\n", m.ID, m.Provider, inf.Mean, inf.P50, inf.P99)
	}
	fmt.Fprintf(w, "  run\t%s, %s\n", c.Run, strings.ReplaceAll(string(c.Termination), "_", " "))
	for _, e := range c.Errors {
		fmt.Fprintf(w, "  error\t%s\n", e)
	}
	w.Flush()
}

func drops(m map[pipeline.Cause]uint64) string {
	var parts []string
	for _, cause := range slices.Sorted(maps.Keys(m)) {
		if cause == pipeline.DropRate { // as asked for
			parts = append(parts, fmt.Sprintf("%d left out by --max-fps", m[cause]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d dropped: %s", m[cause], cause))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// found lists the classes, most frequent first.
func found(m map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%s %d", n, m[n]))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
