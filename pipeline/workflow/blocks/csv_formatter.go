package blocks

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func csvFormatter() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "csv_formatter@v1", Title: "CSV Formatter", Group: "formatting",
		Doc: "Writes values as CSV (RFC 4180, lines end with a line feed): a row of names and a row of values. The column timestamp, the time in UTC, comes last. A text that a spreadsheet would take for a formula (it starts with = + - @, tab or carriage return) gets a ' before it.",
		Fields: []workflow.Field{
			{Name: "columns_data", Required: true, Form: workflow.Named, Kinds: workflow.Anything(), Literal: workflow.AnyLiteral, MinItems: 1, Doc: "the columns: name to value, in this order"},
			{Name: "columns_operations", Literal: workflow.ObjectLiteral, Doc: "what is done with a column's value before: name to list of operations"},
		},
		Outputs: []workflow.Output{{Name: "csv_content", Kinds: []workflow.Kind{workflow.StringKind}, Doc: "two lines of CSV"}},
		New:     newCSVFormatter,
	}
}

const timestampColumn = "timestamp"

type csvBlock struct {
	columns *query.Inputs
	header  []string
	row     []string
	out     bytes.Buffer
}

func newCSVFormatter(p *workflow.Params) (workflow.Block, error) {
	columns, err := query.CompileInputs(p, "columns_data", "columns_operations")
	if err != nil {
		return nil, err
	}
	b := &csvBlock{columns: columns}
	names := columns.Names()
	if slices.Contains(names, timestampColumn) {
		return nil, p.Fault("columns_data."+timestampColumn, "the column of that name is added by the block", "take another name")
	}
	for _, name := range names {
		b.header = append(b.header, neutral(name))
	}
	b.header = append(b.header, timestampColumn)
	b.row = make([]string, len(b.header))
	return b, nil
}

func (b *csvBlock) Run(c *workflow.Call) error {
	values, err := b.columns.Read(c)
	if err != nil {
		return err
	}
	for i, v := range values {
		if b.row[i], err = cell(v); err != nil {
			return fmt.Errorf("column %q: %w", b.header[i], err)
		}
	}
	b.row[len(values)] = workflow.ISOTime(c.Env().Now().UTC())
	b.out.Reset()
	w := csv.NewWriter(&b.out)
	if err := w.WriteAll([][]string{b.header, b.row}); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	c.Set(0, workflow.StringOf(b.out.String()))
	return nil
}

// cell is a value as it stands in a table: nothing for null.
func cell(v workflow.Value) (string, error) {
	if v.IsNull() {
		return "", nil
	}
	s, err := query.Text(v)
	if v.Type() == workflow.String {
		s = neutral(s)
	}
	return s, err
}

// neutral keeps a text from being taken for a formula (CWE-1236).
func neutral(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		return "'" + s
	}
	return s
}
