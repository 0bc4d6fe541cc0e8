package blocks

import (
	"fmt"
	"strings"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

// Reference describes all blocks of a library in Markdown.
func Reference(lib *workflow.Library) ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Blocks of workflows\n\nWritten from the blocks themselves; `perch workflow blocks TYPE` says the same, " +
		"`perch workflow blocks --schema` prints it for editors.\n")
	groups := map[string][]*workflow.Manifest{}
	var names []string
	for _, m := range lib.Blocks() {
		if groups[m.Group] == nil {
			names = append(names, m.Group)
		}
		groups[m.Group] = append(groups[m.Group], m)
	}
	for _, name := range names {
		fmt.Fprintf(&b, "\n## %s\n", name)
		for _, m := range groups[name] {
			if err := describe(&b, m); err != nil {
				return nil, fmt.Errorf("%s: %w", m.Type, err)
			}
		}
	}
	b.WriteString("\n## Query language\n\nOperations of fields such as `operations`, applied one after the other, and the parts of conditions.\n\n| type | what it does |\n| --- | --- |\n")
	for _, d := range query.Reference() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", cell(d.Name), cell(d.Text))
	}
	return []byte(b.String()), nil
}

func describe(b *strings.Builder, m *workflow.Manifest) error {
	fmt.Fprintf(b, "\n### `%s`\n\n%s\n", m.Type, m.Doc)
	if len(m.Aliases) > 0 {
		fmt.Fprintf(b, "Also written `%s`.\n", strings.Join(m.Aliases, "`, `"))
	}
	if len(m.Fields) > 0 {
		b.WriteString("\n| field | default | what it is | takes |\n| --- | --- | --- | --- |\n")
	}
	for i := range m.Fields {
		f := &m.Fields[i]
		otherwise := "required"
		if !f.Required {
			text, err := (&workflow.Encoder{}).Append(nil, f.Default)
			if err != nil {
				return err
			}
			otherwise = "`" + string(text) + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Name, cell(otherwise), cell(f.Doc), cell(f.Takes()))
	}
	if len(m.Outputs) > 0 {
		b.WriteString("\n| output | what it is |\n| --- | --- |\n")
	}
	for _, o := range m.Outputs {
		fmt.Fprintf(b, "| `%s` | %s |\n", o.Name, cell(o.Doc))
	}
	return nil
}

// cell is text that stands in a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }
