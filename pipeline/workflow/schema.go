package workflow

import "encoding/json"

// Schema returns a JSON schema (draft 2020-12) of specifications that use the
// blocks of the library, for editors.
func (l *Library) Schema() ([]byte, error) {
	var steps []any
	for _, m := range l.blocks {
		steps = append(steps, m.schema())
	}
	text := map[string]any{"type": "string"}
	return json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Workflow specification", "type": "object",
		"required": []string{"version", "inputs", "steps", "outputs"},
		"properties": map[string]any{
			"version": text,
			"inputs": map[string]any{"type": "array", "maxItems": MaxEntries, "items": map[string]any{
				"type": "object", "required": []string{"type", "name"},
				"properties": map[string]any{"name": text, "type": map[string]any{"enum": []string{
					"WorkflowImage", "InferenceImage", "WorkflowVideoMetadata", "WorkflowParameter", "InferenceParameter", "WorkflowBatchInput",
				}}},
			}},
			"steps": map[string]any{"type": "array", "maxItems": MaxSteps, "items": map[string]any{"oneOf": steps}},
			"outputs": map[string]any{"type": "array", "maxItems": MaxEntries, "items": map[string]any{
				"type": "object", "required": []string{"name", "selector"},
				"properties": map[string]any{
					"type": map[string]any{"const": "JsonField"}, "name": text, "selector": pattern(`^\$(inputs|steps)\.`),
					"coordinates_system": map[string]any{"enum": []string{"parent", "own"}},
				},
			}},
		},
	}, "", "  ")
}

func pattern(p string) map[string]any { return map[string]any{"type": "string", "pattern": p} }

func (m *Manifest) schema() map[string]any {
	types := append([]string{m.Type}, m.Aliases...)
	props := map[string]any{"type": map[string]any{"enum": types}, "name": map[string]any{"type": "string", "minLength": 1}}
	required := []string{"type", "name"}
	for i := range m.Fields {
		f := &m.Fields[i]
		props[f.Name] = f.schema()
		aliased := len(f.Aliases) > 0 || f.Name == "image" || f.Name == "images"
		if f.Required && !aliased {
			required = append(required, f.Name)
		}
	}
	return map[string]any{"title": m.Title, "description": m.Doc, "type": "object", "properties": props, "required": required}
}

func (f *Field) schema() map[string]any {
	one := f.schemaOfOne()
	switch f.Form {
	case Many:
		one = map[string]any{"type": "array", "maxItems": MaxEntries, "items": one}
	case Named:
		one = map[string]any{"type": "object", "maxProperties": MaxEntries, "additionalProperties": one}
	case Steps:
		one = map[string]any{"type": "array", "maxItems": MaxEntries, "items": pattern(`^\$steps\.[^.]+$`)}
	case Cases:
		one = map[string]any{"type": "object", "maxProperties": MaxEntries, "additionalProperties": pattern(`^\$steps\.[^.]+$`)}
	}
	one["description"] = f.Doc
	if !f.Required && !f.Default.IsNull() {
		if b, err := (&Encoder{}).Append(nil, f.Default); err == nil {
			one["default"] = json.RawMessage(b)
		}
	}
	return one
}

// schemaOfOne is the schema of one selector or literal. null stands for "not
// given" where a field may be left out.
func (f *Field) schemaOfOne() map[string]any {
	var forms []any
	if len(f.Kinds) > 0 {
		forms = append(forms, pattern(`^\$(inputs|steps)\.`))
	}
	if l := f.literalSchema(); l != nil {
		forms = append(forms, l)
	}
	if !f.Required && f.Form == One {
		forms = append(forms, map[string]any{"type": "null"})
	}
	return map[string]any{"anyOf": forms}
}

func (f *Field) literalSchema() map[string]any {
	list := func(of string) map[string]any {
		return map[string]any{"type": "array", "items": map[string]any{"type": of}}
	}
	switch f.Literal {
	case AnyLiteral:
		return map[string]any{}
	case NumberLiteral:
		return f.bounds(map[string]any{"type": "number"})
	case IntegerLiteral:
		return f.bounds(map[string]any{"type": "integer"})
	case StringLiteral:
		return map[string]any{"type": "string"}
	case BoolLiteral:
		return map[string]any{"type": "boolean"}
	case EnumLiteral:
		return map[string]any{"enum": f.Enum}
	case PointsLiteral:
		return map[string]any{"type": "array", "minItems": f.MinItems, "items": map[string]any{"type": "array"}}
	case ColourLiteral:
		return map[string]any{"type": []string{"string", "array"}}
	case StringsLiteral:
		return list("string")
	case NumbersLiteral:
		return list("number")
	case ObjectLiteral:
		return map[string]any{"type": "object"}
	case OperationsLiteral:
		return list("object")
	}
	return nil
}

func (f *Field) bounds(s map[string]any) map[string]any {
	if f.Min == 0 && f.Max == 0 && !f.MinOpen {
		return s
	}
	low := "minimum"
	if f.MinOpen {
		low = "exclusiveMinimum"
	}
	s[low] = f.Min
	if f.Max != 0 {
		s["maximum"] = f.Max
	}
	return s
}

// Takes says in words what the field accepts.
func (f *Field) Takes() string { return f.takes() }
