package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
)

// settle runs attempts as a host would, until one is final, and lets the
// settling time pass between them.
func (b *bench) settle(t *testing.T, e *sdktest.Export) *connectorv1.ExportResult {
	t.Helper()
	for range 8 {
		result, err := e.Run(t.Context())
		if err == nil && (result.GetSuccess() || !result.GetError().GetRetryable()) {
			return result
		}
		b.sap.finish()
		b.pass(20 * time.Minute)
	}
	t.Fatal("the export does not come to an end")
	return nil
}

// once fails unless SAP has exactly one order, with the reported number.
func (b *bench) once(t *testing.T, result *connectorv1.ExportResult) {
	t.Helper()
	saved := b.sap.documents()
	if !result.GetSuccess() || len(saved) != 1 {
		t.Fatalf("result %v with %d orders in SAP, want success with one", result, len(saved))
	}
	if _, ok := saved[result.GetErpOrderId()]; !ok {
		t.Errorf("erp_order_id %q is not the order in SAP", result.GetErpOrderId())
	}
}

func TestExportCreatesOneOrder(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]fields{"with the BAPI": nwrfcFields(), "with a wrapper": soapFields()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			e := b.host.NewExport(cfg.json(), sdktest.SampleOrder())
			result, err := e.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b.once(t, result)
			if e.Payload == nil || result.GetStorageKey() == "" || result.GetRecovered() {
				t.Errorf("payload %v, result %v", e.Payload, result)
			}
		})
	}
}

// Each write to SAP and each read around it, failed in each way, leaves one
// order after all.
func TestAnyFailedCallLeavesOneOrder(t *testing.T) {
	t.Parallel()
	outcomes := map[string]outcome{
		"fails before it is sent": notSent, "is not applied and its answer is lost": notApplied,
		"is applied and its answer is lost": applied, "is applied late": late,
	}
	for transport, functions := range map[string][]string{
		"nwrfc": {"RFC_SYSTEM_INFO", createBAPI, rfc.CommitFunction, getlistBAPI},
		"soap":  {"RFC_SYSTEM_INFO", wrapper, getlistBAPI},
	} {
		cfg := nwrfcFields()
		if transport == "soap" {
			cfg = soapFields()
		}
		for _, function := range functions {
			for name, fault := range outcomes {
				t.Run(fmt.Sprintf("%s: %s %s", transport, function, name), func(t *testing.T) {
					t.Parallel()
					b := newBench(t)
					met := false
					b.sap.fault = func(called string, n int) outcome {
						if called == function && n == 1 {
							met = true
							return fault
						}
						return fine
					}
					b.once(t, b.settle(t, b.host.NewExport(cfg.json(), sdktest.SampleOrder())))
					if !met {
						t.Error("the fault was never met")
					}
				})
			}
		}
	}
}

func TestALostHostLeavesOneOrder(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sdktest.Fault{"before": sdktest.CutBefore, "after": sdktest.CutAfter} {
		for checkpoint := 1; checkpoint <= 2; checkpoint++ {
			t.Run(fmt.Sprintf("%s checkpoint %d is durable", name, checkpoint), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				if checkpoint == 2 {
					// It comes where the order does not show at once.
					b.sap.list = notAtOnce()
				}
				e := b.host.NewExport(nwrfcFields().json(), sdktest.SampleOrder())
				e.OnCheckpoint = func(n int) sdktest.Fault {
					if n == checkpoint {
						return fault
					}
					return sdktest.Fault{}
				}
				if _, err := e.Run(t.Context()); err == nil {
					t.Fatal("the host was not lost")
				}
				e.OnCheckpoint = nil
				b.pass(20 * time.Minute)
				b.once(t, b.settle(t, e))
			})
		}
	}
}

// An order that SAP is still working on is not there yet. To create it again
// then makes two.
func TestNothingIsCreatedBeforeSAPHasSettled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.fault = func(called string, n int) outcome {
		if called == wrapper && n == 1 {
			return late
		}
		return fine
	}
	e := b.host.NewExport(soapFields().json(), sdktest.SampleOrder())
	for attempt := 1; attempt <= 3; attempt++ {
		result, err := e.Run(t.Context())
		if err != nil || !result.GetError().GetRetryable() {
			t.Fatalf("attempt %d: %v, %v", attempt, result, err)
		}
		// A failure that counts, or a time for the whole connection, would be
		// wrong: nothing has failed, and other orders need not wait.
		if e := result.GetError(); attempt > 1 && (e.GetCode() != connectorv1.ErrorCode_ERROR_CODE_THROTTLED || e.GetRetryAfter() != nil) {
			t.Errorf("attempt %d: %v, want it to wait by itself", attempt, e)
		}
		b.pass(time.Minute)
	}
	b.sap.finish()
	result, err := e.Run(t.Context())
	if err != nil || !result.GetRecovered() {
		t.Fatalf("%v, %v", result, err)
	}
	b.once(t, result)
}

func TestWhatSAPSaysDecides(t *testing.T) {
	t.Parallel()
	refuse := func(rows ...rfc.Structure) func(*rfc.Reply) {
		return func(r *rfc.Reply) {
			r.Values["SALESDOCUMENT"] = ""
			r.Tables["RETURN"] = rows
		}
	}
	lock := rfc.Structure{"TYPE": "E", "ID": "V1", "NUMBER": "042", "MESSAGE": "is being processed"}
	wrong := rfc.Structure{"TYPE": "E", "ID": "V1", "NUMBER": "382", "MESSAGE": "Material is not defined"}
	summary := rfc.Structure{"TYPE": "E", "ID": "V4", "NUMBER": "219", "MESSAGE": "Sales document was not changed"}
	for name, c := range map[string]struct {
		set       func(*fakeSAP)
		config    fields
		code      connectorv1.ErrorCode
		retryable bool
		saved     int
	}{
		"an error refuses the order": {
			set: func(f *fakeSAP) { f.answer = refuse(wrong, summary) }, code: connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP,
		},
		"a lock passes": {
			set: func(f *fakeSAP) { f.answer = refuse(lock, summary) }, code: connectorv1.ErrorCode_ERROR_CODE_THROTTLED, retryable: true,
		},
		"a lock beside an error does not pass": {
			set: func(f *fakeSAP) { f.answer = refuse(lock, wrong) }, code: connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP,
		},
		"an error beside a number is rolled back": {
			set: func(f *fakeSAP) {
				f.answer = func(r *rfc.Reply) { r.Tables["RETURN"] = append(r.Tables["RETURN"], wrong) }
			}, code: connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP,
		},
		"an error beside a number is saved where the config wants it": {
			set: func(f *fakeSAP) {
				f.answer = func(r *rfc.Reply) { r.Tables["RETURN"] = append(r.Tables["RETURN"], wrong) }
			}, config: fields{"behave_when_error": "save_incomplete"}, saved: 1,
		},
		"an abort is never saved": {
			set: func(f *fakeSAP) {
				f.answer = func(r *rfc.Reply) {
					r.Tables["RETURN"] = append(r.Tables["RETURN"], rfc.Structure{"TYPE": "A", "ID": "XX", "NUMBER": "001"})
				}
			}, config: fields{"behave_when_error": "save_incomplete"}, code: connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP,
		},
		"a number without RETURN is no success": {
			set:  func(f *fakeSAP) { f.answer = func(r *rfc.Reply) { delete(r.Tables, "RETURN") } },
			code: connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP,
		},
		"no number is no success": {
			set:  func(f *fakeSAP) { f.answer = func(r *rfc.Reply) { r.Values["SALESDOCUMENT"] = "0000000000" } },
			code: connectorv1.ErrorCode_ERROR_CODE_REJECTED_BY_ERP,
		},
		"a refused commit is looked into": {
			set: func(f *fakeSAP) { f.commitNo = true }, code: connectorv1.ErrorCode_ERROR_CODE_INTERNAL, retryable: true,
		},
		"a saved order that is not found is unknown": {
			set: func(f *fakeSAP) {
				f.list = func(r *rfc.Reply) { r.Tables["SALES_ORDERS"] = []rfc.Structure{} }
			}, code: connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN, saved: 1,
		},
		"a list that is not there is no empty list": {
			set:  func(f *fakeSAP) { f.list = func(r *rfc.Reply) { delete(r.Tables, "SALES_ORDERS") } },
			code: connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN, saved: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			c.set(b.sap)
			result, err := b.host.NewExport(nwrfcFields().with(c.config).json(), sdktest.SampleOrder()).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := result.GetError(); got.GetCode() != c.code || got.GetRetryable() != c.retryable {
				t.Errorf("error %v, want %v, retryable %t", got, c.code, c.retryable)
			}
			if saved := b.sap.documents(); len(saved) != c.saved {
				t.Errorf("%d orders in SAP, want %d", len(saved), c.saved)
			}
			if c.code == 0 && result.GetMetadata()["incomplete"] != "true" {
				t.Errorf("nothing says that the order is incomplete: %v", result)
			}
		})
	}
}

// After a lock nothing of the order is in SAP, so the next attempt need not
// wait for anything.
func TestAnOrderIsCreatedAsSoonAsALockHasPassed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	locked := true
	b.sap.answer = func(r *rfc.Reply) {
		if locked {
			r.Values["SALESDOCUMENT"] = ""
			r.Tables["RETURN"] = []rfc.Structure{{"TYPE": "E", "ID": "MC", "NUMBER": "601"}}
		}
	}
	e := b.host.NewExport(nwrfcFields().json(), sdktest.SampleOrder())
	if result, err := e.Run(t.Context()); err != nil || result.GetSuccess() {
		t.Fatalf("%v, %v", result, err)
	}
	locked = false
	result, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.once(t, result)
}

func TestAResumedExportNeverGuesses(t *testing.T) {
	t.Parallel()
	cfg := nwrfcFields()
	for name, c := range map[string]struct {
		change func(*fakeSAP)
		config fields
	}{
		"when the system has changed":            {change: func(f *fakeSAP) { f.id = "QAS" }},
		"when the reference field has changed":   {config: fields{"reference_field": "REF_1", "lookup": "function", "lookup_function": "Z_FIND"}},
		"when the list answers with an error":    {change: func(f *fakeSAP) { f.list = listError }},
		"when two documents carry the reference": {change: func(f *fakeSAP) { f.list = listTwo }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.sap.fault = func(called string, n int) outcome {
				if called == rfc.CommitFunction && n == 1 {
					return applied
				}
				return fine
			}
			e := b.host.NewExport(cfg.json(), sdktest.SampleOrder())
			if _, err := e.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(b.sap)
			}
			e.Config = cfg.with(c.config).json()
			b.pass(time.Hour)
			b.connector.pools = pools{} // a new process
			result, err := e.Run(t.Context())
			if err != nil || result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN {
				t.Errorf("%v, %v, want OUTCOME_UNKNOWN", result, err)
			}
			if n := len(b.sap.documents()); n != 1 {
				t.Errorf("%d orders in SAP", n)
			}
		})
	}
}

func listError(r *rfc.Reply) {
	r.Tables["SALES_ORDERS"] = []rfc.Structure{}
	r.Structures["RETURN"] = rfc.Structure{"TYPE": "E", "CODE": "V4123", "MESSAGE": "something"}
}

func listTwo(r *rfc.Reply) {
	for _, row := range r.Tables["SALES_ORDERS"] {
		r.Tables["SALES_ORDERS"] = append(r.Tables["SALES_ORDERS"], rfc.Structure{"SD_DOC": "0000009999", "PURCH_NO": row["PURCH_NO"]})
	}
}

func TestWithoutAWrapperNothingIsCreatedOverSOAP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.abilities.UnitOfWork = false
	result, err := b.host.NewExport(soapFields().with(fields{"create_function": nil}).json(), sdktest.SampleOrder()).Run(t.Context())
	if err != nil || result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG || b.sap.calls[createBAPI] != 0 {
		t.Errorf("%v, %v", result, err)
	}
}

func TestARefusedLogonIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.openErr = &rfc.Error{Class: rfc.LogonRefused, Broken: true, Message: "Name or password is incorrect"}
	for range 5 {
		result, err := b.host.NewExport(nwrfcFields().json(), sdktest.SampleOrder()).Run(t.Context())
		if err != nil || result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED {
			t.Fatalf("%v, %v", result, err)
		}
	}
	if b.sap.opened != 1 {
		t.Errorf("%d logons, want 1", b.sap.opened)
	}
	b.pass(2 * time.Minute)
	_, _ = b.host.NewExport(nwrfcFields().json(), sdktest.SampleOrder()).Run(t.Context())
	if b.sap.opened != 2 {
		t.Errorf("%d logons after a while, want 2", b.sap.opened)
	}
}

func TestACancelledExportStopsBeforeTheCreate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	e := b.host.NewExport(nwrfcFields().json(), sdktest.SampleOrder())
	e.OnPayload = func(int) sdktest.Fault { cancel(); return sdktest.CutBefore }
	_, _ = e.Run(ctx)
	if len(b.sap.documents()) != 0 || b.sap.calls[createBAPI] != 0 {
		t.Error("the order was created")
	}
}

// What is missing of a saved order is told also by an attempt that finds it
// saved already.
func TestAnIncompleteOrderStaysIncompleteWhenItIsFoundAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.answer = func(r *rfc.Reply) {
		r.Tables["RETURN"] = append(r.Tables["RETURN"], rfc.Structure{"TYPE": "E", "ID": "V1", "NUMBER": "382", "MESSAGE": "Material is not defined"})
	}
	b.sap.fault = func(called string, _ int) outcome {
		if called == rfc.CommitFunction {
			return applied
		}
		return fine
	}
	e := b.host.NewExport(nwrfcFields().with(fields{"behave_when_error": "save_incomplete"}).json(), sdktest.SampleOrder())
	result := b.settle(t, e)
	b.once(t, result)
	if m := result.GetMetadata(); !result.GetRecovered() || m["incomplete"] != "true" || m["return_01"] != "E V1 382 Material is not defined" {
		t.Errorf("%v", result)
	}
	if len(e.Progress) != 1 || !strings.Contains(e.Progress[0], "incomplete") {
		t.Errorf("the operator is told %q", e.Progress)
	}
}

func TestAnExportThatFindsNoFreeSessionGivesWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cfg := nwrfcFields().with(fields{"max_sessions": 1})
	conn := connection(t, cfg)
	decoded, err := decodeConfig(conn)
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(b.sap, decoded, b.connector.now)
	p.patience = time.Millisecond
	if _, err := p.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = p.acquire(t.Context())
	var typed *sdk.Error
	if !errors.As(failure("open a session with SAP", err), &typed) || typed.Code != sdk.Throttled || !typed.Retryable || typed.RetryAfter != 0 {
		t.Errorf("got %#v", err)
	}
}

// A checkpoint that can't be understood says that the order may be in SAP.
func TestACheckpointThatIsNotUnderstoodIsNotGuessedAt(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"no JSON":              `x`,
		"a later version":      `{"version":2,"data":{"stage":"creating","reference":"OP","reference_field":"PURCH_NO_C"}}`,
		"an unknown stage":     `{"version":1,"data":{"stage":"perhaps","reference":"OP","reference_field":"PURCH_NO_C"}}`,
		"no reference":         `{"version":1,"data":{"stage":"creating"}}`,
		"somebody else's":      `{"tmp":"a"}`,
		"nothing in it at all": ``,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			e := b.host.NewExport(nwrfcFields().json(), sdktest.SampleOrder())
			e.Checkpoint = []byte(data)
			result, err := e.Run(t.Context())
			if err != nil || result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN || b.sap.opened != 0 {
				t.Errorf("%v, %v", result, err)
			}
		})
	}
}

// notAtOnce makes the first look-up miss what is there.
func notAtOnce() func(*rfc.Reply) {
	calls := 0
	return func(r *rfc.Reply) {
		if calls++; calls == 1 {
			r.Tables["SALES_ORDERS"] = []rfc.Structure{}
		}
	}
}

// A session is free for other orders while the host stores something.
func TestNoSessionIsHeldWhileTheHostStores(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.list = notAtOnce() // so that both checkpoints are saved
	cfg := nwrfcFields().with(fields{"max_sessions": 1})
	e := b.host.NewExport(cfg.json(), sdktest.SampleOrder())
	stores := 0
	free := func(int) sdktest.Fault {
		stores++
		p, err := b.connector.pools.only()
		if err != nil || len(p.slots) != 0 {
			t.Errorf("a session is in use (%v)", err)
		}
		return sdktest.Fault{}
	}
	e.OnCheckpoint, e.OnPayload = free, free
	result, err := e.Run(t.Context())
	if err != nil || stores != 3 {
		t.Fatalf("%v, %v, %d stores", result, err, stores)
	}
	b.once(t, result)
}

// only returns the one pool that there is.
func (p *pools) only() (*pool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, found := range p.entries {
		if len(p.entries) == 1 {
			return found, nil
		}
	}
	return nil, fmt.Errorf("there are %d pools", len(p.entries))
}

// What is left of the settling time is waited for within the attempt, if it is
// short.
func TestAShortWaitIsPartOfTheAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.fault = func(called string, n int) outcome {
		if called == createBAPI && n == 1 {
			return notApplied
		}
		return fine
	}
	e := b.host.NewExport(nwrfcFields().with(fields{"timeout_seconds": 2, "settle_seconds": 5}).json(), sdktest.SampleOrder())
	if result, err := e.Run(t.Context()); err != nil || result.GetSuccess() {
		t.Fatalf("%v, %v", result, err)
	}
	began := b.connector.now()
	result, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.once(t, result)
	if waited := b.connector.now().Sub(began); waited != 9*time.Second {
		t.Errorf("waited %s, want the two time-outs of a call and the settling time", waited)
	}
	if lookUps := b.sap.calls[getlistBAPI]; lookUps != 3 {
		t.Errorf("%d look-ups, want one ahead of the wait, one after it, and the read-back", lookUps)
	}
}
