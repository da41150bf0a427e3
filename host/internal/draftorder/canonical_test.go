package draftorder_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/orderport/orderport/host/internal/draftorder"
)

// goldenCanonical is what databases hold: a change of it makes every order
// that is handed in again look different.
const goldenCanonical = `{"id":"32c282e3-b563-56da-bf52-0f4bd7ffe80d","status":"APPROVED","approved_at":"2025-12-26T10:00:00.5+01:00",` +
	`"approved_by":"ops@acme.example","customer":{"id":"C-1","erp_customer_number":"4711","name":"Muster GmbH"},` +
	`"external_order_number":"PO-12345","order_date":"2025-12-01","currency":"EUR","requested_delivery_date":"2024-02-29",` +
	`"notes":"first\r\n\tsecond \"quoted\" \\ <é> ` + "\u2028" + ` 😀","ship_to":{"name":"A","street":"B","city":"C","region":null,` +
	`"postal_code":"","country":"DE"},"bill_to":null,"lines":[{"line_no":1,"internal_sku":"INT-999","qty":"10.50","uom":"M",` +
	`"unit_price":"1.2300","currency":null,"customer_sku_raw":"AB-123","description":"Kabel\nNYM-J 3x1,5"},` +
	`{"line_no":20,"internal_sku":"X","qty":"0.001","uom":"PCE"}],"source_document":{"document_id":"D-1","file_name":"order.pdf",` +
	`"sha256":"abababababababababababababababababababababababababababababababab"}}`

func TestTheCanonicalFormNeverChanges(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(goldenCanonical, string(parse(t, fullOrder()).Canonical())); diff != "" {
		t.Error(diff)
	}
}

func TestSameContentHasTheSameHash(t *testing.T) {
	t.Parallel()
	base := parse(t, fullOrder()).SHA256()
	same := map[string]func(object){
		"decimal as a text":       func(o object) { line(o)["qty"] = "10.50" },
		"line number as a text":   func(o object) { line(o)["line_no"] = "1" },
		"id in lower case":        func(o object) { o["id"] = strings.ToLower(o["id"].(string)) },
		"document hash in lower":  func(o object) { o["source_document"].(object)["sha256"] = strings.Repeat("ab", 32) },
		"decimal as a raw number": func(o object) { line(o)["unit_price"] = json.Number("1.2300") },
	}
	for name, change := range same {
		order := fullOrder()
		change(order)
		if parse(t, order).SHA256() != base {
			t.Errorf("%s: another hash", name)
		}
	}
	different := map[string]func(object){
		"fewer decimals":       func(o object) { line(o)["qty"] = "10.5" },
		"null made absent":     func(o object) { delete(line(o), "currency") },
		"null address absent":  func(o object) { delete(o, "bill_to") },
		"empty made null":      func(o object) { o["ship_to"].(object)["postal_code"] = nil },
		"other instant text":   func(o object) { o["approved_at"] = "2025-12-26T09:00:00.5Z" },
		"lines the other way":  func(o object) { l := o["lines"].([]any); l[0], l[1] = l[1], l[0] },
		"null address emptied": func(o object) { o["bill_to"] = object{} },
	}
	for name, change := range different {
		order := fullOrder()
		change(order)
		if parse(t, order).SHA256() == base {
			t.Errorf("%s: the same hash", name)
		}
	}
}

func TestThePortsMessageTellsNullFromAbsent(t *testing.T) {
	t.Parallel()
	m := parse(t, fullOrder()).Proto()
	want := []string{"ship_to.region", "bill_to", "lines[0].currency"}
	if diff := cmp.Diff(want, m.GetNullFields()); diff != "" {
		t.Error(diff)
	}
	if m.ShipTo == nil || m.ShipTo.PostalCode == nil || *m.ShipTo.PostalCode != "" || m.ShipTo.Region != nil {
		t.Errorf("ship_to %v", m.ShipTo)
	}
	if m.BillTo != nil || m.Lines[1].UnitPrice != nil || m.Lines[0].GetUnitPrice() != "1.2300" || m.Lines[0].Qty != "10.50" {
		t.Errorf("message %v", m)
	}
}

func TestEveryNullFieldIsListed(t *testing.T) {
	t.Parallel()
	all := object{
		"id": "32c282e3-b563-56da-bf52-0f4bd7ffe80d", "status": "APPROVED", "approved_at": "2025-12-26T10:00:00Z", "approved_by": nil,
		"customer":              object{"id": nil, "erp_customer_number": nil, "name": "x"},
		"external_order_number": nil, "order_date": nil, "currency": "EUR", "requested_delivery_date": nil, "notes": nil,
		"ship_to": object{"name": nil, "street": nil, "city": nil, "region": nil, "postal_code": nil, "country": nil},
		"bill_to": nil,
		"lines": []any{object{
			"line_no": 1, "internal_sku": "A", "qty": "1", "uom": "M",
			"unit_price": nil, "currency": nil, "customer_sku_raw": nil, "description": nil,
		}},
		"source_document": object{"document_id": nil, "file_name": nil, "sha256": nil},
	}
	want := []string{
		"approved_by", "customer.id", "customer.erp_customer_number", "external_order_number", "order_date",
		"requested_delivery_date", "notes", "ship_to.name", "ship_to.street", "ship_to.city", "ship_to.region",
		"ship_to.postal_code", "ship_to.country", "bill_to", "lines[0].unit_price", "lines[0].currency",
		"lines[0].customer_sku_raw", "lines[0].description", "source_document.document_id",
		"source_document.file_name", "source_document.sha256",
	}
	if diff := cmp.Diff(want, parse(t, all).Proto().GetNullFields()); diff != "" {
		t.Error(diff)
	}
	all["source_document"] = nil
	got := parse(t, all).Proto().GetNullFields()
	if last := got[len(got)-1]; last != "source_document" {
		t.Errorf("last null field %s", last)
	}
}

func TestDecodeCanonicalGivesTheSameMessage(t *testing.T) {
	t.Parallel()
	for i, data := range append(realOrders(t), marshal(t, fullOrder())) {
		o, err := draftorder.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		m, err := draftorder.DecodeCanonical(o.Canonical())
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(m, o.Proto()) {
			t.Fatalf("order %d: %v is not %v", i, m, o.Proto())
		}
	}
}

func TestDecodeCanonicalTakesWhatOlderRulesAccepted(t *testing.T) {
	t.Parallel()
	stored := strings.Replace(goldenCanonical, `"qty":"10.50"`, `"qty":"10.5000"`, 1)
	if _, err := draftorder.Parse([]byte(stored)); err == nil {
		t.Fatal("today's rules accept it, so this test shows nothing")
	}
	m, err := draftorder.DecodeCanonical([]byte(stored))
	if err != nil || m.Lines[0].Qty != "10.5000" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestDecodeCanonicalRefusesWhatIsNoOrder(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{}`, `[]`, `null`, `{"lines":[]}`, `{"id":"32c282e3-b563-56da-bf52-0f4bd7ffe80d"}`} {
		if m, err := draftorder.DecodeCanonical([]byte(data)); err == nil {
			t.Errorf("%s: %v", data, m)
		}
	}
}

func TestADraftHasContentAndHash(t *testing.T) {
	t.Parallel()
	o := parse(t, fullOrder())
	org, now := uuid.New(), time.Now()
	d := o.Draft(org, now)
	if d.OrgID != org || d.ID != o.ID || d.SHA256 != o.SHA256() || string(d.Content) != goldenCanonical ||
		d.ExternalOrderNumber == nil || *d.ExternalOrderNumber != "PO-12345" || !d.CreatedAt.Equal(now) {
		t.Errorf("%+v", d)
	}
}
