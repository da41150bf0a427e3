package pluginhost

import (
	"context"
	"os"
	"path/filepath"

	"github.com/orderport/orderport/host/internal/pluginhost/image"
	"github.com/orderport/orderport/sdk/recording"
)

// Replay launches one binary, whether it is trusted or not, makes a recorded
// call again, and ends it. See recording.Replay for the overlay. Options.Dir
// and Only don't matter here.
func Replay(
	ctx context.Context, path string, recorded *recording.Recording, overlay []byte, opts Options,
) ([]recording.Difference, error) {
	var differences []recording.Difference
	err := once(ctx, path, opts, func(_ *image.Image, inst *instance) (err error) {
		differences, err = recorded.Replay(ctx, inst.client, overlay)
		return err
	})
	return differences, err
}

// once runs one process of a binary for as long as use takes.
func once(ctx context.Context, path string, opts Options, use func(*image.Image, *instance) error) error {
	if opts.RunDir == "" {
		dir, err := os.MkdirTemp("", "orderport-inspect-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		opts.RunDir = dir
	}
	h, err := Open(opts)
	if err != nil {
		return err
	}
	defer h.close(ctx)
	img, err := image.Load(path, h.dir.Path())
	if err != nil {
		return err
	}
	defer img.Close()
	inst, err := h.start(ctx, filepath.Base(path), img)
	if err != nil {
		return err
	}
	err = use(img, inst)
	if stopErr := inst.proc.Stop(h.opts.Limits.Stop, "done"); err == nil {
		err = stopErr
	}
	return err
}
