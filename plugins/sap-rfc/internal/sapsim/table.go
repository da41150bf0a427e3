package sapsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// column is a column of a database table: its width, and its value of a
// document.
type column struct {
	name  string
	width int
	value func(*Document) string
}

func headerField(name string, width int) func(*Document) string {
	return func(d *Document) string { return cut(d.Header[name], width) }
}

func fixed(value string) func(*Document) string { return func(*Document) string { return value } }

func documentNumber(d *Document) string { return d.Number }

// tables are those that RFC_READ_TABLE reads. What is wider than a row of 512
// characters is so because of columns that nobody asks for.
var tables = map[string][]column{
	"VBAK": {
		{"MANDT", 3, fixed("100")},
		{"VBELN", 10, documentNumber},
		{"ERNAM", 12, func(d *Document) string { return d.User }},
		{"AUART", 4, headerField("DOC_TYPE", 4)},
		{"VKORG", 4, headerField("SALES_ORG", 4)},
		{"BSTNK", 20, headerField("PURCH_NO_C", 20)},
		{"ZUONR", 18, headerField("ASS_NUMBER", 18)},
		{"KUNNR", 10, (*Document).soldTo},
		{"FILLER", 600, fixed("")},
	},
	"VBKD": {
		{"MANDT", 3, fixed("100")},
		{"VBELN", 10, documentNumber},
		{"POSNR", 6, fixed("000000")},
		{"BSTKD", 35, headerField("PURCH_NO_C", 35)},
		{"BSTKD_E", 35, headerField("PURCH_NO_S", 35)},
		{"IHREZ", 12, headerField("REF_1", 12)},
		{"IHREZ_E", 12, headerField("REF_1_S", 12)},
		{"FILLER", 600, fixed("")},
	},
}

// readTable is RFC_READ_TABLE, with its limits: 512 characters a row over all
// columns, and conditions of 72 characters a line that are joined with a
// blank.
func readTable(s *Session, in Parameters) (Parameters, error) {
	name := in.Values["QUERY_TABLE"]
	all, ok := tables[name]
	if !ok {
		f := exception("TABLE_NOT_AVAILABLE")
		f.ID, f.Type, f.Number, f.Variables = "SV", "E", "029", [4]string{name}
		return Parameters{}, f
	}
	if slices.Contains(s.user.Denied, name) {
		return Parameters{}, exception("NOT_AUTHORIZED")
	}
	chosen, fields, err := choose(all, in, s.system.Quirks())
	if err != nil {
		return Parameters{}, err
	}
	meets, err := where(all, in.Tables["OPTIONS"])
	if err != nil {
		return Parameters{}, err
	}
	out := Parameters{Tables: map[string][]Row{"FIELDS": fields, "DATA": {}}}
	if in.Values["NO_DATA"] != "" {
		return out, nil
	}
	lines := lines(s.system.visible(), chosen, meets, in.Values)
	target, field := "DATA", "WA"
	if in.Values["USE_ET_DATA_4_RETURN"] != "" {
		target, field = "ET_DATA", "LINE"
	}
	for _, line := range lines {
		out.Tables[target] = append(out.Tables[target], Row{field: line})
	}
	return out, nil
}

// choose picks the columns, and says where they are in a row.
func choose(all []column, in Parameters, q Quirks) ([]column, []Row, error) {
	chosen := all
	if asked := in.Tables["FIELDS"]; len(asked) > 0 {
		chosen = nil
		for _, row := range asked {
			i := slices.IndexFunc(all, func(c column) bool { return c.name == row["FIELDNAME"] })
			if i < 0 {
				if q.TableWithoutData {
					return nil, nil, exception("TABLE_WITHOUT_DATA")
				}
				return nil, nil, exception("FIELD_NOT_VALID")
			}
			chosen = append(chosen, all[i])
		}
	}
	var fields []Row
	offset := 0
	for i, c := range chosen {
		if i > 0 {
			offset += len(in.Values["DELIMITER"])
		}
		fields = append(fields, Row{
			"FIELDNAME": c.name, "OFFSET": fmt.Sprintf("%06d", offset), "LENGTH": fmt.Sprintf("%06d", c.width), "TYPE": "C",
		})
		offset += c.width
	}
	if offset > 512 && in.Values["USE_ET_DATA_4_RETURN"] == "" {
		return nil, nil, exception("DATA_BUFFER_EXCEEDED")
	}
	return chosen, fields, nil
}

// lines are the rows of the answer.
func lines(list []*Document, chosen []column, meets func(*Document) bool, values map[string]string) []string {
	skip, _ := strconv.Atoi(values["ROWSKIPS"])
	limit, _ := strconv.Atoi(values["ROWCOUNT"])
	var out []string
	for _, d := range list {
		if !meets(d) {
			continue
		}
		if skip--; skip >= 0 {
			continue
		}
		var line strings.Builder
		for i, c := range chosen {
			if i > 0 {
				line.WriteString(values["DELIMITER"])
			}
			fmt.Fprintf(&line, "%-*s", c.width, c.value(d))
		}
		out = append(out, line.String())
		if limit > 0 && len(out) == limit {
			break
		}
	}
	return out
}

// where reads the conditions: COLUMN = 'VALUE', joined by AND.
func where(all []column, options []Row) (func(*Document) bool, error) {
	var text []string
	for _, row := range options {
		text = append(text, row["TEXT"])
	}
	type condition struct {
		value func(*Document) string
		want  string
	}
	var conditions []condition
	rest := strings.TrimSpace(strings.Join(text, " "))
	for rest != "" {
		name, tail, ok := strings.Cut(rest, " ")
		i := slices.IndexFunc(all, func(c column) bool { return c.name == name })
		operator, tail, ok2 := strings.Cut(strings.TrimSpace(tail), " ")
		tail, ok3 := strings.CutPrefix(strings.TrimSpace(tail), "'")
		want, tail, ok4 := strings.Cut(tail, "'")
		if !ok || !ok2 || !ok3 || !ok4 || i < 0 || operator != "=" && operator != "EQ" {
			return nil, exception("OPTION_NOT_VALID")
		}
		conditions = append(conditions, condition{all[i].value, want})
		if rest = strings.TrimSpace(tail); rest != "" {
			if rest, ok = strings.CutPrefix(rest, "AND "); !ok {
				return nil, exception("OPTION_NOT_VALID")
			}
			rest = strings.TrimSpace(rest)
		}
	}
	return func(d *Document) bool {
		for _, c := range conditions {
			if c.value(d) != c.want {
				return false
			}
		}
		return true
	}, nil
}
