package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/sdktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestTheCallIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.in")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in"), func(t *testing.T) {
			t.Parallel()
			var in struct {
				Config fields
				Order  json.RawMessage
			}
			readJSON(t, input, &in)
			_, payload := payloadOf(t, nwrfcFields().with(in.Config), orderFromJSON(t, in.Order))
			golden := strings.TrimSuffix(input, ".in") + ".out"
			if *update {
				if err := os.WriteFile(golden, append(payload, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(payload)); diff != "" {
				t.Errorf("the call differs from the golden one (-want +got):\n%s", diff)
			}
		})
	}
}

func readJSON(t *testing.T, file string, target any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, target)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func orderFromJSON(t testing.TB, data []byte) *connectorv1.DraftOrder {
	t.Helper()
	order := &connectorv1.DraftOrder{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, order); err != nil {
		t.Fatal(err)
	}
	return order
}

// payloadOf exports an order, at least up to its payload.
func payloadOf(t *testing.T, cfg fields, order *connectorv1.DraftOrder) (*connectorv1.ExportResult, []byte) {
	t.Helper()
	b := newBench(t)
	b.sap.fault = func(string, int) outcome { return fine }
	e := b.host.NewExport(cfg.json(), order)
	e.OnCheckpoint = func(int) sdktest.Fault { return sdktest.Refuse(connectorv1.RefusalReason_REFUSAL_REASON_STORAGE) }
	result, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e.Payload == nil {
		return result, nil
	}
	return result, e.Payload.Data
}

func TestAnOrderThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 41)
	country := "Atlantis"
	for name, c := range map[string]struct {
		change func(*connectorv1.DraftOrder)
		config fields
		path   string
	}{
		"a material that is too long":          {func(o *connectorv1.DraftOrder) { o.Lines[0].InternalSku = long }, nil, "lines[0].internal_sku"},
		"a unit that is too long":              {func(o *connectorv1.DraftOrder) { o.Lines[1].Uom = "BOXES" }, nil, "lines[1].uom"},
		"a quantity of eleven digits":          {func(o *connectorv1.DraftOrder) { o.Lines[0].Qty = "10000000000" }, nil, "lines[0].qty"},
		"a quantity of four decimals":          {func(o *connectorv1.DraftOrder) { o.Lines[0].Qty = "1.0001" }, nil, "lines[0].qty"},
		"a country without a code":             {func(o *connectorv1.DraftOrder) { o.ShipTo = &connectorv1.Address{Country: &country} }, nil, "ship_to.country"},
		"a customer number that is too long":   {func(o *connectorv1.DraftOrder) { n := "12345678901"; o.Customer.ErpCustomerNumber = &n }, nil, "customer.erp_customer_number"},
		"no customer number":                   {func(o *connectorv1.DraftOrder) { o.Customer.ErpCustomerNumber = nil }, fields{"default_customer": nil}, "customer.erp_customer_number"},
		"the customer's number is too long":    {func(o *connectorv1.DraftOrder) { o.ExternalOrderNumber = &long }, nil, "external_order_number"},
		"a line number without an item number": {func(o *connectorv1.DraftOrder) { o.Lines[0].LineNo = 100000 }, nil, "lines"},
		"a long street where cutting is off": {
			func(o *connectorv1.DraftOrder) { o.ShipTo = &connectorv1.Address{Street: &long} }, fields{"overlong": "refuse"}, "ship_to.street",
		},
		"a control character in a note": {func(o *connectorv1.DraftOrder) { n := "a\x01b"; o.Notes = &n }, nil, "notes"},
		"a code point that is none":     {func(o *connectorv1.DraftOrder) { n := "a\uffff"; o.ShipTo = &connectorv1.Address{City: &n} }, nil, "ship_to.city"},
		"a control character in a line": {func(o *connectorv1.DraftOrder) { o.Lines[1].InternalSku = "A\x00" }, nil, "lines[1].internal_sku"},
		"a date that is none":           {func(o *connectorv1.DraftOrder) { d := "2025-1-1"; o.OrderDate = &d }, nil, "order_date"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			order := sdktest.SampleOrder()
			c.change(order)
			result, payload := payloadOf(t, nwrfcFields().with(c.config), order)
			e := result.GetError()
			if e.GetCode() != connectorv1.ErrorCode_ERROR_CODE_INVALID_ORDER || e.GetRetryable() || len(e.GetViolations()) != 1 || e.GetViolations()[0].GetPath() != c.path || payload != nil {
				t.Errorf("got %v, want INVALID_ORDER at %s", e, c.path)
			}
		})
	}
}

func TestALongTextIsBrokenAndNothingOfItIsLost(t *testing.T) {
	t.Parallel()
	for _, content := range []string{
		strings.Repeat("word ", 60) + "end", strings.Repeat("x", 300), strings.Repeat("ä", 133), "a\n\nb", strings.Repeat("y", 132),
		strings.Repeat("x", 100) + " " + strings.Repeat("z", 200),
	} {
		m := &mapper{cfg: config{TextLanguage: "EN"}, call: rfc.Call{Tables: map[string][]rfc.Structure{}}}
		m.text("0001", "000000", &content)
		var joined strings.Builder
		for i, row := range m.call.Tables["ORDER_TEXT"] {
			separator := map[string]string{"*": "\n", "": " ", "=": ""}[row["FORMAT_COL"]]
			if i > 0 {
				joined.WriteString(separator)
			}
			joined.WriteString(row["TEXT_LINE"])
			if n := len([]rune(row["TEXT_LINE"])); n > 132 {
				t.Errorf("a line of %d characters", n)
			}
		}
		if joined.String() != content {
			t.Errorf("%q became %q", content, joined.String())
		}
	}
}

func TestAlphaFillsDigitsOnly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"4711": "0000004711", "VINET": "VINET", "47A": "47A", "": "", "0000004711": "0000004711", "12345678901": "12345678901", " 7 ": "0000000007",
	} {
		if got := alpha(in, 10); got != want {
			t.Errorf("alpha(%q) = %q, want %q", in, got, want)
		}
	}
}
