package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/sdktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestOrderFileIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.in")
	noErr(t, err)
	if len(inputs) == 0 {
		t.Fatal("no golden files")
	}
	host := sdktest.New(t, newConnector())
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in"), func(t *testing.T) {
			in, err := os.ReadFile(input)
			noErr(t, err)
			dir := t.TempDir()
			export := host.NewExport(filesystemFields(dir).json(), orderFromJSON(t, in))
			result, err := export.Run(t.Context())
			if err != nil || !result.GetSuccess() {
				t.Fatalf("export: %v, %v", err, result)
			}
			got, err := os.ReadFile(result.GetDropzonePath())
			noErr(t, err)
			if !bytes.Equal(got, export.Payload.Data) {
				t.Error("the stored payload is not what was delivered")
			}
			if !json.Valid(got) {
				t.Error("the file is no JSON")
			}
			golden := strings.TrimSuffix(input, ".in") + ".out"
			if *update {
				noErr(t, os.WriteFile(golden, got, 0o644))
			}
			want, err := os.ReadFile(golden)
			noErr(t, err)
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("the file differs from the golden one (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOrderThatCannotBeAFileIsRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*connectorv1.DraftOrder)
		path   string
	}{
		"an id that leaves the directory": {func(o *connectorv1.DraftOrder) { o.Id = "../../etc/passwd" }, "id"},
		"an id with a newline":            {func(o *connectorv1.DraftOrder) { o.Id = o.GetId() + "\n" }, "id"},
		"an id with a NUL":                {func(o *connectorv1.DraftOrder) { o.Id = "\x00" + o.GetId()[1:] }, "id"},
		"an id that starts with a dash":   {func(o *connectorv1.DraftOrder) { o.Id = "-rf" }, "id"},
		"an order that is not approved":   {func(o *connectorv1.DraftOrder) { o.Status = "DRAFT" }, "status"},
		"an order without lines":          {func(o *connectorv1.DraftOrder) { o.Lines = nil }, "lines"},
		"a quantity that is no number":    {func(o *connectorv1.DraftOrder) { o.Lines[0].Qty = "1e5" }, "lines[0].qty"},
		"a price that would end the JSON": {func(o *connectorv1.DraftOrder) { *o.Lines[0].UnitPrice = "1},{" }, "lines[0].unit_price"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			order := sdktest.SampleOrder()
			c.change(order)
			export := sdktest.New(t, newConnector()).NewExport(filesystemFields(dir).json(), order)
			result, err := export.Run(t.Context())
			noErr(t, err)
			wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_INVALID_ORDER, false)
			if len(result.GetError().GetViolations()) != 1 || result.GetError().GetViolations()[0].GetPath() != c.path {
				t.Errorf("violations %v, want one of %s", result.GetError().GetViolations(), c.path)
			}
			wantNames(t, dir)
		})
	}
}

// handedIn is a draft order as an application hands it in.
type handedIn struct {
	ID         string  `json:"id"`
	Status     string  `json:"status"`
	ApprovedAt string  `json:"approved_at"`
	ApprovedBy *string `json:"approved_by"`
	Customer   struct {
		ID                *string `json:"id"`
		ERPCustomerNumber *string `json:"erp_customer_number"`
		Name              string  `json:"name"`
	} `json:"customer"`
	ExternalOrderNumber   *string `json:"external_order_number"`
	OrderDate             *string `json:"order_date"`
	Currency              string  `json:"currency"`
	RequestedDeliveryDate *string `json:"requested_delivery_date"`
	Notes                 *string `json:"notes"`
	Lines                 []struct {
		LineNo         uint32       `json:"line_no"`
		InternalSKU    string       `json:"internal_sku"`
		Qty            json.Number  `json:"qty"`
		UOM            string       `json:"uom"`
		UnitPrice      *json.Number `json:"unit_price"`
		Currency       *string      `json:"currency"`
		CustomerSKURaw *string      `json:"customer_sku_raw"`
		Description    *string      `json:"description"`
	} `json:"lines"`
	SourceDocument *struct {
		DocumentID *string `json:"document_id"`
		FileName   *string `json:"file_name"`
		SHA256     *string `json:"sha256"`
	} `json:"source_document"`
}

func orderFromJSON(t testing.TB, data []byte) *connectorv1.DraftOrder {
	t.Helper()
	var in handedIn
	noErr(t, json.Unmarshal(data, &in))
	order := &connectorv1.DraftOrder{
		Id: in.ID, Status: in.Status, ApprovedAt: in.ApprovedAt, ApprovedBy: in.ApprovedBy,
		Customer: &connectorv1.Customer{
			Id: in.Customer.ID, ErpCustomerNumber: in.Customer.ERPCustomerNumber, Name: in.Customer.Name,
		},
		ExternalOrderNumber: in.ExternalOrderNumber, OrderDate: in.OrderDate, Currency: in.Currency,
		RequestedDeliveryDate: in.RequestedDeliveryDate, Notes: in.Notes,
	}
	for _, line := range in.Lines {
		order.Lines = append(order.Lines, &connectorv1.OrderLine{
			LineNo: line.LineNo, InternalSku: line.InternalSKU, Qty: line.Qty.String(), Uom: line.UOM,
			UnitPrice: (*string)(line.UnitPrice), Currency: line.Currency,
			CustomerSkuRaw: line.CustomerSKURaw, Description: line.Description,
		})
	}
	if d := in.SourceDocument; d != nil {
		order.SourceDocument = &connectorv1.SourceDocument{DocumentId: d.DocumentID, FileName: d.FileName, Sha256: d.SHA256}
	}
	return order
}

// realOrders reads the orders that lie next to the repository, or skips.
func realOrders(t testing.TB) []*connectorv1.DraftOrder {
	t.Helper()
	name := findOrders()
	if name == "" {
		t.Skip("no real orders: ORDERPORT_TEST_ORDERS is not set, and shared/data/northwind-orders.ndjson is not next to the repository")
	}
	file, err := os.Open(name)
	noErr(t, err)
	defer file.Close()
	var orders []*connectorv1.DraftOrder
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		orders = append(orders, orderFromJSON(t, scanner.Bytes()))
	}
	noErr(t, scanner.Err())
	return orders
}

func findOrders() string {
	if name := os.Getenv("ORDERPORT_TEST_ORDERS"); name != "" {
		return name
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		name := filepath.Join(filepath.Dir(dir), "shared", "data", "northwind-orders.ndjson")
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	return ""
}

func wantCode(t testing.TB, err *connectorv1.Error, code connectorv1.ErrorCode, retryable bool) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", code)
	}
	if err.GetCode() != code || err.GetRetryable() != retryable {
		t.Errorf("got %v (retryable %v): %s; want %v (retryable %v)",
			err.GetCode(), err.GetRetryable(), err.GetMessage(), code, retryable)
	}
	if err.GetMessage() == "" || strings.Contains(err.GetMessage(), fmt.Sprint(nil)) {
		t.Errorf("the message %q is for nobody", err.GetMessage())
	}
}
