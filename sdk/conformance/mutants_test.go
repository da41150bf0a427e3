package conformance

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orderport/orderport/sdk/conformance/internal/checks"
	"github.com/orderport/orderport/sdk/conformance/internal/sabotage"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/profile"
)

var update = flag.Bool("update", false, "write generated files instead of comparing them")

// mutants makes broken connectors: one program under many names.
type mutants struct{ dir, binary string }

func buildMutants(t *testing.T) mutants {
	t.Helper()
	m := mutants{dir: t.TempDir()}
	m.binary = filepath.Join(m.dir, sabotage.Binary(sabotage.Sound))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", m.binary, "./internal/mutant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant: %v\n%s", err, out)
	}
	manifest := fmt.Sprintf(`{"version":"1.0.0","sha256":%q}`, checksum(m.binary))
	if err := os.WriteFile(filepath.Join(m.dir, "manifest.json"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// profile returns how to test the mutant of that name.
func (m mutants) profile(t *testing.T, name string, kind profile.Kind) Target {
	t.Helper()
	binary := filepath.Join(m.dir, sabotage.Binary(name))
	if _, err := os.Stat(binary); err != nil {
		if err := os.Link(m.binary, binary); err != nil {
			t.Fatal(err)
		}
	}
	p := Target{
		Binary: binary,
		Config: map[string]any{"mode": "directory", "dir": "${dir}", "ack_dir": "${ack_dir}", "token": "${canary}"},
		Target: profile.Target{Kind: kind, Orders: "order_*.json"},
		Acks: &profile.Acks{
			Positive: profile.AckFile{Name: "ack_${external_ref}", Data: `{"erp_order_id":"${erp_order_id}"}`},
			Negative: profile.AckFile{Name: "error_${external_ref}", Data: `{"error_code":"${error_code}","message":"${message}"}`},
			Settle:   profile.Duration(1300 * time.Millisecond),
		},
		Sizes: profile.Sizes{
			Repeats: 4, Starts: 4, Parallel: 6, Leaks: 25, Fuzz: 60, Acks: 60, Lines: 10_000, Configs: 40,
			IdleFor: profile.Duration(1200 * time.Millisecond), Watch: profile.Duration(150 * time.Millisecond),
			StalledCall: profile.Duration(600 * time.Millisecond),
		},
		PreviousSchema: "internal/mutant/config.schema.json",
		Manifest:       filepath.Join(m.dir, "manifest.json"),

		Limits: profile.Limits{
			Slack: profile.Duration(500 * time.Millisecond), Orphan: profile.Duration(time.Second),
			Start: profile.Duration(4 * time.Second), Call: profile.Duration(10 * time.Second),
		},
	}
	if kind == profile.SFTP {
		p.Config = map[string]any{
			"mode": "sftp", "dir": "${dir}", "ack_dir": "${ack_dir}", "token": "${canary}", "host": "${host}",
			"port": "${port}", "user": "${user}", "password": "${password}", "host_key": "${host_key}",
		}
	}
	return p
}

func find(t *testing.T, id string) suite.Check {
	t.Helper()
	for _, check := range checks.All() {
		if check.ID == id {
			return check
		}
	}
	t.Fatalf("there is no check %q", id)
	return suite.Check{}
}

// trial is one check on one connector.
type trial struct {
	name   string
	check  suite.Check
	target Target
	err    error // why it could not be made
	result suite.Result
}

func (one *trial) run(ctx context.Context) {
	prepared, err := suite.Prepare(ctx, one.target)
	if err != nil {
		one.err = err
		return
	}
	one.result = prepared.RunCheck(ctx, one.check)
}

// atOneTime is how many trials run together. They mostly wait.
const atOneTime = 6

// wanted says whether -run names the subtest. Trials run before their subtests,
// so it would otherwise not save any time.
func wanted(name string) bool {
	_, pattern, ok := strings.Cut(flag.Lookup("test.run").Value.String(), "/")
	if !ok {
		return true
	}
	matched, err := regexp.MatchString(pattern, strings.ReplaceAll(name, " ", "_"))
	return err != nil || matched
}

// runAll runs the trials, those that measure time or resources by themselves.
func runAll(t *testing.T, trials []*trial) {
	t.Helper()
	trials = slices.DeleteFunc(slices.Clone(trials), func(one *trial) bool { return !wanted(one.name) })
	slots := make(chan struct{}, atOneTime)
	var group sync.WaitGroup
	for _, alone := range []bool{false, true} {
		for _, one := range trials {
			if one.check.Alone != alone {
				continue
			}
			if alone {
				one.run(t.Context())
				continue
			}
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				one.run(t.Context())
			})
		}
		group.Wait()
	}
}

func TestMutantsAreCaught(t *testing.T) {
	m := buildMutants(t)
	var trials []*trial
	for _, s := range sabotage.All() {
		kind := s.Target
		if kind == "" {
			kind = profile.Directory
		}
		trials = append(trials, &trial{name: s.Name, check: find(t, s.Check), target: m.profile(t, s.Name, kind)})
	}
	runAll(t, trials)
	for i, s := range sabotage.All() {
		t.Run(s.Name, func(t *testing.T) {
			if trials[i].err != nil {
				t.Fatal(trials[i].err)
			}
			result := trials[i].result
			problems := strings.Join(result.Problems, "\n")
			if result.Outcome != suite.Failed {
				t.Fatalf("%s %s (%s), want it to fail: the connector %s", s.Check, result.Outcome, result.Reason, s.What)
			}
			if !strings.Contains(problems, s.Words) {
				t.Errorf("%s must say %q, got:\n%s", s.Check, s.Words, problems)
			}
		})
	}
}

func TestASoundConnectorPassesEverything(t *testing.T) {
	m := buildMutants(t)
	var trials []*trial
	for _, sound := range []struct {
		name string
		kind profile.Kind
	}{{sabotage.Sound, profile.Directory}, {sabotage.Sound, profile.SFTP}, {sabotage.Plain, profile.Directory}} {
		target := m.profile(t, sound.name, sound.kind)
		for _, check := range checks.All() {
			trials = append(trials, &trial{
				name: fmt.Sprintf("%s %s %s", sound.name, sound.kind, check.ID), check: check, target: target,
			})
		}
	}
	runAll(t, trials)
	for _, one := range trials {
		t.Run(one.name, func(t *testing.T) {
			if one.err != nil {
				t.Fatal(one.err)
			}
			switch one.result.Outcome {
			case suite.Passed:
			case suite.Failed:
				t.Error(strings.Join(one.result.Problems, "\n"))
			case suite.Skipped:
				t.Logf("does not apply: %s", one.result.Reason)
			}
		})
	}
}

func TestEachCheckHasAMutant(t *testing.T) {
	t.Parallel()
	all := sabotage.All()
	for _, check := range checks.All() {
		if !slices.ContainsFunc(all, func(s sabotage.Sabotage) bool { return s.Check == check.ID }) {
			t.Errorf("%s: no mutant shows that it can fail", check.ID)
		}
	}
	for i, s := range all {
		find(t, s.Check)
		if s.Words == "" || s.What == "" {
			t.Errorf("%s: it must be said what is wrong, and which words tell", s.Name)
		}
		for _, other := range all[:i] {
			if other.Name == s.Name {
				t.Errorf("%s is listed twice", s.Name)
			}
		}
	}
}

const mutantTable = "../../docs/connectors/conformance-mutants.md"

func TestTheTableOfMutantsIsCurrent(t *testing.T) {
	t.Parallel()
	want := table()
	if *update {
		if err := os.WriteFile(mutantTable, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(mutantTable)
	if err != nil || string(got) != want {
		t.Errorf("%s is not current (%v): run go test ./conformance -run TableOfMutants -update", mutantTable, err)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("# Each check can fail\n\n" +
		"Generated from the mutants that the tests run; do not edit. A mutant is a connector that is broken in one\n" +
		"way. The test starts each one, runs the check beside it, and wants the check to fail with the words given.\n" +
		"The same connector without the fault passes every check.\n\n" +
		"| check | mutant: a connector that … | caught with the words |\n| --- | --- | --- |\n")
	all := sabotage.All()
	for _, check := range checks.All() {
		for _, s := range all {
			if s.Check == check.ID {
				fmt.Fprintf(&b, "| `%s` | `%s`: %s | %s |\n", check.ID, s.Name, s.What, s.Words)
			}
		}
	}
	fmt.Fprintf(&b, "\n%d checks, %d mutants.\n", len(checks.All()), len(all))
	return b.String()
}
