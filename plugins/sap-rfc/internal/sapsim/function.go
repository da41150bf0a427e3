package sapsim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Direction says which way a parameter goes, seen from the function.
type Direction int

// The directions.
const (
	Import Direction = iota + 1
	Export
	Changing
	Tables
)

// Field is a single value.
type Field struct {
	Name string
	// Kind is the ABAP type: C, N, D, T, P, I, X (bytes), or S for a STRING.
	Kind byte
	// Length is in characters, in bytes for P and X, 0 for a STRING.
	Length   int
	Decimals int
}

// Structure is a structure of the dictionary.
type Structure struct {
	Name   string
	Fields []Field
}

// Field returns a field by its name.
func (s *Structure) Field(name string) (Field, bool) {
	i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return s.Fields[i], true
}

// Parameter of a function module.
type Parameter struct {
	Name      string
	Direction Direction
	Optional  bool
	Default   string
	// Field is the type of a single value; Structure that of a structure or of a
	// table's rows.
	Field     Field
	Structure *Structure
	// Table says that an export parameter is a table: ET_DATA is one.
	Table bool
}

// Function is a function module.
type Function struct {
	Name       string
	Parameters []Parameter

	body func(*Session, Parameters) (Parameters, error)
}

// Parameter returns a parameter by its name.
func (f *Function) Parameter(name string) (*Parameter, bool) {
	i := slices.IndexFunc(f.Parameters, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		return nil, false
	}
	return &f.Parameters[i], true
}

// check brings the parameters of a call into the form that ABAP gives them, or
// says why that can't be.
func (f *Function) check(in Parameters, q Quirks) (Parameters, error) {
	out := Parameters{Values: map[string]string{}, Structures: map[string]Row{}, Tables: map[string][]Row{}}
	for _, name := range names(in) {
		p, ok := f.Parameter(name)
		if !ok || p.Direction == Export {
			return out, dump("CALL_FUNCTION_PARM_UNKNOWN", f.Name+" has no parameter "+name)
		}
	}
	for i := range f.Parameters {
		p := &f.Parameters[i]
		value, hasValue := in.Values[p.Name]
		row, hasRow := in.Structures[p.Name]
		rows, hasRows := in.Tables[p.Name]
		var err error
		switch {
		case p.Direction == Export:
		case !hasValue && !hasRow && !hasRows:
			if !p.Optional && p.Direction == Import {
				return out, dump("CALL_FUNCTION_PARM_MISSING", f.Name+" needs the parameter "+p.Name)
			}
			if p.Direction == Import && p.Structure == nil {
				out.Values[p.Name] = p.Default
			}
		case p.Direction == Tables:
			out.Tables[p.Name], err = p.Structure.rows(p.Name, rows, q)
		case p.Structure != nil:
			out.Structures[p.Name], err = p.Structure.row(p.Name, row, q)
		default:
			out.Values[p.Name], err = p.Field.value(p.Name, value, q)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func names(p Parameters) []string {
	list := slices.AppendSeq(slices.Collect(maps.Keys(p.Values)), maps.Keys(p.Structures))
	return slices.Sorted(slices.Values(slices.AppendSeq(list, maps.Keys(p.Tables))))
}

func (s *Structure) rows(path string, rows []Row, q Quirks) ([]Row, error) {
	out := make([]Row, 0, len(rows))
	for _, row := range rows {
		checked, err := s.row(path, row, q)
		if err != nil {
			return nil, err
		}
		out = append(out, checked)
	}
	return out, nil
}

// row leaves out what is initial.
func (s *Structure) row(path string, row Row, q Quirks) (Row, error) {
	out := make(Row, len(row))
	for name, value := range row {
		f, ok := s.Field(name)
		if !ok {
			return nil, dump("CONVERSION_ERROR", path+" has no field "+name)
		}
		checked, err := f.value(path+"-"+name, value, q)
		if err != nil {
			return nil, err
		}
		if checked != f.initial(Quirks{}) {
			out[name] = checked
		}
	}
	return out, nil
}

// value is a value as ABAP keeps it.
func (f Field) value(path, value string, q Quirks) (string, error) {
	wrong := func(why string) (string, error) {
		return "", dump("CONVT_NO_NUMBER", fmt.Sprintf("%s: %q %s", path, value, why))
	}
	switch f.Kind {
	case 'C':
		value = strings.TrimRight(value, " ")
		units := utf16.Encode([]rune(value))
		if len(units) > f.Length {
			if !q.CutLongText {
				return "", dump("CONVT_DATA_LOSS", fmt.Sprintf("%s holds %d characters", path, f.Length))
			}
			value = strings.TrimRight(string(utf16.Decode(units[:f.Length])), " ")
		}
		return value, nil
	case 'N':
		if strings.Trim(value, "0123456789") != "" || len(value) > f.Length {
			return wrong("is no NUMC")
		}
		return strings.Repeat("0", f.Length-len(value)) + value, nil
	case 'D', 'T':
		if strings.Trim(value, " 0") == "" {
			return f.initial(Quirks{}), nil
		}
		if len(value) != f.Length || strings.Trim(value, "0123456789") != "" {
			return wrong("is no date or time")
		}
		return value, nil
	case 'P':
		return f.packed(value, wrong)
	case 'I':
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
		if value != "" && err != nil {
			return wrong("is no integer")
		}
		return strconv.FormatInt(n, 10), nil
	default:
		return value, nil
	}
}

// packed is a packed number with all its decimals.
func (f Field) packed(value string, wrong func(string) (string, error)) (string, error) {
	text, negative := strings.CutPrefix(strings.TrimSpace(value), "-")
	whole, fraction, _ := strings.Cut(text, ".")
	whole = strings.TrimLeft(whole, "0")
	if strings.Trim(whole+fraction, "0123456789") != "" {
		return wrong("is no number")
	}
	if len(strings.TrimRight(fraction, "0")) > f.Decimals || len(whole) > 2*f.Length-1-f.Decimals {
		return wrong("does not fit")
	}
	fraction = strings.TrimRight(fraction, "0")
	fraction += strings.Repeat("0", f.Decimals-len(fraction))
	if whole == "" {
		whole = "0"
	}
	if f.Decimals > 0 {
		whole += "." + fraction
	}
	if negative && strings.Trim(whole, "0.") != "" {
		whole = "-" + whole
	}
	return whole, nil
}

// initial is the value that a field has before anything else.
func (f Field) initial(q Quirks) string {
	switch f.Kind {
	case 'N', 'T':
		return strings.Repeat("0", f.Length)
	case 'D':
		if q.DateOfBlanks {
			return "        "
		}
		return "00000000"
	case 'P':
		if f.Decimals == 0 {
			return "0"
		}
		return "0." + strings.Repeat("0", f.Decimals)
	case 'I':
		return "0"
	default:
		return ""
	}
}

// complete gives an answer every field that it has: export parameters, and
// those tables that the call has sent.
func (f *Function) complete(out, in Parameters, q Quirks) Parameters {
	full := Parameters{Values: map[string]string{}, Structures: map[string]Row{}, Tables: map[string][]Row{}}
	for i := range f.Parameters {
		p := &f.Parameters[i]
		switch {
		case p.Direction == Import:
		case p.Direction == Tables:
			if sent, ok := in.Tables[p.Name]; ok {
				rows, changed := out.Tables[p.Name]
				if !changed {
					rows = sent
				}
				full.Tables[p.Name] = p.Structure.completeAll(rows, q)
			}
		case p.Table:
			full.Tables[p.Name] = p.Structure.completeAll(out.Tables[p.Name], q)
		case p.Structure != nil:
			full.Structures[p.Name] = p.Structure.complete(out.Structures[p.Name], q)
		default:
			full.Values[p.Name] = p.Field.filled(out.Values[p.Name], q)
		}
	}
	return full
}

func (s *Structure) completeAll(rows []Row, q Quirks) []Row {
	out := make([]Row, len(rows))
	for i, row := range rows {
		out[i] = s.complete(row, q)
	}
	return out
}

func (s *Structure) complete(row Row, q Quirks) Row {
	full := make(Row, len(s.Fields))
	for _, f := range s.Fields {
		full[f.Name] = f.filled(row[f.Name], q)
	}
	return full
}

func (f Field) filled(value string, q Quirks) string {
	if value == "" {
		return f.initial(q)
	}
	if checked, err := f.value(f.Name, value, Quirks{CutLongText: true}); err == nil {
		return checked
	}
	return value
}
