package soap

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// serve runs a TLS server and returns a session with it.
func serve(t *testing.T, change func(*Options), handler http.HandlerFunc) (*session, error) {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	o := Options{
		URL: srv.URL + "/sap/bc/soap/rfc", Client: "100", Language: "EN", User: "ORDERPORT", Password: "Sesame-9", Timeout: 5 * time.Second,
		CACertificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})),
	}
	if change != nil {
		change(&o)
	}
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tr.Open(t.Context())
	if err != nil {
		return nil, err
	}
	return s.(*session), nil
}

func answer(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>`+body+`</SOAP-ENV:Body></SOAP-ENV:Envelope>`)
}

const pong = `<urn:RFC_PING.Response xmlns:urn="urn:sap-com:document:sap:rfc:functions"/>`

func TestACallIsWrittenAndReadAsTheServiceWantsIt(t *testing.T) {
	t.Parallel()
	var body, query, action string
	s, err := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		if strings.Contains(string(data), "RFC_PING") {
			answer(w, 200, pong)
			return
		}
		body, query, action = string(data), r.URL.RawQuery, r.Header.Get("SOAPAction")
		answer(w, 200, `<x:_-BIO_-X.Response xmlns:x="urn:sap-com:document:sap:rfc:functions"><NUMBER>007 </NUMBER><OUT><DATE>2025-12-01</DATE><TEXT>2025-12-01</TEXT></OUT>`+
			`<ROWS><item><WA> a&#38;b</WA></item><item/></ROWS><EMPTY/></x:_-BIO_-X.Response>`)
	})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := s.Call(t.Context(), rfc.Call{
		Function: "/BIO/X", Values: map[string]string{"A": "<ü & \"x\">"}, Structures: map[string]rfc.Structure{"S": {"F": "1", "REQ_DATE": "20251201"}},
		Tables: map[string][]rfc.Structure{"ROWS": {{"WA": "x"}}, "EMPTY": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `<rfc:_-BIO_-X xmlns:rfc="urn:sap-com:document:sap:rfc:functions"><A>&lt;ü &amp; &#34;x&#34;&gt;</A><S><F>1</F><REQ_DATE>20251201</REQ_DATE></S><EMPTY></EMPTY><ROWS><item><WA>x</WA></item></ROWS></rfc:_-BIO_-X>`
	if !strings.Contains(body, want) || query != "sap-client=100&sap-language=EN" || action != `"urn:sap-com:document:sap:rfc:functions"` {
		t.Errorf("sent %s\n%s %s", body, query, action)
	}
	wantReply := rfc.Reply{
		Values:     map[string]string{"NUMBER": "007"},
		Structures: map[string]rfc.Structure{"OUT": {"DATE": "20251201", "TEXT": "2025-12-01"}},
		Tables:     map[string][]rfc.Structure{"ROWS": {{"WA": " a&b"}, {}}, "EMPTY": {}},
	}
	if diff := cmp.Diff(wantReply, reply); diff != "" {
		t.Error(diff)
	}
}

// A function returns the rows that it was sent, with all of their fields.
func TestRowsThatNobodyReadsAreSkipped(t *testing.T) {
	t.Parallel()
	const sent = `<Envelope><Body><F.Response xmlns="urn:sap-com:document:sap:rfc:functions">` +
		`<ITEMS><item><A>1</A></item></ITEMS><RETURN><item><TYPE>S</TYPE></item></RETURN><N>7</N></F.Response></Body></Envelope>`
	call := rfc.Call{Function: "F", Tables: map[string][]rfc.Structure{"ITEMS": {{"A": "1"}}, "RETURN": {}}}
	for name, c := range map[string]struct {
		read []string
		want map[string][]rfc.Structure
	}{
		"all are read":  {nil, map[string][]rfc.Structure{"ITEMS": {{"A": "1"}}, "RETURN": {{"TYPE": "S"}}}},
		"one is read":   {[]string{"RETURN"}, map[string][]rfc.Structure{"RETURN": {{"TYPE": "S"}}}},
		"none are read": {[]string{}, map[string][]rfc.Structure{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := call
			call.Read = c.read
			reply, err := decode(strings.NewReader(sent), call)
			want := rfc.Reply{Values: map[string]string{"N": "7"}, Structures: map[string]rfc.Structure{}, Tables: c.want}
			if diff := cmp.Diff(want, reply); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestFailuresTellWhetherTheFunctionMayHaveRun(t *testing.T) {
	t.Parallel()
	html := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "<html><body>no</body></html>")
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		class   rfc.Class
		sent    bool
		broken  bool
		text    string
	}{
		"a refused logon is HTML":        {html(401), rfc.LogonRefused, false, true, "401"},
		"an inactive service is HTML":    {html(403), rfc.FunctionMissing, false, true, "SICF"},
		"a missing service is HTML":      {html(404), rfc.FunctionMissing, false, true, "SICF"},
		"a proxy's time-out is in doubt": {html(504), rfc.Unreachable, true, true, "504"},
		"a page instead of SAP":          {html(200), rfc.Other, true, false, "XML"},
		"a redirect":                     {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", "/x"); w.WriteHeader(302) }, rfc.FunctionMissing, false, true, "redirects"},
		"a fault": {
			func(w http.ResponseWriter, _ *http.Request) {
				answer(w, 500, `<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>generic</faultstring><detail><rfc:Error xmlns:rfc="urn:sap-com:document:sap:rfc:functions"><type>X</type><message>No authority</message></rfc:Error></detail></SOAP-ENV:Fault>`)
			}, rfc.Dumped, true, false, "No authority",
		},
		"an exception": {
			func(w http.ResponseWriter, _ *http.Request) {
				answer(w, 500, `<rfc:F.Exception xmlns:rfc="urn:sap-com:document:sap:rfc:functions"><Name>NOT_AUTHORIZED</Name></rfc:F.Exception>`)
			}, rfc.Raised, true, false, "NOT_AUTHORIZED",
		},
		"an answer that breaks off": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, `<?xml version="1.0"?><a>`)
			}, rfc.Unreachable, true, true, "",
		},
		"an answer without an end": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/xml")
				_, _ = io.WriteString(w, "<a>"+strings.Repeat(" ", maxResponse))
			}, rfc.Other, true, false, "64 MiB",
		},
		"an answer to another function": {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, pong) }, rfc.Other, true, false, "no response"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, "<a><b>")
		}, rfc.Other, true, false, "well-formed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			s, err := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
				if data, _ := io.ReadAll(r.Body); strings.Contains(string(data), "RFC_PING") {
					answer(w, 200, pong)
					return
				}
				calls.Add(1)
				c.handler(w, r)
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Call(t.Context(), rfc.Call{Function: "F"})
			var e *rfc.Error
			if !errors.As(err, &e) || e.Class != c.class || e.Sent != c.sent || e.Broken != c.broken || !strings.Contains(e.Error(), c.text) {
				t.Errorf("got %#v, want class %v, sent %t, broken %t, text %q", e, c.class, c.sent, c.broken, c.text)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("posted %d times", n)
			}
		})
	}
}

func TestALateAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	s, err := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if data, _ := io.ReadAll(r.Body); strings.Contains(string(data), "RFC_PING") {
			answer(w, 200, pong)
			return
		}
		<-r.Context().Done() // the client has gone
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Call(ctx, rfc.Call{Function: "F"})
	if e := rfc.As(err); e.Class != rfc.TimedOut || !e.Sent {
		t.Errorf("got %#v", e)
	}
	_, err = s.Call(ctx, rfc.Call{Function: "F"})
	if e := rfc.As(err); e.Class != rfc.TimedOut || e.Sent {
		t.Errorf("with no time left nothing may be sent: %#v", e)
	}
}

func TestAServerThatIsNotTrustedGetsNoPassword(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	_, err := serve(t, func(o *Options) { o.CACertificate = "" }, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	if e := rfc.As(err); e.Class != rfc.Untrusted || e.Sent || calls.Load() != 0 {
		t.Errorf("got %#v after %d requests", e, calls.Load())
	}
}

func TestNobodyListensMeansNothingWasSent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = serve(t, func(o *Options) { o.URL = "https://" + address }, nil)
	if e := rfc.As(err); e.Class != rfc.Unreachable || e.Sent || strings.Contains(e.Error(), "Sesame") {
		t.Errorf("got %#v", e)
	}
}

func TestTheSessionCookieComesBack(t *testing.T) {
	t.Parallel()
	var with, without atomic.Int32
	s, err := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("SAP_SESSIONID_S4H_100"); err == nil {
			with.Add(1)
		} else {
			without.Add(1)
		}
		http.SetCookie(w, &http.Cookie{Name: "SAP_SESSIONID_S4H_100", Value: "x", Path: "/"})
		answer(w, 200, pong)
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if with.Load() != 3 || without.Load() != 1 {
		t.Errorf("%d requests with the cookie, %d without", with.Load(), without.Load())
	}
}

func TestACommitOverTheServiceIsRefused(t *testing.T) {
	t.Parallel()
	s := &session{}
	if err := s.Commit(t.Context()); !rfc.Is(err, rfc.Unsupported) || rfc.As(err).Sent {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`<Envelope><Body><F.Response xmlns="urn:sap-com:document:sap:rfc:functions"><A/></F.Response></Body></Envelope>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if reply, err := decode(bytes.NewReader(data), rfc.Call{Function: "F"}); err == nil && reply.Values == nil {
			t.Error("a reply without values")
		}
	})
}
