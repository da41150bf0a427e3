package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestAConnectorFromNothingToADeliveredOrder walks the way of a connector's
// author and of an operator, as the quickstart describes it, and measures it.
func TestAConnectorFromNothingToADeliveredOrder(t *testing.T) {
	runWalk(t, "new-connector")
}

// runWalk runs one script of testdata/walk.
func runWalk(t *testing.T, name string) {
	t.Helper()
	goEnv := goEnvironment(t)
	repository, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{begun: time.Now(), last: time.Now()}
	testscript.Run(t, testscript.Params{
		Files: []string{filepath.Join("testdata", "walk", name+".txtar")},
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"connectors", "orders", "answers"} {
				if err := os.Mkdir(filepath.Join(env.WorkDir, name), 0o755); err != nil {
					return err
				}
			}
			env.Vars = append(env.Vars, goEnv...)
			env.Setenv("REPOSITORY", repository)
			env.Setenv("ORDERPORT_DATA_DIR", filepath.Join(env.WorkDir, "data"))
			env.Setenv("ORDERPORT_PLUGIN_DIR", filepath.Join(env.WorkDir, "connectors"))
			env.Setenv("ORDERPORT_LISTEN", freeAddress(t))
			env.Setenv("ENCRYPTION_MASTER_KEY", strings.Repeat("a1", 32))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "field": field, "eventually": eventually, "walked": w.walked, "fill": fill,
		},
	})
	t.Cleanup(func() {
		t.Logf("measured: %s: %s, in all %.1f s", strings.ReplaceAll(name, "-", " "), strings.Join(w.steps, ", "), time.Since(w.begun).Seconds())
	})
}

// goEnvironment lets the go command work in a script's empty environment, with
// what is on this machine already.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	vars := []string{"GOWORK=off", "GOPROXY=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOTOOLCHAIN", "GOROOT"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatalf("go env: %v", err)
		}
		vars = append(vars, name+"="+strings.TrimSpace(string(out)))
	}
	return vars
}

// walk measures the steps of a script.
type walk struct {
	begun, last time.Time
	steps       []string
}

// walked ends a step: walked NAME.
func (w *walk) walked(_ *testscript.TestScript, _ bool, args []string) {
	w.steps = append(w.steps, fmt.Sprintf("%s %.1f s", args[0], time.Since(w.last).Seconds()))
	w.last = time.Now()
}

// eventually runs a command until its output matches: eventually PATTERN
// COMMAND….
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	over := time.After(20 * time.Second)
	for {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-over:
			ts.Fatalf("the output never matches %s", args[0])
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fill replaces $NAME in files by the script's variables: fill FILE….
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}
