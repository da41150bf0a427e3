package nwrfc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// openQuestions are the ways in which the library may deal with what is not
// documented. The connector must not care.
var openQuestions = map[string]struct {
	quirks  sapsim.Quirks
	variant sdk.Variant
}{
	"as is":                         {},
	"short numbers are refused":     {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{ShortNumbersRefused: true}}},
	"long texts are cut":            {quirks: sapsim.Quirks{CutLongText: true, Library: sapsim.LibraryQuirks{CutsLongText: true}}},
	"handles belong to a thread":    {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{ThreadBound: true}}},
	"the caller frees lost handles": {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{KeepsHandles: true}}},
	"initial dates are blanks":      {quirks: sapsim.Quirks{DateOfBlanks: true}},
	"structs have new members":      {variant: sdk.Variant{Appended: 256}},
	"calls can't be cancelled":      {variant: sdk.Variant{Old: true}},
}

func TestValuesOfEveryTypeGoThereAndBack(t *testing.T) {
	t.Parallel()
	for name, q := range openQuestions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLab(t, sapsim.Options{Quirks: q.quirks, Own: []sapsim.Own{echo()}}, q.variant).open(t)
			call := rfc.Call{
				Function:   "ECHO",
				Values:     map[string]string{"C": "Ü 🙂", "N": "42", "D": "20251201", "T": "235959", "P": "-1234567890.123", "I": "-7", "S": strings.Repeat("long ", 100) + "x"},
				Structures: map[string]rfc.Structure{"STR": {"TEXT": "a", "ROW": "3", "AMOUNT": "1.5", "DAY": "20251201"}},
				Tables:     map[string][]rfc.Structure{"TAB": {{"TEXT": "one", "ROW": "1"}, {"TEXT": "two", "AMOUNT": "2"}}, "TAB2": {}},
			}
			reply, err := s.Call(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			none := "00000000"
			if q.quirks.DateOfBlanks {
				none = ""
			}
			want := rfc.Reply{
				Values:     map[string]string{"C": "Ü 🙂", "N": "000042", "D": "20251201", "T": "235959", "P": "-1234567890.123", "I": "-7", "S": call.Values["S"]},
				Structures: map[string]rfc.Structure{"STR": {"TEXT": "a", "ROW": "3", "AMOUNT": "1.500", "DAY": "20251201"}},
				Tables: map[string][]rfc.Structure{
					"TAB":  {{"TEXT": "one", "ROW": "1", "AMOUNT": "0.000", "DAY": none}, {"TEXT": "two", "ROW": "0", "AMOUNT": "2.000", "DAY": none}},
					"TAB2": {},
				},
			}
			if diff := cmp.Diff(want, reply); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A function returns the rows that it was sent, with all of their fields.
func TestRowsThatNobodyReadsAreSkipped(t *testing.T) {
	t.Parallel()
	s := newLab(t, sapsim.Options{Own: []sapsim.Own{echo()}}, sdk.Variant{}).open(t)
	reply, err := s.Call(t.Context(), rfc.Call{
		Function: "ECHO", Tables: map[string][]rfc.Structure{"TAB": {{"TEXT": "one"}}, "TAB2": {}}, Read: []string{"TAB2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]rfc.Structure{"TAB2": {}}, reply.Tables); diff != "" {
		t.Error(diff)
	}
}

// What does not fit fails before anything is sent, whatever the library makes
// of it, and the session is as good as new.
func TestWhatDoesNotFitIsNotSent(t *testing.T) {
	t.Parallel()
	calls := map[string]rfc.Call{
		"a text that is too long":        {Values: map[string]string{"C": "12345678901"}},
		"letters in a number":            {Values: map[string]string{"N": "4A"}},
		"too many digits":                {Values: map[string]string{"N": "1234567"}},
		"a short date":                   {Values: map[string]string{"D": "2025"}},
		"a long time":                    {Values: map[string]string{"T": "2359590"}},
		"an integer that is none":        {Values: map[string]string{"I": "x"}},
		"decimals that don't fit":        {Values: map[string]string{"P": "1.2345"}},
		"an amount that is none":         {Values: map[string]string{"P": "1,5"}},
		"an unknown parameter":           {Values: map[string]string{"X": "1"}},
		"a name in lower case":           {Values: map[string]string{"c": "1"}},
		"an unknown structure":           {Structures: map[string]rfc.Structure{"X": {}}},
		"an unknown table":               {Tables: map[string][]rfc.Structure{"X": {{}}}},
		"an unknown field":               {Structures: map[string]rfc.Structure{"STR": {"X": "1"}}},
		"an unknown field in rows":       {Tables: map[string][]rfc.Structure{"TAB": {{"X": "1"}}}},
		"a value where a table is":       {Values: map[string]string{"TAB": "1"}},
		"a structure where a value is":   {Structures: map[string]rfc.Structure{"C": {"X": "1"}}},
		"a table where a structure is":   {Tables: map[string][]rfc.Structure{"STR": {{"TEXT": "1"}}}},
		"bytes, which nobody needs here": {Structures: map[string]rfc.Structure{"STR": {"RAW": "1"}}},
	}
	for name, q := range openQuestions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sapsim.Options{Quirks: q.quirks, Own: []sapsim.Own{echo()}}, q.variant)
			s := l.open(t)
			for name, call := range calls {
				call.Function = "ECHO"
				_, err := s.Call(t.Context(), call)
				if e := rfc.As(err); e.Class != rfc.BadValue || e.Sent || e.Broken {
					t.Errorf("%s: %#v", name, err)
				}
			}
			if n := l.system.Calls("ECHO"); n != 0 {
				t.Errorf("%d calls have reached the system", n)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("the session has suffered: %v", err)
			}
		})
	}
}

func TestMetadataIsThatOfTheSystem(t *testing.T) {
	t.Parallel()
	narrow := sapsim.Release{Name: "702", Without: []string{"BAPISDHD1-PURCH_NO_S"}, Lengths: map[string]int{"BAPISDHD1-PURCH_NO_C": 20}}
	for name, c := range map[string]struct {
		release   sapsim.Release
		reference int
		shipTo    bool
		long      bool
	}{
		"S/4HANA":          {sapsim.S4, 35, true, true},
		"ECC":              {sapsim.ECC, 35, true, false},
		"an older release": {narrow, 20, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := sim(t, sapsim.Options{Release: c.release}).open(t).Function(t.Context(), create)
			if err != nil {
				t.Fatal(err)
			}
			header, items := f.Parameters["ORDER_HEADER_IN"], f.Parameters["ORDER_ITEMS_IN"]
			if header.Direction != rfc.Import || header.Optional || header.Fields["PURCH_NO_C"] != (rfc.Type{Kind: "C", Length: c.reference}) {
				t.Errorf("%+v", header)
			}
			if _, ok := header.Fields["PURCH_NO_S"]; ok != c.shipTo {
				t.Errorf("PURCH_NO_S is there: %t", ok)
			}
			if _, ok := items.Fields["MATERIAL_LONG"]; ok != c.long || items.Direction != rfc.Tables || items.Fields["TARGET_QTY"] != (rfc.Type{Kind: "P", Length: 13, Decimals: 3}) {
				t.Errorf("%+v", items)
			}
			if p := f.Parameters["SALESDOCUMENT"]; p.Direction != rfc.Export || p.Type != (rfc.Type{Kind: "C", Length: 10}) {
				t.Errorf("%+v", p)
			}
			if p := f.Parameters["CONVERT"]; !p.Optional {
				t.Errorf("%+v", p)
			}
		})
	}
}

// An order goes through whatever the release, since no offset or length is
// taken for granted.
func TestAnOrderGoesIntoEveryRelease(t *testing.T) {
	t.Parallel()
	for _, release := range []sapsim.Release{sapsim.S4, sapsim.ECC} {
		t.Run(release.Name, func(t *testing.T) {
			t.Parallel()
			l := sim(t, sapsim.Options{Release: release})
			s := l.open(t)
			reply, err := s.Call(t.Context(), order())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			saved := l.system.Documents()
			if len(saved) != 1 || saved[0].Number != reply.Values["SALESDOCUMENT"] || saved[0].Items[0]["TARGET_QTY"] != "12.500" || saved[0].Header["PURCH_NO_C"] != "OP1" {
				t.Errorf("%+v", saved)
			}
		})
	}
}
