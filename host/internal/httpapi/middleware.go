package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/orderport/orderport/host/internal/fault"
)

// record is what is known of a call while it runs.
type record struct {
	id          string
	unavailable func(error) bool // see Config

	mu    sync.Mutex
	cause error // guarded by mu: why it failed, for the log
}

type recordKey struct{}

func recordOf(ctx context.Context) *record {
	r, _ := ctx.Value(recordKey{}).(*record)
	return r
}

func requestID(ctx context.Context) string {
	if r := recordOf(ctx); r != nil {
		return r.id
	}
	return ""
}

// databaseAway reports whether err says that the database does not answer.
func databaseAway(ctx context.Context, err error) bool {
	r := recordOf(ctx)
	return r != nil && r.unavailable != nil && r.unavailable(err)
}

func noteCause(ctx context.Context, err error) {
	if r := recordOf(ctx); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.cause = err
	}
}

// middleware wraps the mux with what every call has: an id, a log line, a
// count, safe headers, and an answer even if a handler panics.
func (s *server) middleware(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		call := &record{id: acceptedID(r.Header.Get("X-Request-Id")), unavailable: s.Unavailable}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, call))
		answer := &recorder{ResponseWriter: w}
		header := w.Header()
		header.Set("X-Request-Id", call.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		_, pattern := mux.Handler(r)
		defer func() {
			aborted := s.afterPanic(answer, r, recover())
			s.finish(r, call, pattern, answer.status(), time.Since(started))
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		if pattern == "" {
			refuseRoute(mux, answer, r)
			return
		}
		if err := refuseEncoded(r); err != nil {
			header.Set("Accept-Encoding", "identity") // RFC 9110, 15.5.16
			writeProblem(answer, r, err)
			return
		}
		mux.ServeHTTP(answer, r)
	})
}

// acceptedID keeps a client's id if it is safe to log, and makes one otherwise.
func acceptedID(id string) string {
	const longest = 64
	safe := id != "" && len(id) <= longest
	for _, c := range id {
		safe = safe && (c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.ContainsRune("-_.", c))
	}
	if safe {
		return id
	}
	var raw [12]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

// afterPanic makes an answer of what a handler panicked with, if it did. Where
// the answer has begun, cutting it off is the only way to say that it is not
// whole: then it is to be aborted.
func (s *server) afterPanic(answer *recorder, r *http.Request, caught any) (abort bool) {
	if caught == nil {
		return false
	}
	if err, ok := caught.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	s.Log.ErrorContext(r.Context(), "a handler panicked", "request_id", requestID(r.Context()),
		"panic", fmt.Sprint(caught), "stack", string(debug.Stack()))
	if answer.code != 0 {
		return true
	}
	writeProblem(answer, r, fmt.Errorf("panic: %v", caught))
	return false
}

func (s *server) finish(r *http.Request, call *record, pattern string, status int, took time.Duration) {
	_, route, found := strings.Cut(pattern, " ")
	if !found {
		route = pattern
	}
	if s.Observe != nil {
		s.Observe(route, r.Method, status, took)
	}
	call.mu.Lock()
	cause := call.cause
	call.mu.Unlock()
	level, attrs := slog.LevelDebug, []any{
		"request_id", call.id, "method", r.Method, "route", route, "status", status, "took", took,
	}
	if cause != nil {
		level, attrs = slog.LevelError, append(attrs, "error", cause)
	}
	s.Log.Log(r.Context(), level, "http", attrs...)
}

// refuseRoute answers for a path or method that there is not, as a problem.
func refuseRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	probe := &headerProbe{header: http.Header{}}
	mux.ServeHTTP(probe, r)
	if probe.code == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		f := fault.New(fault.Malformed, "method_not_allowed", "%s is not possible here", printableName(r.Method)).
			WithHint("allowed: %s", probe.header.Get("Allow"))
		p := newProblem(r.Context(), f)
		p.Status, p.Title = probe.code, http.StatusText(probe.code)
		w.Header().Set("Content-Type", problemType)
		w.WriteHeader(p.Status)
		writeJSON(w, p.Problem)
		return
	}
	if probe.code >= 300 && probe.code < 400 {
		mux.ServeHTTP(w, r)
		return
	}
	writeProblem(w, r, fault.New(fault.NotFound, "no_such_path", "there is nothing at this path").
		WithHint("/docs shows what there is"))
}

// headerProbe swallows an answer and keeps its head.
type headerProbe struct {
	header http.Header
	code   int
}

func (p *headerProbe) Header() http.Header         { return p.header }
func (p *headerProbe) Write(b []byte) (int, error) { return len(b), nil }
func (p *headerProbe) WriteHeader(code int)        { p.code = code }

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
