package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/orderport/orderport/sdk"
)

// What targets report beyond the errors of io/fs.
var (
	// errNoSpace: the disk or the quota is full.
	errNoSpace = errors.New("no space left")
	// errLost: the session broke; whether the request was carried out is open.
	errLost = errors.New("the connection was lost")
	// errSlow: no answer within timeout_seconds; the same is open.
	errSlow = errors.New("the server did not answer in time")
	// errNotDirectory: a path that must be a directory is something else.
	errNotDirectory = errors.New("not a directory")
	// errUnsupported: the server does not do this.
	errUnsupported = errors.New("not supported by the server")
)

// fullDiskPause is how long an export waits when there was no space.
const fullDiskPause = 30 * time.Second

// place says what a failure is about, in the words of the config.
type place struct {
	field string // such as "export_path"
	path  string
}

// failure turns a target's error into one for the host. doing says what was
// tried, such as "write the order file".
//
// All of these are retryable but one: they may pass when the server or its
// operator has done something about them.
func (p place) failure(doing string, err error) error {
	var typed *sdk.Error
	var refused *sdk.RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &typed):
		return err
	case errors.As(err, &refused), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errNoSpace):
		e := sdk.Errorf(sdk.Throttled, "%s in %s %q: no space left on the target: free some, or raise the quota", doing, p.field, p.path)
		e.Err, e.RetryAfter = err, fullDiskPause
		return e
	case errors.Is(err, fs.ErrPermission):
		return caused(err, sdk.PermissionDenied, "%s in %s %q: permission denied: let the user create, rename and delete files there", doing, p.field, p.path)
	case errors.Is(err, fs.ErrNotExist):
		return caused(err, sdk.NotFound, "%s: %s %q does not exist: create it, or correct %s", doing, p.field, p.path, p.field)
	case errors.Is(err, errNotDirectory):
		return caused(err, sdk.NotFound, "%s: %s %q is not a directory: correct %s", doing, p.field, p.path, p.field)
	case errors.Is(err, errSlow), errors.Is(err, context.DeadlineExceeded):
		return caused(err, sdk.Timeout, "%s in %s %q: no answer in time: check the target's load, or raise timeout_seconds", doing, p.field, p.path)
	case errors.Is(err, errLost):
		return caused(err, sdk.Unreachable, "%s in %s %q: the connection was lost", doing, p.field, p.path)
	case errors.Is(err, errUnsupported):
		return caused(err, sdk.Unimplemented, "%s in %s %q: the server does not support it: set atomic_write to false if it can't rename", doing, p.field, p.path)
	default:
		return sdk.Errorf(sdk.Internal, "%s in %s %q: %w", doing, p.field, p.path, err)
	}
}

// caused is Errorf with a cause whose text is not part of the message.
func caused(cause error, code sdk.Code, format string, args ...any) *sdk.Error {
	e := sdk.Errorf(code, format, args...)
	e.Err = cause
	return e
}

// unreachable turns the failure of a dial into an error for the host.
func unreachable(cfg config, err error) error {
	var typed *sdk.Error
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &typed):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &dns) && dns.IsNotFound:
		return caused(err, sdk.Unreachable, "connect to %s: the host name is not known: check host", cfg.address())
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return caused(err, sdk.Timeout, "connect to %s: no answer within %s: check host, port and firewall", cfg.address(), cfg.timeout())
	default:
		return sdk.Errorf(sdk.Unreachable, "connect to %s: %w: check host and port, and whether the server runs", cfg.address(), err)
	}
}

// uncertain marks a failure of the visible step itself. Whether it happened is
// open, and the next attempt finds out from the checkpoint, so the code must
// be one that is tried again and must not claim that nothing happened.
func uncertain(p place, doing string, err error) error {
	if errors.Is(err, errLost) || errors.Is(err, errSlow) || errors.Is(err, context.DeadlineExceeded) {
		return caused(err, sdk.Unreachable, "%s in %s %q: the answer was lost: the next attempt finds out whether it happened", doing, p.field, p.path)
	}
	return p.failure(doing, err)
}

// conflict says that somebody else's file is in the way.
func conflict(p place, name string) error {
	e := sdk.Errorf(sdk.Conflict, "%s %q already holds a file %q with other content; it was left alone: move it away, then retry the export", p.field, p.path, name)
	e.Details = map[string]string{"path": p.path + "/" + name}
	return e
}

// unknown says that only a person can find out whether the order arrived.
func unknown(p place, name, why string) error {
	e := sdk.Errorf(sdk.OutcomeUnknown, "%s: look for the order file %q, then say whether it arrived", why, name)
	e.Details = map[string]string{"path": p.path + "/" + name}
	return e
}

// join builds a path at the target without a doubled slash.
func (p place) join(name string) string {
	if p.path == "/" {
		return "/" + name
	}
	return fmt.Sprintf("%s/%s", p.path, name)
}
