package sdk

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// HTTPStatusError is an HTTP answer that leaves it open whether the request
// was carried out, such as 502 from a proxy. It is no *Error, so that Export
// does not promise anything by returning it: with Description.Resume the
// export is run again, without it an operator decides.
type HTTPStatusError struct {
	// StatusCode is what the server answered.
	StatusCode int
	// RetryAfter is what it asked for; zero: nothing.
	RetryAfter time.Duration
}

// Error names the status.
func (e *HTTPStatusError) Error() string { return "the server answered " + statusText(e.StatusCode) }

func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("%d %s", code, text)
	}
	return strconv.Itoa(code)
}

// code is what the Port calls it.
func (e *HTTPStatusError) code() Code {
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return Timeout
	case http.StatusServiceUnavailable:
		if e.RetryAfter > 0 {
			return Throttled
		}
	}
	return Unreachable
}

// refusals are the answers with which a server says that it did not do what it
// was asked to. The other ones below 500 are RejectedByERP.
var refusals = map[int]Code{
	http.StatusUnauthorized:               AuthenticationFailed,
	http.StatusProxyAuthRequired:          AuthenticationFailed,
	http.StatusPaymentRequired:            PermissionDenied,
	http.StatusForbidden:                  PermissionDenied,
	http.StatusUnavailableForLegalReasons: PermissionDenied,
	http.StatusNotFound:                   NotFound,
	http.StatusMethodNotAllowed:           NotFound,
	http.StatusGone:                       NotFound,
	http.StatusConflict:                   Conflict,
	http.StatusMisdirectedRequest:         Unreachable,
	http.StatusLocked:                     Throttled,
	http.StatusTooEarly:                   Throttled,
	http.StatusTooManyRequests:            Throttled,
	http.StatusInsufficientStorage:        Throttled,
	http.StatusNotImplemented:             Unimplemented,
}

// CheckHTTP says what an HTTP answer means for the host. It returns nil for a
// status of 2xx, an *Error for one that refuses the request, and an
// *HTTPStatusError for one that leaves it open whether it was carried out. The
// body is neither read nor closed.
//
// A server may mean something else by a status; then say so before:
//
//	if resp.StatusCode == http.StatusConflict { return errAlreadyThere }
//	return sdk.CheckHTTP(resp)
func CheckHTTP(resp *http.Response) error {
	status := resp.StatusCode
	after := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	code, listed := refusals[status]
	switch {
	case status >= 200 && status < 300:
		return nil
	case status < 200 || status == http.StatusRequestTimeout || (status >= 500 && !listed):
		return &HTTPStatusError{StatusCode: status, RetryAfter: after}
	case status < 400: // the client follows redirects that it may follow
		return Errorf(InvalidConfig, "the server answered %s: enter the address that it redirects to", statusText(status))
	}
	e := Errorf(cmp.Or(code, RejectedByERP), "the server answered %s", statusText(status))
	e.Details = map[string]string{"http_status": strconv.Itoa(status)}
	if e.Retryable {
		e.RetryAfter = after
	}
	return e
}

// retryAfter reads the header in both of its forms.
func retryAfter(header string, now time.Time) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longest) //nolint:gosec // below 2^31
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, min(at.Sub(now), longest))
	}
	return 0
}
