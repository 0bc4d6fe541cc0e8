package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Reference returns a table of every key in Markdown: what it is called in the
// file and in the environment, what it may be, what it is when nobody says
// anything, and what it means. The README's section on configuration is this text.
func Reference() string {
	var b strings.Builder
	b.WriteString("| key | may be | default | environment | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range schema() {
		path := slices.Clone(k.path)
		if i := slices.Index(path, "*"); i >= 0 {
			path[i] = "<" + map[string]string{"cameras": "name", "platform": "codec"}[path[0]] + ">"
		}
		names := "`" + variable(path...) + "`"
		if up := k.tag.Get("upstream"); up != "" {
			names += ", `" + up + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n",
			strings.Join(path, "."), mayBe(k), defaultText(k), names, strings.ReplaceAll(k.tag.Get("doc"), "|", `\|`))
	}
	b.WriteString("\nThese variables of Roboflow Inference's WebRTC worker have no effect here; one that is set is named in the log.\n\n| variable | why |\n| --- | --- |\n")
	ignored := ignoredUpstream()
	for _, name := range sortedNames(ignored) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, ignored[name])
	}
	return b.String()
}

// mayBe says which values a key takes.
func mayBe(k key) string {
	if choices, ok := k.tag.Lookup("enum"); ok {
		words := "`" + strings.ReplaceAll(choices, "|", "`, `") + "`"
		if k.typ.Kind() == reflect.Slice {
			return "list of " + words
		}
		return words
	}
	name := typeName(k.typ)
	if low, ok := k.tag.Lookup("min"); ok {
		name += fmt.Sprintf(", %s to %s", low, k.tag.Get("max"))
	}
	return name
}

func defaultText(k key) string {
	d := k.tag.Get("default")
	switch {
	case d == "" && k.typ.Kind() == reflect.Bool:
		d = "false"
	case d == "":
		return ""
	case k.typ.Kind() == reflect.Slice:
		d = "[" + strings.ReplaceAll(d, ",", ", ") + "]"
	}
	return "`" + d + "`"
}
