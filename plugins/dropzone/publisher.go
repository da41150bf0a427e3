package main

import (
	"context"
	"fmt"

	"github.com/orderport/orderport/sdk/hands"
)

// publisher is a target as an export with a temporary file uses it: each of the
// two steps includes the flush of the directory that belongs to it. If that
// fails the step has been done, and the error wraps errUnflushed.
type publisher interface {
	target
	// Stage begins Identity of the directory, Create of a file in it and Flush.
	// The function that it returns waits for the end, and has to be called.
	Stage(ctx context.Context, dir, name string, data []byte) (wait func() (identity string, err error))
	// Publish is Rename of a file within the directory and Flush.
	Publish(ctx context.Context, dir, from, to string) error
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
		return fmt.Errorf("%w: %w", errUnflushed, err)
	}
	return nil
}
