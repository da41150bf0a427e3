package sdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// classify returns err as an *Error. The text is that of err as a whole, so
// what was wrapped around an *Error is kept.
func classify(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		e := *known
		e.Message = err.Error()
		return &e
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		message := err.Error()
		if refused.Reason == RefusedSuperseded {
			message = "superseded: " + message
		}
		return &Error{Code: Internal, Message: message, Retryable: !refused.final(), Err: err}
	}
	e := &Error{Code: CodeOf(err), Message: err.Error(), Err: err}
	e.Retryable = e.Code.Retryable()
	var answer *HTTPStatusError
	if errors.As(err, &answer) {
		e.RetryAfter = answer.RetryAfter
	}
	return e
}

// CodeOf says what the host is told about an error that Export or
// TestConnection returns: the code of an *Error in its chain, or what can be
// recognized of the errors of packages net, net/http, crypto/tls, crypto/x509,
// context and golang.org/x/crypto/ssh, or of an *HTTPStatusError. Anything
// else is Internal, and so is nil.
//
// Where the cause is known but the code that it gets is wrong for your ERP,
// wrap it: Errorf(Throttled, "log in: %w", err).
func CodeOf(err error) Code {
	var known *Error
	var answer *HTTPStatusError
	switch {
	case err == nil:
		return Internal
	case errors.As(err, &known):
		return known.Code
	case errors.As(err, &answer):
		return answer.code()
	}
	for _, recognize := range []func(error) Code{ofTLS, ofSSH, ofNetwork} {
		if code := recognize(err); code != "" {
			return code
		}
	}
	return Internal
}

// ofTLS recognizes a server whose certificate is not trusted, and one that
// does not trust ours.
func ofTLS(err error) Code {
	var (
		certificate *tls.CertificateVerificationError
		unknownCA   x509.UnknownAuthorityError
		wrongName   x509.HostnameError
		invalid     x509.CertificateInvalidError
		noTLS       tls.RecordHeaderError
		alert       *net.OpError
	)
	switch {
	case errors.As(err, &certificate), errors.As(err, &unknownCA), errors.As(err, &wrongName), errors.As(err, &invalid):
		return HostKeyMismatch
	case errors.As(err, &noTLS):
		return Unreachable
	case errors.As(err, &alert) && alert.Op == "remote error":
		if slices.ContainsFunc(certificateAlerts, func(text string) bool { return strings.Contains(alert.Err.Error(), text) }) {
			return AuthenticationFailed
		}
		return Unreachable
	}
	return ""
}

// certificateAlerts are how crypto/tls puts the alerts that are about our own
// certificate; their type is not exported.
var certificateAlerts = []string{
	"bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
	"unknown certificate", "unknown certificate authority", "access denied", "certificate required",
}

// sshTexts are how golang.org/x/crypto/ssh puts what it has no types for. The
// SDK does not import it: most connectors have no use for it.
var sshTexts = []struct {
	text string
	code Code
}{
	{"ssh: unable to authenticate", AuthenticationFailed},
	{"ssh: host key mismatch", HostKeyMismatch},
	{"knownhosts: key ", HostKeyMismatch}, // "is unknown" and "mismatch"
	{"ssh: certificate", HostKeyMismatch},
	{"ssh: rejected: administratively prohibited", PermissionDenied},
	{"ssh: no common algorithm", Unreachable},
	{"ssh: disconnect, reason", Unreachable},
	{"ssh: handshake failed: EOF", Unreachable},
	{"ssh: overflow reading version string", Unreachable},
	{"ssh: invalid packet length", Unreachable},
}

func ofSSH(err error) Code {
	text := err.Error()
	for _, known := range sshTexts {
		if strings.Contains(text, known.text) {
			return known.code
		}
	}
	return ""
}

// ofNetwork recognizes what comes of a target that is away or slow.
func ofNetwork(err error) Code {
	var (
		network   net.Error
		operation *net.OpError
		lookup    *net.DNSError
		request   *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.As(err, &network) && network.Timeout():
		return Timeout
	case errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &operation), errors.As(err, &lookup), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNABORTED),
		errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, net.ErrClosed):
		return Unreachable
	case errors.As(err, &request) && request.Op != "parse":
		return Unreachable // such as an EOF instead of an answer
	}
	return ""
}

// neverSent says that err comes from looking up or dialling the target.
func neverSent(err error) bool {
	var operation *net.OpError
	var lookup *net.DNSError
	return errors.As(err, &lookup) || (errors.As(err, &operation) && operation.Op == "dial")
}

// verdict decides what the host is told when Export returned err: an error
// result (first value), a gRPC status (second), or success (neither).
//
// The rule behind it: "not delivered" is only said if the connector said so
// itself, by an *Error, or if it can't be otherwise.
func (s exchangeState) verdict(ctx context.Context, err error) (*Error, error) {
	var known *Error
	var refused *RefusedError
	switch {
	case isBroken(err):
		return nil, err
	case s.failed != nil && ctx.Err() == nil:
		return nil, status.Error(codes.Internal, clean(s.failed.Error()))
	case err == nil && s.refused != nil:
		return nil, status.Error(codes.Internal, "the connector reported success although the host had refused to store something")
	case err == nil:
		return nil, nil
	case errors.As(err, &known):
		return classify(err), nil
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case errors.As(err, &refused):
		e := classify(err)
		e.Retryable = e.Retryable || s.pastCheckpoint()
		return e, nil
	default:
		return s.doubt(err)
	}
}

// pastCheckpoint says that a visible step may have been made, by this attempt
// or an earlier one.
func (s exchangeState) pastCheckpoint() bool { return s.checkpointed || s.resumed }

// doubt handles an error that the connector did not classify.
func (s exchangeState) doubt(err error) (*Error, error) {
	e := classify(err)
	switch {
	case s.canResume && s.pastCheckpoint() && e.Code == Internal:
		return nil, status.Error(codes.Internal, clean(e.Message))
	case s.canResume, neverSent(err) && !s.pastCheckpoint():
		return e, nil
	default:
		e.Code, e.Retryable = OutcomeUnknown, false
		return e, nil
	}
}

// errorProto makes a message that can always be sent: valid UTF-8, of bounded
// size, without the config's secrets.
func errorProto(e *Error, conn Connection) *connectorv1.Error {
	code := e.Code
	if code == port.ConnectorCrashed || code == port.ConnectorUnavailable {
		code = Internal // the host's to set
	}
	message := e.Message
	if message == "" {
		message = string(code)
	}
	p := &connectorv1.Error{
		Code:      code.Proto(),
		Message:   clean(conn.Redact(message)),
		Retryable: e.Retryable && code != OutcomeUnknown,
		Details:   cleanMap(e.Details, conn),
	}
	if e.RetryAfter > 0 {
		p.RetryAfter = durationpb.New(e.RetryAfter)
	}
	for _, v := range e.Violations {
		p.Violations = append(p.Violations, &connectorv1.FieldViolation{
			Path: clean(v.Path), Message: clean(conn.Redact(v.Message)),
		})
	}
	return p
}

// clean makes a text fit for a protobuf string of a sensible size.
func clean(text string) string {
	const longest = 8 << 10
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

func cleanMap(m map[string]string, conn Connection) map[string]string {
	if len(m) == 0 {
		return nil
	}
	cleaned := make(map[string]string, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if len(cleaned) == maxMetadata {
			break
		}
		cleaned[clean(key)] = clean(conn.Redact(m[key]))
	}
	return cleaned
}
