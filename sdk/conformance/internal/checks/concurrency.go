package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
)

func concurrency() []suite.Check {
	return []suite.Check{
		{
			ID: "concurrency/exports", Level: suite.Must, Clauses: []string{"SVC-06", "EXP-15", "EXP-08"}, Run: parallelExports,
			Title: "many exports at one time arrive once each, with their own content and external_ref",
		},
		{
			ID: "concurrency/waiting-neighbour", Level: suite.Must, Clauses: []string{"SVC-06"}, Run: everyCallMeanwhile,
			Title: "every other call is answered while an export waits for the host",
		},
		{
			ID: "concurrency/same-order", Level: suite.Must, Clauses: []string{"EXP-07", "EXP-08"}, Run: sameOrder,
			Title: "two exports of the same order are two orders with an external_ref each",
		},
		{
			ID: "concurrency/connections", Level: suite.Must, Clauses: []string{"EXP-15"}, Needs: []suite.Need{suite.Files},
			Run:   twoConnections,
			Title: "exports of two connections, in turn and at one time, reach the target of their own",
		},
		{
			ID: "concurrency/stalled-connection", Level: suite.Must, Clauses: []string{"EXP-15"},
			Needs: []suite.Need{suite.Files, suite.Network}, Run: stalledConnection,
			Title: "a target that does not answer holds up no other connection",
		},
	}
}

// marked returns an order whose description tells it from all others.
func marked(mark string) *connectorv1.DraftOrder {
	order := suite.SampleOrder()
	order.Lines[0].Description = suite.Ptr(mark)
	order.ExternalOrderNumber = suite.Ptr(mark)
	return order
}

func parallelExports(t *suite.T) { exportAtOnce(t, t.Start()) }

// exportAtOnce runs many exports, which take turns with the connectors.
func exportAtOnce(t *suite.T, connectors ...*suite.Connector) {
	n := t.Sizes().Parallel
	if most := t.Description.GetLimits().GetMaxInFlightPerConnection(); most > 0 {
		n = min(n, int(most))
	}
	exports := make([]*suite.Export, n)
	refs := make([]string, n)
	for i := range exports {
		exports[i] = t.NewExportOf(marked(fmt.Sprintf("MARK-%04d-X", i)), t.Connection())
	}
	var group sync.WaitGroup
	for i, e := range exports {
		group.Go(func() {
			attempt := run(t, connectors[i%len(connectors)], e)
			refs[i] = attempt.Result.GetExternalRef()
			if attempt.Err != nil || !attempt.Result.GetSuccess() {
				t.Errorf("one of %d exports at one time failed: %v, %v", n, attempt.Result.GetError(), attempt.Err)
			}
		})
	}
	group.Wait()
	orders := t.WantOrders(n)
	for i, e := range exports {
		wantOwn(t, fmt.Sprintf("MARK-%04d-X", i), e, orders)
		if refs[i] != "" && slices.Contains(refs[:i], refs[i]) {
			t.Errorf("two exports have the external_ref %q", refs[i])
		}
	}
}

// wantOwn fails unless exactly one of the orders is about a mark, as far as
// that can be seen.
func wantOwn(t *suite.T, mark string, e *suite.Export, orders []target.Artefact) {
	if e.Payload != nil && !strings.Contains(string(e.Payload.Data), mark) {
		t.Errorf("the stored payload of the order %s is about another one", mark)
	}
	n, seen := 0, 0
	for _, order := range orders {
		if order.Data != nil {
			seen++
		}
		if strings.Contains(string(order.Data), mark) {
			n++
		}
	}
	if seen > 0 && n != 1 {
		t.Errorf("the order %s is at the target %d times, want once", mark, n)
	}
}

// everyCallMeanwhile makes each other call at each place where the host is
// asked.
func everyCallMeanwhile(t *suite.T) {
	c := t.Start()
	e := t.NewExport()
	others := 0
	e.OnMessage = func(suite.Kind, int) suite.Answer {
		ctx, stop := context.WithTimeout(t.Context(), t.Limits().Call.D()/4)
		defer stop()
		if _, err := c.Port.Describe(ctx, &connectorv1.DescribeRequest{}); err != nil {
			t.Errorf("during an export, Describe: %v", err)
		}
		if _, err := c.Port.TestConnection(ctx, &connectorv1.TestConnectionRequest{Connection: t.Connection()}); err != nil {
			t.Errorf("during an export, TestConnection: %v", err)
		}
		if slices.Contains(t.Description.GetCapabilities(), connectorv1.Capability_CAPABILITY_ACKS) {
			if _, err := fetchSome(ctx, c, t.Connection(), 0); err != nil {
				t.Errorf("during an export, FetchAcks: %v", err)
			}
		}
		others++
		other := t.NewExport().Run(ctx, c)
		if !other.Result.GetSuccess() {
			t.Errorf("during an export, another one failed: %v, %v", other.Result.GetError(), other.Err)
		}
		return suite.Answer{}
	}
	if e.Deliver(c); others == 0 {
		t.Notef("it asks the host nothing during an export")
	}
	t.WantOrders(others + 1)
}

// sameOrder exports one order twice: what tells orders apart is the export.
func sameOrder(t *suite.T) {
	c := t.Start()
	first := t.NewExport()
	second := t.NewExportOf(first.Order, first.Connection)
	ref := first.Deliver(c).Result.GetExternalRef()
	attempt := run(t, c, second)
	if attempt.Err != nil || !attempt.Result.GetSuccess() {
		t.Errorf("another export of the same order failed: %v, %v", attempt.Result.GetError(), attempt.Err)
	}
	if ref != "" && ref == attempt.Result.GetExternalRef() {
		t.Errorf("two exports have the external_ref %q", ref)
	}
	t.WantOrders(2)
}

// twoConnections has another target with other credentials. Each order must
// end up at its own, and each server may only see its own credentials.
func twoConnections(t *suite.T) {
	c := t.Start()
	targets := []target.Target{t.Target(), t.NewTarget()}
	configs := [][]byte{t.Config(nil), t.ConfigFor(targets[1], nil, nil)}
	n := t.Sizes().Repeats
	var exports [2][]*suite.Export
	for range n {
		for i := range targets {
			connection := suite.Connection(configs[i])
			if i == 1 {
				connection.Id = suite.NewID()
			}
			exports[i] = append(exports[i], t.NewExportOf(suite.SampleOrder(), connection))
		}
	}
	exports[0][0].Deliver(c)
	exports[1][0].Deliver(c)
	var group sync.WaitGroup
	for i := range exports {
		for _, e := range exports[i][1:] {
			group.Go(func() {
				if attempt := run(t, c, e); !attempt.Result.GetSuccess() {
					t.Errorf("with two connections at one time an export failed: %v, %v", attempt.Result.GetError(), attempt.Err)
				}
			})
		}
	}
	group.Wait()
	for i, at := range targets {
		if orders, _ := t.LookAt(at); len(orders) != n {
			t.Errorf("of the targets of two connections, one has %d orders, want %d", len(orders), n)
		}
		if server, ok := at.(target.Server); ok {
			for _, login := range server.SFTP().Logins() {
				if !login.Good {
					t.Errorf("target %d was shown credentials that are not its own", i+1)
				}
			}
		}
	}
}

// stalledConnection lets several exports hang at one target.
func stalledConnection(t *suite.T) {
	c := t.Start()
	stalled := t.NewTarget()
	config := t.ConfigFor(stalled, nil, nil)
	proxy := stalled.(target.Network).Proxy() // the need says so
	proxy.Blackhole(true)
	defer proxy.Blackhole(false)
	hanging, release := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		e := t.NewExportOf(suite.SampleOrder(), suite.Connection(config))
		e.Connection.Id = suite.NewID()
		group.Go(func() { e.Run(hanging, c) })
	}
	t.Eventually(t.Sizes().Watch.D(), func() bool { return proxy.Accepted() >= 4 })
	ctx, stop := context.WithTimeout(t.Context(), t.Limits().Call.D()/4)
	defer stop()
	for range t.Sizes().Repeats {
		if attempt := t.NewExport().Run(ctx, c); !attempt.Result.GetSuccess() {
			t.Errorf("while another target does not answer, an export failed: %v, %v", attempt.Result.GetError(), attempt.Err)
			break
		}
	}
	release()
	group.Wait()
}
