package models

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"perch/pipeline"
	"perch/pipeline/model"
)

// Resolve returns the id of the model that name stands for: a model in the
// store of exactly that name, else what the aliases say. Nothing is looked up
// anywhere else, the network least of all. It fails with Kind NotFound, naming
// the nearest that there is, and does not read or load the model.
func (r *Registry) Resolve(name string) (id string, err error) {
	if r.store.Has(name) {
		return name, nil
	}
	target, mapped := r.opt.Aliases[name]
	if mapped && r.store.Has(target) {
		return target, nil
	}
	ids, err := r.store.IDs()
	if err != nil {
		return "", err
	}
	e := &pipeline.Error{Op: "find model", On: short(name), Kind: pipeline.NotFound, Err: errors.New("there is no such model, and no alias of that name")}
	if mapped {
		e.Err = fmt.Errorf("it is an alias of %q, and there is no such model", target)
		name = target
	}
	e.Hint = "perch model list shows those there are; add one with perch model add"
	if close := nearest(name, slices.Concat(ids, slices.Collect(maps.Keys(r.opt.Aliases)))); close != "" {
		e.Hint = fmt.Sprintf("did you mean %s? perch model list shows those there are; else add it with perch model add", close)
	}
	e.Hint += fmt.Sprintf(", or let the name stand for a model that is here: workflows.models: {%q: %s}", e.On, r.substitute(ids))
	return "", e
}

// short is a name that may have come from anywhere, for a message.
func short(name string) string {
	if len(name) > maxCompared {
		return strings.ToValidUTF8(name[:maxCompared], "") + "..."
	}
	return name
}

// substitute is a model to show in an example.
func (r *Registry) substitute(ids []string) string {
	if len(ids) == 0 {
		return "some-model"
	}
	return ids[0]
}

// Manifest returns what a model's numbers mean, without loading it: its task,
// labels and key points. name may be an alias.
func (r *Registry) Manifest(name string) (model.Manifest, error) {
	id, err := r.Resolve(name)
	if err != nil {
		return model.Manifest{}, err
	}
	if l := r.get(id); l != nil {
		return l.Model.Manifest(), nil
	}
	entry, err := r.store.Get(id)
	if err != nil {
		return model.Manifest{}, err
	}
	return entry.Manifest, nil
}

// maxCompared is the longest name for which a near one is looked for.
const maxCompared = 128

// nearest is the one of names that differs from name in the fewest characters,
// "" if all differ in more than half of them.
func nearest(name string, names []string) string {
	if len(name) > maxCompared {
		return ""
	}
	slices.Sort(names) // ties go to the first
	best, least := "", len(name)/2+1
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance counts the characters to insert, remove or replace between a and b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
