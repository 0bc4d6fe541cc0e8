package workflow

import (
	"fmt"
	"slices"

	"perch/pipeline"
)

// WholeFrames names the steps and outputs that take the frame's own pixels. If
// there are none, the source may shrink its pictures to what models sample from
// them. What flow control lets run now and then counts as if it always ran.
func (g *Graph) WholeFrames() []string {
	var list []string
	for _, n := range g.order {
		for _, in := range n.params.ins {
			if f := &n.m.Fields[in.field]; f.Pixels == AllPixels && g.isImage(in.col) {
				list = append(list, fmt.Sprintf("step %q", n.name))
				break
			}
		}
	}
	for _, o := range g.doc.outputs {
		if p, ok := g.roots[o.sel.input]; ok && o.sel.step == "" && g.isImage(p.col) {
			list = append(list, fmt.Sprintf("output %q", o.name))
		}
	}
	return list
}

// isImage reports whether a column holds the frame.
func (g *Graph) isImage(col int) bool {
	return g.isRoot(col) && g.rootOf[col] == imageInput
}

// Needs implements [pipeline.Sampler].
func (e *Engine) Needs(frame pipeline.Size) pipeline.Size {
	if len(e.graph.WholeFrames()) > 0 {
		return pipeline.Size{}
	}
	need := pipeline.Size{Width: 2, Height: 2} // for a graph that looks at nothing
	for _, u := range e.units {
		samples := slices.ContainsFunc(u.ins, func(in source) bool {
			return u.m.Fields[in.field].Pixels == SampledPixels && e.graph.isImage(in.col)
		})
		if !samples {
			continue
		}
		s, ok := u.block.(Sampler)
		if !ok {
			return pipeline.Size{}
		}
		enough := s.Enough(frame)
		need.Width, need.Height = max(need.Width, enough.Width), max(need.Height, enough.Height)
	}
	return need
}
