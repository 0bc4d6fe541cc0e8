package query

import (
	"fmt"
	"slices"

	"perch/pipeline/workflow"
)

// rename gives classes other names, and ids that go with them.
type rename struct {
	byName  map[string]string
	mapName int // parameter that holds the map, -1 if it is written
	strict  bool
	strName int // parameter that says whether it is strict, -1 if it is written
	offset  int64
	targets []string       // all new names, sorted
	ids     map[string]int // of this frame
}

func buildRename(c *compiler, n node) (op, error) {
	r := &rename{mapName: -1, strName: -1, strict: true, ids: map[string]int{}}
	var err error
	switch v := n.get("class_map"); v.Type() {
	case workflow.String:
		r.mapName, err = c.parameter(n, "class_map")
	case workflow.Object:
		f, _ := v.Fields()
		if bad := r.setMap(f); bad != "" {
			err = &Error{n.at("class_map"), bad, "it takes an object of class names, {old: new}"}
		}
	default:
		err = n.wrong("class_map", "an object of class names, {old: new}, or the name of a parameter")
	}
	if err != nil {
		return nil, err
	}
	if n.get("strict").Type() == workflow.String {
		r.strName, err = c.parameter(n, "strict")
	} else {
		r.strict, err = n.boolOr("strict", true)
	}
	if err != nil {
		return nil, err
	}
	if r.offset, err = n.integerOr("new_classes_id_offset", 1024, 0, 1<<30); err != nil {
		return nil, err
	}
	return r.run, nil
}

// parameter is the place of the parameter that a property names.
func (c *compiler) parameter(n node, key string) (int, error) {
	name, err := n.str(key)
	if err != nil {
		return 0, err
	}
	i := slices.Index(c.names, name)
	if i < 0 {
		return 0, &Error{n.at(key), fmt.Sprintf("there is no parameter %q", name), workflow.Suggest("parameters", name, c.names)}
	}
	return i, nil
}

// setMap reads the map and says what is wrong with it, or "".
func (r *rename) setMap(f *workflow.Fields) string {
	r.byName, r.targets = make(map[string]string, len(f.Keys)), r.targets[:0]
	for i, k := range f.Keys {
		name, ok := f.Values[i].Str()
		if !ok {
			return fmt.Sprintf("the new name of %q is %s", k, f.Values[i].Describe())
		}
		r.byName[k] = name
		r.targets = append(r.targets, name)
	}
	slices.Sort(r.targets)
	r.targets = slices.Compact(r.targets)
	return ""
}

func (r *rename) run(st *state, v workflow.Value) (workflow.Value, error) {
	d, err := detections(v, "DetectionsRename")
	if err != nil {
		return v, err
	}
	if err := r.readParameters(st); err != nil {
		return v, err
	}
	clear(r.ids)
	if !r.strict {
		for i := range d.Items {
			r.ids[d.Items[i].Label] = d.Items[i].Class
		}
	}
	next := int(r.offset)
	if r.strict {
		next = 0
	}
	for _, name := range r.targets {
		if _, ok := r.ids[name]; !ok {
			r.ids[name] = next
			next++
		}
	}
	out := like(st, d)
	out.Items = append(out.Items, d.Items...)
	for i := range out.Items {
		it := &out.Items[i]
		name, ok := r.byName[it.Label]
		if !ok && r.strict {
			return v, fmt.Errorf("DetectionsRename: class %q is not in class_map, and strict is true", it.Label)
		}
		if ok {
			it.Label = name
		}
		it.Class = r.ids[it.Label]
	}
	return workflow.DetectionsOf(out), st.spend(len(d.Items) + len(r.targets))
}

func (r *rename) readParameters(st *state) error {
	if r.mapName >= 0 {
		f, ok := st.params[r.mapName].Fields()
		if !ok {
			return fmt.Errorf("DetectionsRename: class_map is %s and must be an object of class names", st.params[r.mapName].Describe())
		}
		if bad := r.setMap(f); bad != "" {
			return fmt.Errorf("DetectionsRename: class_map: %s", bad)
		}
	}
	if r.strName >= 0 {
		b, ok := st.params[r.strName].Bool()
		if !ok {
			return fmt.Errorf("DetectionsRename: strict is %s and must be true or false", st.params[r.strName].Describe())
		}
		r.strict = b
	}
	return nil
}
