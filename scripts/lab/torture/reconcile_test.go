package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

const (
	order  = "32c282e3-b563-46da-bf52-0f4bd7ffe80d"
	export = "0b9ad1f4-52c1-4b57-a9a5-1f8a4d1a3b11"
)

// TestEveryFaultIsFound makes one fault after the other and wants it found
// under its name, and nothing else.
func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	is := func(status string) world.Export {
		return world.Export{ID: export, DraftOrderID: order, Status: status, ERPOrderID: "SO-0b9ad1f4"}
	}
	failed := func(code string) world.Export {
		e := is("FAILED")
		e.Error = &world.ErrorBody{Code: code, Message: "why"}
		return e
	}
	otherNumber := is("ACKED")
	otherNumber.ERPOrderID = "SO-ffffffff"
	otherExport := is("ACKED")
	otherExport.ID = "0b9ad1f4-0000-4b57-a9a5-1f8a4d1a3b11"
	tests := map[string]struct {
		exports  []world.Export
		consumed int
		want     string // the finding; empty: none
	}{
		"sent and consumed once is fine":                    {[]world.Export{is("SENT")}, 1, ""},
		"acknowledged and consumed once is fine":            {[]world.Export{is("ACKED")}, 1, ""},
		"failed with a reason and never consumed is fine":   {[]world.Export{failed("CONFLICT")}, 0, ""},
		"unknown and consumed is allowed":                   {[]world.Export{failed("OUTCOME_UNKNOWN")}, 1, ""},
		"unknown and not consumed is allowed":               {[]world.Export{failed("OUTCOME_UNKNOWN")}, 0, ""},
		"accepted and without an export is lost":            {nil, 0, "lost"},
		"sent and never consumed is lost":                   {[]world.Export{is("SENT")}, 0, "lost"},
		"acknowledged and never consumed is lost":           {[]world.Export{is("ACKED")}, 0, "lost"},
		"acknowledged and consumed twice is doubled":        {[]world.Export{is("ACKED")}, 2, "doubled"},
		"unknown and consumed twice is doubled":             {[]world.Export{failed("OUTCOME_UNKNOWN")}, 2, "doubled"},
		"failed and consumed is untrue":                     {[]world.Export{failed("CONFLICT")}, 1, "untrue"},
		"failed without a reason is untrue":                 {[]world.Export{is("FAILED")}, 0, "untrue"},
		"with another ERP order number is untrue":           {[]world.Export{otherNumber}, 1, "untrue"},
		"with another export than was answered is untrue":   {[]world.Export{otherExport}, 1, "untrue"},
		"pending at the end is stuck, consumed or not":      {[]world.Export{is("PENDING")}, 1, "stuck"},
		"pending at the end and never consumed is stuck":    {[]world.Export{is("PENDING")}, 0, "stuck"},
		"in a state that nobody knows is stuck":             {[]world.Export{is("ODD")}, 1, "stuck"},
		"consumed and unknown to the host is lost, foreign": {nil, 1, "foreign lost"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &report{Kills: map[string]int{"host": 1}}
			consumed := map[string]int{}
			if test.consumed > 0 {
				consumed[order] = test.consumed
			}
			r.compare(map[string]string{order: export}, test.exports, consumed)
			var found []string
			for _, name := range []string{"doubled", "foreign", "lost", "stuck", "untrue"} {
				if len(r.findings()[name]) > 0 {
					found = append(found, name)
				}
			}
			if got := strings.Join(found, " "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			if r.clean() != (test.want == "") {
				t.Errorf("clean is %v", r.clean())
			}
		})
	}
}

func TestARunWithoutOrdersOrKillsShowsNothing(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*report{
		"no orders": {Kills: map[string]int{"host": 1}},
		"no kills":  {Accepted: 1},
	} {
		if r.clean() {
			t.Errorf("%s: clean", name)
		}
	}
}

func TestAttemptsThatCannotBeAreFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outcomes []string
		want     int
	}{
		"lost, then delivered":      {[]string{"LOST", "DELIVERED"}, 0},
		"still running":             {[]string{"LOST", "RUNNING"}, 1},
		"run again after delivered": {[]string{"DELIVERED", "DELIVERED"}, 1},
	} {
		r, e := &report{}, world.Export{ID: export}
		for i, o := range test.outcomes {
			e.Attempts = append(e.Attempts, world.Attempt{Number: i + 1, Outcome: o})
		}
		if r.judgeAttempts(e); len(r.Untrue) != test.want {
			t.Errorf("%s: found %v", name, r.Untrue)
		}
	}
}

func TestAWaitIsCountedFromTheLastKillOnTheWay(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	attempts := []world.Attempt{
		{Host: "a", StartedAt: at(0), Outcome: "LOST"},
		{Host: "b", StartedAt: at(10), Outcome: "LOST"}, // b lives: the connector was killed
		{Host: "b", StartedAt: at(20), Outcome: "DELIVERED"},
	}
	got := takeovers(attempts, []hostKill{{"a", at(2)}, {"b", at(7)}, {"a", at(15)}})
	if want := []span{{at(7), at(10)}}; !reflect.DeepEqual(got, want) {
		t.Errorf("waits are %v, want %v", got, want)
	}
}

func TestTheTimeInWhichTheConnectionWasDownIsKnown(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	var o outages
	for second, down := range []bool{false, true, true, false, false, true, true} { // down from 1 to 3, and from 5 on
		o.see(down, at(second))
	}
	for _, test := range []struct {
		span span
		want time.Duration
	}{
		{span{at(0), at(10)}, 3 * time.Second},
		{span{at(2), at(4)}, time.Second},
		{span{at(3), at(5)}, 0},
	} {
		if got := o.within(test.span); got != test.want {
			t.Errorf("from %v to %v: %v, want %v", test.span.from, test.span.to, got, test.want)
		}
	}
}

func TestASocketAndItsFolderThatAreLeftAreFound(t *testing.T) {
	t.Parallel()
	run, err := os.MkdirTemp("/tmp", "opt-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	dir := t.TempDir()
	if left := leftSockets(dir, run); len(left) != 0 {
		t.Fatalf("found %v where there is nothing", left)
	}
	if err := os.Mkdir(filepath.Join(run, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(run, "a", "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if left := leftSockets(dir, run); len(left) != 2 {
		t.Errorf("found %v, want the folder and the socket", left)
	}
}

func TestAProcessThatIsLeftIsFoundByItsEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	sleeper := exec.CommandContext(ctx, "sleep", "600")
	sleeper.Env = []string{"PLUGIN_UNIX_SOCKET_DIR=" + dir + "/x"}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	if found := orphans(dir); len(found) != 1 {
		t.Errorf("found %v, want one process", found)
	}
	cancel()
	_ = sleeper.Wait() // it says that it was killed
	if found := orphans(dir); len(found) != 0 {
		t.Errorf("found %v, want none", found)
	}
}

func TestASeedGivesTheSameStepsAgain(t *testing.T) {
	t.Parallel()
	plan := func(seed uint64) (steps []string) {
		s := schedule{seed, allFaults()}
		for n := range 200 {
			at := s.step(n)
			steps = append(steps, at.wait.String()+" "+at.fault.name+" "+between(at.rand, 0, time.Hour).String())
		}
		return steps
	}
	if !reflect.DeepEqual(plan(7), plan(7)) {
		t.Error("the same seed gives other steps")
	}
	if reflect.DeepEqual(plan(7), plan(8)) {
		t.Error("another seed gives the same steps")
	}
	all := strings.Join(plan(7), "\n")
	for _, f := range allFaults() {
		if !strings.Contains(all, f.name) {
			t.Errorf("%q does not come up in 200 steps", f.name)
		}
	}
}
