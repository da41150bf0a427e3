// Package soap calls function modules through SAP's RFC service over HTTP,
// /sap/bc/soap/rfc. Each call is its own session and unit of work in SAP, so a
// commit in a second call saves nothing: Commit and Rollback fail here.
package soap

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// maxResponse bounds what is read of one answer.
const maxResponse = 64 << 20

// Options say where the service is and who logs on.
type Options struct {
	// URL of the service, without a query.
	URL string
	// Client and Language go into the query.
	Client, Language string
	// User and Password for HTTP Basic; an empty user sends none.
	User, Password string
	// CACertificate replaces the system's trusted certificates. PEM.
	CACertificate string
	// Certificate and Key log on by TLS. PEM.
	Certificate, Key string
	// DashedDates sends dates as YYYY-MM-DD.
	DashedDates bool
	// Timeout bounds the set-up of a connection.
	Timeout time.Duration
}

// Transport sends calls to one service. Sessions share its HTTP connections
// and its cookie, which keeps SAP from opening a security session a request.
type Transport struct {
	options  Options
	endpoint string
	http     *http.Client
	open     atomic.Int64 // sessions
}

var _ rfc.Transport = (*Transport)(nil)

// New prepares a Transport; it does not connect.
func New(o Options) (*Transport, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("url is not a URL")
	}
	u.RawQuery = url.Values{"sap-client": {o.Client}, "sap-language": {o.Language}}.Encode()
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CACertificate != "" {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM([]byte(o.CACertificate)) {
			return nil, errors.New("ca_certificate holds no certificate")
		}
	}
	if o.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(o.Certificate), []byte(o.Key))
		if err != nil {
			return nil, errors.New("client_certificate and client_key do not fit together")
		}
		trust.Certificates = []tls.Certificate{pair}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("make a cookie jar: %w", err)
	}
	return &Transport{options: o, endpoint: u.String(), http: &http.Client{
		Jar: jar,
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: trust, TLSHandshakeTimeout: o.Timeout,
			MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
			// HTTP/2 repeats requests by itself in some cases.
			TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		},
		// A POST that is redirected arrives as a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Describe says that calls don't share a unit of work.
func (t *Transport) Describe() rfc.Abilities { return rfc.Abilities{} }

// Open tries the logon with a call of RFC_PING. Where the user may not call
// it, the logon has worked.
func (t *Transport) Open(ctx context.Context) (rfc.Session, error) {
	t.open.Add(1)
	s := &session{transport: t}
	err := s.Ping(ctx)
	var known *rfc.Error
	if errors.As(err, &known) && !known.Broken && known.Key != "" {
		err = nil
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

type session struct {
	transport *Transport
	closed    atomic.Bool
}

// Ping calls RFC_PING.
func (s *session) Ping(ctx context.Context) error {
	_, err := s.Call(ctx, rfc.Call{Function: "RFC_PING"})
	return err
}

// Commit fails: there would be nothing to commit.
func (s *session) Commit(context.Context) error {
	return rfc.Errorf(rfc.Unsupported, "a commit over the RFC service saves nothing")
}

// Rollback fails like Commit.
func (s *session) Rollback(context.Context) error {
	return rfc.Errorf(rfc.Unsupported, "a rollback over the RFC service drops nothing")
}

// Function fails: the service does not describe functions.
func (s *session) Function(context.Context, string) (rfc.Function, error) {
	return rfc.Function{}, rfc.Errorf(rfc.Unsupported, "the RFC service does not describe functions")
}

// Usable says that the session was not closed: nothing else can break it.
func (s *session) Usable() bool { return !s.closed.Load() }

// Close only marks the session: there is nothing of it in SAP. With the last one
// go the connections, also those that are still being made.
func (s *session) Close() {
	if !s.closed.Swap(true) && s.transport.open.Add(-1) == 0 {
		s.transport.http.CloseIdleConnections()
	}
}

// Call posts the call. It is posted once.
func (s *session) Call(ctx context.Context, call rfc.Call) (rfc.Reply, error) {
	if s.closed.Load() {
		return rfc.Reply{}, &rfc.Error{Class: rfc.Other, Broken: true, Message: "the session is closed"}
	}
	body, err := encode(call, s.transport.options.DashedDates)
	if err != nil {
		return rfc.Reply{}, err
	}
	resp, err := s.transport.post(ctx, body)
	if err != nil {
		return rfc.Reply{}, err
	}
	defer resp.Body.Close()
	return read(resp, call)
}

// post sends a request and returns what comes back.
func (t *Transport) post(ctx context.Context, body []byte) (*http.Response, error) {
	if ctx.Err() != nil {
		return nil, &rfc.Error{Class: rfc.TimedOut, Message: "no time left", Err: ctx.Err()}
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// From here on bytes may be on their way.
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, rfc.Errorf(rfc.BadValue, "url is not a URL")
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("Accept", "text/xml")
	req.Header.Set("SOAPAction", `"`+namespace+`"`)
	if t.options.User != "" {
		req.SetBasicAuth(t.options.User, t.options.Password)
	}
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, broken(err, sent.Load())
	}
	return resp, nil
}

// read reads an answer to its end, also where its beginning says enough: the
// connection can be used again then.
func read(resp *http.Response, call rfc.Call) (rfc.Reply, error) {
	limited := &io.LimitedReader{R: resp.Body, N: maxResponse + 1}
	in := bufio.NewReader(limited)
	start, _ := in.Peek(512)
	var reply rfc.Reply
	err := status(resp, start)
	if err == nil {
		reply, err = decode(in, call)
	}
	// What has failed fails again: decode can't tell a broken connection from
	// broken XML.
	if _, lost := io.Copy(io.Discard, in); lost != nil {
		return rfc.Reply{}, broken(lost, true)
	}
	if limited.N == 0 {
		return rfc.Reply{}, &rfc.Error{Class: rfc.Other, Sent: true, Message: "the answer is larger than 64 MiB"}
	}
	return reply, err
}

// broken says why a request got no answer.
func broken(err error, sent bool) error {
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err // without the address, which says nothing new
	}
	e := &rfc.Error{Class: rfc.Unreachable, Sent: sent, Broken: true, Message: err.Error(), Err: err}
	var timeout interface{ Timeout() bool }
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		e.Class, e.Sent = rfc.Untrusted, false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		e.Class, e.Message = rfc.TimedOut, "no answer in time"
	}
	return e
}

// status judges an answer that is not of the RFC service but of the web server
// before it: it has not run any function then. A fault comes with 500, too, and
// is left to decode.
func status(resp *http.Response, start []byte) error {
	isXML := strings.Contains(resp.Header.Get("Content-Type"), "xml") || bytes.HasPrefix(bytes.TrimSpace(start), []byte("<?xml"))
	web := func(class rfc.Class, format string, args ...any) error {
		e := rfc.Errorf(class, format, args...)
		e.Broken = true
		return e
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return web(rfc.LogonRefused, "the web server refused the logon (HTTP 401)")
	case code == http.StatusForbidden || code == http.StatusNotFound:
		return web(rfc.FunctionMissing, "the web server does not offer the RFC service (HTTP %d): activate /sap/bc/soap/rfc in SICF, and allow the user to call it", code)
	case code >= 300 && code < 400:
		return web(rfc.FunctionMissing, "the web server redirects (HTTP %d): enter the final url", code)
	case code == http.StatusTooManyRequests:
		return web(rfc.Busy, "the web server takes no further request (HTTP 429)")
	case code >= 400 && !isXML:
		// A proxy may have passed the request on before it gave up.
		return &rfc.Error{Class: rfc.Unreachable, Sent: true, Broken: true, Message: fmt.Sprintf("the web server answered HTTP %d", code)}
	case !isXML:
		return &rfc.Error{Class: rfc.Other, Sent: true, Message: "the answer is not XML: check that url leads to SAP"}
	default:
		return nil
	}
}
