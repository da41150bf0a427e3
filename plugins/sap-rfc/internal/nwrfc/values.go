package nwrfc

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// description is a function's metadata: the library's handle of it, and what
// it says about parameters and fields.
type description struct {
	handle     uintptr
	function   rfc.Function
	parameters map[string]*variable
}

// variable is the metadata of a parameter or a field.
type variable struct {
	typ int32
	// units is the length in UTF-16 units of a CHAR or NUMC; bytes that of a
	// packed number.
	units, bytes uint32
	fields       map[string]*variable // of a structure or a table's rows
	direction    rfc.Direction
}

// name returns a name for the library. Names are few and come again.
func (f *frame) name(name string) *uint16 {
	p, ok := f.names[name]
	if !ok {
		p = &uc(name)[0]
		f.names[name] = p
	}
	return p
}

// describe asks for a function's metadata, once a session.
func (f *frame) describe(name string) (*description, error) {
	if d := f.functions[name]; d != nil {
		return d, nil
	}
	d := &description{
		handle:     f.lib.getFunctionDesc(f.handle, f.name(name), &f.e),
		function:   rfc.Function{Name: name, Parameters: map[string]rfc.Parameter{}},
		parameters: map[string]*variable{},
	}
	if d.handle == 0 {
		return nil, f.e.failure(false)
	}
	var count uint32
	if f.lib.getParamCount(d.handle, &count, &f.e) != rcOK {
		return nil, f.e.failure(false)
	}
	for i := range count {
		var p parameterDesc
		if f.lib.getParamDesc(d.handle, i, &p, &f.e) != rcOK {
			return nil, f.e.failure(false)
		}
		if !p.plausible() {
			return nil, rfc.Errorf(rfc.NoLibrary, "version %s of the library describes parameters in a layout that the connector does not know", f.lib.version())
		}
		if err := f.parameter(d, &p); err != nil {
			return nil, err
		}
	}
	f.functions[name] = d
	return d, nil
}

// directions are the values of RFC_DIRECTION.
var directions = map[int32]rfc.Direction{1: rfc.Import, 2: rfc.Export, 3: rfc.Changing, 7: rfc.Tables}

// plausible says that a description can be one: the layout of the library's
// structs is published by others than SAP, and patch levels may differ.
func (p *parameterDesc) plausible() bool {
	const longest = 1 << 24
	name := text(p.name[:])
	_, directed := directions[p.direction]
	return name != "" && strings.ToUpper(name) == name && directed && p.typ >= 0 && p.typ < 64 && p.nucLength < longest && p.ucLength < longest && p.optional <= 1
}

func (f *frame) parameter(d *description, p *parameterDesc) error {
	name := text(p.name[:])
	v := &variable{typ: p.typ, units: p.ucLength / 2, bytes: p.nucLength, direction: directions[p.direction]}
	described := rfc.Parameter{
		Direction: v.direction, Optional: p.optional != 0,
		Type: rfc.Type{Kind: kinds[p.typ], Length: length(p.typ, p.nucLength, p.ucLength), Decimals: int(p.decimals)},
	}
	if p.typeDesc != 0 && (p.typ == typeStructure || p.typ == typeTable) {
		described.Fields = map[string]rfc.Type{}
		v.fields = map[string]*variable{}
		if err := f.fieldsOf(p.typeDesc, v.fields, described.Fields); err != nil {
			return err
		}
	}
	d.parameters[name] = v
	d.function.Parameters[name] = described
	return nil
}

func (f *frame) fieldsOf(typeDesc uintptr, fields map[string]*variable, described map[string]rfc.Type) error {
	var count uint32
	if f.lib.getFieldCount(typeDesc, &count, &f.e) != rcOK {
		return f.e.failure(false)
	}
	for i := range count {
		var p fieldDesc
		if f.lib.getFieldDesc(typeDesc, i, &p, &f.e) != rcOK {
			return f.e.failure(false)
		}
		name := text(p.name[:])
		fields[name] = &variable{typ: p.typ, units: p.ucLength / 2, bytes: p.nucLength}
		described[name] = rfc.Type{Kind: kinds[p.typ], Length: length(p.typ, p.nucLength, p.ucLength), Decimals: int(p.decimals)}
	}
	return nil
}

// length is in characters, or in digits for a packed number.
func length(typ int32, nuc, unicode uint32) int {
	if typ == typeBCD {
		return int(2*nuc) - 1
	}
	return int(unicode / 2)
}

// fill sets the parameters of a call.
func (f *frame) fill(container uintptr, d *description, call rfc.Call) error {
	for _, name := range slices.Sorted(maps.Keys(call.Values)) {
		p, err := d.parameter(name)
		if err != nil {
			return err
		}
		if err := f.set(container, name, p, call.Values[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(call.Structures)) {
		p, err := d.parameter(name)
		if err != nil {
			return err
		}
		var inner uintptr
		if f.lib.getStructure(container, f.name(name), &inner, &f.e) != rcOK {
			return f.e.failure(false)
		}
		if err := f.setFields(inner, name, p, call.Structures[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(call.Tables)) {
		if err := f.setTable(container, d, name, call.Tables[name]); err != nil {
			return err
		}
	}
	return nil
}

func (d *description) parameter(name string) (*variable, error) {
	p, ok := d.parameters[name]
	if !ok {
		return nil, rfc.Errorf(rfc.BadValue, "%s has no parameter %s", d.function.Name, name)
	}
	return p, nil
}

func (f *frame) setTable(container uintptr, d *description, name string, rows []rfc.Structure) error {
	p, err := d.parameter(name)
	if err != nil || len(rows) == 0 {
		return err
	}
	var table uintptr
	if f.lib.getTable(container, f.name(name), &table, &f.e) != rcOK {
		return f.e.failure(false)
	}
	for _, fields := range rows {
		row := f.lib.appendNewRow(table, &f.e)
		if row == 0 {
			return f.e.failure(false)
		}
		if err := f.setFields(row, name, p, fields); err != nil {
			return err
		}
	}
	return nil
}

func (f *frame) setFields(container uintptr, name string, p *variable, fields rfc.Structure) error {
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		v, ok := p.fields[field]
		if !ok {
			return rfc.Errorf(rfc.BadValue, "%s has no field %s", name, field)
		}
		if err := f.set(container, field, v, fields[field]); err != nil {
			return err
		}
	}
	return nil
}

// set sets a single value by its type.
func (f *frame) set(container uintptr, name string, v *variable, value string) error {
	units := utf16.Encode([]rune(value))
	n := uint32(len(units))
	buffer := append(units, 0) // never empty, and ended for whoever looks
	var rc int32
	switch v.typ {
	case typeChar:
		if n > v.units {
			return rfc.Errorf(rfc.BadValue, "%s is longer than its %d characters", name, v.units)
		}
		rc = f.lib.setChars(container, f.name(name), &buffer[0], n, &f.e)
	case typeNum:
		// Whether the library pads a short one is not documented.
		if n > v.units || strings.Trim(value, "0123456789") != "" {
			return rfc.Errorf(rfc.BadValue, "%s is not a number of %d digits", name, v.units)
		}
		buffer = uc(strings.Repeat("0", int(v.units-n)) + value)
		rc = f.lib.setNum(container, f.name(name), &buffer[0], v.units, &f.e)
	case typeDate, typeTime:
		full, setter := 8, f.lib.setDate
		if v.typ == typeTime {
			full, setter = 6, f.lib.setTime
		}
		if int(n) != full {
			return rfc.Errorf(rfc.BadValue, "%s is not a date or time of %d digits", name, full)
		}
		rc = setter(container, f.name(name), &buffer[0], &f.e)
	case typeInt:
		number, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return rfc.Errorf(rfc.BadValue, "%s is not an integer", name)
		}
		rc = f.lib.setInt(container, f.name(name), int32(number), &f.e)
	case typeBCD, typeString:
		rc = f.lib.setString(container, f.name(name), &buffer[0], n, &f.e)
	default:
		return rfc.Errorf(rfc.BadValue, "%s has the type %d, which is not supported", name, v.typ)
	}
	if rc != rcOK {
		e := f.e.failure(false)
		e.Message = fmt.Sprintf("set %s: %s", name, e.Message)
		return e
	}
	return nil
}

// read returns the results: what goes out of the function, and the tables that
// the call named and reads.
func (f *frame) read(container uintptr, d *description, call rfc.Call) (rfc.Reply, error) {
	r := rfc.Reply{Values: map[string]string{}, Structures: map[string]rfc.Structure{}, Tables: map[string][]rfc.Structure{}}
	for name, p := range d.parameters {
		_, asked := call.Tables[name]
		var err error
		switch {
		case p.direction == rfc.Import, p.direction == rfc.Tables && !(asked && call.Reads(name)):
		case p.typ == typeTable:
			r.Tables[name], err = f.table(container, name, p)
		case p.typ == typeStructure:
			var inner uintptr
			if f.lib.getStructure(container, f.name(name), &inner, &f.e) != rcOK {
				return rfc.Reply{}, f.e.failure(true)
			}
			r.Structures[name], err = f.fields(inner, p)
		default:
			r.Values[name], err = f.get(container, name, p)
		}
		if err != nil {
			return rfc.Reply{}, err
		}
	}
	return r, nil
}

func (f *frame) table(container uintptr, name string, p *variable) ([]rfc.Structure, error) {
	var table uintptr
	if f.lib.getTable(container, f.name(name), &table, &f.e) != rcOK {
		return nil, f.e.failure(true)
	}
	var count uint32
	if f.lib.getRowCount(table, &count, &f.e) != rcOK {
		return nil, f.e.failure(true)
	}
	rows := make([]rfc.Structure, 0, count)
	for i := range count {
		if f.lib.moveTo(table, i, &f.e) != rcOK {
			return nil, f.e.failure(true)
		}
		row := f.lib.getCurrentRow(table, &f.e)
		if row == 0 {
			return nil, f.e.failure(true)
		}
		fields, err := f.fields(row, p)
		if err != nil {
			return nil, err
		}
		rows = append(rows, fields)
	}
	return rows, nil
}

// fields reads the fields of the types that the connector uses.
func (f *frame) fields(container uintptr, p *variable) (rfc.Structure, error) {
	fields := make(rfc.Structure, len(p.fields))
	for name, v := range p.fields {
		if _, used := kinds[v.typ]; !used {
			continue
		}
		value, err := f.get(container, name, v)
		if err != nil {
			return nil, err
		}
		fields[name] = value
	}
	return fields, nil
}

// get reads a single value by its type.
func (f *frame) get(container uintptr, name string, v *variable) (string, error) {
	var rc int32
	buffer := f.room(max(v.units, 8) + 1)
	switch v.typ {
	case typeChar:
		rc = f.lib.getChars(container, f.name(name), &buffer[0], v.units, &f.e)
	case typeNum:
		rc = f.lib.getNum(container, f.name(name), &buffer[0], v.units, &f.e)
	case typeDate:
		rc = f.lib.getDate(container, f.name(name), &buffer[0], &f.e)
	case typeTime:
		rc = f.lib.getTime(container, f.name(name), &buffer[0], &f.e)
	case typeInt:
		var number int32
		if rc = f.lib.getInt(container, f.name(name), &number, &f.e); rc == rcOK {
			return strconv.Itoa(int(number)), nil
		}
	case typeBCD, typeString:
		return f.getString(container, name, v)
	default:
		return "", nil
	}
	if rc != rcOK {
		return "", f.e.failure(true)
	}
	return text(buffer), nil
}

// room returns an empty buffer, which is good until the next one.
func (f *frame) room(units uint32) []uint16 {
	if int(units) > len(f.buffer) {
		f.buffer = make([]uint16, 2*units)
	}
	buffer := f.buffer[:units]
	clear(buffer)
	return buffer
}

// getString reads a value of which only the library knows how long it is as
// text.
func (f *frame) getString(container uintptr, name string, v *variable) (string, error) {
	n := 2*v.bytes + 1
	if v.typ == typeString {
		if f.lib.getStringLength(container, f.name(name), &n, &f.e) != rcOK {
			return "", f.e.failure(true)
		}
		n++
	}
	for range 2 {
		buffer := f.room(n + 1)
		var needed uint32
		switch rc := f.lib.getString(container, f.name(name), &buffer[0], n, &needed, &f.e); rc {
		case rcOK:
			return strings.TrimSpace(text(buffer[:n])), nil
		case rcBufferTooSmall:
			n = needed + 1
		default:
			return "", f.e.failure(true)
		}
	}
	return "", f.e.failure(true)
}
