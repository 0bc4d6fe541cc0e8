package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// link finds which step needs which.
func (g *Graph) link(fs *faults) {
	for _, s := range g.doc.steps {
		n := g.nodes[s.name]
		if s.m == nil {
			continue
		}
		targets := 0
		for i, u := range s.uses {
			f := &s.m.Fields[i]
			for _, r := range u.refs {
				switch {
				case fs.full():
					return
				case r.sel.text == "":
				case f.Form == Steps || f.Form == Cases:
					g.linkTarget(n, f, r.sel, targets, fs)
					targets++
				default:
					g.linkValue(n, f, r.sel, fs)
				}
			}
		}
	}
}

// linkTarget makes a step wait for the one that decides about it.
func (g *Graph) linkTarget(n *node, f *Field, sel selector, target int, fs *faults) {
	to := g.nodes[sel.step]
	if to == nil {
		fs.add(n.fault(f.Name, fmt.Sprintf("%s: there is no step %q", sel.text, sel.step), g.nearStep(sel.step)))
		return
	}
	// All targets of n are linked before those of the next step.
	if last := len(to.gates) - 1; last >= 0 && to.gates[last].by == n {
		to.gates[last].targets = append(to.gates[last].targets, target)
		return
	}
	to.gates = append(to.gates, gate{n, []int{target}})
	to.deps = append(to.deps, n)
}

func (g *Graph) linkValue(n *node, f *Field, sel selector, fs *faults) {
	if sel.step == "" {
		if g.doc.input(sel.input) == nil {
			fs.add(n.fault(f.Name, fmt.Sprintf("%s: there is no input %q", sel.text, sel.input), g.nearInput(sel.input)))
		}
		return
	}
	from := g.nodes[sel.step]
	if from == nil {
		fs.add(n.fault(f.Name, fmt.Sprintf("%s: there is no step %q", sel.text, sel.step), g.nearStep(sel.step)))
		return
	}
	n.deps = append(n.deps, from)
}

func (g *Graph) nearStep(name string) string {
	var all []string
	for _, s := range g.doc.steps {
		all = append(all, s.name)
	}
	return didYouMean("steps", nearest(name, all), all)
}

func (g *Graph) nearInput(name string) string {
	var all []string
	for _, in := range g.doc.inputs {
		all = append(all, in.name)
	}
	return didYouMean("inputs", nearest(name, all), all)
}

// Suggest is a hint about a name that is not among all: the nearest of them, or
// a list of them. What they are is in the plural: "inputs".
func Suggest(what, name string, all []string) string {
	return didYouMean(what, nearest(name, slices.Clone(all)), all)
}

func didYouMean(what, near string, all []string) string {
	switch {
	case near != "":
		return fmt.Sprintf("did you mean %q?", near)
	case len(all) == 0:
		return "there are no " + what
	}
	var some []string
	for _, name := range all[:min(len(all), 12)] {
		some = append(some, shorten(name, 100))
	}
	if len(all) > len(some) {
		some = append(some, "…")
	}
	return "the " + what + " are " + strings.Join(some, ", ")
}

// sort puts the steps into an order in which each comes after what it needs,
// and otherwise as they were written. It reports a cycle with its way.
func (g *Graph) sort(fs *faults) bool {
	const fresh, open, done = 0, 1, 2
	state := map[*node]int{}
	// An explicit stack: a chain of a thousand steps must not be a thousand
	// calls deep.
	type visit struct {
		n    *node
		next int
	}
	for _, s := range g.doc.steps {
		stack := []visit{{n: g.nodes[s.name]}}
		if state[stack[0].n] == done {
			continue
		}
		state[stack[0].n] = open
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.next == len(top.n.deps) {
				state[top.n] = done
				g.order = append(g.order, top.n)
				stack = stack[:len(stack)-1]
				continue
			}
			dep := top.n.deps[top.next]
			top.next++
			switch state[dep] {
			case fresh:
				state[dep] = open
				stack = append(stack, visit{n: dep})
			case open:
				names := []string{dep.name}
				for i := len(stack) - 1; i >= 0 && stack[i].n != dep; i-- {
					names = append(names, stack[i].n.name)
				}
				slices.Reverse(names)
				names = append([]string{dep.name}, names...)
				if len(names) > 12 {
					names = append(names[:11], "…", dep.name)
				}
				fs.add(Fault{Step: dep.name, Type: dep.typ, Text: "the steps go round in a circle: " + strings.Join(names, " → "), Hint: "each step must only use what comes before it"})
				return false
			}
		}
	}
	return true
}
