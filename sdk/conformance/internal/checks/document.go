package checks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

// member is one member of a JSON object whose order counts. Its value is an
// object ([]member), a list ([]any), a text, a json.Number or nil.
type member struct {
	name  string
	value any
}

// document is what appendix A of the contract makes of an order.
func document(orgSlug string, o *connectorv1.DraftOrder) []member {
	lines := []any{}
	for _, line := range o.GetLines() {
		currency := o.GetCurrency()
		if line.Currency != nil {
			currency = line.GetCurrency()
		}
		var price any
		if line.UnitPrice != nil {
			price = json.Number(line.GetUnitPrice())
		}
		lines = append(lines, []member{
			{"line_no", json.Number(fmt.Sprint(line.GetLineNo()))},
			{"internal_sku", line.GetInternalSku()},
			{"qty", json.Number(line.GetQty())},
			{"uom", line.GetUom()},
			{"unit_price", price},
			{"currency", currency},
			{"customer_sku_raw", orNull(line.CustomerSkuRaw)},
			{"description", orNull(line.Description)},
		})
	}
	var source any
	if d := o.GetSourceDocument(); d != nil {
		source = []member{
			{"document_id", orNull(d.DocumentId)}, {"file_name", orNull(d.FileName)}, {"sha256", orNull(d.Sha256)},
		}
	}
	customer := o.GetCustomer()
	return []member{
		{"export_version", "orderflow_export_json_v1"},
		{"org_slug", orgSlug},
		{"draft_order_id", o.GetId()},
		{"approved_at", o.GetApprovedAt()},
		{"customer", []member{
			{"id", orNull(customer.Id)}, {"erp_customer_number", orNull(customer.ErpCustomerNumber)}, {"name", customer.GetName()},
		}},
		{"header", []member{
			{"external_order_number", orNull(o.ExternalOrderNumber)},
			{"order_date", orNull(o.OrderDate)},
			{"currency", o.GetCurrency()},
			{"requested_delivery_date", orNull(o.RequestedDeliveryDate)},
			{"notes", orNull(o.Notes)},
		}},
		{"lines", lines},
		{"meta", []member{{"created_by", orNull(o.ApprovedBy)}, {"source_document", source}}},
	}
}

func orNull(text *string) any {
	if text == nil {
		return nil
	}
	return *text
}

// parse reads JSON with the order of members and the digits of numbers.
func parse(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := []member{}
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			value, err := parse(decoder)
			if err != nil {
				return nil, err
			}
			object = append(object, member{fmt.Sprint(name), value})
		}
		_, err = decoder.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			value, err := parse(decoder)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = decoder.Token()
		return list, err
	default:
		return token, nil
	}
}

// differences says where got is not want. Only at the end of the document may
// there be more members.
func differences(path string, want, got any, more bool) []string {
	switch w := want.(type) {
	case []member:
		g, ok := got.([]member)
		if !ok || len(g) < len(w) || len(g) > len(w) && !more {
			return []string{fmt.Sprintf("%s has the members %v, want %v", path, names(got), names(want))}
		}
		var found []string
		for i, m := range w {
			if g[i].name != m.name {
				return append(found, fmt.Sprintf("%s has the members %v, want %v", path, names(got), names(want)))
			}
			found = append(found, differences(strings.TrimPrefix(path+"."+m.name, "."), m.value, g[i].value, false)...)
		}
		return found
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s is no list of %d", path, len(w))}
		}
		var found []string
		for i := range w {
			found = append(found, differences(fmt.Sprintf("%s[%d]", path, i), w[i], g[i], false)...)
		}
		return found
	default:
		switch got.(type) {
		case []member, []any:
		default:
			if want == got {
				return nil
			}
		}
		return []string{fmt.Sprintf("%s is %#v, want %#v", path, got, want)}
	}
}

func names(value any) []string {
	object, _ := value.([]member)
	all := []string{}
	for _, m := range object {
		all = append(all, m.name)
	}
	return all
}

// appendixA delivers orders with many, few and odd values.
func appendixA(t *suite.T) {
	c := t.Start()
	odd := suite.SampleOrder()
	odd.ApprovedBy, odd.Notes = suite.Ptr(""), suite.Ptr("a\u2028b\n\"\\ \U0001F69A")
	odd.NullFields, odd.SourceDocument = nil, nil
	odd.Lines[0].Qty, odd.Lines[0].UnitPrice = "100000000000000.000", suite.Ptr("0.0000")
	odd.Lines[1].LineNo = 4_000_000_000
	for what, order := range map[string]*connectorv1.DraftOrder{"the sample": suite.SampleOrder(), "a bare order": bare(), "an odd order": odd} {
		data := arrived(t, c, what, order)
		if data == nil {
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		got, err := parse(decoder)
		if err != nil || names(got) == nil || len(names(got)) == 0 {
			t.Skipf("the target has a form of its own")
		}
		for _, difference := range differences("", document("acme", order), got, true) {
			t.Errorf("%s: %s", what, difference)
		}
	}
}
