package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/orderport/orderport/sdk"
)

const (
	processedDir = "processed"
	errorDir     = "error"
	// ackBatch is how many ack files are read or moved at one time.
	ackBatch = 16
	// defaultAckLimit bounds a fetch that names no bound.
	defaultAckLimit = 1000
	// quietAfter is how long an unreadable ack file must not have changed to
	// count as malformed, and not as one that is still being written.
	quietAfter = 10 * time.Second
)

// FetchAcks lists the ack directory once and reads the oldest ack files, up to
// the limit. It leaves the subdirectories alone.
func (c *connector) FetchAcks(ctx context.Context, req sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
	cfg, err := decodeConfig(req.Connection)
	if err != nil || cfg.AckPath == "" {
		return err
	}
	t, err := c.open(req.Connection, cfg)
	if err != nil {
		return err
	}
	dir := place{"ack_path", cfg.AckPath}
	files, err := listAcks(ctx, t, dir)
	if err != nil {
		return err
	}
	left := req.Limit
	if left <= 0 {
		left = defaultAckLimit
	}
	reader := ackReader{connector: c, target: t, dir: dir, connection: req.Connection.ID, local: cfg.Mode == modeFilesystem}
	for len(files) > 0 && left > 0 {
		batch := files[:min(ackBatch, left, len(files))]
		files = files[len(batch):]
		acks, err := reader.read(ctx, batch)
		if err != nil {
			return dir.failure("read the ack files", err)
		}
		for _, ack := range acks {
			if err := yield(ack); err != nil {
				return err
			}
		}
		left -= len(acks)
	}
	return nil
}

// listAcks returns the ack files, oldest first.
func listAcks(ctx context.Context, t target, dir place) ([]fs.FileInfo, error) {
	files, err := t.List(ctx, dir.path)
	if err != nil {
		return nil, dir.failure("list the ack files", err)
	}
	files = slices.DeleteFunc(files, func(file fs.FileInfo) bool {
		return !file.Mode().IsRegular() || !isAckName(file.Name())
	})
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	return files, nil
}

// ackReader reads ack files of one connection.
type ackReader struct {
	connector  *connector
	target     target
	dir        place
	connection string
	local      bool // file times come from this machine's clock
}

// read reads a batch at one time and returns its acks in the same order,
// without those that are gone or still being written.
func (r ackReader) read(ctx context.Context, batch []fs.FileInfo) ([]sdk.Ack, error) {
	acks := make([]*sdk.Ack, len(batch))
	failed := make([]error, len(batch))
	var wg sync.WaitGroup
	for i, file := range batch {
		wg.Go(func() { acks[i], failed[i] = r.readOne(ctx, file) })
	}
	wg.Wait()
	var found []sdk.Ack
	for _, ack := range acks {
		if ack != nil {
			found = append(found, *ack)
		}
	}
	return found, errors.Join(failed...)
}

// readOne returns nil for a file that is to be left for now.
func (r ackReader) readOne(ctx context.Context, file fs.FileInfo) (*sdk.Ack, error) {
	name := file.Name()
	content, err := r.target.Read(ctx, r.dir.join(name), maxAck+1)
	var ack sdk.Ack
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		ack = sdk.Ack{Handle: handleOf(name), ExternalRef: refOf(name)}
		err = errors.New("the user must not read it")
	case err != nil:
		return nil, err
	default:
		ack, err = parseAck(name, content)
	}
	key := unreadableKey{r.connection, name}
	if err == nil {
		r.connector.unread.forget(key)
		return &ack, nil
	}
	now := r.connector.now()
	quiet := r.connector.unread.unchangedFor(key, file, now)
	if r.local {
		quiet = max(quiet, now.Sub(file.ModTime()))
	}
	if quiet < quietAfter {
		return nil, nil
	}
	ack.Answer = sdk.Malformed{Reason: err.Error()}
	return &ack, nil
}

// unreadable remembers the ack files that could not be read, to tell a
// malformed one from one that is still being written. A server's clock may be
// wrong, so what counts is how long a file has not changed under our eyes. The
// zero value is ready.
type unreadable struct {
	mu   sync.Mutex
	seen map[unreadableKey]sighting // guarded by mu
}

type unreadableKey struct{ connection, name string }

type sighting struct {
	size  int64
	mtime time.Time
	at    time.Time
}

// maxSightings bounds the memory; beyond it, all are forgotten, which only
// makes malformed files be reported later.
const maxSightings = 20000

func (u *unreadable) unchangedFor(key unreadableKey, file fs.FileInfo, now time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	last, ok := u.seen[key]
	if ok && last.size == file.Size() && last.mtime.Equal(file.ModTime()) {
		return now.Sub(last.at)
	}
	if u.seen == nil || len(u.seen) >= maxSightings {
		u.seen = make(map[unreadableKey]sighting)
	}
	u.seen[key] = sighting{file.Size(), file.ModTime(), now}
	return 0
}

func (u *unreadable) forget(key unreadableKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.seen, key)
}

// SettleAcks moves acks that the host has committed to processed/, and those
// that it could make nothing of to error/.
func (c *connector) SettleAcks(ctx context.Context, req sdk.SettleAcksRequest) (sdk.SettleAcksResult, error) {
	cfg, err := decodeConfig(req.Connection)
	if err != nil {
		return sdk.SettleAcksResult{}, err
	}
	if cfg.AckPath == "" {
		return sdk.SettleAcksResult{}, sdk.Errorf(sdk.InvalidConfig, "ack_path is not set any more: the acks are still in the directory that it named")
	}
	t, err := c.open(req.Connection, cfg)
	if err != nil {
		return sdk.SettleAcksResult{}, err
	}
	dir := place{"ack_path", cfg.AckPath}
	var result sdk.SettleAcksResult
	for batch := range slices.Chunk(req.Settlements, ackBatch) {
		failed := make([]error, len(batch))
		var wg sync.WaitGroup
		for i, settlement := range batch {
			wg.Go(func() { failed[i] = c.settle(ctx, t, dir, settlement) })
		}
		wg.Wait()
		for i, err := range failed {
			if err != nil {
				result.Fail(batch[i].Handle, err)
			} else if name, err := nameOf(batch[i].Handle); err == nil {
				c.unread.forget(unreadableKey{req.Connection.ID, name})
			}
		}
	}
	return result, nil
}

func (c *connector) settle(ctx context.Context, t target, dir place, settlement sdk.Settlement) error {
	name, err := nameOf(settlement.Handle)
	if err != nil {
		return &sdk.Error{Code: sdk.Internal, Message: err.Error()}
	}
	sub := processedDir
	if settlement.Verdict == sdk.Rejected {
		sub = errorDir
	}
	return dir.failure("move the ack file", setAside(ctx, t, dir, name, place{path: dir.join(sub)}))
}

// setAside moves a file into a subdirectory and loses nothing: where the name
// is taken by other content, it gets a number. A file that is gone has been
// moved before.
func setAside(ctx context.Context, t target, from place, name string, to place) error {
	const names = 1000
	made := false
	for n := 0; n < names; {
		target := to.join(name)
		if n > 0 {
			target = fmt.Sprintf("%s.%d", target, n)
		}
		err := t.Rename(ctx, from.join(name), target)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			_, err := t.Stat(ctx, from.join(name))
			if made || errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := t.Mkdir(ctx, to.path); err != nil {
				return err
			}
			made = true
		case errors.Is(err, fs.ErrExist):
			same, err := sameContent(ctx, t, from.join(name), target)
			if errors.Is(err, fs.ErrNotExist) { // of one that was settled before
				if _, err := t.Stat(ctx, from.join(name)); errors.Is(err, fs.ErrNotExist) {
					return nil
				}
			}
			if err != nil {
				return err
			}
			if same {
				return t.Remove(ctx, from.join(name))
			}
			n++
		default:
			return err
		}
	}
	return fmt.Errorf("%d files of that name have been set aside already", names)
}

func sameContent(ctx context.Context, t target, a, b string) (bool, error) {
	first, err := t.Read(ctx, a, maxAck+1)
	if err != nil {
		return false, err
	}
	second, err := t.Read(ctx, b, maxAck+1)
	if err != nil {
		return false, err
	}
	return len(first) <= maxAck && string(first) == string(second), nil
}
