package checks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
)

func settlement() []suite.Check {
	needs := []suite.Need{suite.Acks}
	files := append(slices.Clone(needs), suite.Files)
	return []suite.Check{
		{
			ID: "acks/settle", Level: suite.Must, Clauses: []string{"ACK-07"}, Needs: needs, Run: settleAcks,
			Title: "each settlement is answered, in order, and a settled ack does not come again",
		},
		{
			ID: "acks/kept", Level: suite.Must, Clauses: []string{"ACK-07"}, Needs: files, Run: acksKept,
			Title: "settled acks are kept, processed ones apart from rejected ones",
		},
		{
			ID: "acks/settle-again", Level: suite.Must, Clauses: []string{"ACK-08"}, Needs: needs, Run: settleAgain,
			Title: "settling again, settling what is gone, and two hosts at once all succeed",
		},
		{
			ID: "acks/verdict", Level: suite.Must, Clauses: []string{"FWD-02"}, Needs: needs, Run: unknownVerdict,
			Title: "an unknown verdict is an error, and the ack stays",
		},
		{
			ID: "acks/handles", Level: suite.Must, Clauses: []string{"EXP-10", "EXP-11"}, Needs: files, Run: foreignHandles,
			Title: "a handle that names something else moves nothing",
		},
	}
}

// settle gives one verdict on each handle and returns the results.
func settle(t *suite.T, c *suite.Connector, verdict connectorv1.Verdict, handles ...string) []*connectorv1.SettleResult {
	request := &connectorv1.SettleAcksRequest{Connection: t.Connection()}
	for _, handle := range handles {
		request.Settlements = append(request.Settlements, &connectorv1.Settlement{Handle: handle, Verdict: verdict, Reason: "conformance"})
	}
	ctx, cancel := t.Call()
	defer cancel()
	response, err := c.Port.SettleAcks(ctx, request)
	if err != nil {
		t.Fatalf("SettleAcks: %v", err)
	}
	if len(response.GetResults()) != len(handles) {
		t.Fatalf("SettleAcks answered %d results for %d settlements", len(response.GetResults()), len(handles))
	}
	return response.GetResults()
}

// wantSettled fails unless all results are good and in order.
func wantSettled(t *suite.T, what string, results []*connectorv1.SettleResult, handles []string) {
	for i, result := range results {
		if result.GetHandle() != handles[i] {
			t.Errorf("%s: result %d is about %q, want %q", what, i+1, result.GetHandle(), handles[i])
		}
		if result.GetError() != nil {
			t.Errorf("%s: %s", what, result.GetError().GetMessage())
		}
	}
}

const (
	processed = connectorv1.Verdict_VERDICT_PROCESSED
	rejected  = connectorv1.Verdict_VERDICT_REJECTED
)

func settleAcks(t *suite.T) {
	c := t.Start()
	leave(t, 4)
	all := handles(fetchAll(t, c))
	if len(all) != 4 {
		t.Fatalf("%d acks came, want 4", len(all))
	}
	some := []string{all[2], all[0]}
	wantSettled(t, "two of four", settle(t, c, processed, some...), some)
	left := handles(fetchAll(t, c))
	slices.Sort(left)
	want := []string{all[1], all[3]}
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("after %q were settled come %q, want %q", some, left, want)
	}
	wantSettled(t, "a rejected one", settle(t, t.Start(), rejected, all[1]), all[1:2])
	if left := handles(fetchAll(t, c)); !slices.Equal(left, all[3:]) {
		t.Errorf("after three of four were settled come %q, want %q", left, all[3:])
	}
}

func acksKept(t *suite.T) {
	c := t.Start()
	leave(t, 2)
	all := handles(fetchAll(t, c))
	if len(all) != 2 {
		t.Fatalf("%d acks came, want 2", len(all))
	}
	settle(t, c, processed, all[0])
	settle(t, c, rejected, all[1])
	folders := map[string]string{}
	for _, line := range snapshot(t) {
		name, data, _ := strings.Cut(line, " ")
		for _, ref := range []string{"conformance-0000", "conformance-0001"} {
			if strings.Contains(data, ref) {
				folders[ref] = filepath.Dir(name)
			}
		}
	}
	if len(folders) != 2 {
		t.Errorf("of two settled acks %d are kept", len(folders))
	}
	if len(folders) == 2 && folders["conformance-0000"] == folders["conformance-0001"] {
		t.Errorf("processed and rejected acks are kept in one place, %q", folders["conformance-0000"])
	}
}

func settleAgain(t *suite.T) {
	c, other := t.Start(), t.Start()
	leave(t, 8)
	all := handles(fetchAll(t, c))
	connection := t.Connection()
	var group sync.WaitGroup
	for _, host := range []*suite.Connector{c, other} {
		group.Go(func() {
			ctx, cancel := t.Call()
			defer cancel()
			for _, handle := range all {
				response, err := host.Port.SettleAcks(ctx, &connectorv1.SettleAcksRequest{
					Connection:  connection,
					Settlements: []*connectorv1.Settlement{{Handle: handle, Verdict: processed}},
				})
				if err != nil || response.GetResults()[0].GetError() != nil {
					t.Errorf("two hosts at once: %v, %v", response, err)
				}
			}
		})
	}
	group.Wait()
	wantSettled(t, "settled already", settle(t, c, processed, all...), all)
	if left := fetchAll(t, c); len(left) > 0 {
		t.Errorf("%d settled acks come again", len(left))
	}
}

func unknownVerdict(t *suite.T) {
	c := t.Start()
	leave(t, 1)
	all := handles(fetchAll(t, c))
	for _, verdict := range []connectorv1.Verdict{connectorv1.Verdict_VERDICT_UNSPECIFIED, 99} {
		for _, result := range settle(t, c, verdict, all...) {
			if result.GetError() == nil {
				t.Errorf("the verdict %d is settled without an error", verdict)
			}
		}
	}
	if left := handles(fetchAll(t, c)); !slices.Equal(left, all) {
		t.Errorf("after an unknown verdict come %q, want %q", left, all)
	}
}

func foreignHandles(t *suite.T) {
	c := t.Start()
	if err := t.Target().Plant(t.Context(), "foreign.json", []byte("foreign")); err != nil {
		t.Fatalf("%v", err)
	}
	files := t.Target().(target.Files) // the need says so
	foreign := filepath.Join(files.OrdersDir(), "foreign.json")
	ctx, cancel := t.Call()
	defer cancel()
	for _, handle := range []string{"../orders/foreign.json", foreign, "..", ".", "", "a/../../orders/foreign.json"} {
		// Whether this is an error is the connector's to say.
		_, _ = c.Port.SettleAcks(ctx, &connectorv1.SettleAcksRequest{
			Connection:  t.Connection(),
			Settlements: []*connectorv1.Settlement{{Handle: handle, Verdict: processed}},
		})
		if _, err := os.Stat(foreign); err != nil {
			t.Fatalf("settling the handle %q moved a foreign file", handle)
		}
	}
}
