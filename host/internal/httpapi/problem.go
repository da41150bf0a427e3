package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/view"
)

// problem is a failure on its way to the client.
type problem struct {
	view.Problem
}

// Error makes a problem an error that huma passes on.
func (p *problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is the media type of a problem.
func (p *problem) ContentType(string) string { return problemType }

// newProblem shows an error and notes in the call's record what is to be
// logged of it: the cause of what is not the client's fault.
func newProblem(ctx context.Context, err error) *problem {
	f := fault.From(err)
	if f.Kind == fault.Internal {
		switch {
		case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
			f = fault.New(fault.Unavailable, "timeout", "the call took too long or was given up").
				WithHint("ask again: calls may be repeated").Because(err)
		case databaseAway(ctx, err):
			f = fault.New(fault.Unavailable, "database_unavailable", "the host can't reach its database").
				WithHint("ask again: calls may be repeated").Because(err)
		default:
			f = &fault.Error{
				Kind: fault.Internal, Code: "internal", Message: "internal error", Err: err,
				Hint: "the host's log says more under this request_id",
			}
		}
	}
	p := &problem{Problem: view.NewProblem(f, http.StatusText(f.Kind.HTTPStatus()), requestID(ctx))}
	var failed *app.TestFailedError
	if errors.As(err, &failed) {
		p.Test = &failed.Result
	}
	if f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		noteCause(ctx, err)
	}
	return p
}

// asProblem turns the errors that huma makes itself, about parameters, into
// problems. The values that were refused are left out.
func asProblem(ctx huma.Context, _ string, v any) (any, error) {
	theirs, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	f := fault.New(fault.Invalid, "invalid_request", "the request is not valid")
	for _, detail := range theirs.Errors {
		_, name, found := strings.Cut(detail.Location, ".")
		if !found {
			name = detail.Location
		}
		_ = f.WithField(name, "%s", detail.Message)
	}
	p := newProblem(ctx.Context(), f)
	if theirs.Status >= http.StatusInternalServerError {
		p = newProblem(ctx.Context(), errors.New(theirs.Detail))
	}
	return p, nil
}

// writeProblem answers with a problem where huma is not involved.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := newProblem(r.Context(), err)
	w.Header().Set("Content-Type", problemType)
	w.Header().Del("Content-Length")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="orderport"`)
	}
	w.WriteHeader(p.Status)
	writeJSON(w, p.Problem)
}

func writeJSON(w http.ResponseWriter, v any) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// The client has gone if this fails; there is nobody left to tell.
	_ = encoder.Encode(v)
}
