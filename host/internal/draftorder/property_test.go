package draftorder_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/orderport/orderport/host/internal/draftorder"
)

var (
	words   = rapid.StringMatching(`[A-Za-zäß€😀"\\/<>&] ?[a-zé0-9 ]{0,12}`)
	dates   = rapid.StringMatching(`(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])`)
	codes   = rapid.StringMatching(`[A-Z]{3}`)
	hashes  = rapid.StringMatching(`[0-9a-f]{64}`)
	qtys    = rapid.StringMatching(`([1-9][0-9]{0,14}|0\.0?[1-9][0-9]?)|[1-9][0-9]{0,5}\.[0-9]{1,3}`)
	prices  = rapid.StringMatching(`(0|[1-9][0-9]{0,13})(\.[0-9]{1,4})?`)
	anyText = rapid.StringMatching(`[\n\r\tA-Za-z"\\\x{2028}ü ]{0,40}`)
)

func optional(t *rapid.T, name string, texts *rapid.Generator[string]) draftorder.Optional {
	presence := rapid.SampledFrom([]draftorder.Presence{draftorder.Absent, draftorder.Null, draftorder.Given}).Draw(t, name)
	o := draftorder.Optional{Presence: presence}
	if presence == draftorder.Given {
		o.Text = texts.Draw(t, name+" text")
	}
	return o
}

func address(t *rapid.T, name string) draftorder.Address {
	a := draftorder.Address{Presence: rapid.SampledFrom([]draftorder.Presence{draftorder.Absent, draftorder.Null, draftorder.Given}).Draw(t, name)}
	if a.Presence == draftorder.Given {
		a.Name, a.Street, a.City = optional(t, "name", words), optional(t, "street", words), optional(t, "city", words)
		a.Region, a.PostalCode, a.Country = optional(t, "region", words), optional(t, "postal code", words), optional(t, "country", words)
	}
	return a
}

var orders = rapid.Custom(func(t *rapid.T) *draftorder.Order {
	o := &draftorder.Order{
		ID: uuid.Must(uuid.FromBytes(rapid.SliceOfN(rapid.ByteRange(1, 255), 16, 16).Draw(t, "id"))), Status: "APPROVED",
		ApprovedAt: dates.Draw(t, "approved") + "T23:59:59.000001-05:30", ApprovedBy: optional(t, "by", words),
		Customer:            draftorder.Customer{ID: optional(t, "id", words), ERPCustomerNumber: optional(t, "number", words), Name: words.Draw(t, "name")},
		ExternalOrderNumber: optional(t, "external", words), OrderDate: optional(t, "date", dates), Currency: codes.Draw(t, "currency"),
		RequestedDeliveryDate: optional(t, "delivery", dates), Notes: optional(t, "notes", anyText),
		ShipTo: address(t, "ship to"), BillTo: address(t, "bill to"),
	}
	o.SourceDocument.Presence = address(t, "document").Presence
	if o.SourceDocument.Presence == draftorder.Given {
		o.SourceDocument.DocumentID = optional(t, "document id", words)
		o.SourceDocument.FileName = optional(t, "file", words)
		o.SourceDocument.SHA256 = optional(t, "hash", hashes)
	}
	numbers := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 1<<31-1), 1, 8, rapid.ID).Draw(t, "numbers")
	for _, n := range numbers {
		o.Lines = append(o.Lines, draftorder.Line{
			LineNo: n, InternalSKU: words.Draw(t, "sku"), Qty: qtys.Draw(t, "qty"), UOM: words.Draw(t, "uom"),
			UnitPrice: optional(t, "price", prices), Currency: optional(t, "currency", codes),
			CustomerSKURaw: optional(t, "raw", words), Description: optional(t, "description", anyText),
		})
	}
	return o
})

// inputOf renders an order through encoding/json, so that the test does not
// rely on the package's own writer. Decimals become numbers or texts.
func inputOf(t *rapid.T, o *draftorder.Order) []byte {
	put := func(to object, key string, v draftorder.Optional) {
		switch v.Presence {
		case draftorder.Absent:
		case draftorder.Null:
			to[key] = nil
		case draftorder.Given:
			to[key] = v.Text
		}
	}
	decimal := func(text string) any {
		if rapid.Bool().Draw(t, "as number") {
			return json.Number(text)
		}
		return text
	}
	putAddress := func(to object, key string, a draftorder.Address) {
		switch a.Presence {
		case draftorder.Absent:
		case draftorder.Null:
			to[key] = nil
		case draftorder.Given:
			in := object{}
			put(in, "name", a.Name)
			put(in, "street", a.Street)
			put(in, "city", a.City)
			put(in, "region", a.Region)
			put(in, "postal_code", a.PostalCode)
			put(in, "country", a.Country)
			to[key] = in
		}
	}
	customer := object{"name": o.Customer.Name}
	put(customer, "id", o.Customer.ID)
	put(customer, "erp_customer_number", o.Customer.ERPCustomerNumber)
	out := object{"id": strings.ToUpper(o.ID.String()), "status": o.Status, "approved_at": o.ApprovedAt, "customer": customer, "currency": o.Currency}
	put(out, "approved_by", o.ApprovedBy)
	put(out, "external_order_number", o.ExternalOrderNumber)
	put(out, "order_date", o.OrderDate)
	put(out, "requested_delivery_date", o.RequestedDeliveryDate)
	put(out, "notes", o.Notes)
	putAddress(out, "ship_to", o.ShipTo)
	putAddress(out, "bill_to", o.BillTo)
	document := object{}
	put(document, "document_id", o.SourceDocument.DocumentID)
	put(document, "file_name", o.SourceDocument.FileName)
	put(document, "sha256", o.SourceDocument.SHA256)
	switch o.SourceDocument.Presence {
	case draftorder.Absent:
	case draftorder.Null:
		out["source_document"] = nil
	case draftorder.Given:
		out["source_document"] = document
	}
	var lines []any
	for _, l := range o.Lines {
		line := object{"line_no": l.LineNo, "internal_sku": l.InternalSKU, "qty": decimal(l.Qty), "uom": l.UOM}
		put(line, "unit_price", l.UnitPrice)
		if l.UnitPrice.Presence == draftorder.Given {
			line["unit_price"] = decimal(l.UnitPrice.Text)
		}
		put(line, "currency", l.Currency)
		put(line, "customer_sku_raw", l.CustomerSKURaw)
		put(line, "description", l.Description)
		lines = append(lines, line)
	}
	out["lines"] = lines
	data, err := json.MarshalIndent(out, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOrdersSurviveTheRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := orders.Draw(t, "order")
		got, err := draftorder.Parse(inputOf(t, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("parsed (-want +got):\n%s", diff)
		}
		again, err := draftorder.Parse(got.Canonical())
		if err != nil {
			t.Fatalf("canonical form: %v", err)
		}
		if diff := cmp.Diff(want, again); diff != "" {
			t.Fatalf("canonical form (-want +got):\n%s", diff)
		}
		m, err := draftorder.DecodeCanonical(got.Canonical())
		if err != nil || !proto.Equal(m, want.Proto()) {
			t.Fatalf("message %v, %v", m, err)
		}
	})
}

// TestADecimalIsAcceptedIfAndOnlyIfItIsInBounds compares with exact rationals.
func TestADecimalIsAcceptedIfAndOnlyIfItIsInBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,6})?`).Draw(t, "decimal")
		exact, _ := new(big.Rat).SetString(text)
		whole, decimals, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
		digits := len(strings.TrimLeft(whole, "0")) + len(decimals)
		for _, field := range []struct {
			name     string
			decimals int
			ok       bool
		}{
			{"qty", 3, exact.Sign() > 0},
			{"unit_price", 4, exact.Sign() >= 0 && text[0] != '-'},
		} {
			order := fullOrder()
			line(order)[field.name] = json.Number(text)
			data, err := json.Marshal(order)
			if err != nil {
				t.Fatal(err)
			}
			o, err := draftorder.Parse(data)
			want := field.ok && len(decimals) <= field.decimals && digits <= 18
			if (err == nil) != want {
				t.Fatalf("%s %s: %v, want accepted %v", field.name, text, err, want)
			}
			if err == nil && !strings.Contains(string(o.Canonical()), fmt.Sprintf("%q:%q", field.name, text)) {
				t.Fatalf("%s %s changed: %s", field.name, text, o.Canonical())
			}
		}
	})
}
