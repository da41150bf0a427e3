package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/sdktest"
)

// describedAs returns the create function as a system describes it that has
// room for everything that an order of this config fills.
func describedAs(t *testing.T, cfg fields) rfc.Function {
	t.Helper()
	_, payload := payloadOf(t, cfg, sampleWithNumber())
	var call rfc.Call
	if err := json.Unmarshal(payload, &call); err != nil {
		t.Fatal(err)
	}
	wide := func(fields rfc.Structure, into map[string]rfc.Type) map[string]rfc.Type {
		for name := range fields {
			into[name] = rfc.Type{Kind: "C", Length: 40}
		}
		return into
	}
	f := rfc.Function{Name: call.Function, Parameters: map[string]rfc.Parameter{
		"SALESDOCUMENT": {Direction: rfc.Export, Type: rfc.Type{Kind: "C", Length: 10}},
		"TESTRUN":       {Direction: rfc.Import, Type: rfc.Type{Kind: "C", Length: 1}},
	}}
	for name, s := range call.Structures {
		f.Parameters[name] = rfc.Parameter{Direction: rfc.Import, Fields: wide(s, map[string]rfc.Type{})}
	}
	for name, rows := range call.Tables {
		all := map[string]rfc.Type{}
		for _, row := range rows {
			wide(row, all)
		}
		f.Parameters[name] = rfc.Parameter{Direction: rfc.Tables, Fields: all}
	}
	return f
}

func sampleWithNumber() *connectorv1.DraftOrder {
	order, number := sdktest.SampleOrder(), "PO-4500001"
	order.ExternalOrderNumber = &number
	return order
}

// probed runs TestConnection and returns its steps in one line, with what
// failed.
func probed(t *testing.T, b *bench, cfg fields) (steps string, response *connectorv1.TestConnectionResponse) {
	t.Helper()
	response, err := b.host.TestConnection(t.Context(), cfg.json())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range response.GetSteps() {
		name := s.GetName()
		if !s.GetSuccess() {
			name += "!"
		}
		names = append(names, name)
	}
	return strings.Join(names, " "), response
}

func TestTheProbeGoesTheWayOfAnOrderAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]fields{"nwrfc": nwrfcFields(), "soap": soapFields()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.sap.abilities = rfc.Abilities{UnitOfWork: name == "nwrfc", Metadata: name == "nwrfc"}
			b.sap.functions = map[string]rfc.Function{createBAPI: describedAs(t, nwrfcFields()), rfc.CommitFunction: {}, rfc.RollbackFunction: {}, getlistBAPI: {}}
			steps, response := probed(t, b, cfg)
			if want := "config open logon ping system metadata authority lookup"; steps != want || !response.GetSuccess() {
				t.Errorf("steps %q, want %q; %v", steps, want, response.GetError())
			}
			if b.sap.opened != 1 || b.sap.closed != 1 || len(b.sap.documents()) != 0 || b.sap.next != 0 {
				t.Errorf("%d sessions opened and %d closed, %d orders, %d numbers used up", b.sap.opened, b.sap.closed, len(b.sap.documents()), b.sap.next)
			}
			if name == "soap" && b.sap.calls[rfc.CommitFunction] != 0 {
				t.Error("a commit was sent where it means nothing")
			}
		})
	}
}

func TestTheProbeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	refuse := func(err *rfc.Error) func(rfc.Call) (rfc.Reply, error) {
		return func(rfc.Call) (rfc.Reply, error) { return rfc.Reply{}, err }
	}
	reply := func(r rfc.Reply) func(rfc.Call) (rfc.Reply, error) {
		return func(rfc.Call) (rfc.Reply, error) { return r, nil }
	}
	noAuthority := &rfc.Error{Class: rfc.NotAuthorized, Sent: true, Message: "no RFC authorization"}
	for name, c := range map[string]struct {
		set    func(*fakeSAP)
		config fields
		steps  string
		code   connectorv1.ErrorCode
		text   string
	}{
		"a config that the schema refuses": {config: fields{"client": "1"}, steps: "config!", code: connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, text: "client"},
		"SAP can't be reached": {
			set:   func(f *fakeSAP) { f.openErr = &rfc.Error{Class: rfc.Unreachable, Broken: true, Message: "no route"} },
			steps: "config open!", code: connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE, text: "firewall",
		},
		"a refused logon": {
			set: func(f *fakeSAP) {
				f.openErr = &rfc.Error{Class: rfc.LogonRefused, Broken: true, Message: "wrong password"}
			},
			steps: "config open logon!", code: connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED, text: "wrong password",
		},
		"no ping": {
			set: func(f *fakeSAP) {
				f.pingErr = &rfc.Error{Class: rfc.TimedOut, Broken: true, Message: "no answer in time"}
			},
			steps: "config open logon ping!", code: connectorv1.ErrorCode_ERROR_CODE_TIMEOUT, text: "RFC_PING",
		},
		"the session is lost while it asks for the system": {
			set: func(f *fakeSAP) {
				f.others["RFC_SYSTEM_INFO"] = refuse(&rfc.Error{Class: rfc.Unreachable, Sent: true, Broken: true, Message: "lost"})
			},
			steps: "config open logon ping system!", code: connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE,
		},
		"a user that may not ask for the system is no failure": {
			set: func(f *fakeSAP) { f.others["RFC_SYSTEM_INFO"] = refuse(noAuthority) }, steps: "config open logon ping system metadata authority lookup",
		},
		"a function that is missing": {
			set: func(f *fakeSAP) { delete(f.functions, getlistBAPI) }, steps: "config open logon ping system metadata!",
			code: connectorv1.ErrorCode_ERROR_CODE_NOT_FOUND, text: getlistBAPI,
		},
		"a create function without the reference field": {
			set: func(f *fakeSAP) {
				delete(f.functions[createBAPI].Parameters["ORDER_HEADER_IN"].Fields, "PURCH_NO_C")
			}, steps: "config open logon ping system metadata!", code: connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, text: "PURCH_NO_C",
		},
		"a reference field that is too short": {
			set: func(f *fakeSAP) {
				f.functions[createBAPI].Parameters["ORDER_HEADER_IN"].Fields["PURCH_NO_C"] = rfc.Type{Kind: "C", Length: 19}
			}, steps: "config open logon ping system metadata!", code: connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, text: "19 characters",
		},
		"no authority to commit": {
			set:   func(f *fakeSAP) { f.others[rfc.CommitFunction] = refuse(noAuthority) },
			steps: "config open logon ping system metadata authority!", code: connectorv1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, text: rfc.CommitFunction,
		},
		"no authority to create": {
			set:   func(f *fakeSAP) { f.others[createBAPI] = refuse(noAuthority) },
			steps: "config open logon ping system metadata authority!", code: connectorv1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, text: "S_RFC",
		},
		"a create function that ignores TESTRUN": {
			set: func(f *fakeSAP) {
				f.others[createBAPI] = reply(rfc.Reply{Values: map[string]string{"SALESDOCUMENT": "0000000001"}, Tables: map[string][]rfc.Structure{"RETURN": {}}})
			}, steps: "config open logon ping system metadata authority!", code: connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, text: "TESTRUN",
		},
		"a create function without RETURN": {
			set:   func(f *fakeSAP) { f.others[createBAPI] = reply(rfc.Reply{}) },
			steps: "config open logon ping system metadata authority!", code: connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, text: "RETURN",
		},
		"a list that answers with an error about an empty list": {
			set: func(f *fakeSAP) { f.list = listError }, steps: "config open logon ping system metadata authority lookup!",
			code: connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, text: "V4123",
		},
		"an error of the list that is known to mean empty": {
			set: func(f *fakeSAP) { f.list = listError }, config: fields{"not_found_codes": []string{"V4123"}}, steps: "config open logon ping system metadata authority lookup",
		},
		"a list that finds what is not there": {
			set: func(f *fakeSAP) {
				f.list = func(r *rfc.Reply) {
					r.Tables["SALES_ORDERS"] = []rfc.Structure{{"SD_DOC": "0000000007", "PURCH_NO": noSuchReference("PURCH_NO_C")}}
				}
			}, steps: "config open logon ping system metadata authority lookup!", code: connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, text: "0000000007",
		},
		"no authority to look up": {
			set:   func(f *fakeSAP) { f.others[getlistBAPI] = refuse(noAuthority) },
			steps: "config open logon ping system metadata authority lookup!", code: connectorv1.ErrorCode_ERROR_CODE_PERMISSION_DENIED,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.sap.abilities.Metadata = true
			b.sap.others = map[string]func(rfc.Call) (rfc.Reply, error){}
			b.sap.functions = map[string]rfc.Function{createBAPI: describedAs(t, nwrfcFields()), rfc.CommitFunction: {}, rfc.RollbackFunction: {}, getlistBAPI: {}}
			if c.set != nil {
				c.set(b.sap)
			}
			steps, response := probed(t, b, nwrfcFields().with(c.config))
			if steps == "" {
				steps = "config!" // the SDK has refused it ahead of any step
			}
			if steps != c.steps || response.GetError().GetCode() != c.code || !strings.Contains(response.GetError().GetMessage(), c.text) {
				t.Errorf("steps %q, error %v\nwant  %q, %v, %q", steps, response.GetError(), c.steps, c.code, c.text)
			}
			if b.sap.closed != b.sap.opened && b.sap.openErr == nil {
				t.Errorf("%d of %d sessions closed", b.sap.closed, b.sap.opened)
			}
		})
	}
}

func TestTheProbeRefusesSOAPWithoutAWrapper(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.abilities = rfc.Abilities{}
	steps, response := probed(t, b, soapFields().with(fields{"create_function": nil}))
	if steps != "config open logon ping system metadata authority!" || !strings.Contains(response.GetError().GetMessage(), "create_function") || b.sap.calls[createBAPI] != 0 {
		t.Errorf("%q, %v", steps, response.GetError())
	}
}

func TestTheProbeLooksUpInEachWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config fields
		call   string
		answer rfc.Reply
	}{
		"read_table": {fields{"lookup": "read_table"}, readTable, rfc.Reply{Tables: map[string][]rfc.Structure{"DATA": {}, "FIELDS": tableFields(0, 10, 10, 20)}}},
		"function": {
			fields{"lookup": "function", "lookup_function": "Z_FIND", "reference_field": "REF_1"},
			"Z_FIND",
			rfc.Reply{Values: map[string]string{"E_SEARCHED": "X"}, Tables: map[string][]rfc.Structure{"ORDERS": {}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var asked rfc.Call
			b.sap.others = map[string]func(rfc.Call) (rfc.Reply, error){c.call: func(call rfc.Call) (rfc.Reply, error) {
				asked = call
				return c.answer, nil
			}}
			b.sap.abilities.Metadata = true
			b.sap.functions = map[string]rfc.Function{createBAPI: describedAs(t, nwrfcFields().with(c.config)), rfc.CommitFunction: {}, rfc.RollbackFunction: {}, c.call: {}}
			if steps, response := probed(t, b, nwrfcFields().with(c.config)); !response.GetSuccess() {
				t.Errorf("%s: %v", steps, response.GetError())
			}
			if name == "function" && len(asked.Values["I_REFERENCE"]) != 12 {
				t.Errorf("asked for %q, which no REF_1 holds", asked.Values["I_REFERENCE"])
			}
		})
	}
}

// Whoever tests a wrong password again and again locks the user.
func TestTheProbeDoesNotRepeatARefusedLogon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.openErr = &rfc.Error{Class: rfc.LogonRefused, Broken: true, Message: "wrong password"}
	for range 4 {
		if steps, _ := probed(t, b, nwrfcFields()); steps != "config open logon!" {
			t.Errorf("steps %q", steps)
		}
	}
	if _, err := b.host.NewExport(nwrfcFields().json(), sdktest.SampleOrder()).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.sap.opened != 1 {
		t.Errorf("%d logons", b.sap.opened)
	}
	steps, response := probed(t, b, nwrfcFields().with(fields{"password": "another"}))
	if b.sap.opened != 2 {
		t.Errorf("another password was not tried: %s, %v", steps, response.GetError())
	}
}
