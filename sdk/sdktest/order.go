package sdktest

import (
	"fmt"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// SampleOrder returns a new valid order with two lines. It has fields that are
// null (notes, lines[1].unit_price), absent (approved_by, ship_to) and
// empty (lines[1].description).
func SampleOrder() *connectorv1.DraftOrder {
	return &connectorv1.DraftOrder{
		Id:         "32c282e3-b563-56da-bf52-0f4bd7ffe80d",
		Status:     "APPROVED",
		ApprovedAt: "2025-12-26T10:00:00Z",
		Customer: &connectorv1.Customer{
			Id:                ptr("666588e4-587c-5a88-af22-ebaa598376f5"),
			ErpCustomerNumber: ptr("4711"),
			Name:              "Muster GmbH",
		},
		ExternalOrderNumber:   ptr("PO-12345"),
		OrderDate:             ptr("2025-12-01"),
		Currency:              "EUR",
		RequestedDeliveryDate: ptr("2025-12-10"),
		Lines: []*connectorv1.OrderLine{
			{
				LineNo: 1, InternalSku: "INT-999", Qty: "10.50", Uom: "M", UnitPrice: ptr("1.2300"),
				CustomerSkuRaw: ptr("AB-123"), Description: ptr("Kabel NYM-J 3x1,5"),
			},
			{LineNo: 2, InternalSku: "INT-100", Qty: "3", Uom: "PCE", Currency: ptr("CHF"), Description: ptr("")},
		},
		SourceDocument: &connectorv1.SourceDocument{FileName: ptr("order.pdf")},
		NullFields:     []string{"notes", "lines[1].unit_price"},
	}
}

// OrderWithLines returns a sample order with n lines, each with a description
// of the given length.
func OrderWithLines(n, descriptionLength int) *connectorv1.DraftOrder {
	order := SampleOrder()
	order.NullFields = []string{"notes"}
	order.Lines = make([]*connectorv1.OrderLine, n)
	description := strings.Repeat("x", descriptionLength)
	for i := range order.Lines {
		order.Lines[i] = &connectorv1.OrderLine{
			LineNo: uint32(i + 1), InternalSku: fmt.Sprintf("INT-%d", i+1), //nolint:gosec // small
			Qty: "1.5", Uom: "PCE", UnitPrice: ptr("0.0001"), Description: &description,
		}
	}
	return order
}

func ptr(text string) *string { return &text }
