package config

import (
	"reflect"
	"slices"
	"strings"
)

// variablePrefix begins the name of every variable of the environment that
// Perch reads; testPrefix those that only its tests read.
const (
	variablePrefix = "PERCH_"
	testPrefix     = "PERCH_TEST_"
	libraryAlias   = "PERCH_ORT_LIB" // another name of PERCH_MODELS_ONNXRUNTIME
)

// variable returns the name of the environment variable of a path:
// cameras.front-door.url is PERCH_CAMERAS_FRONT_DOOR_URL.
func variable(path ...string) string {
	return variablePrefix + upperSnake(strings.Join(path, "_"))
}

func upperSnake(s string) string {
	return strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
}

// applyEnvironment stores the variables of environ, each "NAME=value", in cfg.
func applyEnvironment(r *report, cfg *Config, environ []string) {
	values, all := map[string]string{}, map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		all[name] = value
		if strings.HasPrefix(name, variablePrefix) && !strings.HasPrefix(name, testPrefix) {
			values[name] = value
		}
	}
	applyUpstream(r, cfg, all)
	inFile := cfg.CameraNames()
	for _, name := range sortedNames(values) {
		alias := name
		if name == libraryAlias {
			if alias = variable("models", "onnxruntime"); values[alias] != "" {
				continue // the real name wins
			}
		}
		path := matchVariable(r, cfg, name, alias)
		if path == nil {
			continue
		}
		assign(r, cfg, name, path, values[name])
	}
	// A camera that only exists because a variable names it needs a URL; without
	// one the name is a slip.
	for _, cam := range cfg.CameraNames() {
		if !slices.Contains(inFile, cam) && cfg.Cameras[cam].URL == "" {
			delete(cfg.Cameras, cam)
			r.bad("cameras."+cam, "no camera of this name is in the file%s; a new one needs %s", didYouMean(cam, inFile), variable("cameras", cam, "url"))
		}
	}
}

// matchVariable returns the path that a variable sets, or reports that there is none.
func matchVariable(r *report, cfg *Config, name, alias string) []string {
	var known []string
	var found []string
	for _, k := range schema() {
		star := slices.Index(k.path, "*")
		if star < 0 {
			v := variable(k.path...)
			if v == alias {
				return k.path
			}
			known = append(known, v)
			continue
		}
		head, tail := variable(k.path[:star]...)+"_", ""
		if star+1 < len(k.path) {
			tail = "_" + upperSnake(strings.Join(k.path[star+1:], "_"))
		}
		for _, n := range namesAt(cfg, k.path[0]) {
			known = append(known, head+upperSnake(n)+tail)
		}
		middle, ok := strings.CutPrefix(alias, head)
		if middle, ok2 := strings.CutSuffix(middle, tail); ok && ok2 && middle != "" {
			path := slices.Clone(k.path)
			path[star] = middle
			// PERCH_CAMERAS_DOOR_PASSWORD_FILE is the longer key of camera door,
			// not the key file of camera door_password.
			if found == nil || len(middle) < len(found[star]) {
				found = path
			}
		}
	}
	if found == nil {
		r.add(origin{variable: name}, "", "is not a variable that Perch knows%s; unset it, or see the reference", didYouMean(alias, known))
		return nil
	}
	return resolveName(r, cfg, name, found)
}

// resolveName turns the upper-case name inside a variable into the name that
// the file uses, or makes a new one of it.
func resolveName(r *report, cfg *Config, variableName string, path []string) []string {
	at := slices.IndexFunc(path, func(s string) bool { return s == strings.ToUpper(s) })
	if at < 0 {
		return path
	}
	var same []string
	for _, n := range namesAt(cfg, path[0]) {
		if upperSnake(n) == path[at] {
			same = append(same, n)
		}
	}
	switch len(same) {
	case 0:
		path[at] = strings.ToLower(path[at])
	case 1:
		path[at] = same[0]
	default:
		r.add(origin{variable: variableName}, "", "could mean %s; rename one of them", strings.Join(same, " or "))
		return nil
	}
	return path
}

// namesAt returns the names that the user has chosen below a section.
func namesAt(cfg *Config, section string) []string {
	if section == "cameras" {
		return cfg.CameraNames()
	}
	return codecNames()
}

// assign stores text at path, making the camera or the map on the way.
func assign(r *report, cfg *Config, name string, path []string, text string) {
	dotted := strings.Join(path, ".")
	from := origin{variable: name}
	v := reflect.ValueOf(cfg).Elem()
	var owner, mapKey reflect.Value // the map that v must be put back into
	for i, step := range path {
		switch v.Kind() {
		case reflect.Map:
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			owner, mapKey = v, reflect.ValueOf(step)
			elem := newElem(v.Type().Elem())
			if old := v.MapIndex(mapKey); old.IsValid() {
				elem.Set(old)
			} else {
				r.origin[strings.Join(path[:i+1], ".")] = from
			}
			v = elem
		case reflect.Struct:
			v = structFields(v)[step]
		}
		if v.Kind() == reflect.Pointer {
			owner.SetMapIndex(mapKey, v)
			v = v.Elem()
		}
	}
	// What the file said about the parts of this value does not count any more.
	for p := range r.origin {
		if strings.HasPrefix(p, dotted+"[") || strings.HasPrefix(p, dotted+".") {
			delete(r.origin, p)
		}
	}
	r.origin[dotted] = from
	if err := setAny(v, text); err != nil {
		r.bad(dotted, "%s", valueProblem(v.Type(), text, err))
		return
	}
	if owner.IsValid() && v.Kind() == reflect.String && owner.Type().Elem().Kind() == reflect.String {
		owner.SetMapIndex(mapKey, v)
	}
}
