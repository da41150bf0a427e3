package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/orderport/orderport/sdk"
)

// maxLeftovers bounds how many earlier attempts are cleaned up after. More
// than a few never leave anything: an attempt that finds the server down does
// not upload.
const maxLeftovers = 100

// cleanUpTime is how long an attempt that has been cancelled may go on, to
// remove its temporary file.
const cleanUpTime = 800 * time.Millisecond

// export is one attempt to deliver one order.
type export struct {
	req    *sdk.ExportRequest
	cfg    config
	target publisher
	dir    place // export_path
	final  string
	data   []byte

	storageKey string
}

// deliver runs the attempt.
func (e *export) deliver(ctx context.Context) (sdk.ExportResult, error) {
	if p := e.req.Resume.Payload; p != nil {
		e.storageKey = p.StorageKey
	}
	if e.req.Resume.Checkpoint == nil || forgetful {
		return e.start(ctx)
	}
	cp, err := decodeCheckpoint(e.req.Resume.Checkpoint)
	if err != nil {
		return sdk.ExportResult{}, unknown(e.dir, e.final, err.Error())
	}
	switch cp.Stage {
	case staged:
		return e.publish(ctx, cp)
	case writing:
		return e.resumeWriting(ctx, cp)
	default:
		return e.start(ctx)
	}
}

// start begins afresh: nothing of an earlier attempt can be visible.
func (e *export) start(ctx context.Context) (sdk.ExportResult, error) {
	if !e.cfg.AtomicWrite {
		return e.writeDirectly(ctx)
	}
	cp, err := e.stage(ctx)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	return e.publish(ctx, cp)
}

// stage does all that the ERP can't see: the payload in the host's store, the
// file under its temporary name, both durable, and a checkpoint that says so.
func (e *export) stage(ctx context.Context) (checkpoint, error) {
	cp := checkpoint{Stage: staged, Tmp: tmpName(e.final, e.req.Attempt), Final: e.final, Target: e.cfg.identity()}
	uploaded := e.beginUpload(ctx, &cp)
	err := e.store(ctx)
	if problem := uploaded(); problem != nil {
		return checkpoint{}, problem
	}
	if err == nil && !forgetful {
		err = e.req.SaveCheckpoint(ctx, cp.encode(), cp.Final)
		if err != nil && mayBeSaved(err) {
			// The next attempt would take a missing temporary file for a
			// published one. So it stays.
			return checkpoint{}, err
		}
	}
	if err != nil {
		e.discard(ctx, cp.Tmp)
		return checkpoint{}, err
	}
	return cp, nil
}

// mayBeSaved says that the host may have saved the checkpoint all the same.
func mayBeSaved(err error) bool {
	var refused *sdk.RefusedError
	if !errors.As(err, &refused) {
		return true
	}
	return refused.Reason == sdk.RefusedStorage || refused.Reason == sdk.RefusedUnspecified
}

func (e *export) store(ctx context.Context) error {
	payload, err := e.req.StorePayload(ctx, e.final, e.data)
	if err == nil {
		e.storageKey = payload.StorageKey
	}
	return err
}

// beginUpload begins to write the temporary file, and to make its content and
// its name durable: the name, too, because a temporary file that a power cut took
// away would look like one that was published. The function that it returns waits
// for the end.
func (e *export) beginUpload(ctx context.Context, cp *checkpoint) (wait func() error) {
	var cleaning sync.WaitGroup
	if e.req.Attempt > 1 {
		cleaning.Go(func() { e.removeLeftovers(ctx) })
	}
	staged := e.target.Stage(ctx, e.dir.path, cp.Tmp, e.data)
	return func() error {
		defer cleaning.Wait()
		identity, err := staged()
		if (errors.Is(err, fs.ErrExist) || errors.Is(err, errLost)) && !isUnflushed(err) {
			// Either this attempt has been run before and was cut off, or the
			// session was dead. The name belongs to this attempt alone.
			if err = e.target.Remove(ctx, e.dir.join(cp.Tmp)); err == nil {
				identity, err = e.target.Stage(ctx, e.dir.path, cp.Tmp, e.data)()
			}
		}
		cp.in(identity)
		if isUnflushed(err) {
			e.discard(ctx, cp.Tmp)
			return e.dir.failure("flush the order file", err)
		}
		return e.dir.failure("write the order file", err)
	}
}

// removeLeftovers removes the temporary files of earlier attempts that no saved
// checkpoint names. Only the export's own names are touched.
func (e *export) removeLeftovers(ctx context.Context) {
	for n := e.req.Attempt - 1; n >= 1 && n >= e.req.Attempt-maxLeftovers; n-- {
		name := e.dir.join(tmpName(e.final, n))
		err := e.target.Remove(ctx, name)
		if errors.Is(err, errLost) {
			err = e.target.Remove(ctx, name) // the session was dead
		}
		if err != nil {
			slog.DebugContext(ctx, "could not remove what an earlier attempt left", "attempt", n, "error", err)
			return
		}
	}
}

// discard removes a temporary file that no saved checkpoint names.
func (e *export) discard(ctx context.Context, tmp string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	if err := e.target.Remove(ctx, e.dir.join(tmp)); err != nil {
		slog.DebugContext(ctx, "could not remove the temporary file", "file", tmp, "error", err)
	}
}

// publish does the one visible step, and finds out what happened to it where
// an earlier attempt may have done it already.
func (e *export) publish(ctx context.Context, cp checkpoint) (sdk.ExportResult, error) {
	err := e.target.Publish(ctx, e.dir.path, cp.Tmp, cp.Final)
	switch {
	case err == nil:
		return e.delivered(ctx, cp, false), nil
	case isUnflushed(err):
		return sdk.ExportResult{}, uncertain(e.dir, "flush the directory", err)
	case errors.Is(err, fs.ErrNotExist):
		return e.vanished(ctx, cp)
	case errors.Is(err, fs.ErrExist):
		return e.occupied(ctx, cp)
	case errors.Is(err, errUnsupported):
		return sdk.ExportResult{}, e.withdraw(ctx, cp, e.dir.failure("rename the order file", err))
	default:
		return sdk.ExportResult{}, uncertain(e.dir, "publish the order file", err)
	}
}

// published makes durable what an earlier attempt, or something else than a
// rename, has published, and reports it.
func (e *export) published(ctx context.Context, cp checkpoint, recovered bool) (sdk.ExportResult, error) {
	if err := e.target.Flush(ctx, e.dir.path); err != nil {
		return sdk.ExportResult{}, uncertain(e.dir, "flush the directory", err)
	}
	return e.delivered(ctx, cp, recovered), nil
}

// delivered is the result of an export that has been published, durably.
func (e *export) delivered(ctx context.Context, cp checkpoint, recovered bool) sdk.ExportResult {
	// Again: an attempt that could not remove them may have been the one that
	// saved the checkpoint. None of them can be published any more.
	e.removeLeftovers(ctx)
	return sdk.ExportResult{
		StorageKey:   e.storageKey,
		DropzonePath: e.dir.join(cp.Final),
		ExternalRef:  cp.Final,
		Recovered:    recovered,
	}
}

// vanished decides about a temporary file that is gone. It was there, flushed,
// when the checkpoint was saved, and only a rename takes it away; so it has
// been published, and perhaps consumed, provided that this is the same place.
func (e *export) vanished(ctx context.Context, cp checkpoint) (sdk.ExportResult, error) {
	if err := e.dir.findDir(ctx, e.target); err != nil {
		return sdk.ExportResult{}, err
	}
	dir, err := e.target.Identity(ctx, e.dir.path)
	if err != nil {
		return sdk.ExportResult{}, e.dir.failure("find the directory", err)
	}
	if cp.Target == e.cfg.identity() && cp.isIn(dir) {
		return e.published(ctx, cp, true)
	}
	same, err := e.holdsOrder(ctx, cp.Final)
	switch {
	case err == nil && same:
		return e.published(ctx, cp, true)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return sdk.ExportResult{}, e.dir.failure("look for the order file", err)
	}
	return sdk.ExportResult{}, unknown(e.dir, cp.Final,
		"an earlier attempt may have delivered the order to another directory, since the connection was changed or a disk is not mounted")
}

// occupied decides about a final name that is taken while the temporary file
// is still there. The same content is this order, from a rename that a server
// was killed in the middle of, or from an export that was run twice.
func (e *export) occupied(ctx context.Context, cp checkpoint) (sdk.ExportResult, error) {
	same, err := e.holdsOrder(ctx, cp.Final)
	if errors.Is(err, fs.ErrNotExist) {
		// It was consumed since, so whose it was can't be told. The next
		// attempt finds the name free.
		return sdk.ExportResult{}, uncertain(e.dir, "publish the order file", errLost)
	}
	if err != nil {
		return sdk.ExportResult{}, e.dir.failure("read the file in the way", err)
	}
	if !same {
		return sdk.ExportResult{}, e.withdraw(ctx, cp, conflict(e.dir, cp.Final))
	}
	result, err := e.published(ctx, cp, true)
	if err == nil {
		e.discard(ctx, cp.Tmp)
	}
	return result, err
}

// withdraw takes an announced step back before the attempt ends for good: only
// after the host knows that, the temporary file may go.
func (e *export) withdraw(ctx context.Context, cp checkpoint, reason error) error {
	back := cp
	back.Stage = withdrawn
	if err := e.req.SaveCheckpoint(ctx, back.encode(), ""); err != nil {
		return err
	}
	if cp.Tmp != "" {
		e.discard(ctx, cp.Tmp)
	}
	return reason
}

// holdsOrder says whether the file has exactly the content of this order: as
// an earlier attempt stored it, or else as this connector writes it.
func (e *export) holdsOrder(ctx context.Context, name string) (bool, error) {
	size, sum := int64(len(e.data)), sha256.Sum256(e.data)
	if p := e.req.Resume.Payload; p != nil {
		size, sum = p.Size, p.SHA256
	}
	content, err := e.target.Read(ctx, e.dir.join(name), size+1)
	if err != nil {
		return false, err
	}
	found := sha256.Sum256(content)
	return bytes.Equal(found[:], sum[:]), nil
}
