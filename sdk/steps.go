package sdk

import (
	"context"
	"time"
)

// TestStep is one step of a TestConnection.
type TestStep struct {
	// Name is stable and in lower case, such as "connect" or "write".
	Name string
	// Message says what was found, for a person. For a failed step it is the
	// error's text unless it is set.
	Message string
	// Err is nil if the step succeeded.
	Err     error
	Latency time.Duration
}

// Steps runs the steps of a TestConnection one after the other, measures them,
// and stops at the first failure.
//
//	steps := sdk.NewSteps(ctx)
//	steps.Run("connect", func(ctx context.Context) (string, error) { … })
//	steps.Run("write", func(ctx context.Context) (string, error) { … })
//	return steps.Result()
type Steps struct {
	ctx   context.Context // of the one TestConnection call that Steps lives in
	steps []TestStep
	err   error
}

// NewSteps starts an empty list of steps.
func NewSteps(ctx context.Context) *Steps { return &Steps{ctx: ctx} }

// Run runs a step and returns whether it succeeded. The step returns what it
// found, for a person; of a failed one only the error counts. After a failed step, and when the context has ended,
// Run does nothing and returns false.
func (s *Steps) Run(name string, step func(ctx context.Context) (string, error)) bool {
	if s.err != nil {
		return false
	}
	start := time.Now()
	message, err := "", s.ctx.Err()
	if err == nil {
		message, err = step(s.ctx)
	}
	if err != nil {
		message = "" // it says what would have been found
	}
	s.err = err
	s.steps = append(s.steps, TestStep{Name: name, Message: message, Err: err, Latency: time.Since(start)})
	return err == nil
}

// Err returns the failure of the step that failed, or nil.
func (s *Steps) Err() error { return s.err }

// Result is what TestConnection returns.
func (s *Steps) Result() (TestResult, error) {
	return TestResult{Steps: s.steps}, s.err
}
