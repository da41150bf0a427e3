package main

import (
	"context"
	"errors"
	"os"
	"path"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// misstep makes the visible step wrong, or returns nil.
func (e *export) misstep(ctx context.Context, temporary string) *connectorv1.ExportResult {
	temporary = path.Join(e.config.Dir, temporary)
	switch e.broken {
	case "two-visible-steps":
		if err := e.at.write(e.final(), e.data); err != nil {
			return failed(classify(ctx, "write the order", err))
		}
		_ = e.at.remove(temporary)
		return e.success(false)
	case "slow-copy":
		if err := slowly(e.final(), e.data); err != nil {
			return failed(classify(ctx, "write the order", err))
		}
		_ = e.at.remove(temporary)
		return e.success(false)
	case "lost-answer-is-final":
		if err := e.at.rename(temporary, e.final()); err != nil {
			return failed(fault(port.Conflict, "rename the order: %v", err))
		}
		return e.success(false)
	default:
		return nil
	}
}

// slowly writes a file so that a death in the middle leaves half of it.
func slowly(file string, data []byte) error {
	f, err := os.Create(file) //nolint:gosec // the config says where
	if err != nil {
		return err
	}
	_, err = f.Write(data[:len(data)/2])
	time.Sleep(100 * time.Millisecond)
	_, last := f.Write(data[len(data)/2:])
	return errors.Join(err, last, f.Close())
}
