package icf

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
)

// naive is a client as one writes it first: it posts, and believes what comes
// back.
type naive struct {
	t        *testing.T
	url      string
	password string
	http     *http.Client
}

// start runs a system and its web server, and returns a client without cookies.
func start(t *testing.T, so sapsim.Options, o Options) (*sapsim.System, *Server, *naive) {
	t.Helper()
	so.Customer = true
	sys := sapsim.New(so)
	server := New(sys, o)
	web := httptest.NewTLSServer(server)
	t.Cleanup(func() {
		sys.Close()
		web.Close()
	})
	return sys, server, &naive{t: t, url: web.URL + Path + "?sap-client=100&sap-language=EN", password: "Sesame-9", http: web.Client()}
}

// post sends the function's element and returns the status and the answer.
func (n *naive) post(function string) (int, string) {
	n.t.Helper()
	status, body, err := n.try(function)
	if err != nil {
		n.t.Fatal(err)
	}
	return status, body
}

func (n *naive) try(function string) (int, string, error) {
	n.t.Helper()
	return n.tryWithin(n.t.Context(), function)
}

func (n *naive) tryWithin(ctx context.Context, function string) (int, string, error) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, strings.NewReader(
		`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>`+function+`</e:Body></e:Envelope>`))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.SetBasicAuth("ORDERPORT", n.password)
	resp, err := n.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func rfcCall(name, inner string) string {
	return `<f:` + name + ` xmlns:f="urn:sap-com:document:sap:rfc:functions">` + inner + `</f:` + name + `>`
}

// an order that the system takes, with a sold-to party and tables to return.
func newOrder(function, customer, reference, more string) string {
	return rfcCall(function, `<ORDER_HEADER_IN><DOC_TYPE>TA</DOC_TYPE><SALES_ORG>1000</SALES_ORG><DISTR_CHAN>10</DISTR_CHAN><DIVISION>00</DIVISION>`+
		`<PURCH_NO_C>`+reference+`</PURCH_NO_C></ORDER_HEADER_IN>`+
		`<ORDER_PARTNERS><item><PARTN_ROLE>AG</PARTN_ROLE><PARTN_NUMB>`+customer+`</PARTN_NUMB></item></ORDER_PARTNERS>`+
		`<ORDER_ITEMS_IN><item><ITM_NUMBER>000010</ITM_NUMBER><MATERIAL>NWP-0011</MATERIAL><TARGET_QTY>12</TARGET_QTY></item></ORDER_ITEMS_IN>`+more)
}

const (
	create  = "BAPI_SALESORDER_CREATEFROMDAT2"
	wrapper = "Z_ORDERPORT_ORDER_CREATE"
	commit  = "BAPI_TRANSACTION_COMMIT"
)

// Trap: everything looks well, and nothing is saved.
func TestACommitInASecondRequestSavesNothing(t *testing.T) {
	t.Parallel()
	for name, cookies := range map[string]bool{"without cookies": false, "with the cookie sent back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys, _, client := start(t, sapsim.Options{}, Options{})
			if cookies {
				client.http.Jar, _ = cookiejar.New(nil)
			}
			status, body := client.post(newOrder(create, "0000004711", "A", "<RETURN/>"))
			if status != 200 || !strings.Contains(body, "<SALESDOCUMENT>0000012001</SALESDOCUMENT>") || !strings.Contains(body, "has been saved") {
				t.Fatalf("%d %s", status, body)
			}
			if status, body = client.post(rfcCall(commit, "<WAIT>X</WAIT>")); status != 200 || strings.Contains(body, "<TYPE>E") {
				t.Fatalf("the commit: %d %s", status, body)
			}
			if len(sys.Documents()) != 0 || sys.NumbersUsed() != 1 {
				t.Errorf("%d orders with %d numbers used up, want none and 1", len(sys.Documents()), sys.NumbersUsed())
			}
			if _, body = client.post(newOrder(wrapper, "0000004711", "A", "<RETURN/>")); len(sys.Documents()) != 1 {
				t.Errorf("the wrapper did not save: %s", body)
			}
		})
	}
}

// Trap: no errors, because nobody asked for them.
func TestATableThatIsNotSentDoesNotComeBack(t *testing.T) {
	t.Parallel()
	_, _, client := start(t, sapsim.Options{}, Options{})
	_, silent := client.post(newOrder(create, "4711", "A", ""))
	_, told := client.post(newOrder(create, "4711", "A", "<RETURN/>"))
	if strings.Contains(silent, "RETURN") || !strings.Contains(told, "<TYPE>E</TYPE><ID>VP</ID>") {
		t.Errorf("without: %s\nwith: %s", silent, told)
	}
}

// Trap: no conversion exit runs, so 4711 is not the customer 0000004711.
func TestANumberWithoutItsZerosIsAnotherNumber(t *testing.T) {
	t.Parallel()
	sys, _, client := start(t, sapsim.Options{}, Options{})
	client.post(newOrder(wrapper, "4711", "A", "<RETURN/>"))
	client.post(newOrder(wrapper, "0000004711", "B", "<RETURN/>"))
	if list := sys.Documents(); len(list) != 1 || list[0].Header["PURCH_NO_C"] != "B" {
		t.Errorf("%v", list)
	}
}

// Trap: a client that parses XML whatever the status learns nothing of why.
func TestWhatIsNotTheServicesAnswerIsHTML(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set    func(*naive)
		o      Options
		status int
	}{
		"a wrong password":    {func(n *naive) { n.password = "wrong" }, Options{}, 401},
		"another client":      {func(n *naive) { n.url = strings.Replace(n.url, "100", "200", 1) }, Options{}, 401},
		"no client":           {func(n *naive) { n.url = strings.Replace(n.url, "sap-client=100", "", 1) }, Options{}, 401},
		"an inactive service": {func(*naive) {}, Options{Inactive: true}, 403},
		"another path":        {func(n *naive) { n.url = strings.Replace(n.url, "/rfc", "/wsdl", 1) }, Options{}, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, client := start(t, sapsim.Options{}, c.o)
			c.set(client)
			status, body := client.post(rfcCall("RFC_PING", ""))
			if status != c.status || xml.Unmarshal([]byte(body), new(any)) == nil {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

func TestWrongPasswordsLockTheUser(t *testing.T) {
	t.Parallel()
	_, _, client := start(t, sapsim.Options{LockAfter: 3}, Options{})
	client.password = "wrong"
	for range 3 {
		client.post(rfcCall("RFC_PING", ""))
	}
	client.password = "Sesame-9"
	if status, _ := client.post(rfcCall("RFC_PING", "")); status != 401 {
		t.Errorf("%d", status)
	}
}

// Trap: each call without the cookie leaves a security session behind.
func TestWithoutTheCookieSecuritySessionsPileUp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	_, server, client := start(t, sapsim.Options{}, Options{Now: func() time.Time { return now }})
	for range 5 {
		client.post(rfcCall("RFC_PING", ""))
	}
	if n := server.SecuritySessions(); n != 5 {
		t.Errorf("%d security sessions", n)
	}
	now = now.Add(30 * time.Minute)
	client.http.Jar, _ = cookiejar.New(nil)
	for range 5 {
		client.post(rfcCall("RFC_PING", ""))
	}
	if n := server.SecuritySessions(); n != 1 {
		t.Errorf("%d security sessions with the cookie", n)
	}
	// An expired cookie and a password log on again; a cookie alone does not.
	server.EndSecuritySessions()
	if status, _ := client.post(rfcCall("RFC_PING", "")); status != 200 {
		t.Errorf("%d", status)
	}
	client.password = "wrong"
	if status, _ := client.post(rfcCall("RFC_PING", "")); status != 200 {
		t.Errorf("a valid cookie with a wrong password: %d", status)
	}
	server.EndSecuritySessions()
	if status, _ := client.post(rfcCall("RFC_PING", "")); status != 401 {
		t.Errorf("no valid cookie and a wrong password: %d", status)
	}
}

// Trap: a client that repeats a call whose answer was lost has two orders.
func TestACallWhoseAnswerIsLostHasBeenCarriedOut(t *testing.T) {
	t.Parallel()
	sys, _, client := start(t, sapsim.Options{}, Options{})
	sys.Inject(sapsim.Fault{Function: wrapper, Nth: 1, Moment: sapsim.After, Trouble: sapsim.Drop})
	order := newOrder(wrapper, "0000004711", "A", "<RETURN/>")
	if _, _, err := client.try(order); err == nil {
		t.Fatal("the answer was not lost")
	}
	client.post(order)
	if n := len(sys.Documents()); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// Trap: a client that has gone away does not stop what it has called.
func TestACallGoesOnWithoutItsClient(t *testing.T) {
	t.Parallel()
	sys, _, client := start(t, sapsim.Options{}, Options{})
	hang := sys.Inject(sapsim.Fault{Function: wrapper, Nth: 1, Moment: sapsim.Before, Trouble: sapsim.Hang})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-hang.Met()
		leave()
	}()
	if _, _, err := client.tryWithin(ctx, newOrder(wrapper, "0000004711", "A", "<RETURN/>")); err == nil {
		t.Fatal("the call was not given up")
	}
	if n := len(sys.Documents()); n != 0 {
		t.Errorf("%d orders already", n)
	}
	hang.Release()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(time.Minute)
	for len(sys.Documents()) == 0 {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("the order never came")
		}
	}
}

func TestFaultsAndExceptions(t *testing.T) {
	t.Parallel()
	denied := sapsim.Options{Users: []sapsim.User{{Name: "ORDERPORT", Password: "Sesame-9", Denied: []string{create}}}}
	readTable := rfcCall("RFC_READ_TABLE", "<QUERY_TABLE>NOSUCH</QUERY_TABLE>")
	for name, c := range map[string]struct {
		so     sapsim.Options
		o      Options
		call   string
		status int
		want   string
	}{
		"a function that is not there":      {call: rfcCall("NOSUCH", ""), status: 500, want: "<message>Function module NOSUCH not found"},
		"a function that is not allowed":    {so: denied, call: newOrder(create, "0000004711", "A", ""), status: 500, want: "no RFC authorization"},
		"a parameter that is not there":     {call: rfcCall("RFC_PING", "<X>1</X>"), status: 500, want: "has no parameter X"},
		"a field that is not there":         {call: rfcCall(create, "<ORDER_HEADER_IN><X>1</X></ORDER_HEADER_IN>"), status: 500, want: "has no field X"},
		"a parameter in a namespace":        {call: rfcCall(commit, `<f:WAIT>X</f:WAIT>`), status: 500, want: "namespace"},
		"a function outside the namespace":  {call: "<RFC_PING/>", status: 500, want: "namespace"},
		"a required parameter is missing":   {call: rfcCall("RFC_READ_TABLE", ""), status: 500, want: "needs the parameter QUERY_TABLE"},
		"a date with dashes":                {call: rfcCall(create, "<ORDER_HEADER_IN><PURCH_DATE>2026-03-01</PURCH_DATE></ORDER_HEADER_IN>"), status: 500, want: "is not a date"},
		"a date without, where they belong": {o: Options{DashedDates: true}, call: rfcCall(create, "<ORDER_HEADER_IN><PURCH_DATE>20260301</PURCH_DATE></ORDER_HEADER_IN>"), status: 500, want: "is not a date"},
		"an exception":                      {call: readTable, status: 500, want: `<rfc:RFC_READ_TABLE.Exception xmlns:rfc="urn:sap-com:document:sap:rfc:functions"><Name>TABLE_NOT_AVAILABLE</Name></rfc:RFC_READ_TABLE.Exception>`},
		"an exception in its other form":    {o: Options{ExceptionStatus: 200, PlainException: true}, call: readTable, status: 200, want: `functions">TABLE_NOT_AVAILABLE</rfc`},
		"text that is no XML":               {call: "<a>", status: 500, want: "not well-formed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, client := start(t, c.so, c.o)
			status, body := client.post(c.call)
			if status != c.status || !strings.Contains(body, c.want) || xml.Unmarshal([]byte(body), new(any)) != nil {
				t.Errorf("%d %s\nwant %d %s", status, body, c.status, c.want)
			}
		})
	}
}

func TestValuesAreWrittenAsTheServiceDoes(t *testing.T) {
	t.Parallel()
	sys, _, client := start(t, sapsim.Options{Now: func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }}, Options{Prefix: "rfc"})
	client.post(newOrder(wrapper, "0000004711", "A &amp; B", "<RETURN/>"))
	if len(sys.Documents()) != 1 {
		t.Fatal("no order")
	}
	_, list := client.post(rfcCall("BAPI_SALESORDER_GETLIST", "<CUSTOMER_NUMBER>0000004711</CUSTOMER_NUMBER><SALES_ORGANIZATION>1000</SALES_ORGANIZATION><SALES_ORDERS/>"))
	for _, want := range []string{
		`<rfc:BAPI_SALESORDER_GETLIST.Response xmlns:rfc="urn:sap-com:document:sap:rfc:functions">`,
		"<DOC_DATE>2026-03-01</DOC_DATE>", "<REQ_DATE>0000-00-00</REQ_DATE>", "<ITM_NUMBER>000010</ITM_NUMBER>", "<PURCH_NO>A &#38; B</PURCH_NO>", "<REQ_QTY>0.000</REQ_QTY>",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("%s is missing in %s", want, list)
		}
	}
	_, table := client.post(rfcCall("RFC_READ_TABLE", "<QUERY_TABLE>VBAK</QUERY_TABLE><FIELDS><item><FIELDNAME>VBELN</FIELDNAME></item></FIELDS><OPTIONS/><DATA/>"))
	if want := fmt.Sprintf("<WA>%-512s</WA>", "0000012001"); !strings.Contains(table, want) {
		t.Errorf("a row without its blanks: %s", bytes.TrimSpace([]byte(table)))
	}
}
