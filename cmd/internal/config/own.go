package config

import (
	"reflect"
	"slices"
	"strings"
)

// Own lists what a copy of this configuration on another device must not have:
// the name of this one, and credentials. No credential is in the list itself.
func (c *Config) Own() []Problem {
	r := &report{file: c.file, origin: c.origin}
	walkValues("", reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value, tag reflect.StructTag) {
		if v.IsZero() {
			return
		}
		switch is := v.Interface().(type) {
		case Secret:
			r.own(path, "is a credential")
		case URL:
			if is.String() != is.Reveal() {
				r.own(path, "has a credential in it")
			}
		case Parameters:
			for _, name := range sortedNames(is) {
				if is[name] != nil && is.shown()[name] == hidden {
					r.own(path+"."+name, "is a credential")
				}
			}
		default:
			if what, ok := tag.Lookup("own"); ok {
				r.own(path, what)
			}
		}
	})
	return r.problems
}

// own reports a value with the place where it was written: what came out of a
// URL stands there.
func (r *report) own(path, what string) {
	url := path[:strings.LastIndexByte(path, '.')+1] + "url"
	if _, ok := r.origin[path]; !ok && r.origin[url] != (origin{}) {
		if !slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Path == url }) { // user and password are two
			r.add(r.origin[url], url, "has a user or password in it")
		}
		return
	}
	r.bad(path, "%s", what)
}
