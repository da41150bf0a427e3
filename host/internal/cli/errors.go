package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/view"
)

// usageCode marks faults that are the caller's use of the command.
const usageCode = "usage"

func usage(format string, args ...any) *fault.Error {
	return fault.New(fault.Malformed, usageCode, format, args...)
}

// errReported ends a command with exit code 1 whose output has said why.
var errReported = errors.New("the output says why")

// fail reports an error on standard error and returns the exit code.
func (s *session) fail(err error) int {
	if errors.Is(err, errReported) {
		return exitFailed
	}
	f := fault.From(err)
	if f.Kind == fault.Internal {
		// At the host itself there is nobody to hide the cause from.
		f = &fault.Error{Kind: fault.Internal, Code: f.Code, Message: err.Error()}
		if errors.Is(err, context.Canceled) {
			f.Message = "interrupted"
		}
	}
	if s.out.json || s.out.lines {
		p := view.NewProblem(f, http.StatusText(f.Kind.HTTPStatus()), "")
		var failed *app.TestFailedError
		if errors.As(err, &failed) {
			p.Test = &failed.Result
		}
		_ = (&printer{to: s.env.Stderr, json: true}).document(p)
	} else {
		s.complain(f, err)
	}
	if f.Code == usageCode {
		return exitUsage
	}
	return exitFailed
}

func (s *session) complain(f *fault.Error, err error) {
	w := s.env.Stderr
	fmt.Fprintf(w, "orderport: %s\n", f.Message)
	for _, v := range f.Violations {
		if strings.Contains(f.Message, v.Message) {
			continue // said already
		}
		fmt.Fprintf(w, "  %s: %s\n", v.Path, v.Message)
	}
	var failed *app.TestFailedError
	if errors.As(err, &failed) {
		printTest(w, failed.Result)
	}
	if cause := f.Err; cause != nil && f.Kind == fault.Unavailable {
		fmt.Fprintf(w, "  because: %s\n", cause)
	}
	if f.Hint != "" {
		fmt.Fprintf(w, "  hint: %s\n", f.Hint)
	}
}
