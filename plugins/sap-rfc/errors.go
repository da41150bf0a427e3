package main

import (
	"context"
	"errors"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

// busyPause is how long to leave SAP alone that takes no further session.
const busyPause = 10 * time.Second

// later says that this order has to wait, for nothing that anybody has to do.
// It names no time: the host then asks again less and less often, and goes on
// with the connection's other orders, which a time would hold up, too. However
// long it takes, it does not count as a failure of the order.
func later(format string, args ...any) *sdk.Error {
	e := sdk.Errorf(sdk.Throttled, format, args...)
	e.Retryable = true
	return e
}

// failure turns a transport's error into one for the host. doing says what was
// tried, such as "create the sales order". It is for failures with which
// nothing has changed in SAP, or of which the next attempt finds out; a final
// one never comes out of it.
func failure(doing string, err error) error {
	var typed *sdk.Error
	var refused *sdk.RefusedError
	var known *rfc.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &typed), errors.As(err, &refused):
		return err
	case !errors.As(err, &known):
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return caused(err, sdk.Timeout, "%s: gave up waiting", doing)
		}
		return sdk.Errorf(sdk.Internal, "%s: %w", doing, err)
	}
	e := caused(err, codeOf(known.Class), "%s: %s%s", doing, known, advice[known.Class])
	if known.Class == rfc.Busy {
		e.RetryAfter = busyPause
	}
	// Nothing but a person's work makes these pass, but it happens outside of
	// the order: the export waits for it.
	e.Retryable = true
	if known.MessageID != "" {
		e.Details = map[string]string{"sap_message": known.MessageID}
	}
	return e
}

// codeOf is the Port's code of each class; docs/connectors/sap-rfc.md has the
// same table.
func codeOf(class rfc.Class) sdk.Code {
	switch class {
	case rfc.Unreachable:
		return sdk.Unreachable
	case rfc.TimedOut:
		return sdk.Timeout
	case rfc.LogonRefused:
		return sdk.AuthenticationFailed
	case rfc.NotAuthorized:
		return sdk.PermissionDenied
	case rfc.Untrusted:
		return sdk.HostKeyMismatch
	case rfc.FunctionMissing:
		return sdk.NotFound
	case rfc.Busy:
		return sdk.Throttled
	case rfc.NoLibrary, rfc.Unsupported, rfc.Misconfigured:
		return sdk.InvalidConfig
	default: // Other, Raised, Dumped, Refused, BadValue
		return sdk.Internal
	}
}

// advice is what to do about a failure.
var advice = map[rfc.Class]string{
	rfc.Unreachable:     ": check the address, the firewall and whether SAP runs",
	rfc.LogonRefused:    ": check client, user and password, and in SAP whether the user is locked",
	rfc.NotAuthorized:   ": give the user the authorisation (S_RFC and those of the order; see SU53 and ST01)",
	rfc.Untrusted:       ": check url and ca_certificate",
	rfc.FunctionMissing: ": check that the function module exists and is remote-enabled, and that the service is active",
	rfc.NoLibrary:       ": install the SAP NetWeaver RFC library and check library_path",
}

// caused is Errorf with a cause whose text is not part of the message.
func caused(cause error, code sdk.Code, format string, args ...any) *sdk.Error {
	e := sdk.Errorf(code, format, args...)
	e.Err = cause
	return e
}

// unknown says that only a person can find out whether SAP has the order.
func unknown(reference, document, why string) error {
	e := sdk.Errorf(sdk.OutcomeUnknown, "%s: look for the reference %s in SAP, then say whether the order is there", why, reference)
	e.Details = map[string]string{"reference": reference}
	if document != "" {
		e.Details["document"] = document
	}
	return e
}
