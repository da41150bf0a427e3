package sapsim

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Each test here is a mistake that a naive client makes, and what it costs.

const (
	commitBAPI = "BAPI_TRANSACTION_COMMIT"
	getlist    = "BAPI_SALESORDER_GETLIST"
	readTab    = "RFC_READ_TABLE"
	wrapper    = "Z_ORDERPORT_ORDER_CREATE"
	finder     = "Z_ORDERPORT_ORDER_FIND"
)

// save creates and commits an order, and returns its number.
func save(t *testing.T, s *Session, in Parameters) string {
	t.Helper()
	out := call(t, s, create, in)
	if out.Values["SALESDOCUMENT"] == "" {
		t.Fatalf("not created: %v", out.Tables["RETURN"])
	}
	call(t, s, commitBAPI, waiting())
	return out.Values["SALESDOCUMENT"]
}

func list(customer, reference string) Parameters {
	return Parameters{
		Values: map[string]string{"CUSTOMER_NUMBER": customer, "SALES_ORGANIZATION": "1000", "PURCHASE_ORDER": reference},
		Tables: map[string][]Row{"SALES_ORDERS": {}},
	}
}

func TestSavedIsSaidBeforeAnythingIsSaved(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	s := logon(t, sys)
	out := call(t, s, create, order("OP1"))
	last := out.Tables["RETURN"][len(out.Tables["RETURN"])-1]
	if last["TYPE"] != "S" || last["ID"] != "V1" || last["NUMBER"] != "311" || last["MESSAGE_V2"] != "12001" || !strings.Contains(last["MESSAGE"], "has been saved") {
		t.Errorf("%v", last)
	}
	if n := len(sys.Documents()); n != 0 {
		t.Errorf("%d documents", n)
	}
	// The session itself does not see it either.
	if rows := call(t, s, getlist, list("0000004711", "OP1")).Tables["SALES_ORDERS"]; len(rows) != 0 {
		t.Errorf("%v", rows)
	}
	s.Close()
	save(t, logon(t, sys), order("OP2"))
	if docs := sys.Documents(); len(docs) != 1 || docs[0].Number != "0000012002" {
		t.Errorf("the number of the lost order was used again: %v", docs)
	}
}

func TestTablesThatWereNotSentDoNotComeBack(t *testing.T) {
	t.Parallel()
	s := logon(t, system(t, Options{}))
	in := order("OP1")
	delete(in.Tables, "RETURN")
	if _, ok := call(t, s, create, in).Tables["RETURN"]; ok {
		t.Error("RETURN came back unasked")
	}
	in.Tables["RETURN"] = []Row{}
	out := call(t, s, create, in)
	if len(out.Tables["RETURN"]) == 0 {
		t.Error("RETURN did not come back")
	}
	if _, ok := out.Tables["ORDER_KEYS"]; ok {
		t.Error("ORDER_KEYS came back unasked")
	}
}

// refusals are orders that SAP refuses, with the reason that it gives.
var refusals = map[string]struct {
	where   string
	changes Row
	reason  string
	field   string
}{
	"a customer without zeros":         {"ORDER_PARTNERS", Row{"PARTN_NUMB": "4711"}, "E VP 199", "PARTN_NUMB"},
	"a role in English":                {"ORDER_PARTNERS", Row{"PARTN_ROLE": "SP"}, "E V1 314", "PARTN_ROLE"},
	"no sold-to party":                 {"ORDER_PARTNERS", Row{"PARTN_ROLE": "WE"}, "E V1 331", ""},
	"an order type in English":         {"ORDER_HEADER_IN", Row{"DOC_TYPE": "OR"}, "E V1 302", "DOC_TYPE"},
	"no sales area":                    {"ORDER_HEADER_IN", Row{"DIVISION": ""}, "E V1 313", "DIVISION"},
	"an unknown currency":              {"ORDER_HEADER_IN", Row{"CURRENCY": "XXX"}, "E S& 044", "CURRENCY"},
	"a material without zeros":         {"ORDER_ITEMS_IN", Row{"MATERIAL": "4711"}, "E V1 382", "MATERIAL"},
	"a material in lower case":         {"ORDER_ITEMS_IN", Row{"MATERIAL": "nwp-0011"}, "E V1 382", "MATERIAL"},
	"an ISO code as an internal unit":  {"ORDER_ITEMS_IN", Row{"TARGET_QU": "PCE"}, "E BM 302", "TARGET_QU"},
	"an English unit":                  {"ORDER_ITEMS_IN", Row{"TARGET_QU": "PC"}, "E BM 302", "TARGET_QU"},
	"an internal unit as an ISO code":  {"ORDER_ITEMS_IN", Row{"T_UNIT_ISO": "ST"}, "E BM 302", "TARGET_QU"},
	"a schedule line without its item": {"ORDER_SCHEDULES_IN", Row{"ITM_NUMBER": "20"}, "E V4 247", ""},
	"a quantity of nothing":            {"ORDER_SCHEDULES_IN", Row{"REQ_QTY": "0"}, "E V1 320", ""},
}

func TestWhatIsNotInInternalFormIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := system(t, Options{})
			s := logon(t, sys)
			out := call(t, s, create, with(order("OP1"), c.where, c.changes))
			said := says(out)
			if said[0] != c.reason || said[len(said)-1] != "E V4 219" || out.Values["SALESDOCUMENT"] != "" || out.Tables["RETURN"][0]["FIELD"] != c.field {
				t.Errorf("%v %v", said, out.Tables["RETURN"][0])
			}
			// The commit after that is content, and saves nothing.
			if ret := call(t, s, commitBAPI, waiting()).Structures["RETURN"]; ret["TYPE"] != "" || len(sys.Documents()) != 0 || sys.NumbersUsed() != 0 {
				t.Errorf("%v, %d documents", ret, len(sys.Documents()))
			}
		})
	}
}

func TestKeysOfTheLogonLanguage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		language, convert string
		quirks            Quirks
		taken             bool
	}{
		"an English session without CONVERT":  {"EN", "", Quirks{}, false},
		"an English session with CONVERT":     {"EN", "X", Quirks{}, true},
		"a system that takes them without it": {"EN", "", Quirks{EnglishKeys: true}, true},
		"a German session with CONVERT":       {"DE", "X", Quirks{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := system(t, Options{Quirks: c.quirks})
			s, err := sys.Logon(t.Context(), Logon{Client: "100", User: "ORDERPORT", Password: "Sesame-9", Language: c.language})
			if err != nil {
				t.Fatal(err)
			}
			in := with(with(order("OP1"), "ORDER_HEADER_IN", Row{"DOC_TYPE": "OR"}), "ORDER_PARTNERS", Row{"PARTN_ROLE": "SP"})
			in.Values = map[string]string{"CONVERT": c.convert}
			out := call(t, s, create, in)
			if taken := out.Values["SALESDOCUMENT"] != ""; taken != c.taken {
				t.Errorf("taken: %t; %v", taken, says(out))
			}
			call(t, s, commitBAPI, waiting())
			if docs := sys.Documents(); c.taken && (docs[0].Header["DOC_TYPE"] != "TA" || docs[0].Partners[0]["PARTN_ROLE"] != "AG") {
				t.Errorf("%v", docs[0])
			}
		})
	}
}

func TestWhatIsNotFlaggedIsNotTaken(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	in := order("OP1")
	in.Structures["ORDER_HEADER_INX"] = Row{"UPDATEFLAG": "I", "DOC_TYPE": "X", "SALES_ORG": "X", "DISTR_CHAN": "X", "DIVISION": "X", "CURRENCY": "X"}
	in.Tables["ORDER_ITEMS_INX"] = []Row{{"ITM_NUMBER": "10", "UPDATEFLAG": "I", "MATERIAL": "X", "TARGET_QU": "X"}}
	save(t, logon(t, sys), in)
	d := sys.Documents()[0]
	if d.Header["PURCH_NO_C"] != "" || d.Items[0]["TARGET_QTY"] != "" || d.Items[0]["TARGET_QU"] != "ST" {
		t.Errorf("%v %v", d.Header, d.Items)
	}
	// Without UPDATEFLAG the flags count for nothing.
	in.Structures["ORDER_HEADER_INX"] = Row{"DOC_TYPE": "X"}
	save(t, logon(t, sys), in)
	if d := sys.Documents()[1]; d.Header["PURCH_NO_C"] != "OP1" {
		t.Errorf("%v", d.Header)
	}
}

// An ISO code has no flag of its own. Whether the one of its internal key does
// for it is not known.
func TestAnISOCodeMayGoUnflagged(t *testing.T) {
	t.Parallel()
	for unit, q := range map[string]Quirks{"ST": {}, "": {UnflaggedISOLost: true}} {
		sys := system(t, Options{Quirks: q})
		in := order("OP1")
		in.Tables["ORDER_ITEMS_INX"] = []Row{{"ITM_NUMBER": "10", "UPDATEFLAG": "I", "MATERIAL": "X", "TARGET_QTY": "X", "TARGET_QU": "X"}}
		save(t, logon(t, sys), in)
		if got := sys.Documents()[0].Items[0]["TARGET_QU"]; got != unit {
			t.Errorf("unit %q, want %q", got, unit)
		}
	}
}

func TestAPriceWithoutACurrencyIsAPercentage(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	for currency, want := range map[string]string{"": "%", "EUR": "EUR"} {
		in := order("OP " + want)
		in.Tables["ORDER_CONDITIONS_IN"] = []Row{{"ITM_NUMBER": "10", "COND_TYPE": "PR00", "COND_VALUE": "9.8", "CURRENCY": currency}}
		save(t, logon(t, sys), in)
		docs := sys.Documents()
		if got := docs[len(docs)-1].Conditions[0]; got["CURRENCY"] != want || got["COND_VALUE"] != "9.800000000" {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func TestARetryAfterALostAnswerMakesTwo(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	lost := sys.Inject(Fault{Function: commitBAPI, Nth: 1, Moment: After})
	s := logon(t, sys)
	call(t, s, create, order("OP1"))
	if _, err := s.Call(t.Context(), commitBAPI, waiting()); !errors.Is(err, ErrDropped) {
		t.Fatal(err)
	}
	save(t, logon(t, sys), order("OP1")) // nothing in SAP objects
	if n := len(sys.Documents()); n != 2 || lost.Hits() != 1 {
		t.Errorf("%d documents", n)
	}
}

// The list compares what it is given as it is, so a customer without its zeros
// has no orders: "not there" is wrong.
func TestTheListOfACustomerWithoutZerosIsEmpty(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	s := logon(t, sys)
	save(t, s, order("OP1"))
	if rows := call(t, s, getlist, list("4711", "OP1")).Tables["SALES_ORDERS"]; len(rows) != 0 {
		t.Errorf("%v", rows)
	}
	if rows := call(t, s, getlist, list("0000004711", "OP1")).Tables["SALES_ORDERS"]; len(rows) != 1 {
		t.Errorf("%v", rows)
	}
	out := call(t, s, getlist, Parameters{Values: list("0000004711", "OP1").Values})
	if _, ok := out.Tables["SALES_ORDERS"]; ok {
		t.Error("the list came back unasked")
	}
}

// The list has one row for each item, and twenty characters of the reference.
func TestTheListHasItemsAndShortReferences(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{Release: ECC})
	s := logon(t, sys)
	for _, reference := range []string{"A-REFERENCE-OF-TWENTY-AND-MORE-1", "A-REFERENCE-OF-TWENTY-AND-MORE-2"} {
		in := order(reference)
		in.Tables["ORDER_ITEMS_IN"] = append(in.Tables["ORDER_ITEMS_IN"], Row{"ITM_NUMBER": "20", "MATERIAL": "NWP-0042", "TARGET_QTY": "1"})
		save(t, s, in)
	}
	rows := call(t, s, getlist, list("0000004711", "A-REFERENCE-OF-TWENT")).Tables["SALES_ORDERS"]
	if len(rows) != 4 || rows[0]["PURCH_NO"] != "A-REFERENCE-OF-TWENT" {
		t.Errorf("%d rows, %v", len(rows), rows)
	}
	if _, ok := rows[0]["PURCH_NO_C"]; ok {
		t.Error("an old release has the long reference")
	}
	long := list("0000004711", "")
	long.Values["PURCHASE_ORDER_NUMBER"] = "x"
	if _, err := s.Call(t.Context(), getlist, long); err == nil {
		t.Error("an old release knows PURCHASE_ORDER_NUMBER")
	}
}

func TestWhatIsSaidOfAnEmptyList(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]Quirks{"nothing": {}, "an error": {EmptyListType: "E", EmptyListCode: "V1504"}} {
		s := logon(t, system(t, Options{Quirks: q}))
		out := call(t, s, getlist, list("0000004711", "OP1"))
		if ret := out.Structures["RETURN"]; ret["TYPE"] != q.EmptyListType || ret["CODE"] != q.EmptyListCode || len(out.Tables["SALES_ORDERS"]) != 0 {
			t.Errorf("%s: %v", name, out)
		}
	}
}

// Without WAIT the commit says nothing, the update comes later, and nobody
// hears of it when it fails.
func TestACommitThatDoesNotWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait     string
		quirks   Quirks
		at, late int // documents at once and later
		said     string
	}{
		"waits":                          {"X", Quirks{UpdatesWait: true}, 1, 1, ""},
		"does not wait":                  {"", Quirks{UpdatesWait: true}, 0, 1, ""},
		"waits for an update that fails": {"X", Quirks{UpdateFails: true}, 0, 0, "E"},
		"hears nothing of a failure":     {"", Quirks{UpdateFails: true, UpdatesWait: true}, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := system(t, Options{Quirks: c.quirks})
			s := logon(t, sys)
			call(t, s, create, order("OP1"))
			ret := call(t, s, commitBAPI, Parameters{Values: map[string]string{"WAIT": c.wait}}).Structures["RETURN"]
			if n := len(sys.Documents()); n != c.at || ret["TYPE"] != c.said {
				t.Errorf("%d documents, %v", n, ret)
			}
			sys.FinishUpdates()
			if n := len(sys.Documents()); n != c.late {
				t.Errorf("%d documents later", n)
			}
		})
	}
}

func TestAReadBackMayLag(t *testing.T) {
	t.Parallel()
	s := logon(t, system(t, Options{Quirks: Quirks{ReadLag: 2}}))
	save(t, s, order("OP1"))
	for i, want := range []int{0, 0, 1, 1} {
		if rows := call(t, s, getlist, list("0000004711", "OP1")).Tables["SALES_ORDERS"]; len(rows) != want {
			t.Errorf("look-up %d: %v", i+1, rows)
		}
	}
}

// query reads a table.
func query(table string, options []string, fields ...string) Parameters {
	in := Parameters{Values: map[string]string{"QUERY_TABLE": table}, Tables: map[string][]Row{"OPTIONS": {}, "FIELDS": {}, "DATA": {}}}
	for _, text := range options {
		in.Tables["OPTIONS"] = append(in.Tables["OPTIONS"], Row{"TEXT": text})
	}
	for _, name := range fields {
		in.Tables["FIELDS"] = append(in.Tables["FIELDS"], Row{"FIELDNAME": name})
	}
	return in
}

func TestReadTableHasItsLimits(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{Users: []User{{Name: "ORDERPORT", Password: "Sesame-9", Denied: []string{"VBKD"}}}})
	s := logon(t, sys)
	save(t, s, order("OP1"))
	for name, c := range map[string]struct {
		in  Parameters
		key string
	}{
		"an unknown table":                 {query("VBAX", nil), "TABLE_NOT_AVAILABLE"},
		"an unknown field":                 {query("VBAK", nil, "VBELM"), "FIELD_NOT_VALID"},
		"all fields, wider than 512":       {query("VBAK", nil), "DATA_BUFFER_EXCEEDED"},
		"no blank around the operator":     {query("VBAK", []string{"BSTNK='OP1'"}, "VBELN"), "OPTION_NOT_VALID"},
		"a condition on an unknown field":  {query("VBAK", []string{"BSTNX = 'OP1'"}, "VBELN"), "OPTION_NOT_VALID"},
		"a value that goes over two lines": {query("VBAK", []string{"BSTNK = 'O", "P1' AND"}, "VBELN"), "OPTION_NOT_VALID"},
		"a table that is forbidden":        {query("VBKD", nil, "VBELN"), "NOT_AUTHORIZED"},
	} {
		_, err := s.Call(t.Context(), readTab, c.in)
		var f *Failure
		if !errors.As(err, &f) || f.Key != c.key || f.Ends() {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := query("VBAK", []string{strings.Repeat("x", 73)}, "VBELN")
	if _, err := s.Call(t.Context(), readTab, long); err == nil {
		t.Error("a condition of 73 characters was taken")
	}
}

func TestReadTableFinds(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	s := logon(t, sys)
	number := save(t, s, order("OP1"))
	save(t, s, order("OP2"))
	out := call(t, s, readTab, query("VBAK", []string{"VKORG = '1000'", "AND BSTNK = 'OP1'"}, "VBELN", "BSTNK"))
	data, fields := out.Tables["DATA"], out.Tables["FIELDS"]
	if len(data) != 1 || data[0]["WA"] != number+"OP1" || fields[1]["OFFSET"] != "000010" || fields[1]["LENGTH"] != "000020" {
		t.Errorf("%v %v", data, fields)
	}
	// Nobody has it: no rows, and no exception.
	if data := call(t, s, readTab, query("VBAK", []string{"BSTNK = 'OP3'"}, "VBELN")).Tables["DATA"]; len(data) != 0 {
		t.Errorf("%v", data)
	}
	if _, ok := call(t, s, readTab, Parameters{Values: map[string]string{"QUERY_TABLE": "VBAK"}, Tables: map[string][]Row{"FIELDS": {{"FIELDNAME": "VBELN"}}}}).Tables["DATA"]; ok {
		t.Error("DATA came back unasked")
	}
	// A wrong field can look like an empty table.
	sys.SetQuirks(Quirks{TableWithoutData: true})
	var f *Failure
	if _, err := s.Call(t.Context(), readTab, query("VBAK", nil, "VBELM")); !errors.As(err, &f) || f.Key != "TABLE_WITHOUT_DATA" {
		t.Error(err)
	}
}

// A lock is a row of RETURN and no failure of the call, and its message differs
// from system to system.
func TestALockIsARowOfReturn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks Quirks
		said   string
	}{
		"one message": {Quirks{}, "E V1 042"}, "another": {Quirks{LockID: "MC", LockNumber: "601"}, "E MC 601"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := system(t, Options{Quirks: c.quirks})
			s := logon(t, sys)
			for _, unlock := range []func(){sys.LockMaterial("NWP-0011", "MILLER"), sys.LockCustomer("0000004711", "MILLER")} {
				out := call(t, s, create, order("OP1"))
				if said := says(out); said[0] != c.said || out.Values["SALESDOCUMENT"] != "" || !strings.Contains(out.Tables["RETURN"][0]["MESSAGE"], "MILLER") {
					t.Errorf("%v", out.Tables["RETURN"])
				}
				unlock()
			}
			save(t, s, order("OP1"))
		})
	}
}

func TestAUnitOfWorkHoldsItsMaterials(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{Quirks: Quirks{MaterialLocks: true}})
	first, second := logon(t, sys), logon(t, sys)
	call(t, first, create, order("OP1"))
	if said := says(call(t, second, create, order("OP2"))); said[0] != "E V1 042" {
		t.Errorf("%v", said)
	}
	call(t, first, commitBAPI, waiting())
	save(t, second, order("OP2"))
	call(t, first, create, order("OP3"))
	first.Close() // so do its locks
	save(t, second, order("OP4"))
}

func TestRepeatedWrongLogonsLockTheUser(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{LockAfter: 3})
	for range 3 {
		if _, err := sys.Logon(t.Context(), Logon{Client: "100", User: "ORDERPORT", Password: "wrong"}); err == nil {
			t.Fatal("a wrong password was taken")
		}
	}
	if _, err := sys.Logon(t.Context(), Logon{Client: "100", User: "ORDERPORT", Password: "Sesame-9"}); err == nil {
		t.Error("the user is not locked")
	}
	if tries, locked := sys.LogonTries("orderport"); tries != 4 || !locked {
		t.Errorf("%d tries, locked: %t", tries, locked)
	}
}

func TestAMissingAuthorityEndsTheSession(t *testing.T) {
	t.Parallel()
	for name, byCode := range map[string]bool{"as a dump": false, "as a code of its own": true} {
		s := logon(t, system(t, Options{
			Users:  []User{{Name: "ORDERPORT", Password: "Sesame-9", Denied: []string{create}, DenyMetadata: true}},
			Quirks: Quirks{AuthorityByCode: byCode},
		}))
		call(t, s, "RFC_PING", Parameters{})
		var f *Failure
		if _, err := s.Call(t.Context(), create, order("OP1")); !errors.As(err, &f) || f.Key != "RFC_NO_AUTHORITY" || f.Ends() == byCode {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Function(t.Context(), getlist); err == nil {
			t.Errorf("%s: metadata without authority", name)
		}
	}
}

// An order may be saved without its bad items, as BEHAVE_WHEN_ERROR says.
func TestWhatBecomesOfABadItem(t *testing.T) {
	t.Parallel()
	for behave, saved := range map[string]int{"": 0, "P": 1, "R": 0} {
		sys := system(t, Options{})
		s := logon(t, sys)
		in := order("OP1")
		in.Tables["ORDER_ITEMS_IN"] = append(in.Tables["ORDER_ITEMS_IN"], Row{"ITM_NUMBER": "20", "MATERIAL": "4711", "TARGET_QTY": "1"})
		in.Values = map[string]string{"BEHAVE_WHEN_ERROR": behave}
		out := call(t, s, create, in)
		if said := says(out); said[0] != "E V1 382" || out.Tables["RETURN"][0]["ROW"] != "2" {
			t.Errorf("%q: %v", behave, out.Tables["RETURN"])
		}
		call(t, s, commitBAPI, waiting())
		docs := sys.Documents()
		if len(docs) != saved || saved == 1 && (!docs[0].Incomplete || len(docs[0].Items) != 1) {
			t.Errorf("%q: %+v", behave, docs)
		}
	}
}

func TestATestRunLeavesNothing(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{Customer: true})
	s := logon(t, sys)
	for _, function := range []string{create, wrapper} {
		in := order("OP1")
		in.Values = map[string]string{"TESTRUN": "X"}
		if out := call(t, s, function, in); out.Values["SALESDOCUMENT"] != "" || says(out)[0] != "S V4 233" {
			t.Errorf("%s: %v", function, out)
		}
		call(t, s, commitBAPI, waiting())
	}
	if len(sys.Documents()) != 0 || sys.NumbersUsed() != 0 {
		t.Errorf("%d documents, %d numbers", len(sys.Documents()), sys.NumbersUsed())
	}
}

func TestAnOwnNumberIsTakenOnce(t *testing.T) {
	t.Parallel()
	in := order("OP1")
	in.Values = map[string]string{"SALESDOCUMENTIN": "0090000001"}
	for name, own := range map[string]bool{"the range allows it": true, "it does not": false} {
		sys := system(t, Options{Quirks: Quirks{OwnNumbers: own}})
		s := logon(t, sys)
		for i, want := range []bool{own, false} {
			taken := call(t, s, create, in).Values["SALESDOCUMENT"] == "0090000001"
			if call(t, s, commitBAPI, waiting()); taken != want {
				t.Errorf("%s: create %d taken: %t", name, i+1, taken)
			}
		}
	}
}

func TestAnEnhancementMayCommit(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{Quirks: Quirks{EnhancementCommits: true}})
	s := logon(t, sys)
	call(t, s, create, order("OP1"))
	call(t, s, "BAPI_TRANSACTION_ROLLBACK", Parameters{})
	if n := len(sys.Documents()); n != 1 {
		t.Errorf("%d documents", n)
	}
}

func TestTheWrapperCommitsByItself(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{Customer: true})
	one := logon(t, sys)
	out := call(t, one, wrapper, order("OP1"))
	one.Close()
	if docs := sys.Documents(); len(docs) != 1 || docs[0].Number != out.Values["SALESDOCUMENT"] {
		t.Errorf("%v", docs)
	}
	s := logon(t, sys)
	if out := call(t, s, wrapper, with(order("OP2"), "ORDER_PARTNERS", Row{"PARTN_NUMB": "1"})); out.Values["SALESDOCUMENT"] != "" || len(sys.Documents()) != 1 {
		t.Errorf("%v", out)
	}
	sys.SetQuirks(Quirks{UpdateFails: true})
	out = call(t, s, wrapper, order("OP3"))
	if said := says(out); said[len(said)-1] != "A S& 101" || out.Values["SALESDOCUMENT"] == "" || len(sys.Documents()) != 1 {
		t.Errorf("a commit that fails: %v", out)
	}
	plain := system(t, Options{})
	if _, err := logon(t, plain).Call(t.Context(), wrapper, order("OP1")); err == nil {
		t.Error("the wrapper is there without being installed")
	}
}

func TestTheReadFunctionSaysThatItHasSearched(t *testing.T) {
	t.Parallel()
	s := logon(t, system(t, Options{Customer: true}))
	number := save(t, s, with(order("OP1"), "ORDER_HEADER_IN", Row{"PURCH_NO_S": "PO-9", "REF_1": "R1", "ASS_NUMBER": "A1"}))
	for _, c := range []struct {
		field, reference, searched string
		found                      int
	}{
		{"PURCH_NO_C", "OP1", "X", 1},
		{"PURCH_NO_S", "PO-9", "X", 1},
		{"REF_1", "R1", "X", 1},
		{"ASS_NUMBER", "A1", "X", 1},
		{"PURCH_NO_C", "OP2", "X", 0},
		{"PURCH_NO_C", "", "", 0},
		{"NAME", "OP1", "", 0},
	} {
		out := call(t, s, finder, Parameters{Values: map[string]string{"I_FIELD": c.field, "I_REFERENCE": c.reference}, Tables: map[string][]Row{"ORDERS": {}}})
		if rows := out.Tables["ORDERS"]; len(rows) != c.found || out.Values["E_SEARCHED"] != c.searched || c.found > 0 && rows[0]["VBELN"] != number {
			t.Errorf("%+v: %v", c, out)
		}
	}
}

func TestBothNamesOfParametersOccur(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]Quirks{"ORDER_HEADER_IN": {}, "SALES_HEADER_IN": {SalesHeaderNames: true}} {
		s := logon(t, system(t, Options{Quirks: q}))
		if got := call(t, s, create, order("OP1")).Tables["RETURN"][0]["PARAMETER"]; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestWhatDoesNotFitItsFieldEndsTheCall(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]Row{
		"a long text": {"PURCH_NO_C": strings.Repeat("x", 36)}, "a date in ISO form": {"REQ_DATE_H": "2025-12-01"}, "a field of another release": {"INCOTERMS2L": "x"},
		"a field that is none": {"NOSUCH": "x"}, "a name in lower case": {"name": "x"},
	} {
		sys := system(t, Options{Release: ECC})
		s := logon(t, sys)
		var f *Failure
		if _, err := s.Call(t.Context(), create, with(order("OP1"), "ORDER_HEADER_IN", changes)); !errors.As(err, &f) || !f.Ends() || sys.NumbersUsed() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	sys := system(t, Options{Quirks: Quirks{CutLongText: true}})
	save(t, logon(t, sys), order(strings.Repeat("x", 36)))
	if got := sys.Documents()[0].Header["PURCH_NO_C"]; got != strings.Repeat("x", 35) {
		t.Errorf("%q", got)
	}
}

func TestARequiredParameterIsRequired(t *testing.T) {
	t.Parallel()
	s := logon(t, system(t, Options{}))
	in := list("0000004711", "OP1")
	delete(in.Values, "SALES_ORGANIZATION")
	var f *Failure
	if _, err := s.Call(t.Context(), getlist, in); !errors.As(err, &f) || f.Key != "CALL_FUNCTION_PARM_MISSING" {
		t.Error(err)
	}
}

func TestASessionRunsOneCallAtATime(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	s := logon(t, sys)
	planned := sys.Inject(Fault{Function: "RFC_PING", Trouble: Hang, Nth: 1})
	first := make(chan error)
	go func() {
		_, err := s.Call(t.Context(), "RFC_PING", Parameters{})
		first <- err
	}()
	<-planned.Met()
	if _, err := s.Call(t.Context(), "RFC_PING", Parameters{}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	planned.Release()
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestFaultsStrikeWhenTheyShould(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	var ran []string
	second := sys.Inject(Fault{Function: "RFC_PING", Nth: 2, Trouble: Watch, Run: func() { ran = append(ran, "second") }})
	sys.Inject(Fault{Trouble: Watch, Moment: After, Run: func() { ran = append(ran, "any") }})
	s := logon(t, sys)
	for range 3 {
		call(t, s, "RFC_PING", Parameters{})
	}
	want := []string{"any", "any", "second", "any", "any"} // the first is the logon
	if !slices.Equal(ran, want) || second.Hits() != 1 {
		t.Errorf("%v, want %v", ran, want)
	}
	second.Release()
}

func TestFieldsThatAreInitialComeBackInFull(t *testing.T) {
	t.Parallel()
	s := logon(t, system(t, Options{}))
	out := call(t, s, create, order("OP1"))
	row := maps.Clone(out.Tables["RETURN"][0])
	if row["LOG_MSG_NO"] != "000000" || row["ROW"] != "0" || row["NUMBER"] != "233" {
		t.Errorf("%v", row)
	}
}
