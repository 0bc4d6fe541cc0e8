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
	if close := pipeline.Nearest(name, slices.Concat(ids, slices.Collect(maps.Keys(r.opt.Aliases))), len(name)/2); close != "" {
		e.Hint = fmt.Sprintf("did you mean %s? perch model list shows those there are; else add it with perch model add", close)
	}
	e.Hint += fmt.Sprintf(", or let the name stand for a model that is here: workflows.models: {%q: %s}", e.On, r.substitute(ids))
	return "", e
}

// longestShown is how much of a name an error repeats, in bytes.
const longestShown = 128

// short is a name that may have come from anywhere, for a message.
func short(name string) string {
	if len(name) > longestShown {
		return strings.ToValidUTF8(name[:longestShown], "") + "..."
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
