package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// sapSteps are what an export calls, first to last. Those in angle brackets are
// no function modules.
var sapSteps = map[string][]string{
	"nwrfc": {"<logon>", "RFC_SYSTEM_INFO", "<describe>", "BAPI_SALESORDER_CREATEFROMDAT2", "BAPI_TRANSACTION_COMMIT", "BAPI_SALESORDER_GETLIST"},
	"soap":  {"RFC_PING", "RFC_SYSTEM_INFO", "Z_ORDERPORT_ORDER_CREATE", "BAPI_SALESORDER_GETLIST"},
}

// impatient is a config with which a lost call is settled in seconds. The
// simulated system never works longer on one than its faults last.
func impatient(sap *sapSystem, transport string) map[string]any {
	c := sap.config(transport)
	c["timeout_seconds"], c["settle_seconds"] = 3, 3
	return c
}

// TestAConnectorKilledAtAnyStepLeavesOneSalesOrder kills the connector before
// and after the system has carried out each step of an order. What the system
// was told to do it does all the same.
func TestAConnectorKilledAtAnyStepLeavesOneSalesOrder(t *testing.T) {
	t.Parallel()
	for _, transport := range sapTransports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx := bounded(t)
			sap := startSAP(t)
			host, client := serveSAP(ctx, t, "sqlite", impatient(sap, transport))
			orders := world.NewOrders(21)
			handedIn := 0
			for _, step := range sapSteps[transport] {
				for _, after := range []bool{false, true} {
					fault := sapFault{Function: step, Nth: 1, After: after, Trouble: "hang"}
					renewSAPConnector(ctx, t, host) // it begins with the first step
					struck, release := sap.inject(ctx, t, fault)
					pushOne(ctx, t, client, orders)
					struck()
					killSAPConnector(host)
					release()
					// One that dies again and again without doing anything is given up.
					awaitExport(ctx, t, client, pushOne(ctx, t, client, orders), "ACKED")
					handedIn += 2
				}
			}
			// An export that was killed is run again after a while, and may be killed
			// there, too. Three times alone, and the host gives it up as unknown.
			awaitFinal(ctx, t, client, handedIn)
			created := checkOnce(ctx, t, client, sap)
			counts, err := client.CountByStatus(ctx)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d orders, %v, %d sales orders, none twice", transport, handedIn, counts, created)
			if counts["ACKED"] < handedIn*3/4 {
				t.Errorf("only %d of %d orders were delivered", counts["ACKED"], handedIn)
			}
		})
	}
}

func pushOne(ctx context.Context, t *testing.T, client *world.Client, orders *world.Orders) (export string) {
	t.Helper()
	_, order := orders.Next()
	e, err := client.Push(ctx, order)
	if err != nil {
		t.Fatal(err)
	}
	return e.ID
}

// killSAPConnector kills the processes of the one connector and leaves the
// others alone. An export that may have ended its process runs in a second one.
func killSAPConnector(host *world.Host) (killed []int) {
	killed = world.ChildrenNamed(host.PID(), "orderport-connector-sap")
	for _, pid := range killed {
		_ = syscall.Kill(pid, syscall.SIGKILL) // one that has ended meanwhile needs none
	}
	return killed
}

// renewSAPConnector kills the connector and waits for the next one.
func renewSAPConnector(ctx context.Context, t *testing.T, host *world.Host) {
	t.Helper()
	killed := killSAPConnector(host)
	eventually(ctx, t, "a new connector", func() error {
		for _, pid := range world.ChildrenNamed(host.PID(), "orderport-connector-sap") {
			if !slices.Contains(killed, pid) {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

// TestTortureOfSAPNeverMakesTwoSalesOrders breaks everything at random while
// orders are on their way. ORDERPORT_TEST_SAP_TORTURE is how many orders, and
// seconds of faults, instead of 40.
func TestTortureOfSAPNeverMakesTwoSalesOrders(t *testing.T) {
	t.Parallel()
	amount := 40
	if given := os.Getenv("ORDERPORT_TEST_SAP_TORTURE"); given != "" {
		var err error
		if amount, err = strconv.Atoi(given); err != nil {
			t.Fatal(err)
		}
	}
	for i, transport := range sapTransports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute+3*time.Duration(amount)*time.Second)
			defer cancel()
			sap := startSAP(t)
			host, client := serveSAP(ctx, t, "sqlite", impatient(sap, transport))
			a := &sapTorture{
				sap: sap, host: host, client: client, steps: sapSteps[transport], rand: rand.New(rand.NewPCG(uint64(i), 7)), done: map[string]int{},
			}
			orders := world.NewOrders(uint64(i) + 31)
			end := time.Now().Add(time.Duration(amount) * time.Second / 2)
			for handedIn := 0; handedIn < amount || time.Now().Before(end); {
				if handedIn < amount {
					_, ndjson := orders.Batch(2)
					if _, err := client.PushBatch(ctx, bytes.NewReader(ndjson)); err != nil {
						t.Fatal(err)
					}
					handedIn += 2
				}
				a.strike(ctx, t)
			}
			a.cleanUp()
			awaitFinal(ctx, t, client, amount)
			created := checkOnce(ctx, t, client, sap)
			counts, err := client.CountByStatus(ctx)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d orders through %v: %v, %d sales orders, none twice", transport, amount, a.done, counts, created)
		})
	}
}

// sapTorture does one bad thing after the other.
type sapTorture struct {
	sap      *sapSystem
	host     *world.Host
	client   *world.Client
	acked    int // when the connector was killed last
	steps    []string
	rand     *rand.Rand
	done     map[string]int // by kind
	releases []func()
}

// strike does one thing. Each lasts much shorter than a call may take.
func (a *sapTorture) strike(ctx context.Context, t *testing.T) {
	t.Helper()
	kinds := []string{"drop", "drop", "drop", "hang", "kill", "connector", "sessions", "lock"}
	kind := kinds[a.rand.IntN(len(kinds))]
	a.done[kind]++
	pause := time.Duration(50+a.rand.IntN(200)) * time.Millisecond
	switch kind {
	case "connector":
		counts, err := a.client.CountByStatus(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// One that dies again and again without doing anything is given up.
		if counts["ACKED"] > a.acked {
			a.acked = counts["ACKED"]
			killSAPConnector(a.host)
		} else {
			a.done[kind]--
		}
	case "sessions":
		if err := a.sap.killSessions(ctx); err != nil {
			t.Fatal(err)
		}
	case "lock":
		unlock, err := a.sap.lock(ctx, "0000004711")
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
	default:
		step := a.steps[a.rand.IntN(len(a.steps))]
		_, release := a.sap.inject(ctx, t, sapFault{Function: step, Nth: 1, After: a.rand.IntN(2) == 0, Trouble: kind})
		if kind == "hang" {
			pause += time.Duration(a.rand.IntN(1000)) * time.Millisecond
			defer release()
		} else {
			a.releases = append(a.releases, release)
		}
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

// cleanUp takes away what has not struck.
func (a *sapTorture) cleanUp() {
	for _, release := range a.releases {
		release()
	}
}

// awaitFinal waits until no export is under way.
func awaitFinal(ctx context.Context, t *testing.T, client *world.Client, want int) {
	t.Helper()
	eventually(ctx, t, "the end of all exports", func() error {
		counts, err := client.CountByStatus(ctx)
		if err == nil && counts["ACKED"]+counts["FAILED"] != want {
			err = fmt.Errorf("have %v, want %d ACKED or FAILED", counts, want)
		}
		return err
	})
}

// checkOnce compares exports with sales orders and returns how many of these
// there are.
func checkOnce(ctx context.Context, t *testing.T, client *world.Client, sap *sapSystem) int {
	t.Helper()
	documents, errSAP := sap.documents(ctx)
	exports, errHost := client.Exports(ctx, nil)
	if err := errors.Join(errSAP, errHost); err != nil {
		t.Fatal(err)
	}
	for _, complaint := range notOnce(exports, documents) {
		t.Error(complaint)
	}
	return len(documents)
}

// notOnce says what is wrong: there must be one sales order for each export
// that is ACKED, with its number and reference; for one that FAILED at most
// one, if its outcome is unknown; and no other.
func notOnce(exports []world.Export, documents []sapDocument) (complaints []string) {
	complain := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	found := map[string][]string{}
	for _, d := range documents {
		reference := d.Header["PURCH_NO_C"]
		found[reference] = append(found[reference], d.Number)
	}
	for _, e := range exports {
		reference := e.ExternalRef
		if e.Error != nil && e.Error.Details["reference"] != "" {
			reference = e.Error.Details["reference"]
		}
		numbers := found[reference]
		delete(found, reference)
		switch {
		case len(numbers) > 1:
			complain("export %s has %d sales orders: %v", e.ID, len(numbers), numbers)
		case e.Status == "ACKED" && (len(numbers) != 1 || numbers[0] != e.ERPOrderID):
			complain("export %s is ACKED as %s, and SAP has %v", e.ID, e.ERPOrderID, numbers)
		case e.Status == "FAILED" && (e.Error == nil || e.Error.Code != "OUTCOME_UNKNOWN"):
			complain("nothing but an unknown outcome may end export %s here: %+v", e.ID, e.Error)
		}
	}
	for reference, numbers := range found {
		complain("sales orders that belong to no export: %s %v", reference, numbers)
	}
	return complaints
}

func TestNotOnceSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	document := func(number, reference string) sapDocument {
		return sapDocument{Number: number, Header: map[string]string{"PURCH_NO_C": reference}}
	}
	acked := world.Export{ID: "1", Status: "ACKED", ExternalRef: "A", ERPOrderID: "7"}
	unknown := world.Export{ID: "1", Status: "FAILED", Error: &world.ErrorBody{Code: "OUTCOME_UNKNOWN", Details: map[string]string{"reference": "A"}}}
	rejected := world.Export{ID: "1", Status: "FAILED", Error: &world.ErrorBody{Code: "REJECTED_BY_ERP"}}
	for name, c := range map[string]struct {
		export    world.Export
		documents []sapDocument
		wrong     bool
	}{
		"one for one":                       {acked, []sapDocument{document("7", "A")}, false},
		"none for an ACKED one":             {acked, nil, true},
		"another number":                    {acked, []sapDocument{document("8", "A")}, true},
		"two with its reference":            {acked, []sapDocument{document("7", "A"), document("8", "A")}, true},
		"one of nobody beside":              {acked, []sapDocument{document("7", "A"), document("8", "B")}, true},
		"none for an unknown outcome":       {unknown, nil, false},
		"one for an unknown outcome":        {unknown, []sapDocument{document("7", "A")}, false},
		"two for an unknown outcome":        {unknown, []sapDocument{document("7", "A"), document("8", "A")}, true},
		"an end that is no unknown outcome": {rejected, nil, true},
	} {
		if got := notOnce([]world.Export{c.export}, c.documents); (len(got) > 0) != c.wrong {
			t.Errorf("%s: %q", name, got)
		}
	}
}
