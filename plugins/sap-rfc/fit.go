package main

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf16"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

// fit adapts a call to the function as the system has it: releases differ in
// parameters, fields and lengths. A flag that an X structure does not have is
// left out and named in unflagged, since SAP may then ignore the field. Anything
// else that does not fit is an error, so that nothing is lost without a word.
func fit(call rfc.Call, f rfc.Function) (fitted rfc.Call, unflagged []string, err error) {
	c := fitting{function: f}
	for _, name := range slices.Sorted(maps.Keys(call.Values)) {
		if p, ok := c.parameter(name); ok {
			c.value(name, call.Values[name], p.Type)
		}
	}
	structures := make(map[string]rfc.Structure, len(call.Structures))
	for _, name := range slices.Sorted(maps.Keys(call.Structures)) {
		if p, ok := c.parameter(name); ok {
			structures[name] = c.fields(name, call.Structures[name], p)
		}
	}
	tables := make(map[string][]rfc.Structure, len(call.Tables))
	for _, name := range slices.Sorted(maps.Keys(call.Tables)) {
		p, ok := c.parameter(name)
		if !ok {
			continue
		}
		rows := make([]rfc.Structure, len(call.Tables[name]))
		for i, row := range call.Tables[name] {
			rows[i] = c.fields(name, row, p)
		}
		tables[name] = rows
	}
	if len(c.wrong) > 0 {
		e := sdk.Errorf(sdk.InvalidOrder, "the order does not fit %s of this SAP system: %s", f.Name, c.wrong[0])
		e.Violations = c.wrong
		return rfc.Call{}, nil, e
	}
	slices.Sort(c.unflagged)
	call.Structures, call.Tables = structures, tables
	return call, slices.Compact(c.unflagged), nil
}

type fitting struct {
	function  rfc.Function
	wrong     []sdk.Violation
	unflagged []string
}

func (c *fitting) parameter(name string) (rfc.Parameter, bool) {
	p, ok := c.function.Parameters[name]
	if !ok {
		c.wrong = append(c.wrong, sdk.Violation{Path: name, Message: "is no parameter of the function"})
	}
	return p, ok
}

func (c *fitting) fields(name string, fields rfc.Structure, p rfc.Parameter) rfc.Structure {
	_, isX := p.Fields["UPDATEFLAG"]
	kept := make(rfc.Structure, len(fields))
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		t, ok := p.Fields[field]
		switch {
		case ok:
			kept[field] = fields[field]
			c.value(name+"."+field, fields[field], t)
		case isX:
			c.unflagged = append(c.unflagged, name+"-"+field)
		default:
			c.wrong = append(c.wrong, sdk.Violation{Path: name + "." + field, Message: "is no field in this release"})
		}
	}
	return kept
}

func (c *fitting) value(path, value string, t rfc.Type) {
	switch t.Kind {
	case "C", "N", "D", "T":
		if n := len(utf16.Encode([]rune(value))); n > t.Length {
			c.wrong = append(c.wrong, sdk.Violation{Path: path, Message: fmt.Sprintf("is longer than the %d characters of this release", t.Length)})
		}
	}
}
