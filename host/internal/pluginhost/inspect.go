package pluginhost

import (
	"context"
	"path/filepath"
	"time"

	"github.com/orderport/orderport/host/internal/pluginhost/image"
	"github.com/orderport/orderport/host/internal/pluginhost/lock"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Inspection is what one binary says of itself.
type Inspection struct {
	Path     string
	SHA256   string
	Size     int64
	Describe *connectorv1.DescribeResponse
	// Took is the time from the launch to the answer.
	Took time.Duration
}

// Entry is the lock entry that trusts the binary.
func (i *Inspection) Entry() lock.Entry {
	return lock.Entry{
		Type: i.Describe.GetConnectorType(), Version: i.Describe.GetVersion(),
		SHA256: i.SHA256, File: filepath.Base(i.Path),
	}
}

func (h *Host) close(ctx context.Context) {
	if err := h.Stop(ctx); err != nil {
		h.log.WarnContext(ctx, "stop after an inspection", "error", err)
	}
}

// Inspect launches one binary, whether it is trusted or not, asks it to
// describe itself, and ends it. The answer is checked as for registration.
// Options.Dir and Only don't matter here.
func Inspect(ctx context.Context, path string, opts Options) (*Inspection, error) {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	found := &Inspection{Path: path}
	err := once(ctx, path, opts, func(img *image.Image, inst *instance) error {
		found.SHA256, found.Size = img.SHA256, img.Size
		found.Describe, found.Took = inst.id.describe, inst.took
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
