package sapsim

import (
	"context"
	"errors"
	"maps"
	"testing"
)

const create = "BAPI_SALESORDER_CREATEFROMDAT2"

// order is a call that the system takes.
func order(reference string) Parameters {
	return Parameters{
		Structures: map[string]Row{"ORDER_HEADER_IN": {
			"DOC_TYPE": "TA", "SALES_ORG": "1000", "DISTR_CHAN": "10", "DIVISION": "00", "PURCH_NO_C": reference, "CURRENCY": "EUR",
		}},
		Tables: map[string][]Row{
			"ORDER_PARTNERS":     {{"PARTN_ROLE": "AG", "PARTN_NUMB": "0000004711"}},
			"ORDER_ITEMS_IN":     {{"ITM_NUMBER": "10", "MATERIAL": "NWP-0011", "TARGET_QTY": "12", "T_UNIT_ISO": "PCE"}},
			"ORDER_SCHEDULES_IN": {{"ITM_NUMBER": "10", "SCHED_LINE": "1", "REQ_QTY": "12"}},
			"RETURN":             {},
		},
	}
}

// with changes fields of the first row of a table, or of a structure.
func with(p Parameters, where string, changes Row) Parameters {
	if row, ok := p.Structures[where]; ok {
		maps.Copy(row, changes)
		return p
	}
	maps.Copy(p.Tables[where][0], changes)
	return p
}

func system(t *testing.T, o Options) *System {
	s := New(o)
	t.Cleanup(s.Close)
	return s
}

func logon(t *testing.T, s *System) *Session {
	t.Helper()
	session, err := s.Logon(t.Context(), Logon{Client: "100", User: "orderport", Password: "Sesame-9", Language: "EN"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

func call(t *testing.T, s *Session, name string, in Parameters) Parameters {
	t.Helper()
	out, err := s.Call(t.Context(), name, in)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// says returns the types and ids of RETURN, such as "S V1 311".
func says(out Parameters) []string {
	var list []string
	for _, row := range out.Tables["RETURN"] {
		list = append(list, row["TYPE"]+" "+row["ID"]+" "+row["NUMBER"])
	}
	return list
}

func waiting() Parameters { return Parameters{Values: map[string]string{"WAIT": "X"}} }

func TestAnOrderIsInTheDatabaseAfterTheCommitOfItsSession(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	s := logon(t, sys)
	out := call(t, s, create, order("OP1"))
	if got := says(out); got[len(got)-1] != "S V1 311" || out.Values["SALESDOCUMENT"] != "0000012001" {
		t.Errorf("%v %v", got, out.Values)
	}
	if n := len(sys.Documents()); n != 0 {
		t.Errorf("%d documents before the commit", n)
	}
	call(t, s, "BAPI_TRANSACTION_COMMIT", waiting())
	list := sys.Documents()
	if len(list) != 1 || list[0].Header["PURCH_NO_C"] != "OP1" || list[0].Items[0]["TARGET_QU"] != "ST" || list[0].Schedules[0]["REQ_QTY"] != "12.000" {
		t.Errorf("%+v", list)
	}
}

func TestWhatWasNotCommittedIsLostWithItsNumber(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *System, *Session){
		"another session commits": func(t *testing.T, sys *System, s *Session) {
			call(t, logon(t, sys), "BAPI_TRANSACTION_COMMIT", waiting())
			s.Close()
		},
		"the session closes":        func(_ *testing.T, _ *System, s *Session) { s.Close() },
		"an administrator kills it": func(_ *testing.T, sys *System, _ *Session) { sys.KillSessions() },
		"it is rolled back":         func(t *testing.T, _ *System, s *Session) { call(t, s, "BAPI_TRANSACTION_ROLLBACK", Parameters{}) },
		"the context is reset":      func(_ *testing.T, _ *System, s *Session) { _ = s.Reset() },
		"a dump ends the session": func(t *testing.T, sys *System, s *Session) {
			sys.Inject(Fault{Function: "RFC_PING", Trouble: Fail, Failure: dump("COMPUTE_INT_ZERODIVIDE", "x")})
			if _, err := s.Call(t.Context(), "RFC_PING", Parameters{}); err == nil {
				t.Error("no dump")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := system(t, Options{})
			s := logon(t, sys)
			call(t, s, create, order("OP1"))
			end(t, sys, s)
			_, err := s.Call(t.Context(), "BAPI_TRANSACTION_COMMIT", waiting())
			if n := len(sys.Documents()); n != 0 || sys.NumbersUsed() != 1 {
				t.Errorf("%d documents, %d numbers; %v", n, sys.NumbersUsed(), err)
			}
		})
	}
}

func TestAClientThatGoesAwayDoesNotStopItsFunction(t *testing.T) {
	t.Parallel()
	sys := system(t, Options{})
	s := logon(t, sys)
	call(t, s, create, order("OP1"))
	fault := sys.Inject(Fault{Function: "BAPI_TRANSACTION_COMMIT", Trouble: Hang})
	done := sys.Inject(Fault{Function: "BAPI_TRANSACTION_COMMIT", Moment: After, Trouble: Watch})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-fault.Met()
		cancel()
	}()
	if _, err := s.Call(ctx, "BAPI_TRANSACTION_COMMIT", waiting()); !errors.Is(err, context.Canceled) || len(sys.Documents()) != 0 {
		t.Errorf("%v with %d documents", err, len(sys.Documents()))
	}
	fault.Release()
	<-done.Met()
	if len(sys.Documents()) != 1 {
		t.Error("the commit did not run on")
	}
}
