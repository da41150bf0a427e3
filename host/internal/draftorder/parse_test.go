package draftorder_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/host/internal/draftorder"
	"github.com/orderport/orderport/host/internal/fault"
)

type object = map[string]any

// fullOrder is a valid order with every field, as an application may send it.
func fullOrder() object {
	return object{
		"id":     "32C282E3-b563-56da-bf52-0f4bd7ffe80d",
		"status": "APPROVED", "approved_at": "2025-12-26T10:00:00.5+01:00", "approved_by": "ops@acme.example",
		"customer":              object{"id": "C-1", "erp_customer_number": "4711", "name": "Muster GmbH"},
		"external_order_number": "PO-12345", "order_date": "2025-12-01", "currency": "EUR",
		"requested_delivery_date": "2024-02-29", "notes": "first\r\n\tsecond \"quoted\" \\ <é> \u2028 😀",
		"ship_to": object{"name": "A", "street": "B", "city": "C", "region": nil, "postal_code": "", "country": "DE"},
		"bill_to": nil,
		"lines": []any{
			object{
				"line_no": 1, "internal_sku": "INT-999", "qty": json.Number("10.50"), "uom": "M", "unit_price": "1.2300",
				"currency": nil, "customer_sku_raw": "AB-123", "description": "Kabel\nNYM-J 3x1,5",
			},
			object{"line_no": "20", "internal_sku": "X", "qty": "0.001", "uom": "PCE"},
		},
		"source_document": object{
			"document_id": "D-1", "file_name": "order.pdf",
			"sha256": strings.Repeat("AB", 32),
		},
	}
}

// line returns the first line of an order.
func line(order object) object { return order["lines"].([]any)[0].(object) }

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func parse(tb testing.TB, v any) *draftorder.Order {
	tb.Helper()
	o, err := draftorder.Parse(marshal(tb, v))
	if err != nil {
		tb.Fatalf("parse: %v", err)
	}
	return o
}

func TestARealOrderParsesAndKeepsItsContent(t *testing.T) {
	t.Parallel()
	orders := realOrders(t)
	if len(orders) < 100 {
		t.Fatalf("only %d orders", len(orders))
	}
	for i, data := range orders {
		o, err := draftorder.Parse(data)
		if err != nil {
			t.Fatalf("order %d: %v", i, err)
		}
		var before, after any
		if err := errors.Join(json.Unmarshal(data, &before), json.Unmarshal(o.Canonical(), &after)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("order %d changed (-handed in +canonical):\n%s", i, diff)
		}
	}
}

func TestEveryFieldOfAFullOrderIsKept(t *testing.T) {
	t.Parallel()
	given := func(text string) draftorder.Optional {
		return draftorder.Optional{Presence: draftorder.Given, Text: text}
	}
	null := draftorder.Optional{Presence: draftorder.Null}
	got := parse(t, fullOrder())
	want := &draftorder.Order{
		ID: got.ID, Status: "APPROVED", ApprovedAt: "2025-12-26T10:00:00.5+01:00", ApprovedBy: given("ops@acme.example"),
		Customer:            draftorder.Customer{ID: given("C-1"), ERPCustomerNumber: given("4711"), Name: "Muster GmbH"},
		ExternalOrderNumber: given("PO-12345"), OrderDate: given("2025-12-01"), Currency: "EUR",
		RequestedDeliveryDate: given("2024-02-29"), Notes: given("first\r\n\tsecond \"quoted\" \\ <é> \u2028 😀"),
		ShipTo: draftorder.Address{
			Presence: draftorder.Given, Name: given("A"), Street: given("B"), City: given("C"),
			Region: null, PostalCode: given(""), Country: given("DE"),
		},
		BillTo: draftorder.Address{Presence: draftorder.Null},
		Lines: []draftorder.Line{
			{
				LineNo: 1, InternalSKU: "INT-999", Qty: "10.50", UOM: "M", UnitPrice: given("1.2300"), Currency: null,
				CustomerSKURaw: given("AB-123"), Description: given("Kabel\nNYM-J 3x1,5"),
			},
			{LineNo: 20, InternalSKU: "X", Qty: "0.001", UOM: "PCE"},
		},
		SourceDocument: draftorder.SourceDocument{
			Presence: draftorder.Given, DocumentID: given("D-1"), FileName: given("order.pdf"),
			SHA256: given(strings.Repeat("ab", 32)),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if id := got.ID.String(); id != "32c282e3-b563-56da-bf52-0f4bd7ffe80d" {
		t.Errorf("id %s is not in lower case", id)
	}
}

func TestAWrongFieldIsRefusedByItsPath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(object)
		path   string
		says   string
	}{
		{"status other than APPROVED", func(o object) { o["status"] = "DRAFT" }, "status", "must be APPROVED"},
		{"no status", func(o object) { delete(o, "status") }, "status", "is required"},
		{"status that is a number", func(o object) { o["status"] = 1 }, "status", "must be a text, not a number"},
		{"no id", func(o object) { delete(o, "id") }, "id", "is required"},
		{"id in braces", func(o object) { o["id"] = "{32c282e3-b563-56da-bf52-0f4bd7ffe80d}" }, "id", "36-character"},
		{"id that is no UUID", func(o object) { o["id"] = "4711" }, "id", "UUID"},
		{"id of zeros", func(o object) { o["id"] = "00000000-0000-0000-0000-000000000000" }, "id", "zeros"},
		{"null for a required text", func(o object) { o["currency"] = nil }, "currency", "is required"},
		{"currency in lower case", func(o object) { o["currency"] = "eur" }, "currency", "upper-case"},
		{"currency of a line", func(o object) { line(o)["currency"] = "EURO" }, "lines[0].currency", "upper-case"},
		{"approval without a zone", func(o object) { o["approved_at"] = "2025-12-26T10:00:00" }, "approved_at", "RFC 3339"},
		{"approval with a short hour", func(o object) { o["approved_at"] = "2025-12-26T1:00:00Z" }, "approved_at", "RFC 3339"},
		{"approval with a comma", func(o object) { o["approved_at"] = "2025-12-26T10:00:00,5Z" }, "approved_at", "RFC 3339"},
		{"approval with an impossible offset", func(o object) { o["approved_at"] = "2025-12-26T10:00:00+24:00" }, "approved_at", "RFC 3339"},
		{"approval on a day that does not exist", func(o object) { o["approved_at"] = "2025-02-30T10:00:00Z" }, "approved_at", "RFC 3339"},
		{"a day that does not exist", func(o object) { o["order_date"] = "2025-02-29" }, "order_date", "exists"},
		{"a date with a time", func(o object) { o["requested_delivery_date"] = "2025-12-01T00:00:00Z" }, "requested_delivery_date", "exists"},
		{"no customer", func(o object) { delete(o, "customer") }, "customer", "is required"},
		{"customer that is null", func(o object) { o["customer"] = nil }, "customer", "is required"},
		{"customer that is a text", func(o object) { o["customer"] = "Muster" }, "customer", "must be an object, not a text"},
		{"customer without a name", func(o object) { o["customer"] = object{} }, "customer.name", "is required"},
		{"customer with a blank name", func(o object) { o["customer"] = object{"name": " \u00a0"} }, "customer.name", "blank"},
		{"customer with a name that is too long", func(o object) { o["customer"] = object{"name": strings.Repeat("ü", 1001)} }, "customer.name", "at most 1000 characters"},
		{"no lines", func(o object) { o["lines"] = []any{} }, "lines", "at least one"},
		{"lines absent", func(o object) { delete(o, "lines") }, "lines", "is required"},
		{"lines that are an object", func(o object) { o["lines"] = object{} }, "lines", "must be a list"},
		{"a line that is null", func(o object) { o["lines"].([]any)[1] = nil }, "lines[1]", "must be an object, not null"},
		{"the same line number twice", func(o object) { line(o)["line_no"] = 20 }, "lines[1].line_no", "repeats the number of lines[0]"},
		{"line number 0", func(o object) { line(o)["line_no"] = 0 }, "lines[0].line_no", "whole number"},
		{"line number -1", func(o object) { line(o)["line_no"] = -1 }, "lines[0].line_no", "whole number"},
		{"line number 1.0", func(o object) { line(o)["line_no"] = json.Number("1.0") }, "lines[0].line_no", "whole number"},
		{"line number 01", func(o object) { line(o)["line_no"] = "01" }, "lines[0].line_no", "whole number"},
		{"line number beyond 31 bits", func(o object) { line(o)["line_no"] = 1 << 31 }, "lines[0].line_no", "whole number"},
		{"line number that is true", func(o object) { line(o)["line_no"] = true }, "lines[0].line_no", "must be a number, not true or false"},
		{"no article", func(o object) { delete(line(o), "internal_sku") }, "lines[0].internal_sku", "is required"},
		{"no unit", func(o object) { line(o)["uom"] = "" }, "lines[0].uom", "blank"},
		{"no quantity", func(o object) { line(o)["qty"] = nil }, "lines[0].qty", "is required"},
		{"quantity 0", func(o object) { line(o)["qty"] = 0 }, "lines[0].qty", "greater than zero"},
		{"quantity 0.000", func(o object) { line(o)["qty"] = "0.000" }, "lines[0].qty", "greater than zero"},
		{"negative quantity", func(o object) { line(o)["qty"] = "-1" }, "lines[0].qty", "greater than zero"},
		{"quantity with 4 decimals", func(o object) { line(o)["qty"] = "1.0000" }, "lines[0].qty", "at most 3 decimals"},
		{"quantity with 19 digits", func(o object) { line(o)["qty"] = json.Number("1234567890123456.789") }, "lines[0].qty", "at most 18 digits"},
		{"quantity NaN as a text", func(o object) { line(o)["qty"] = "NaN" }, "lines[0].qty", "plain notation"},
		{"quantity with an exponent", func(o object) { line(o)["qty"] = json.Number("1e3") }, "lines[0].qty", "plain notation"},
		{"quantity with a comma", func(o object) { line(o)["qty"] = "1,5" }, "lines[0].qty", "plain notation"},
		{"quantity with a plus", func(o object) { line(o)["qty"] = "+1" }, "lines[0].qty", "plain notation"},
		{"quantity with white space", func(o object) { line(o)["qty"] = " 1" }, "lines[0].qty", "plain notation"},
		{"quantity without a leading digit", func(o object) { line(o)["qty"] = ".5" }, "lines[0].qty", "plain notation"},
		{"quantity without a last digit", func(o object) { line(o)["qty"] = "5." }, "lines[0].qty", "plain notation"},
		{"quantity with leading zeros", func(o object) { line(o)["qty"] = "007" }, "lines[0].qty", "plain notation"},
		{"quantity in Arabic digits", func(o object) { line(o)["qty"] = "١" }, "lines[0].qty", "plain notation"},
		{"empty quantity", func(o object) { line(o)["qty"] = "" }, "lines[0].qty", "plain notation"},
		{"price with 19 digits", func(o object) { line(o)["unit_price"] = "1234567890123456789" }, "lines[0].unit_price", "at most 18 digits"},
		{"price with 5 decimals", func(o object) { line(o)["unit_price"] = "0.00001" }, "lines[0].unit_price", "at most 4 decimals"},
		{"negative price", func(o object) { line(o)["unit_price"] = "-0.01" }, "lines[0].unit_price", "not be negative"},
		{"price minus zero", func(o object) { line(o)["unit_price"] = json.Number("-0") }, "lines[0].unit_price", "not be negative"},
		{"price that is a list", func(o object) { line(o)["unit_price"] = []any{1} }, "lines[0].unit_price", "must be a number, not a list"},
		{"1 MB of notes", func(o object) { o["notes"] = strings.Repeat("n", 1<<20) }, "notes", "at most 65536 characters"},
		{"description that is too long", func(o object) { line(o)["description"] = strings.Repeat("d", 10_001) }, "lines[0].description", "at most 10000 characters"},
		{"NUL in notes", func(o object) { o["notes"] = "a\x00b" }, "notes", "control characters (it has U+0000)"},
		{"line break in a name", func(o object) { o["customer"] = object{"name": "a\nb"} }, "customer.name", "U+000A"},
		{"C1 control in an article", func(o object) { line(o)["internal_sku"] = "a\u009bb" }, "lines[0].internal_sku", "U+009B"},
		{"address that is a text", func(o object) { o["ship_to"] = "Berlin" }, "ship_to", "must be an object"},
		{"city that is a number", func(o object) { o["ship_to"] = object{"city": 1} }, "ship_to.city", "must be a text"},
		{"hash that is too short", func(o object) { o["source_document"] = object{"sha256": "ab"} }, "source_document.sha256", "64 hexadecimal"},
		{"unknown field", func(o object) { o["discount"] = nil }, "discount", "not a field"},
		{"field in the wrong case", func(o object) { o["Notes"] = nil }, "Notes", "not a field"},
		{"unknown field of the customer", func(o object) { o["customer"].(object)["vat"] = 1 }, "customer.vat", "not a field"},
		{"unknown field of a line", func(o object) { line(o)["ean"] = "1" }, "lines[0].ean", "not a field"},
		{"unknown field of an address", func(o object) { o["ship_to"] = object{"zip": "1"} }, "ship_to.zip", "not a field"},
		{"unknown field with an odd name", func(o object) { o["a\nb"] = 1 }, `"a\nb"`, "not a field"},
		{"unknown field with a very long name", func(o object) { o[strings.Repeat("é", 500)] = 1 }, strings.Repeat("é", 32) + "…", "not a field"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			order := fullOrder()
			tt.change(order)
			_, err := draftorder.Parse(marshal(t, order))
			e := refusal(t, err, fault.Invalid, "invalid_order")
			if len(e.Violations) != 1 {
				t.Fatalf("violations %+v, want one", e.Violations)
			}
			if v := e.Violations[0]; v.Path != tt.path || !strings.Contains(v.Message, tt.says) {
				t.Errorf("got %q: %q, want %q: …%q…", v.Path, v.Message, tt.path, tt.says)
			}
		})
	}
}

// refusal checks kind and code of an error of Parse.
func refusal(tb testing.TB, err error, kind fault.Kind, code string) *fault.Error {
	tb.Helper()
	var e *fault.Error
	if !errors.As(err, &e) {
		tb.Fatalf("error %v is no *fault.Error", err)
	}
	if e.Kind != kind || e.Code != code {
		tb.Fatalf("error %d %s, want %d %s: %v", e.Kind, e.Code, kind, code, e)
	}
	return e
}

func TestAnOrderAtItsBoundsIsAccepted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(object)
	}{
		{"only what is required", func(o object) {
			for _, key := range []string{
				"approved_by", "external_order_number", "order_date", "requested_delivery_date",
				"notes", "ship_to", "bill_to", "source_document",
			} {
				delete(o, key)
			}
			o["customer"] = object{"name": "x"}
		}},
		{"null for all that may be null", func(o object) {
			for _, key := range []string{
				"approved_by", "external_order_number", "order_date", "requested_delivery_date",
				"notes", "ship_to", "bill_to", "source_document",
			} {
				o[key] = nil
			}
			o["customer"] = object{"name": "x", "id": nil, "erp_customer_number": nil}
			for _, key := range []string{"unit_price", "currency", "customer_sku_raw", "description"} {
				line(o)[key] = nil
			}
		}},
		{"18 digits, 3 decimals", func(o object) { line(o)["qty"] = json.Number("123456789012345.678") }},
		{"the least quantity", func(o object) { line(o)["qty"] = json.Number("0.001") }},
		{"18 digits, 4 decimals", func(o object) { line(o)["unit_price"] = "99999999999999.9999" }},
		{"price 0", func(o object) { line(o)["unit_price"] = 0 }},
		{"price 0.0000", func(o object) { line(o)["unit_price"] = "0.0000" }},
		{"the longest notes", func(o object) { o["notes"] = strings.Repeat("ü", 65_536) }},
		{"the highest line number", func(o object) { line(o)["line_no"] = 1<<31 - 1 }},
		{"empty optional texts", func(o object) { o["notes"], o["approved_by"] = "", "" }},
		{"empty address", func(o object) { o["ship_to"] = object{} }},
		{"10,000 lines", func(o object) {
			lines := make([]any, 10_000)
			for i := range lines {
				lines[i] = object{"line_no": i + 1, "internal_sku": fmt.Sprint("SKU-", i), "qty": "1", "uom": "PCE"}
			}
			o["lines"] = lines
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			order := fullOrder()
			tt.change(order)
			parse(t, order)
		})
	}
}

func TestAllViolationsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := draftorder.Parse([]byte(`{"id": 7, "status": "OPEN", "customer": {}, "currency": "€",
		"lines": [{"line_no": 1, "qty": "0", "uom": "M", "internal_sku": "A"},
		          {"line_no": 1, "qty": "1.2345", "uom": null, "internal_sku": "B", "color": "red"}]}`))
	e := refusal(t, err, fault.Invalid, "invalid_order")
	var paths []string
	for _, v := range e.Violations {
		paths = append(paths, v.Path)
	}
	want := []string{
		"id", "status", "approved_at", "customer.name", "currency",
		"lines[0].qty", "lines[1].line_no", "lines[1].qty", "lines[1].uom", "lines[1].color",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
	if got := e.Message; got != "draft order is not valid: id must be a text, not a number (and 9 more)" {
		t.Errorf("message %q", got)
	}
}

func TestVeryManyViolationsAreCounted(t *testing.T) {
	t.Parallel()
	order := fullOrder()
	order["lines"] = make([]any, 5000)
	_, err := draftorder.Parse(marshal(t, order))
	e := refusal(t, err, fault.Invalid, "invalid_order")
	if len(e.Violations) != 1000 || !strings.HasSuffix(e.Message, "(and 4999 more)") {
		t.Errorf("%d violations, message %q", len(e.Violations), e.Message)
	}
}

func TestARefusalDoesNotRepeatWhatTheOrderSays(t *testing.T) {
	t.Parallel()
	order := fullOrder()
	order["order_date"], order["currency"], order["status"] = "Personal", "Personal", "Personal"
	line(order)["qty"] = "Personal"
	_, err := draftorder.Parse(marshal(t, order))
	if e := refusal(t, err, fault.Invalid, "invalid_order"); strings.Contains(fmt.Sprintf("%+v", e), "Personal") {
		t.Errorf("%+v", e)
	}
}
