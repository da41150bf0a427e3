package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/conformance/internal/launch"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/conformance/profile"
)

// Outcome is how a check came out.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Result is the outcome of one check.
type Result struct {
	Check    Check
	Outcome  Outcome
	Problems []string // why it failed
	Reason   string   // why it was skipped
	Notes    []string // what is worth knowing, also if it passed
	Duration time.Duration
	Run      int // 1 and up, when checks are repeated
}

// Suite is one connector with what all checks need to know of it.
type Suite struct {
	Profile     profile.Profile
	Description *connectorv1.DescribeResponse
	Schema      *configschema.Schema
	secrets     int // how many secrets the sample config has

	// dead says why the connector can't be started and described at all. Only
	// the checks of the handshake then say more.
	dead error
}

// ErrCannotRun is wrapped by errors that say that nothing could be checked.
var ErrCannotRun = errors.New("the checks could not be run")

// Prepare starts the connector and a target once, to see that there is
// something to check. All errors wrap ErrCannotRun.
func Prepare(ctx context.Context, p profile.Profile) (*Suite, error) {
	s := &Suite{}
	if err := s.prepare(ctx, p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotRun, err)
	}
	return s, nil
}

func (s *Suite) prepare(ctx context.Context, p profile.Profile) error {
	var err error
	if s.Profile, err = p.Complete(); err != nil {
		return err
	}
	if s.Description, s.dead = s.describe(ctx); ctx.Err() != nil {
		return ctx.Err()
	}
	// A schema that is wrong is a failed check and not the end: without it no
	// secrets are known, and configs go out as they are.
	s.Schema, _ = configschema.Compile(s.Description.GetConfigSchema())
	t, err := target.New(ctx, s.Profile)
	if err != nil {
		return err
	}
	config, err := render(s.Profile.Config, t.Vars())
	if s.Schema != nil {
		s.secrets = len(s.Schema.SecretValues(config))
	}
	return errors.Join(err, t.Close())
}

func (s *Suite) describe(ctx context.Context) (*connectorv1.DescribeResponse, error) {
	process, err := launch.Start(launch.Options{Binary: s.Profile.Binary})
	if err != nil {
		return nil, err
	}
	defer process.Close()
	// Its files may not have been read from the disk yet. A check measures a
	// later start.
	patience := 3 * (s.Profile.Limits.Start.D() + s.Profile.Limits.Slack.D())
	handshake, err := process.Handshake(ctx, patience)
	if err != nil {
		return nil, err
	}
	conn, err := process.Dial(handshake, launch.Host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, s.Profile.Limits.Call.D())
	defer cancel()
	description, err := connectorv1.NewConnectorServiceClient(conn).Describe(ctx, &connectorv1.DescribeRequest{})
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	return description, nil
}

// Options say how to run checks.
type Options struct {
	// Repeat runs each check so many times. 0: once.
	Repeat int
	// Parallel is how many checks run at one time, those that must be alone
	// excepted. 0: one.
	Parallel int
	// Started and Done, if set, are told of each check; never both at once.
	Started func(Check)
	Done    func(Result)
}

// Run runs the checks and returns their results in the order of the checks.
func (s *Suite) Run(ctx context.Context, checks []Check, opts Options) []Result {
	repeat, parallel := max(1, opts.Repeat), max(1, opts.Parallel)
	results := make([]Result, len(checks)*repeat)
	var telling sync.Mutex
	tell := func(f func()) {
		telling.Lock()
		defer telling.Unlock()
		f()
	}
	one := func(i int) {
		check := checks[i/repeat]
		if opts.Started != nil {
			tell(func() { opts.Started(check) })
		}
		results[i] = s.RunCheck(ctx, check)
		results[i].Run = i%repeat + 1
		if opts.Done != nil {
			tell(func() { opts.Done(results[i]) })
		}
	}
	var workers sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range results {
		if checks[i/repeat].Alone {
			workers.Wait()
			one(i)
			continue
		}
		slots <- struct{}{}
		workers.Go(func() {
			defer func() { <-slots }()
			one(i)
		})
	}
	workers.Wait()
	return results
}

// RunCheck runs one check once.
func (s *Suite) RunCheck(ctx context.Context, check Check) Result {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, longestCheck)
	defer cancel()
	t := &T{Suite: s, check: check, ctx: ctx}
	if s.dead != nil && !strings.HasPrefix(check.ID, "handshake/") {
		t.Errorf("the connector can't be called at all: %v", s.dead)
		return t.result(time.Since(started))
	}
	finished := make(chan struct{})
	go func() { // Fatalf ends it with Goexit
		defer close(finished)
		defer t.cleanUp()
		defer t.finish()
		defer t.recoverPanic()
		t.start()
		check.Run(t)
	}()
	<-finished
	return t.result(time.Since(started))
}

// longestCheck bounds a check whose connector hangs at a place where nobody
// thought of a bound.
const longestCheck = 10 * time.Minute

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return runtime.GOOS == "linux" && err == nil
}
