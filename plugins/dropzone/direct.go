package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"github.com/orderport/orderport/sdk"
)

// writeDirectly delivers to a target that can't rename: the file grows under
// its final name, where readers see it unfinished. The checkpoint comes before
// the file is created, and only an attempt that saved one creates it, so the
// file is created once; but a file that is missing afterwards says nothing.
func (e *export) writeDirectly(ctx context.Context) (sdk.ExportResult, error) {
	cp := checkpoint{Stage: writing, Final: e.final, Target: e.cfg.identity()}
	same, err := e.holdsOrder(ctx, e.final)
	switch {
	case err == nil && same:
		return e.published(ctx, cp, true)
	case err == nil:
		return sdk.ExportResult{}, conflict(e.dir, e.final)
	case !errors.Is(err, fs.ErrNotExist):
		return sdk.ExportResult{}, e.dir.failure("look for the order file", err)
	}
	if err := e.dir.findDir(ctx, e.target); err != nil {
		return sdk.ExportResult{}, err
	}
	if err := e.store(ctx); err != nil {
		return sdk.ExportResult{}, err
	}
	if err := e.req.SaveCheckpoint(ctx, cp.encode(), cp.Final); err != nil {
		return sdk.ExportResult{}, err
	}
	err = e.target.CreateVisible(ctx, e.dir.join(cp.Final), e.data)
	switch {
	case err == nil:
		return e.published(ctx, cp, false)
	case errors.Is(err, errLost), errors.Is(err, errSlow), ctx.Err() != nil:
		return sdk.ExportResult{}, uncertain(e.dir, "write the order file", err)
	}
	return sdk.ExportResult{}, e.notWritten(ctx, cp, err)
}

// notWritten looks at what a refused write has left. Nothing: the step is
// taken back, and a later attempt starts afresh. Something: it is this
// order's beginning, and the next attempt completes it.
func (e *export) notWritten(ctx context.Context, cp checkpoint, cause error) error {
	reason := e.dir.failure("write the order file", cause)
	if errors.Is(cause, fs.ErrExist) {
		return e.withdraw(ctx, cp, conflict(e.dir, cp.Final))
	}
	if _, err := e.target.Stat(ctx, e.dir.join(cp.Final)); errors.Is(err, fs.ErrNotExist) {
		return e.withdraw(ctx, cp, reason)
	}
	var typed *sdk.Error
	if errors.As(reason, &typed) && !typed.Retryable {
		typed.Retryable = true // the ERP may see the beginning already
	}
	return reason
}

// resumeWriting completes a file that an earlier attempt began. It never
// creates one: if none is there, either none was created or the ERP has taken
// it, and only a person can tell.
func (e *export) resumeWriting(ctx context.Context, cp checkpoint) (sdk.ExportResult, error) {
	content, err := e.target.Read(ctx, e.dir.join(cp.Final), int64(len(e.data))+1)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := e.dir.findDir(ctx, e.target); err != nil {
			return sdk.ExportResult{}, err
		}
		return sdk.ExportResult{}, unknown(e.dir, cp.Final, "an earlier attempt was cut off while it wrote the order file, and no such file is there")
	case err != nil:
		return sdk.ExportResult{}, e.dir.failure("look for the order file", err)
	case bytes.Equal(content, e.data):
		return e.published(ctx, cp, true)
	case !bytes.HasPrefix(e.data, content):
		return sdk.ExportResult{}, unknown(e.dir, cp.Final, "an earlier attempt was cut off while it wrote the order file, and the file holds something else")
	}
	if err := e.target.Complete(ctx, e.dir.join(cp.Final), e.data); err != nil {
		return sdk.ExportResult{}, uncertain(e.dir, "complete the order file", err)
	}
	return e.published(ctx, cp, false)
}
