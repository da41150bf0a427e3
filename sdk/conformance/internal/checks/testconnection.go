package checks

import (
	"context"
	"slices"
	"strings"
	"time"

	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/procfs"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/port"
)

func testConnection() []suite.Check {
	return []suite.Check{
		{
			ID: "testconnection/works", Level: suite.Must, Clauses: []string{"TST-02", "TST-03"}, Run: testWorks,
			Title: "a good config succeeds, step by step, and leaves nothing at the target",
		},
		{
			ID: "testconnection/failures", Level: suite.Must, Run: testFails,
			Clauses: []string{"TST-01", "TST-02", "TST-05", "ERR-01", "ERR-03", "ERR-04"},
			Title:   "each thing that can be wrong is a result with its own code, and the failed step is the last one",
		},
		{
			ID: "testconnection/no-residue", Level: suite.Must, Clauses: []string{"TST-03"}, Run: testLeavesNothing,
			Title: "a test that fails leaves nothing at the target",
		},
		{
			ID: "testconnection/one-login", Level: suite.Must, Clauses: []string{"TST-04"}, Needs: []suite.Need{suite.SFTPServer},
			Run:   oneLogin,
			Title: "refused credentials are not tried a second time",
		},
		{
			ID: "testconnection/deadline", Level: suite.Must, Clauses: []string{"TST-05"}, Alone: true,
			Needs: []suite.Need{suite.Network, suite.Proc}, Run: testStops,
			Title: "it stops at its deadline against a target that does not answer",
		},
		{
			ID: "testconnection/repeatable", Level: suite.Must, Clauses: []string{"TST-06", "TST-03"}, Run: testRepeatable,
			Title: "it can be repeated, also while an export runs, without touching it",
		},
	}
}

// checkTest fails unless an answer agrees with itself.
func checkTest(t *suite.T, what string, r *connectorv1.TestConnectionResponse) {
	if len(r.GetSteps()) == 0 {
		t.Errorf("%s: the answer has no steps", what)
	}
	for i, step := range r.GetSteps() {
		if step.GetName() == "" || step.GetName() != strings.ToLower(step.GetName()) {
			t.Errorf("%s: the step's name %q is empty or not in lower case", what, step.GetName())
		}
		if !step.GetSuccess() && i != len(r.GetSteps())-1 {
			t.Errorf("%s: step %q failed and is not the last one", what, step.GetName())
		}
	}
	good := !slices.ContainsFunc(r.GetSteps(), func(s *connectorv1.TestStep) bool { return !s.GetSuccess() })
	if r.GetSuccess() != good {
		t.Errorf("%s: success is %v, but the steps say %v", what, r.GetSuccess(), good)
	}
	if r.GetSuccess() == (r.GetError() != nil) || r.GetSuccess() == (r.GetErrorMessage() != "") {
		t.Errorf("%s: success is %v with error %v and error_message %q", what, r.GetSuccess(), r.GetError(), r.GetErrorMessage())
	}
	if r.GetError() != nil {
		suite.CheckError(t, r.GetError())
	}
}

func testWorks(t *suite.T) {
	c := t.Start()
	r := c.TestConnection(t.Config(nil))
	checkTest(t, "a good config", r)
	if !r.GetSuccess() {
		t.Errorf("the sample config does not work: %s", r.GetErrorMessage())
	}
	t.WantOrders(0)
}

// cases returns all the ways in which the target can fail: its own, and those
// that the author of the profile knows.
func cases(t *suite.T) []target.Case { return t.Target().Cases() }

// broken returns the config of a case, with the target broken until mend.
func broken(t *suite.T, c target.Case) (config []byte, mend func()) {
	mend = func() {}
	if c.Break != nil {
		undo, err := c.Break()
		if err != nil {
			t.Fatalf("%s: break the target: %v", c.Name, err)
		}
		mend = undo
	}
	return t.ConfigFor(t.Target(), c.Vars, nil), mend
}

// sameConfig says that a case can't be told from the sample config, because
// that does not use what the case changes.
func sameConfig(t *suite.T, c target.Case) bool {
	if len(c.Vars) == 0 {
		return false
	}
	used := string(t.ConfigFor(t.Target(), map[string]any{"canary": "same"}, nil))
	vars := map[string]any{"canary": "same"}
	for name, value := range c.Vars {
		vars[name] = value
	}
	return used == string(t.ConfigFor(t.Target(), vars, nil))
}

func testFails(t *suite.T) {
	c := t.Start()
	tried := 0
	for _, failure := range cases(t) {
		if sameConfig(t, failure) {
			continue
		}
		tried++
		config, mend := broken(t, failure)
		tryBroken(t, c, failure.Name, config, failure.Codes, failure.Silent)
		mend()
	}
	for _, failure := range t.Profile.Broken {
		tried++
		var codes []port.Code
		for _, code := range failure.Codes {
			codes = append(codes, port.Code(code))
		}
		tryBroken(t, c, failure.Name, t.Config(failure.Config), codes, false)
	}
	if tried == 0 {
		t.Errorf("there is no way to make this target fail: name some under broken in the profile")
	}
	// After all that, a good config still works.
	if r := c.TestConnection(t.Config(nil)); !r.GetSuccess() {
		t.Errorf("after the failures, the sample config does not work any more: %s", r.GetErrorMessage())
	}
}

func tryBroken(t *suite.T, c *suite.Connector, what string, config []byte, codes []port.Code, silent bool) {
	limit := t.Limits().Call.D()
	if silent {
		limit = t.Sizes().StalledCall.D()
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	r, err := c.Port.TestConnection(ctx, &connectorv1.TestConnectionRequest{Connection: suite.Connection(config)})
	if err != nil {
		if silent && status.Code(err) == grpccodes.DeadlineExceeded {
			return // either end has given up; testconnection/deadline says more
		}
		t.Errorf("%s: a gRPC status instead of an answer: %v", what, err)
		return
	}
	checkTest(t, what, r)
	if r.GetSuccess() {
		t.Errorf("%s: the test succeeded", what)
		return
	}
	if code := port.CodeOf(r.GetError().GetCode()); len(codes) > 0 && !slices.Contains(codes, code) {
		t.Errorf("%s: the code is %s, want one of %v (%s)", what, code, codes, r.GetErrorMessage())
	}
}

func testLeavesNothing(t *suite.T) {
	c := t.Start()
	for _, failure := range cases(t) {
		if failure.Silent || sameConfig(t, failure) {
			continue
		}
		config, mend := broken(t, failure)
		c.TestConnection(config)
		mend()
		for _, left := range everything(t) {
			t.Errorf("%s: %q was left at the target", failure.Name, left.Name)
		}
	}
}

func everything(t *suite.T) []target.Artefact {
	orders, temporary := t.Look()
	return append(orders, temporary...)
}

func oneLogin(t *suite.T) {
	server := t.Target().(target.Server).SFTP() // the need says so
	tried := false
	for _, failure := range cases(t) {
		if !failure.Login || sameConfig(t, failure) {
			continue
		}
		tried = true
		c := t.Start()
		before := len(server.Logins())
		config, mend := broken(t, failure)
		c.TestConnection(config)
		mend()
		if n := len(server.Logins()) - before; n != 1 {
			t.Errorf("%s: it presented credentials %d times, want once", failure.Name, n)
		}
	}
	if !tried {
		t.Skipf("the sample config does not use ${password}")
	}
}

// testStops looks at the connector's sockets, because its own client gives up
// at the deadline in any case.
func testStops(t *suite.T) {
	c := t.Start()
	c.TestConnection(t.Config(nil))
	before := measure(t, c.Pid)
	proxy := t.Target().(target.Network).Proxy() // the need says so
	proxy.Blackhole(true)
	defer proxy.Blackhole(false)
	config := t.Config(nil)
	ctx, cancel := context.WithTimeout(t.Context(), t.Sizes().StalledCall.D())
	defer cancel()
	started := time.Now()
	r, err := c.Port.TestConnection(ctx, &connectorv1.TestConnectionRequest{Connection: suite.Connection(config)})
	t.Within("the call", started, t.Sizes().StalledCall.D())
	if err == nil && r.GetSuccess() {
		t.Errorf("the test succeeded against a target that does not answer")
	}
	limit := t.Limits().Cancel.D() + t.Limits().Slack.D()
	if !t.Eventually(limit, func() bool { return measure(t, c.Pid).Sockets <= before.Sockets }) {
		t.Errorf("%v after the deadline it still has %d sockets open, before it had %d",
			limit, measure(t, c.Pid).Sockets, before.Sockets)
	}
}

func measure(t *suite.T, pid int) procfs.Usage {
	usage, err := procfs.Measure(pid)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return usage
}

func testRepeatable(t *suite.T) {
	c := t.Start()
	config := t.Config(nil)
	for n := range t.Sizes().Repeats {
		if r := c.TestConnection(config); !r.GetSuccess() {
			t.Fatalf("test %d of the same config failed: %s", n+1, r.GetErrorMessage())
		}
	}
	// In the middle of an export, at each place where the host is asked.
	e := t.NewExport()
	e.OnMessage = func(suite.Kind, int) suite.Answer {
		if r := c.TestConnection(config); !r.GetSuccess() {
			t.Errorf("a test during an export failed: %s", r.GetErrorMessage())
		}
		return suite.Answer{}
	}
	e.Deliver(c)
	t.WantOrders(1)
}
