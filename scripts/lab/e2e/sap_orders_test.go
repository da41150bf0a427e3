package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// TestRealOrdersBecomeSalesOrders hands all 830 orders to a host and looks at
// each sales order in the simulated SAP, field by field.
func TestRealOrdersBecomeSalesOrders(t *testing.T) {
	ndjson := realOrders(t)
	for _, db := range []string{"sqlite", "postgres"} {
		for _, transport := range sapTransports {
			t.Run(db+"/"+transport, func(t *testing.T) {
				ctx := bounded(t)
				sap := startSAP(t)
				_, client := serveSAP(ctx, t, db, sap.config(transport))
				begun := time.Now()
				push(ctx, t, nil, client, ndjson, "batch API")
				awaitStatus(ctx, t, client, "ACKED")
				took := seconds(begun)
				t.Logf("%s, %s: %d orders in %.2f s, %.0f a second", db, transport, wantOrders, took, wantOrders/took)
				checkSalesOrders(ctx, t, client, sap, ndjson)

				push(ctx, t, nil, client, ndjson, "batch API")
				awaitStatus(ctx, t, client, "ACKED")
				if n := sap.state(ctx, t).NumbersUsed; n != wantOrders {
					t.Errorf("after handing them in again %d numbers are used up, want %d", n, wantOrders)
				}
			})
		}
	}
}

// checkSalesOrders compares what SAP has with what the mapping table of the
// connector's documentation makes of each order. It knows nothing of the
// connector's code.
func checkSalesOrders(ctx context.Context, t *testing.T, client *world.Client, sap *sapSystem, ndjson []byte) {
	t.Helper()
	documents, err := sap.documents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(documents) != wantOrders {
		t.Errorf("SAP has %d sales orders, want %d", len(documents), wantOrders)
	}
	byNumber := map[string]sapDocument{}
	for _, d := range documents {
		byNumber[d.Number] = d
	}
	exports, err := client.Exports(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	byOrder := map[string]world.Export{}
	references := map[string]bool{}
	for _, e := range exports {
		byOrder[e.DraftOrderID] = e
		references[e.ExternalRef] = true
	}
	if len(references) != wantOrders {
		t.Errorf("%d references for %d orders", len(references), wantOrders)
	}
	wrong := 0
	for line := range bytes.Lines(ndjson) {
		var order realOrder
		if err := json.Unmarshal(line, &order); err != nil {
			t.Fatal(err)
		}
		export := byOrder[order.ID]
		got := byNumber[export.ERPOrderID]
		delete(byNumber, export.ERPOrderID)
		want := order.salesOrder(export.ERPOrderID, export.ExternalRef)
		got.sorted()
		if !reflect.DeepEqual(want, got) {
			if wrong++; wrong <= 3 {
				t.Errorf("order %s: SAP has\n%s\nwant\n%s", order.ID, indented(got), indented(want))
			}
		}
	}
	if wrong > 3 || len(byNumber) > 0 {
		t.Errorf("%d sales orders are wrong, and %d belong to no order", wrong, len(byNumber))
	}
}

func indented(v any) string {
	data, _ := json.MarshalIndent(v, "", " ")
	return string(data)
}

// sorted brings rows into the order of their keys; SAP may have another one.
func (d *sapDocument) sorted() {
	for _, rows := range [][]map[string]string{d.Items, d.Schedules, d.Partners, d.Conditions, d.Texts} {
		sort.Slice(rows, func(a, b int) bool {
			return rows[a]["PARTN_ROLE"]+rows[a]["ITM_NUMBER"] < rows[b]["PARTN_ROLE"]+rows[b]["ITM_NUMBER"]
		})
	}
}

// realOrder is an order as it is handed in.
type realOrder struct {
	ID       string
	Customer struct {
		Number string `json:"erp_customer_number"`
	}
	ExternalOrderNumber string `json:"external_order_number"`
	OrderDate           string `json:"order_date"`
	Currency            string
	RequestedDelivery   string `json:"requested_delivery_date"`
	Notes               *string
	ShipTo              struct {
		Name, Street, City, Region, Country string
		PostalCode                          string `json:"postal_code"`
	} `json:"ship_to"`
	Lines []struct {
		LineNo    int    `json:"line_no"`
		SKU       string `json:"internal_sku"`
		Qty       string
		UnitPrice string `json:"unit_price"`
	}
}

// salesOrder is the mapping table, applied by hand. All real orders are in
// pieces, which SAP calls PCE outside and ST inside.
func (o realOrder) salesOrder(number, reference string) sapDocument {
	digits := func(date string) string { return strings.ReplaceAll(date, "-", "") }
	d := sapDocument{Number: number, Header: filled(map[string]string{
		"DOC_TYPE": "TA", "SALES_ORG": "1000", "DISTR_CHAN": "10", "DIVISION": "00",
		"PURCH_NO_C": reference, "PURCH_NO_S": o.ExternalOrderNumber,
		"PURCH_DATE": digits(o.OrderDate), "REQ_DATE_H": digits(o.RequestedDelivery), "CURRENCY": o.Currency,
	})}
	region := o.ShipTo.Region
	if len([]rune(region)) > 3 {
		region = "" // no key
	}
	street := []rune(o.ShipTo.Street)
	d.Partners = []map[string]string{
		{"PARTN_ROLE": "AG", "PARTN_NUMB": o.Customer.Number},
		filled(map[string]string{
			"PARTN_ROLE": "WE", "PARTN_NUMB": o.Customer.Number, "NAME": o.ShipTo.Name,
			"STREET": strings.TrimSpace(string(street[:min(35, len(street))])), "CITY": o.ShipTo.City,
			"POSTL_CODE": o.ShipTo.PostalCode, "REGION": region, "COUNTR_ISO": countryCodes[o.ShipTo.Country],
		}),
	}
	for _, l := range o.Lines {
		item := fmt.Sprintf("%06d", 10*l.LineNo)
		d.Items = append(d.Items, map[string]string{
			"ITM_NUMBER": item, "PO_ITM_NO": fmt.Sprintf("%06d", l.LineNo), "MATERIAL": l.SKU, "TARGET_QTY": packed(l.Qty, 3),
			"T_UNIT_ISO": "PCE", "S_UNIT_ISO": "PCE", "TARGET_QU": "ST", "SALES_UNIT": "ST",
		})
		d.Schedules = append(d.Schedules, filled(map[string]string{
			"ITM_NUMBER": item, "SCHED_LINE": "0001", "REQ_QTY": packed(l.Qty, 3), "REQ_DATE": digits(o.RequestedDelivery),
		}))
		d.Conditions = append(d.Conditions, map[string]string{
			"ITM_NUMBER": item, "COND_TYPE": "PR00", "COND_VALUE": packed(l.UnitPrice, 9), "CURRENCY": o.Currency,
			"COND_P_UNT": "1", "CD_UNT_ISO": "PCE", "COND_UNIT": "ST",
		})
	}
	d.sorted()
	return d
}

// filled leaves out what is empty.
func filled(row map[string]string) map[string]string {
	for name, value := range row {
		if value == "" {
			delete(row, name)
		}
	}
	return row
}

// packed is a number with all its decimals.
func packed(number string, decimals int) string {
	whole, fraction, _ := strings.Cut(number, ".")
	return whole + "." + fraction + strings.Repeat("0", decimals-len(fraction))
}
