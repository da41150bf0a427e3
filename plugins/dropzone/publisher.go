package main

import (
	"context"
	"errors"

	"github.com/orderport/orderport/sdk/hands"
)

// publisher is a target as an export with a temporary file uses it: each of the
// two steps includes the flush of the directory that belongs to it. If that
// fails the error is an unflushedError, and the step may have been done.
//
// Both implementations pass the suite in publisher_test.go.
type publisher interface {
	target
	// Stage begins Identity of the directory, Create of a file in it and Flush.
	// The function that it returns waits for the end, and has to be called: a file
	// is removed again if its caller has not got it.
	Stage(ctx context.Context, dir, name string, data []byte) (wait func() (identity string, err error))
	// Publish is Rename of a file within the directory and Flush.
	Publish(ctx context.Context, dir, from, to string) error
}

// unflushedError says that a change of a directory may not survive a power cut.
type unflushedError struct{ error }

func (e *unflushedError) Unwrap() error { return e.error }

func isUnflushed(err error) bool {
	var unflushed *unflushedError
	return errors.As(err, &unflushed)
}

// publisherOf returns the target itself if it is a publisher.
func publisherOf(t target, pool *hands.Pool) publisher {
	if p, ok := t.(publisher); ok {
		return p
	}
	return stepByStep{t, pool}
}

// stepByStep makes a publisher of any target.
type stepByStep struct {
	target

	hands *hands.Pool
}

func (s stepByStep) Stage(ctx context.Context, dir, name string, data []byte) func() (string, error) {
	var identity string
	done := make(chan error, 1)
	s.hands.Do(func() {
		var err error
		if identity, err = s.Identity(ctx, dir); err == nil {
			err = s.Create(ctx, place{path: dir}.join(name), data)
		}
		if err == nil {
			err = s.flush(ctx, dir)
		}
		done <- err
	})
	return func() (string, error) {
		err := <-done
		return identity, err
	}
}

func (s stepByStep) Publish(ctx context.Context, dir, from, to string) error {
	in := place{path: dir}
	if err := s.Rename(ctx, in.join(from), in.join(to)); err != nil {
		return err
	}
	return s.flush(ctx, dir)
}

func (s stepByStep) flush(ctx context.Context, dir string) error {
	if err := s.Flush(ctx, dir); err != nil {
		return &unflushedError{err}
	}
	return nil
}
