package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/gateway"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/icf"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/sdktest"
)

// simulation is the connector as it is shipped, on a simulated SAP system. The
// connector's clock is the test's.
type simulation struct {
	*bench
	sys    *sapsim.System
	web    *icf.Server // nil: through the library
	config fields
}

const (
	gets    = getlistBAPI
	saves   = "BAPI_TRANSACTION_COMMIT"
	creates = createBAPI
)

// onSAP runs a test over each transport.
func onSAP(t *testing.T, o sapsim.Options, test func(t *testing.T, s *simulation)) {
	t.Helper()
	o.Customer = true
	for name, start := range map[string]func(*testing.T, *simulation, sapsim.Options){"nwrfc": throughTheLibrary, "soap": throughTheWeb} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &simulation{sys: sapsim.New(o)}
			t.Cleanup(s.sys.Close)
			start(t, s, o)
			s.bench = newBench(t)
			s.connector.transport = s.connector.dial
			test(t, s)
		})
	}
}

func throughTheLibrary(t *testing.T, s *simulation, _ sapsim.Options) {
	s.listen(t, builds.Folder(t, sdk.Variant{}))
}

// listen makes the system reachable for the library in a folder.
func (s *simulation) listen(t *testing.T, folder string) {
	t.Helper()
	host := fmt.Sprintf("sap%d", hosts.Add(1))
	reached, err := gateway.Listen(s.sys, folder, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.sys.Close() // ends what hangs, which the gateway waits for
		reached.Close()
	})
	s.config = nwrfcFields().with(fields{"library_path": folder, "ashost": host})
}

// hosts counts the systems, each of which has a name of its own.
var hosts atomic.Int64

// builds are the copies of the RFC library.
var builds sdk.Builds

func TestMain(m *testing.M) {
	code := m.Run()
	builds.Remove()
	os.Exit(code)
}

func throughTheWeb(t *testing.T, s *simulation, _ sapsim.Options) {
	s.web = icf.New(s.sys, icf.Options{})
	server := httptest.NewUnstartedServer(s.web)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes are refused on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	s.config = soapFields().with(fields{
		"url":            server.URL,
		"ca_certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
	})
}

// creator is the function that creates, and the step at which the order gets
// into the database.
func (s *simulation) creator() (create, save string) {
	if s.web != nil {
		return wrapper, wrapper
	}
	return creates, saves
}

func (s *simulation) export(change fields) *sdktest.Export {
	return s.host.NewExport(s.config.with(change).json(), sampleWithNumber())
}

// finished runs attempts until one is final. Between them what SAP is working on
// comes to its end, and the settling time passes.
func (s *simulation) finished(t *testing.T, e *sdktest.Export, between func()) *connectorv1.ExportResult {
	t.Helper()
	for range 8 {
		result, err := e.Run(t.Context())
		if err == nil && (result.GetSuccess() || !result.GetError().GetRetryable()) {
			return result
		}
		if between != nil {
			between()
		}
		eventually(t, "the end of all calls", func() bool { return s.sys.Busy() == 0 })
		s.pass(20 * time.Minute)
	}
	t.Fatal("the export does not come to an end")
	return nil
}

// one fails unless SAP has one order, the reported one, with its reference.
func (s *simulation) one(t *testing.T, e *sdktest.Export, result *connectorv1.ExportResult) {
	t.Helper()
	list := s.sys.Documents()
	if !result.GetSuccess() || len(list) != 1 {
		t.Fatalf("%v with %d orders in SAP, want success with one", result, len(list))
	}
	if list[0].Number != result.GetErpOrderId() || result.GetExternalRef() == "" {
		t.Errorf("SAP has %s, and reported is %s, reference %q", list[0].Number, result.GetErpOrderId(), result.GetExternalRef())
	}
}

func TestAnOrderGetsIntoSAP(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		e := s.export(nil)
		result, err := e.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.one(t, e, result)
		if m := result.GetMetadata(); m["sap_system"] != "S4H client 100" || m["incomplete"] != "" || m["not_flagged"] != "" {
			t.Errorf("%v", m)
		}
		header := s.sys.Documents()[0].Header
		if header["PURCH_NO_C"] != result.GetExternalRef() || header["PURCH_NO_S"] != "PO-4500001" {
			t.Errorf("%v", header)
		}
	})
}

func TestTestConnectionLeavesNothingInSAP(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		steps, response := probed(t, s.bench, s.config)
		want := "config open logon ping system metadata authority lookup"
		if s.web == nil {
			want = strings.Replace(want, "open", "library open", 1)
		}
		if steps != want || !response.GetSuccess() {
			t.Errorf("%q, %v", steps, response.GetError())
		}
		if len(s.sys.Documents()) != 0 || s.sys.NumbersUsed() != 0 {
			t.Errorf("%d orders, %d numbers used up", len(s.sys.Documents()), s.sys.NumbersUsed())
		}
		gone(t, s.sys)
	})
}

// gone waits until SAP has no session any more: a close is not waited for.
func gone(t *testing.T, sys *sapsim.System) {
	t.Helper()
	eventually(t, "the end of all sessions", func() bool { return sys.Sessions() == 0 })
}

// eventually waits for what nobody tells.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(time.Minute)
	for !done() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%s does not come", what)
		}
	}
}

// The payload is what SAP was told, to the letter.
func TestThePayloadIsWhatSAPWasTold(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		e := s.host.NewExport(s.config.json(), fullOrder())
		if result, err := e.Run(t.Context()); err != nil || !result.GetSuccess() {
			t.Fatalf("%v, %v", result, err)
		}
		d := s.sys.Documents()[0]
		told := rfc.Call{Function: d.By, Values: d.Given.Values, Structures: map[string]rfc.Structure{}, Tables: map[string][]rfc.Structure{"RETURN": {}}}
		for name, row := range d.Given.Structures {
			told.Structures[name] = rfc.Structure(row)
		}
		for name, rows := range d.Given.Tables {
			// The library does not tell a table without rows from one not sent.
			for _, row := range rows {
				told.Tables[name] = append(told.Tables[name], rfc.Structure(row))
			}
		}
		want, err := json.MarshalIndent(told, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(e.Payload.Data)); diff != "" {
			t.Errorf("told (-) and stored (+) differ:\n%s", diff)
		}
	})
}

// Whatever breaks, whenever, there is one order in the end.
func TestWhateverBreaksThereIsOneOrder(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		create, save := s.creator()
		steps := []string{sapsim.LogonStep, "RFC_SYSTEM_INFO", create, gets}
		if s.web == nil {
			steps = append(steps, sapsim.DescribeStep, save)
		}
		soap := s.web != nil
		for _, step := range steps {
			for name, fault := range map[string]sapsim.Fault{
				"the connection drops before it":           {Moment: sapsim.Before, Trouble: sapsim.Drop},
				"the connection drops after it":            {Moment: sapsim.After, Trouble: sapsim.Drop},
				"an administrator ends the session before": {Moment: sapsim.Before, Trouble: sapsim.Watch},
				"an administrator ends the session after":  {Moment: sapsim.After, Trouble: sapsim.Watch},
				"it takes too long":                        {Moment: sapsim.Before, Trouble: sapsim.Hang},
				"its answer takes too long":                {Moment: sapsim.After, Trouble: sapsim.Hang},
			} {
				if soap && step == sapsim.LogonStep && fault.Trouble == sapsim.Watch {
					continue // there is no session yet, or it is the request's own
				}
				t.Run(step+": "+name, func(t *testing.T) {
					t.Parallel()
					s := s.again(t)
					fault.Function, fault.Nth = step, 1
					if fault.Trouble == sapsim.Watch {
						fault.Run = func() { s.sys.KillSessions() }
					}
					planned := s.sys.Inject(fault)
					e := s.export(fields{"timeout_seconds": 1})
					result := s.finished(t, e, planned.Release)
					if planned.Hits() == 0 {
						t.Error("the fault was never met")
					}
					s.one(t, e, result)
				})
			}
		}
	})
}

// again is the same over a system of its own.
func (s *simulation) again(t *testing.T) *simulation {
	t.Helper()
	fresh := &simulation{sys: sapsim.New(sapsim.Options{Customer: true})}
	t.Cleanup(fresh.sys.Close)
	start := throughTheLibrary
	if s.web != nil {
		start = throughTheWeb
	}
	start(t, fresh, sapsim.Options{})
	fresh.bench = newBench(t)
	fresh.connector.transport = fresh.connector.dial
	return fresh
}

// The same fault a second time: the re-run is cut off, too.
func TestATakeoverThatBreaksLeavesOneOrder(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		_, save := s.creator()
		s.sys.Inject(sapsim.Fault{Function: save, Nth: 1, Moment: sapsim.After, Trouble: sapsim.Drop})
		s.sys.Inject(sapsim.Fault{Function: gets, Nth: 1, Moment: sapsim.After, Trouble: sapsim.Drop})
		s.sys.Inject(sapsim.Fault{Function: gets, Nth: 2, Moment: sapsim.Before, Trouble: sapsim.Drop})
		e := s.export(nil)
		result := s.finished(t, e, nil)
		s.one(t, e, result)
		if !result.GetRecovered() {
			t.Error("it does not say that it has found the order")
		}
	})
}

// An order that SAP is still working on is waited for, and found.
func TestALateOrderIsWaitedFor(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		_, save := s.creator()
		hang := s.sys.Inject(sapsim.Fault{Function: save, Nth: 1, Moment: sapsim.Before, Trouble: sapsim.Hang})
		e := s.export(fields{"timeout_seconds": 1})
		for attempt := 1; attempt <= 3; attempt++ {
			result, err := e.Run(t.Context())
			if err != nil || !result.GetError().GetRetryable() || len(s.sys.Documents()) != 0 {
				t.Fatalf("attempt %d: %v, %v, %d orders", attempt, result, err, len(s.sys.Documents()))
			}
			if attempt > 1 && result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_THROTTLED {
				t.Errorf("attempt %d: %v", attempt, result.GetError())
			}
			s.pass(time.Minute)
		}
		hang.Release()
		eventually(t, "the order", func() bool { return len(s.sys.Documents()) > 0 })
		result, err := e.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.one(t, e, result)
	})
}

func TestAnOrderIsFoundAgainInEachWay(t *testing.T) {
	t.Parallel()
	ways := map[string]fields{
		"list":             {},
		"table VBAK":       {"lookup": "read_table"},
		"table VBKD":       {"lookup": "read_table", "reference_field": "PURCH_NO_S", "order_number_field": "PURCH_NO_C"},
		"table, REF_1":     {"lookup": "read_table", "reference_field": "REF_1", "lookup_table": "VBKD", "lookup_column": "IHREZ"},
		"table, number":    {"lookup": "read_table", "reference_field": "ASS_NUMBER", "lookup_table": "VBAK", "lookup_column": "ZUONR"},
		"function":         {"lookup": "function", "lookup_function": "Z_ORDERPORT_ORDER_FIND"},
		"function, REF_1":  {"lookup": "function", "lookup_function": "Z_ORDERPORT_ORDER_FIND", "reference_field": "REF_1_S"},
		"function, number": {"lookup": "function", "lookup_function": "Z_ORDERPORT_ORDER_FIND", "reference_field": "ASS_NUMBER"},
	}
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := s.again(t)
				if steps, response := probed(t, s.bench, s.config.with(way)); !response.GetSuccess() {
					t.Errorf("%s: %v", steps, response.GetError())
				}
				_, save := s.creator()
				s.sys.Inject(sapsim.Fault{Function: save, Nth: 1, Moment: sapsim.After, Trouble: sapsim.Drop})
				e := s.export(way)
				result := s.finished(t, e, nil)
				s.one(t, e, result)
				if !result.GetRecovered() {
					t.Error("it was not found, but reported at once")
				}
			})
		}
	})
}

func TestWhatSystemsDifferIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks sapsim.Quirks
		config fields
		code   connectorv1.ErrorCode // 0: delivered
		orders int
	}{
		"an empty list is an error of its own": {
			quirks: sapsim.Quirks{EmptyListType: "E", EmptyListCode: "V1504"}, config: fields{"not_found_codes": []string{"V1504"}}, orders: 1,
		},
		"names of parameters in RETURN": {quirks: sapsim.Quirks{SalesHeaderNames: true}, orders: 1},
		"keys in the logon language": {
			quirks: sapsim.Quirks{EnglishKeys: true}, config: fields{"doc_type": "OR", "sold_to_role": "SP", "ship_to_role": "SH"}, orders: 1,
		},
		"keys in the logon language, converted": {
			config: fields{"doc_type": "OR", "sold_to_role": "SP", "ship_to_role": "SH", "convert": true}, orders: 1,
		},
		"keys in the logon language where they are not taken": {
			config: fields{"doc_type": "OR"}, code: connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP,
		},
		"a read-back that lags":       {quirks: sapsim.Quirks{ReadLag: 2}, orders: 1},
		"a commit whose update fails": {quirks: sapsim.Quirks{UpdateFails: true}, code: connectorv1.ErrorCode_ERROR_CODE_INTERNAL},
		"initial dates of blanks":     {quirks: sapsim.Quirks{DateOfBlanks: true}, orders: 1},
		"without X structures":        {config: fields{"x_structures": false}, orders: 1},
		"internal units":              {config: fields{"unit_form": "internal", "units": fields{"M": "M", "PCE": "ST"}}, orders: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onSAP(t, sapsim.Options{Quirks: c.quirks}, func(t *testing.T, s *simulation) {
				result, err := s.export(c.config).Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := result.GetError().GetCode(); got != c.code || len(s.sys.Documents()) != c.orders {
					t.Errorf("%v with %d orders, want %v and %d", result, len(s.sys.Documents()), c.code, c.orders)
				}
			})
		})
	}
}

// An enhancement that commits by itself has saved the order when the answer of
// the create is lost. To take the create for undone would make a second one.
func TestAnEnhancementThatCommitsByItselfMakesNoSecondOrder(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{Quirks: sapsim.Quirks{EnhancementCommits: true}}, func(t *testing.T, s *simulation) {
		create, _ := s.creator()
		s.sys.Inject(sapsim.Fault{Function: create, Nth: 1, Moment: sapsim.After, Trouble: sapsim.Drop})
		e := s.export(nil)
		s.one(t, e, s.finished(t, e, nil))
	})
}

func TestALockIsWaitedForAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]sapsim.Quirks{
		"in the form that is known":       {},
		"in a form that the config knows": {LockID: "ZZ", LockNumber: "777"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onSAP(t, sapsim.Options{Quirks: quirks}, func(t *testing.T, s *simulation) {
				unlock := s.sys.LockCustomer("0000004711", "MILLER")
				e := s.export(fields{"retryable_messages": []string{"V1 042", "ZZ 777"}})
				for range 3 {
					result, err := e.Run(t.Context())
					if got := result.GetError(); err != nil || got.GetCode() != connectorv1.ErrorCode_ERROR_CODE_THROTTLED || !strings.Contains(got.GetMessage(), "MILLER") {
						t.Fatalf("%v, %v", result, err)
					}
				}
				unlock()
				result, err := e.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				s.one(t, e, result)
			})
		})
	}
}

func TestARejectedOrderNamesEachRow(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{Masters: sapsim.Masters{Materials: []string{"OTHER"}}}, func(t *testing.T, s *simulation) {
		result, err := s.export(nil).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e := result.GetError()
		if e.GetCode() != connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP || e.GetRetryable() || !strings.Contains(e.GetMessage(), "V1 382") {
			t.Errorf("%v", e)
		}
		if last := fmt.Sprintf("return_%02d", len(e.GetDetails())); !strings.HasPrefix(e.GetDetails()[last], "E V4 219") {
			t.Errorf("%v", e.GetDetails())
		}
		if len(s.sys.Documents()) != 0 {
			t.Error("it is in SAP all the same")
		}
	})
}

func TestAWrongPasswordDoesNotLockTheUser(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{LockAfter: 3}, func(t *testing.T, s *simulation) {
		for range 6 {
			result, err := s.export(fields{"password": "wrong"}).Run(t.Context())
			if err != nil || result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED {
				t.Fatalf("%v, %v", result, err)
			}
		}
		if steps, _ := probed(t, s.bench, s.config.with(fields{"password": "wrong"})); !strings.HasSuffix(steps, "open logon!") {
			t.Errorf("%s", steps)
		}
		if tries, locked := s.sys.LogonTries("ORDERPORT"); tries != 1 || locked {
			t.Errorf("%d tries, locked %t", tries, locked)
		}
		result, err := s.export(nil).Run(t.Context())
		if err != nil || !result.GetSuccess() {
			t.Errorf("with the right one: %v, %v", result, err)
		}
	})
}

func TestAMissingAuthorityIsNoOutcome(t *testing.T) {
	t.Parallel()
	for _, denied := range []string{createBAPI, wrapper, saves, gets, "RFC_PING"} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			onSAP(t, sapsim.Options{Users: []sapsim.User{{Name: "ORDERPORT", Password: "Sesame-9", Denied: []string{denied}}}}, func(t *testing.T, s *simulation) {
				create, save := s.creator()
				steps, response := probed(t, s.bench, s.config)
				if concerned := denied == create || denied == save || denied == gets || denied == "RFC_PING"; response.GetSuccess() == concerned && !(denied == "RFC_PING" && response.GetSuccess()) {
					t.Errorf("%s: %v", steps, response.GetError())
				}
				result, err := s.export(nil).Run(t.Context())
				if err != nil || !result.GetSuccess() && !result.GetError().GetRetryable() && result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN {
					t.Errorf("%v, %v", result, err)
				}
				if n := len(s.sys.Documents()); n > 1 || result.GetSuccess() && n != 1 {
					t.Errorf("%d orders, %v", n, result)
				}
			})
		})
	}
}

func TestTheWebServersCertificateIsVerified(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		if s.web == nil {
			return // the library's own affair
		}
		for name, change := range map[string]fields{
			"a CA that is not known": {"ca_certificate": nil},
			"another name":           {"url": strings.Replace(s.config["url"].(string), "127.0.0.1", "localhost", 1)},
		} {
			steps, response := probed(t, s.bench, s.config.with(change))
			if steps != "config open!" || response.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_HOST_KEY_MISMATCH {
				t.Errorf("%s: %s %v", name, steps, response.GetError())
			}
		}
		if tries, _ := s.sys.LogonTries("ORDERPORT"); tries != 0 {
			t.Error("the password was sent to a server that is not trusted")
		}
	})
}

func TestManyOrdersShareACookie(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		for i := range 5 {
			e := s.export(nil)
			e.ID = fmt.Sprintf("%08d-9f0e-4c0f-8a53-6d2a7f1f9b11", i)
			if result, err := e.Run(t.Context()); err != nil || !result.GetSuccess() {
				t.Fatalf("%v, %v", result, err)
			}
		}
		if n := len(s.sys.Documents()); n != 5 {
			t.Errorf("%d orders", n)
		}
		if s.web != nil && s.web.SecuritySessions() != 1 {
			t.Errorf("%d security sessions", s.web.SecuritySessions())
		}
		if s.web == nil && s.sys.Logons() != 1 {
			t.Errorf("%d logons", s.sys.Logons())
		}
	})
}

// A session that has ended on SAP's side while it lay idle is replaced before
// it costs an order anything.
func TestASessionThatWasEndedIsReplaced(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		first := s.export(nil)
		if result, err := first.Run(t.Context()); err != nil || !result.GetSuccess() {
			t.Fatalf("%v, %v", result, err)
		}
		s.sys.KillSessions()
		if s.web != nil {
			s.web.EndSecuritySessions()
		}
		s.pass(time.Minute - time.Second)
		second := s.export(nil)
		second.ID = "1b54b0a5-9f0e-4c0f-8a53-6d2a7f1f9b11"
		result, err := second.Run(t.Context())
		if err != nil || !result.GetSuccess() || result.GetRecovered() || len(s.sys.Documents()) != 2 {
			t.Errorf("%v, %v", result, err)
		}
	})
}

func TestAnExportThatIsGivenUpLeavesSAPAlone(t *testing.T) {
	t.Parallel()
	onSAP(t, sapsim.Options{}, func(t *testing.T, s *simulation) {
		create, _ := s.creator()
		hang := s.sys.Inject(sapsim.Fault{Function: create, Nth: 1, Moment: sapsim.Before, Trouble: sapsim.Hang})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-hang.Met()
			cancel()
		}()
		e := s.export(nil)
		if _, err := e.Run(ctx); err == nil {
			t.Error("the export was not given up")
		}
		hang.Release()
		s.pass(20 * time.Minute)
		s.one(t, e, s.finished(t, e, nil))
	})
}
