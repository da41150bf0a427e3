package checks

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/port"
)

func text() []suite.Check {
	return []suite.Check{
		{
			ID: "text/unicode", Level: suite.Must, Clauses: []string{"EXP-13", "EXP-12", "PAY-03"}, Run: characters,
			Title: "text arrives unchanged, whatever is in it, or is refused by the field's name",
		},
		{
			ID: "text/decimals", Level: suite.Must, Clauses: []string{"EXP-12"}, Run: decimals,
			Title: "quantities and prices arrive with their value, to the last of 18 digits, or are refused by the field's name",
		},
		{
			ID: "text/dates", Level: suite.Must, Clauses: []string{"EXP-13"}, Run: dates,
			Title: "dates and instants name the same day and moment at the target, or are refused by the field's name",
		},
		{
			ID: "text/optional", Level: suite.Must, Clauses: []string{"EXP-07", "DSC-08"}, Run: nothing,
			Title: "an order without any optional value is delivered, whether they are null, absent or empty",
		},
		{
			ID: "text/document", Level: suite.Should, Clauses: []string{"DSC-08"}, Run: appendixA,
			Title: "a JSON file has the members of appendix A, in their order, with the very digits",
		},
	}
}

// arrived delivers an order and returns its content at the target, or nil if
// it was refused as INVALID_ORDER with the fields that are wrong.
func arrived(t *suite.T, c *suite.Connector, what string, order *connectorv1.DraftOrder) []byte {
	before := t.Orders()
	e := t.NewExportOf(order, t.Connection())
	attempt := run(t, c, e)
	if attempt.Err != nil {
		t.Errorf("%s: a gRPC status instead of a result: %v", what, attempt.Err)
		return nil
	}
	now := slices.DeleteFunc(t.Orders(), func(a target.Artefact) bool {
		return slices.ContainsFunc(before, func(b target.Artefact) bool { return a.Name == b.Name })
	})
	if e := attempt.Result.GetError(); e != nil {
		if port.CodeOf(e.GetCode()) != port.InvalidOrder || len(e.GetViolations()) == 0 {
			t.Errorf("%s: refused with %s and %d violations, want INVALID_ORDER naming the field (%s)",
				what, port.CodeOf(e.GetCode()), len(e.GetViolations()), e.GetMessage())
		}
		if len(now) > 0 {
			t.Errorf("%s: refused, and delivered all the same", what)
		}
		return nil
	}
	if len(now) != 1 {
		t.Errorf("%s: the target has %d new orders, want 1", what, len(now))
		return nil
	}
	data := now[0].Data
	if data == nil && e.Payload != nil {
		data = e.Payload.Data
	}
	if data == nil {
		t.Skipf("neither the target nor the connector shows what is in an order")
	}
	return data
}

// scalars returns the texts and numbers in a JSON document, or nil.
func scalars(data []byte) []string {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var document any
	if decoder.Decode(&document) != nil {
		return nil
	}
	found := []string{}
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case string:
			found = append(found, v)
		case json.Number:
			found = append(found, v.String())
		}
	}
	walk(document)
	return found
}

// texts are what formats and programs get wrong.
func texts() map[string]string {
	return map[string]string{
		"umlauts":               "Kabel für Öl, 5 µm, 12 €",
		"a composed letter":     "caf\u00e9",
		"a decomposed letter":   "cafe\u0301, u\u0308ber",
		"right to left":         "\u05e9\u05dc\u05d5\u05dd 123 \u0645\u0631\u062d\u0628\u0627",
		"four-byte characters":  "\U0001F69A \U0001D11E \U00020000",
		"joined emoji":          "\U0001F468\u200D\U0001F469\u200D\U0001F467",
		"line separators":       "a\u2028b\u2029c\u0085d",
		"line breaks":           "a\nb\r\nc\rd",
		"a tab":                 "a\tb",
		"quotes and slashes":    `a"b'c\d/e\n\u0041`,
		"markup":                `<b>&amp;</b><!-- ]]> -->`,
		"spaces around":         "  a  b  ",
		"separators of tables":  "a;b,c|d",
		"a formula":             "=1+1",
		"no-break spaces":       "a\u00a0b\u202fc\ufeffd",
		"a control character":   "a\u0001b\u001fc",
		"the last code points":  "\ufffd\ufffe\U0010ffff",
		"what looks like null":  "null",
		"what looks like digit": "0012",
	}
}

// characters hands each text over between two marks, since a target may add
// something of its own before and after.
func characters(t *suite.T) {
	const fields = "notes or lines[].description"
	needsOneOf(t, "notes", "lines[].description")
	c := t.Start()
	for _, what := range sorted(texts()) {
		order := suite.SampleOrder()
		whole := texts()[what]
		order.Lines[0].Description, order.ExternalOrderNumber = &whole, suite.Ptr("Qx7 "+what)
		order.Notes, order.NullFields = &whole, nil
		data := arrived(t, c, what, order)
		if data == nil {
			continue
		}
		if values := scalars(data); values != nil {
			if !slices.Contains(values, whole) && !inLines(values, whole) {
				t.Errorf("%s: %+q did not arrive unchanged in %s", what, whole, fields)
			}
		} else if !strings.Contains(string(data), whole) && !inCells(data, whole) {
			t.Errorf("%s: %+q did not arrive unchanged in %s", what, whole, fields)
		}
	}
}

// needsOneOf skips a check that looks for values that the target has no place
// for.
func needsOneOf(t *suite.T, fields ...string) {
	for _, field := range fields {
		if !slices.Contains(t.Profile.Lacks, field) {
			return
		}
	}
	t.Skipf("the profile says that the target has no place for %s", strings.Join(fields, " and "))
}

// inCells says that a table (RFC 4180, with any usual separator) has a text in
// one of its cells, where a quotation mark is written twice.
func inCells(data []byte, whole string) bool {
	for _, separator := range ",;\t|" {
		table := csv.NewReader(bytes.NewReader(data))
		table.Comma, table.FieldsPerRecord = separator, -1
		rows, err := table.ReadAll()
		if err == nil && slices.ContainsFunc(rows, func(row []string) bool { return slices.Contains(row, whole) }) {
			return true
		}
	}
	return false
}

// inLines says that an ERP keeps a text as lines, each a value of its own.
func inLines(values []string, whole string) bool {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(whole), "\n")
	for _, line := range lines {
		if !slices.Contains(values, line) {
			return false
		}
	}
	return len(lines) > 1
}

func sorted(texts map[string]string) []string {
	var names []string
	for name := range texts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var numberPattern = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)?`)

// numbers returns the values that a document may mean.
func numbers(data []byte) []*big.Rat {
	values := scalars(data)
	if values == nil {
		values = numberPattern.FindAllString(string(data), -1)
	}
	var all []*big.Rat
	for _, value := range values {
		if n, ok := new(big.Rat).SetString(value); ok && !strings.ContainsAny(value, "/_xX") {
			all = append(all, n)
		}
	}
	return all
}

// decimals uses values that a float of 64 bits, or a scale of fewer places,
// does not hold.
func decimals(t *suite.T) {
	c := t.Start()
	for _, pair := range [][2]string{
		{"0.001", "0.0001"},
		{"0.1", "0.3"},
		{"0.300", "10.5000"},
		{"123456789012345.678", "12345678901234.5678"},
		{"999999999999999.999", "99999999999999.9999"},
		{"9007199254740993", "9007199254740.9931"},
		{"7", "-0.0001"},
		{"4096", "0"},
		{"1000000000", "-12.3400"},
	} {
		order := suite.SampleOrder()
		order.Lines = order.GetLines()[:1]
		order.NullFields = []string{"notes"}
		order.Lines[0].Qty, order.Lines[0].UnitPrice = pair[0], &pair[1]
		data := arrived(t, c, pair[0]+" for "+pair[1], order)
		if data == nil {
			continue
		}
		found := numbers(data)
		for _, value := range pair {
			want, _ := new(big.Rat).SetString(value)
			if !slices.ContainsFunc(found, func(n *big.Rat) bool { return n.Cmp(want) == 0 }) {
				t.Errorf("%s did not arrive with its value", value)
			}
		}
	}
}

var dayPattern = regexp.MustCompile(`[^0-9]`)

// dates compares digits, for targets write days in forms of their own.
func dates(t *suite.T) {
	needsOneOf(t, "order_date", "requested_delivery_date")
	c := t.Start()
	for _, day := range []string{"2024-02-29", "2000-02-29", "9999-12-31", "2026-03-29", "1999-12-31", "2026-10-25"} {
		order := suite.SampleOrder()
		order.OrderDate, order.RequestedDeliveryDate = &day, &day
		order.ApprovedAt = day[:4] + "-03-29T02:30:00+02:00"
		data := arrived(t, c, day, order)
		if data == nil {
			continue
		}
		if digits := dayPattern.ReplaceAllString(day, ""); !strings.Contains(dayPattern.ReplaceAllString(string(data), ""), digits) {
			t.Errorf("the day %s did not arrive, neither as order_date nor as requested_delivery_date", day)
		}
		if values := scalars(data); values != nil && strings.Contains(string(data), `"approved_at"`) && !slices.Contains(values, order.GetApprovedAt()) {
			t.Errorf("the instant %s did not arrive as it was", order.GetApprovedAt())
		}
	}
}

// bare returns an order with nothing but what must be there.
func bare() *connectorv1.DraftOrder {
	return &connectorv1.DraftOrder{
		Id: suite.NewID(), Status: "APPROVED", ApprovedAt: "2025-12-26T10:00:00Z", Currency: "EUR",
		Customer: &connectorv1.Customer{Name: "Muster GmbH"},
		Lines:    []*connectorv1.OrderLine{{LineNo: 1, InternalSku: "INT-1", Qty: "1", Uom: "PCE"}},
	}
}

// nothing leaves out a customer number where a target needs one: that is
// refused by the field's name.
func nothing(t *suite.T) {
	c := t.Start()
	absent, null, empty := bare(), bare(), bare()
	null.NullFields = []string{
		"approved_by", "external_order_number", "order_date", "requested_delivery_date", "notes", "ship_to", "bill_to",
		"source_document", "customer.id", "customer.erp_customer_number", "lines[0].unit_price", "lines[0].currency",
		"lines[0].customer_sku_raw", "lines[0].description",
	}
	none := ""
	empty.Notes, empty.ApprovedBy, empty.ExternalOrderNumber = &none, &none, &none
	empty.Lines[0].Description, empty.Lines[0].CustomerSkuRaw = &none, &none
	empty.ShipTo, empty.BillTo = &connectorv1.Address{}, &connectorv1.Address{}
	empty.SourceDocument = &connectorv1.SourceDocument{}
	for what, order := range map[string]*connectorv1.DraftOrder{"absent": absent, "null": null, "empty": empty} {
		arrived(t, c, "optional values that are "+what, order)
	}
}
