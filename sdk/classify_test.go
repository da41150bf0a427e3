package sdk_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
)

// serving returns the address of a TCP server that treats each connection so.
func serving(t *testing.T, treat func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				treat(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// tlsServer returns the address of a TLS server and the pool that trusts it.
func tlsServer(t *testing.T, auth tls.ClientAuthType) (string, *x509.CertPool) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{ClientAuth: auth}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return server.Listener.Addr().String(), pool
}

func get(ctx context.Context, config *tls.Config, address string) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// faults are errors as they come out of real servers.
func faults(t *testing.T) map[string]struct {
	err  error
	want port.Code
} {
	ctx := t.Context()
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	t.Cleanup(cancel)
	silent := serving(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	hangup := serving(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1024)) })
	plain := serving(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 ftp.example ready\r\n"); _, _ = io.Copy(io.Discard, c) })
	halfway := serving(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1024))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	})
	trusted, pool := tlsServer(t, tls.NoClientCert)
	demanding, demandingPool := tlsServer(t, tls.RequireAnyClientCert)
	_, dialError := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:1")
	_, lookupError := net.DefaultResolver.LookupHost(ctx, "no-such-host.invalid")
	body := func() error {
		resp, err := http.Get("http://" + halfway)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	return map[string]struct {
		err  error
		want port.Code
	}{
		"nobody listens":                  {dialError, port.Unreachable},
		"a name that does not exist":      {lookupError, port.Unreachable},
		"a server that does not answer":   {get(short, nil, "http://"+silent), port.Timeout},
		"a server that hangs up":          {get(ctx, nil, "http://"+hangup), port.Unreachable},
		"an answer that breaks off":       {body(), port.Unreachable},
		"a certificate of an unknown CA":  {get(ctx, nil, "https://"+trusted), port.HostKeyMismatch},
		"a certificate for another name":  {get(ctx, &tls.Config{RootCAs: pool, ServerName: "other.invalid"}, "https://"+trusted), port.HostKeyMismatch},
		"a server that wants ours":        {get(ctx, &tls.Config{RootCAs: demandingPool}, "https://"+demanding), port.AuthenticationFailed},
		"a server that is too old":        {get(ctx, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, "https://"+trusted), port.Unreachable},
		"a server without TLS":            {get(ctx, nil, "https://"+plain), port.Unreachable},
		"an address that is none":         {get(ctx, nil, "http://%zz"), port.Internal},
		"a deadline of the connector":     {fmt.Errorf("wait: %w", context.DeadlineExceeded), port.Timeout},
		"a context that was cancelled":    {fmt.Errorf("wait: %w", context.Canceled), port.Internal},
		"a cancelled request":             {&url.Error{Op: "Get", URL: "x", Err: context.Canceled}, port.Internal},
		"ssh: a refused password":         {errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none password], no supported methods remain"), port.AuthenticationFailed},
		"ssh: another host key":           {errors.New("ssh: handshake failed: knownhosts: key mismatch"), port.HostKeyMismatch},
		"ssh: an unknown host key":        {errors.New("ssh: handshake failed: knownhosts: key is unknown"), port.HostKeyMismatch},
		"ssh: not the fixed host key":     {errors.New("ssh: handshake failed: ssh: host key mismatch"), port.HostKeyMismatch},
		"ssh: nothing in common":          {errors.New("ssh: handshake failed: ssh: no common algorithm for key exchange; we offered: [a], peer offered: [b]"), port.Unreachable},
		"ssh: a server that hangs up":     {errors.New("ssh: handshake failed: EOF"), port.Unreachable},
		"ssh: a connection that is reset": {fmt.Errorf("ssh: handshake failed: %w", dialError), port.Unreachable},
		"an error that says what it is":   {fmt.Errorf("a: %w", sdk.Errorf(sdk.Throttled, "b: %w", dialError)), port.Throttled},
		"something else":                  {errors.New("something else"), port.Internal},
		"nothing":                         {nil, port.Internal},
	}
}

func TestFaultsOfTargetsGetTheirCode(t *testing.T) {
	t.Parallel()
	for name, c := range faults(t) {
		if name != "nothing" && c.err == nil {
			t.Errorf("%s: there is no error", name)
		}
		if got := sdk.CodeOf(c.err); got != c.want {
			t.Errorf("%s: %s, want %s: %v", name, got, c.want, c.err)
		}
	}
}

func TestHTTPAnswersBecomeCodes(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		status     int
		retryAfter string
		want       port.Code // empty: no error
		open       bool      // whether it was carried out
		after      time.Duration
	}{
		{200, "", "", false, 0},
		{204, "", "", false, 0},
		{304, "", port.InvalidConfig, false, 0},
		{301, "", port.InvalidConfig, false, 0},
		{400, "10", port.RejectedByERP, false, 0},
		{401, "", port.AuthenticationFailed, false, 0},
		{403, "", port.PermissionDenied, false, 0},
		{404, "", port.NotFound, false, 0},
		{407, "", port.AuthenticationFailed, false, 0},
		{408, "", port.Timeout, true, 0},
		{409, "", port.Conflict, false, 0},
		{418, "", port.RejectedByERP, false, 0},
		{422, "", port.RejectedByERP, false, 0},
		{429, "7", port.Throttled, false, 7 * time.Second},
		{429, "nonsense", port.Throttled, false, 0},
		{429, later, port.Throttled, false, time.Hour},
		{429, "99999999", port.Throttled, false, 24 * time.Hour},
		{500, "", port.Unreachable, true, 0},
		{501, "", port.Unimplemented, false, 0},
		{502, "", port.Unreachable, true, 0},
		{503, "", port.Unreachable, true, 0},
		{503, "7", port.Throttled, true, 7 * time.Second},
		{504, "", port.Timeout, true, 0},
		{507, "", port.Throttled, false, 0},
		{599, "", port.Unreachable, true, 0},
	} {
		err := sdk.CheckHTTP(&http.Response{StatusCode: c.status, Header: http.Header{"Retry-After": {c.retryAfter}}})
		if c.want == "" {
			if err != nil {
				t.Errorf("%d: %v", c.status, err)
			}
			continue
		}
		var decided *sdk.Error
		var open *sdk.HTTPStatusError
		if errors.As(err, &open) != c.open || errors.As(err, &decided) == c.open || sdk.CodeOf(err) != c.want {
			t.Errorf("%d %s: %T %v with %s, want %s", c.status, c.retryAfter, err, err, sdk.CodeOf(err), c.want)
			continue
		}
		var after time.Duration
		if c.open {
			after = open.RetryAfter
		} else {
			after = decided.RetryAfter
		}
		if after > c.after || after < c.after-2*time.Second {
			t.Errorf("%d %s: retry after %s, want %s", c.status, c.retryAfter, after, c.after)
		}
	}
}

// An answer that leaves it open must not become a promise.
func TestAnOpenAnswerIsNoPromise(t *testing.T) {
	t.Parallel()
	for resume, want := range map[bool]port.Code{true: port.Throttled, false: port.OutcomeUnknown} {
		result, err := run(t, scripted{
			describe: func(d *sdk.Description) { d.Resume = resume },
			export: func(context.Context, *sdk.ExportRequest) (sdk.ExportResult, error) {
				return sdk.ExportResult{}, fmt.Errorf("create: %w", sdk.CheckHTTP(&http.Response{
					StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"3"}},
				}))
			},
		})
		wantStatus(t, err, codes.OK)
		wantCode(t, result.GetError(), want)
		if e := result.GetError(); e.GetRetryable() != resume || e.GetRetryAfter().AsDuration() != 3*time.Second {
			t.Errorf("resume %v: %v", resume, e)
		}
	}
}

// A connector that puts the secret into its texts, in any form, leaks nothing.
func TestEncodedSecretsDoNotLeave(t *testing.T) {
	t.Parallel()
	const secret = `p"a&5 5/canary`
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]string{"host": "x", "password": secret})
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{
		"plain": secret, "JSON": string(quoted), "URL": url.QueryEscape(secret), "hex": hex.EncodeToString([]byte(secret)),
		"basic auth": base64.StdEncoding.EncodeToString([]byte("acme:" + secret)),
	}
	for name, form := range forms {
		host := sdktest.New(t, scripted{test: func(_ context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
			if got := req.Connection.Redact("before " + form); got == "before "+form {
				t.Errorf("%s: Redact leaves %q", name, got)
			}
			return sdk.TestResult{}, sdk.Errorf(sdk.AuthenticationFailed, "the server said: %s", form)
		}})
		response, err := host.TestConnection(t.Context(), string(config))
		if err != nil {
			t.Fatal(err)
		}
		if got := response.GetErrorMessage(); len(got) >= len("the server said: "+form) && got == "the server said: "+form {
			t.Errorf("%s: %q", name, got)
		}
	}
}
