package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

// oldRelease describes a function as a release without long materials has it.
func oldRelease() rfc.Function {
	text := func(n int) rfc.Type { return rfc.Type{Kind: "C", Length: n} }
	return rfc.Function{Name: createBAPI, Parameters: map[string]rfc.Parameter{
		"CONVERT":         {Direction: rfc.Import, Type: text(1)},
		"ORDER_HEADER_IN": {Direction: rfc.Import, Fields: map[string]rfc.Type{"DOC_TYPE": text(4), "PURCH_NO_C": text(20), "REQ_DATE_H": {Kind: "D", Length: 8}}},
		"ORDER_ITEMS_IN":  {Direction: rfc.Tables, Fields: map[string]rfc.Type{"MATERIAL": text(18), "TARGET_QTY": {Kind: "P", Length: 13, Decimals: 3}}},
		"ORDER_ITEMS_INX": {Direction: rfc.Tables, Fields: map[string]rfc.Type{"MATERIAL": text(1), "UPDATEFLAG": text(1)}},
		"RETURN":          {Direction: rfc.Tables, Fields: map[string]rfc.Type{"TYPE": text(1)}},
		"SALESDOCUMENT":   {Direction: rfc.Export, Type: text(10)},
	}}
}

func TestACallIsFittedToTheRelease(t *testing.T) {
	t.Parallel()
	header := func(name, value string) rfc.Call {
		return rfc.Call{Function: createBAPI, Structures: map[string]rfc.Structure{"ORDER_HEADER_IN": {name: value}}}
	}
	for name, c := range map[string]struct {
		call      rfc.Call
		wrong     []string // paths
		unflagged []string
	}{
		"what the release has passes":        {call: header("DOC_TYPE", "TA")},
		"a field that is too long":           {call: header("PURCH_NO_C", strings.Repeat("x", 21)), wrong: []string{"ORDER_HEADER_IN.PURCH_NO_C"}},
		"a text is counted in UTF-16 units":  {call: header("DOC_TYPE", "𝒳𝒳𝒳"), wrong: []string{"ORDER_HEADER_IN.DOC_TYPE"}},
		"a date is as long as a date":        {call: header("REQ_DATE_H", "20260301")},
		"a field that the release lacks":     {call: header("PURCH_NO_S", "4500"), wrong: []string{"ORDER_HEADER_IN.PURCH_NO_S"}},
		"a parameter that the release lacks": {call: rfc.Call{Values: map[string]string{"NO_DEQUEUE_ALL": "X"}}, wrong: []string{"NO_DEQUEUE_ALL"}},
		"a value that is too long":           {call: rfc.Call{Values: map[string]string{"CONVERT": "XX"}}, wrong: []string{"CONVERT"}},
		"a structure that the release lacks": {call: rfc.Call{Structures: map[string]rfc.Structure{"SENDER": {"LOG_SYSTEM": "A"}}}, wrong: []string{"SENDER"}},
		"a table that the release lacks":     {call: rfc.Call{Tables: map[string][]rfc.Structure{"ORDER_TEXT": {}}}, wrong: []string{"ORDER_TEXT"}},
		"a packed number is not counted":     {call: rfc.Call{Tables: map[string][]rfc.Structure{"ORDER_ITEMS_IN": {{"TARGET_QTY": "1234567890.123"}}}}},
		"everything that is wrong is named":  {call: rfc.Call{Tables: map[string][]rfc.Structure{"ORDER_ITEMS_IN": {{"A": "1"}, {"B": "1"}}}}, wrong: []string{"ORDER_ITEMS_IN.A", "ORDER_ITEMS_IN.B"}},
		"a flag that the release lacks is left out and told": {
			call:      rfc.Call{Tables: map[string][]rfc.Structure{"ORDER_ITEMS_INX": {{"MATERIAL_LONG": "X", "MATERIAL": "X"}, {"MATERIAL_LONG": "X"}}}},
			unflagged: []string{"ORDER_ITEMS_INX-MATERIAL_LONG"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fitted, unflagged, err := fit(c.call, oldRelease())
			var typed *sdk.Error
			var wrong []string
			if errors.As(err, &typed) {
				if typed.Code != sdk.InvalidOrder || typed.Retryable {
					t.Errorf("got %#v", typed)
				}
				for _, v := range typed.Violations {
					wrong = append(wrong, v.Path)
				}
			}
			if diff := cmp.Diff(c.wrong, wrong); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.unflagged, unflagged); diff != "" {
				t.Error(diff)
			}
			for _, row := range fitted.Tables["ORDER_ITEMS_INX"] {
				if _, kept := row["MATERIAL_LONG"]; kept {
					t.Error("the flag was sent")
				}
			}
		})
	}
}

// A release that lacks a flag takes the order, and the export says which.
func TestWhatCouldNotBeFlaggedIsInTheResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.abilities.Metadata = true
	release := describedAs(t, nwrfcFields())
	delete(release.Parameters["ORDER_HEADER_INX"].Fields, "PURCH_NO_S")
	b.sap.functions = map[string]rfc.Function{createBAPI: release}
	result, err := b.host.NewExport(nwrfcFields().json(), sampleWithNumber()).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.once(t, result)
	if got := result.GetMetadata()["not_flagged"]; got != "ORDER_HEADER_INX-PURCH_NO_S" {
		t.Errorf("not_flagged is %q", got)
	}
}
