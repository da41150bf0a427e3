package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// scripted is a session that gives one answer.
type scripted struct {
	rfc.Session
	reply rfc.Reply
	err   error
	call  rfc.Call
}

func (s *scripted) Call(_ context.Context, call rfc.Call) (rfc.Reply, error) {
	s.call = call
	return s.reply, s.err
}

const ref = "OPABCDEFGHIJKLMNOPQR"

// tableFields are the FIELDS of a reply of RFC_READ_TABLE.
func tableFields(offset1, length1, offset2, length2 int) []rfc.Structure {
	return []rfc.Structure{
		{"FIELDNAME": "VBELN", "OFFSET": fmt.Sprintf("%06d", offset1), "LENGTH": fmt.Sprintf("%06d", length1)},
		{"FIELDNAME": "BSTNK", "OFFSET": fmt.Sprintf("%06d", offset2), "LENGTH": fmt.Sprintf("%06d", length2)},
	}
}

func tableReply(fields []rfc.Structure, rows ...string) rfc.Reply {
	data := []rfc.Structure{}
	for _, row := range rows {
		data = append(data, rfc.Structure{"WA": row})
	}
	return rfc.Reply{Tables: map[string][]rfc.Structure{"DATA": data, "FIELDS": fields}}
}

func raised(key string) error {
	return &rfc.Error{Class: rfc.Raised, Sent: true, Key: key, Message: "exception"}
}

// outcomeOf says what a look-up found, in one word or the numbers.
func outcomeOf(found []string, err error) string {
	var open *unsure
	switch {
	case errors.As(err, &open):
		return "unsure"
	case err != nil:
		return "error " + rfc.As(err).Class.String()
	case len(found) == 0:
		return "none"
	default:
		return strings.Join(found, " ")
	}
}

func lookupConfig(t *testing.T, f fields) config {
	t.Helper()
	cfg, err := decodeConfig(connection(t, nwrfcFields().with(f)))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestALookUpByTable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply rfc.Reply
		err   error
		want  string
	}{
		"no row":                               {reply: tableReply(tableFields(0, 10, 10, 20)), want: "none"},
		"one row":                              {reply: tableReply(tableFields(0, 10, 10, 20), "0000004711"+ref), want: "0000004711"},
		"two rows of one document":             {reply: tableReply(tableFields(0, 10, 10, 20), "0000004711"+ref, "0000004711"+ref), want: "0000004711"},
		"two documents":                        {reply: tableReply(tableFields(0, 10, 10, 20), "0000004712"+ref, "0000004711"+ref), want: "0000004711 0000004712"},
		"columns where the reply says":         {reply: tableReply(tableFields(20, 10, 0, 20), ref+"0000004711"), want: "0000004711"},
		"a wider column with blanks":           {reply: tableReply(tableFields(0, 10, 10, 35), "0000004711"+ref), want: "0000004711"},
		"characters count, not bytes":          {reply: tableReply(tableFields(1, 10, 11, 20), "ü0000004711"+ref), want: "0000004711"},
		"a column that is cut off":             {reply: tableReply(tableFields(0, 10, 10, 12), "0000004711"+ref[:12]), want: "unsure"},
		"a row about another order":            {reply: tableReply(tableFields(0, 10, 10, 20), "0000004711OPZZZZZZZZZZZZZZZZZZ"), want: "unsure"},
		"a row that is too short":              {reply: tableReply(tableFields(0, 10, 10, 20), "47"), want: "unsure"},
		"a row without a number":               {reply: tableReply(tableFields(0, 10, 10, 20), "0000000000"+ref), want: "unsure"},
		"an offset that is none":               {reply: tableReply([]rfc.Structure{{"OFFSET": "x"}, {}}, "0000004711"+ref), want: "unsure"},
		"no FIELDS":                            {reply: rfc.Reply{Tables: map[string][]rfc.Structure{"DATA": {}}}, want: "unsure"},
		"no DATA":                              {reply: rfc.Reply{Tables: map[string][]rfc.Structure{"FIELDS": tableFields(0, 10, 10, 20)}}, want: "unsure"},
		"fewer fields than asked for":          {reply: tableReply(tableFields(0, 10, 10, 20)[:1]), want: "unsure"},
		"an empty table may be a wrong field":  {err: raised("TABLE_WITHOUT_DATA"), want: "unsure"},
		"a wrong field":                        {err: raised("FIELD_NOT_VALID"), want: "unsure"},
		"a wrong option":                       {err: raised("OPTION_NOT_VALID"), want: "unsure"},
		"a table that is not there":            {err: raised("TABLE_NOT_AVAILABLE"), want: "unsure"},
		"a table that the user may not read":   {err: raised("NOT_AUTHORIZED"), want: "error not authorized"},
		"a lost session leaves it open to ask": {err: &rfc.Error{Class: rfc.Unreachable, Sent: true, Broken: true}, want: "error unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{reply: c.reply, err: c.err}
			if got := outcomeOf(find(t.Context(), s, lookupConfig(t, fields{"lookup": "read_table"}), search{reference: ref})); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			want := rfc.Call{
				Function: "RFC_READ_TABLE", Values: map[string]string{"QUERY_TABLE": "VBAK", "ROWCOUNT": "10"},
				Tables: map[string][]rfc.Structure{
					"OPTIONS": {{"TEXT": "BSTNK = '" + ref + "'"}}, "FIELDS": {{"FIELDNAME": "VBELN"}, {"FIELDNAME": "BSTNK"}}, "DATA": {},
				},
			}
			if diff := cmp.Diff(want, s.call); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A condition is one line, since no token may go over the end of one, and its
// 72 characters are enough for the longest column.
func TestAConditionFitsIntoALineAndIsQuoted(t *testing.T) {
	t.Parallel()
	s := &scripted{reply: tableReply(tableFields(0, 10, 10, 20))}
	cfg := lookupConfig(t, fields{"lookup": "read_table", "lookup_table": "ZORDERS", "lookup_column": strings.Repeat("C", 30)})
	if _, err := find(t.Context(), s, cfg, search{reference: "O'NEILL'S"}); err != nil {
		t.Fatal(err)
	}
	if got := s.call.Tables["OPTIONS"][0]["TEXT"]; got != strings.Repeat("C", 30)+" = 'O''NEILL''S'" {
		t.Errorf("the condition is %s", got)
	}
	if _, err := find(t.Context(), s, cfg, search{reference: ref}); err != nil || len(s.call.Tables["OPTIONS"][0]["TEXT"]) > 72 {
		t.Errorf("%q, %v", s.call.Tables["OPTIONS"], err)
	}
	if got := outcomeOf(find(t.Context(), s, cfg, search{reference: strings.Repeat("x", 38)})); got != "unsure" {
		t.Errorf("a condition that is too long was sent: %s", got)
	}
}

func TestALookUpByList(t *testing.T) {
	t.Parallel()
	order := func(number, field, value string) rfc.Structure { return rfc.Structure{"SD_DOC": number, field: value} }
	list := func(answer rfc.Structure, rows ...rfc.Structure) rfc.Reply {
		return rfc.Reply{Structures: map[string]rfc.Structure{"RETURN": answer}, Tables: map[string][]rfc.Structure{"SALES_ORDERS": append([]rfc.Structure{}, rows...)}}
	}
	empty := rfc.Structure{"TYPE": ""}
	for name, c := range map[string]struct {
		reply rfc.Reply
		err   error
		want  string
	}{
		"nothing":                            {reply: list(empty), want: "none"},
		"nothing, with a success row":        {reply: list(rfc.Structure{"TYPE": "S"}), want: "none"},
		"nothing, with a warning":            {reply: list(rfc.Structure{"TYPE": "W", "CODE": "V4001"}), want: "none"},
		"nothing, with a known code":         {reply: list(rfc.Structure{"TYPE": "E", "CODE": "V4123"}), want: "none"},
		"nothing, with an error":             {reply: list(rfc.Structure{"TYPE": "E", "CODE": "V4999"}), want: "unsure"},
		"nothing, with a type of no meaning": {reply: list(rfc.Structure{"TYPE": "?", "CODE": "V4999"}), want: "unsure"},
		"a row an item":                      {reply: list(empty, order("0000004711", "PURCH_NO", ref), order("0000004711", "PURCH_NO", ref)), want: "0000004711"},
		"the number in the long field only":  {reply: list(empty, order("0000004711", "PURCH_NO_C", ref)), want: "0000004711"},
		"orders of others beside it":         {reply: list(empty, order("0000000001", "PURCH_NO", "X"), order("0000004711", "PURCH_NO", ref)), want: "0000004711"},
		"orders of others only":              {reply: list(empty, order("0000000001", "PURCH_NO", "X")), want: "none"},
		"found, with an error beside":        {reply: list(rfc.Structure{"TYPE": "E", "CODE": "V4999"}, order("0000004711", "PURCH_NO", ref)), want: "0000004711"},
		"two documents":                      {reply: list(empty, order("0000004712", "PURCH_NO", ref), order("0000004711", "PURCH_NO", ref)), want: "0000004711 0000004712"},
		"a row without a number":             {reply: list(empty, order("", "PURCH_NO", ref)), want: "unsure"},
		"no table":                           {reply: rfc.Reply{Structures: map[string]rfc.Structure{"RETURN": empty}}, want: "unsure"},
		"no RETURN":                          {reply: rfc.Reply{Tables: map[string][]rfc.Structure{"SALES_ORDERS": {}}}, want: "unsure"},
		"an empty RETURN, as SOAP writes it": {reply: rfc.Reply{Values: map[string]string{"RETURN": ""}, Tables: map[string][]rfc.Structure{"SALES_ORDERS": {}}}, want: "none"},
		"an exception":                       {err: raised("SYSTEM_FAILURE"), want: "error exception"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{reply: c.reply, err: c.err}
			by := search{reference: ref, customer: "0000004711", salesOrg: "1000"}
			if got := outcomeOf(find(t.Context(), s, lookupConfig(t, fields{"not_found_codes": []string{"V4123"}}), by)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			want := map[string]string{"CUSTOMER_NUMBER": "0000004711", "SALES_ORGANIZATION": "1000", "PURCHASE_ORDER": ref}
			if diff := cmp.Diff(want, s.call.Values); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALookUpByTheCustomersFunction(t *testing.T) {
	t.Parallel()
	answer := func(searched string, numbers ...string) rfc.Reply {
		rows := []rfc.Structure{}
		for _, n := range numbers {
			rows = append(rows, rfc.Structure{"VBELN": n})
		}
		return rfc.Reply{Values: map[string]string{"E_SEARCHED": searched}, Tables: map[string][]rfc.Structure{"ORDERS": rows}}
	}
	for name, c := range map[string]struct {
		reply rfc.Reply
		err   error
		want  string
	}{
		"nothing":                      {reply: answer("X"), want: "none"},
		"one":                          {reply: answer("X", "0000004711"), want: "0000004711"},
		"two":                          {reply: answer("X", "0000004712", "0000004711"), want: "0000004711 0000004712"},
		"it did not search":            {reply: answer(""), want: "unsure"},
		"it did not search, and found": {reply: answer("", "0000004711"), want: "unsure"},
		"no table":                     {reply: rfc.Reply{Values: map[string]string{"E_SEARCHED": "X"}}, want: "unsure"},
		"a document without a number":  {reply: answer("X", "0000000000"), want: "unsure"},
		"the function is not there":    {err: &rfc.Error{Class: rfc.FunctionMissing}, want: "error function missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{reply: c.reply, err: c.err}
			cfg := lookupConfig(t, fields{"lookup": "function", "lookup_function": "Z_FIND", "reference_field": "ASS_NUMBER"})
			if got := outcomeOf(find(t.Context(), s, cfg, search{reference: ref[:18]})); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			want := rfc.Call{Function: "Z_FIND", Values: map[string]string{"I_REFERENCE": ref[:18], "I_FIELD": "ASS_NUMBER"}, Tables: map[string][]rfc.Structure{"ORDERS": {}}}
			if diff := cmp.Diff(want, s.call); diff != "" {
				t.Error(diff)
			}
		})
	}
}
