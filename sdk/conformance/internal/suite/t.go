package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/conformance/profile"
)

// T is one run of one check. Its methods may be used concurrently, but only
// the check's own goroutine may call those that end the check: Fatalf, Skipf,
// and whatever starts or renders something.
type T struct {
	*Suite
	check  Check
	ctx    context.Context // of the one run that T lives in
	target target.Target

	mu        sync.Mutex
	problems  []string        // guarded by mu
	notes     []string        // guarded by mu
	reason    string          // guarded by mu; why it is skipped
	skipped   bool            // guarded by mu
	cleanups  []func()        // guarded by mu
	canaries  map[string]int  // guarded by mu; every secret that was used
	exports   int             // guarded by mu; made so far
	claimed   map[string]bool // guarded by mu; the ERP's numbers that exports were told to have
	observers []*Connector    // guarded by mu; all that were started
}

// Context ends when the check takes far too long, or the run is cancelled.
func (t *T) Context() context.Context { return t.ctx }

// Limits returns how long things may take.
func (t *T) Limits() profile.Limits { return t.Profile.Limits }

// Sizes returns how much work to do.
func (t *T) Sizes() profile.Sizes { return t.Profile.Sizes }

// Errorf records a problem: the check has failed, and goes on.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 20
	switch {
	case len(t.problems) < most:
		t.problems = append(t.problems, fmt.Sprintf(format, args...))
	case len(t.problems) == most:
		t.problems = append(t.problems, "and more")
	}
}

// Fatalf records a problem and ends the check.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Skipf ends the check because the target, or the connector, lacks a facility
// that no Need names.
// A check that has found a problem has failed all the same.
func (t *T) Skipf(format string, args ...any) {
	t.mu.Lock()
	t.skipped, t.reason = true, fmt.Sprintf(format, args...)
	t.mu.Unlock()
	runtime.Goexit()
}

// Notef records something worth knowing in the report.
func (t *T) Notef(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// Failed says whether a problem was recorded.
func (t *T) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.problems) > 0
}

// Cleanup has f called at the end, the last one first.
func (t *T) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// Target returns the check's own target, new and empty.
func (t *T) Target() target.Target { return t.target }

// start gives the check its target, or skips it.
func (t *T) start() {
	t.target = t.NewTarget()
	if reason := missing(t.check.Needs, t.Description, t.target, t.Profile, t.secrets); reason != "" {
		t.Skipf("%s", reason)
	}
}

// NewTarget starts another target, for a second connection.
func (t *T) NewTarget() target.Target {
	other, err := target.New(t.ctx, t.Profile)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = other.Close() })
	return other
}

// finish checks what holds for every check: no process may have died.
func (t *T) finish() {
	for _, c := range t.observers {
		c.checkAlive()
	}
}

func (t *T) recoverPanic() {
	if v := recover(); v != nil {
		stack := make([]byte, 4096)
		t.Errorf("the check itself is broken: %v\n%s", v, stack[:runtime.Stack(stack, false)])
	}
}

func (t *T) cleanUp() {
	for {
		t.mu.Lock()
		n := len(t.cleanups)
		if n == 0 {
			t.mu.Unlock()
			return
		}
		last := t.cleanups[n-1]
		t.cleanups = t.cleanups[:n-1]
		t.mu.Unlock()
		last()
	}
}

func (t *T) result(took time.Duration) Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Result{Check: t.check, Outcome: Passed, Problems: t.problems, Notes: t.notes, Duration: took}
	switch {
	case len(t.problems) > 0:
		r.Outcome = Failed
	case t.skipped:
		r.Outcome, r.Reason = Skipped, t.reason
	}
	return r
}

// Config returns the sample config for the check's target. Changes are laid
// over it; nil removes a property.
func (t *T) Config(changes map[string]any) []byte { return t.ConfigFor(t.target, nil, changes) }

// ConfigFor returns the sample config for a target, with vars instead of the
// target's own placeholders where both have one.
func (t *T) ConfigFor(to target.Target, vars, changes map[string]any) []byte {
	all := to.Vars()
	maps.Copy(all, vars)
	merged := maps.Clone(t.Profile.Config)
	for key, value := range changes {
		if value == nil {
			delete(merged, key)
		} else {
			merged[key] = value
		}
	}
	config, err := render(merged, all)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.rememberSecrets(config)
	return config
}

func (t *T) rememberSecrets(config []byte) {
	if t.Schema == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.canaries == nil {
		t.canaries = map[string]int{}
	}
	for _, secret := range t.Schema.SecretValues(config) {
		t.canaries[secret]++
	}
}

// Canaries returns every secret that was in a config of this check.
func (t *T) Canaries() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.canaries))
}

// Connection returns the connection for the check's target.
func (t *T) Connection() *connectorv1.Connection { return Connection(t.Config(nil)) }

// Connection makes a connection of the one organization.
func Connection(config []byte) *connectorv1.Connection {
	return &connectorv1.Connection{Id: "7d0f0c5e-54b1-4bb2-8e0a-2f3f6f1d8a01", OrgSlug: "acme", Config: config}
}

// render fills placeholders in and returns JSON.
func render(config map[string]any, vars map[string]any) ([]byte, error) {
	filled, err := fill(config, vars)
	if err != nil {
		return nil, err
	}
	return json.Marshal(filled)
}

func fill(value any, vars map[string]any) (any, error) {
	var err error
	switch v := value.(type) {
	case string:
		return fillText(v, vars)
	case map[string]any:
		filled := make(map[string]any, len(v))
		for key, item := range v {
			if filled[key], err = fill(item, vars); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		return filled, nil
	case []any:
		filled := make([]any, len(v))
		for i, item := range v {
			if filled[i], err = fill(item, vars); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return filled, nil
	default:
		return v, nil
	}
}

func fillText(text string, vars map[string]any) (any, error) {
	name, closed := strings.CutSuffix(text, "}")
	if inner, ok := strings.CutPrefix(name, "${"); ok && closed && !strings.Contains(inner, "$") {
		if value, ok := vars[inner]; ok {
			return value, nil
		}
	}
	for name, value := range vars {
		text = strings.ReplaceAll(text, "${"+name+"}", fmt.Sprint(value))
	}
	if start := strings.Index(text, "${"); start >= 0 {
		return nil, fmt.Errorf("the config has the placeholder %.40q, the target knows only %v",
			text[start:], slices.Sorted(maps.Keys(vars)))
	}
	return text, nil
}
