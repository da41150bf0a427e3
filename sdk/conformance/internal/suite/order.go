package suite

import (
	"strconv"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// SampleOrder returns a valid order with two lines, and an id and an external
// number of its own: not every target has a place for both. It has fields that
// are null, absent and empty.
func SampleOrder() *connectorv1.DraftOrder {
	id := NewID()
	return &connectorv1.DraftOrder{
		Id:         id,
		Status:     "APPROVED",
		ApprovedAt: "2025-12-26T10:00:00Z",
		Customer: &connectorv1.Customer{
			Id:                Ptr("666588e4-587c-5a88-af22-ebaa598376f5"),
			ErpCustomerNumber: Ptr("4711"),
			Name:              "Muster GmbH",
		},
		ExternalOrderNumber:   Ptr("PO-" + id[:8]),
		OrderDate:             Ptr("2025-12-01"),
		Currency:              "EUR",
		RequestedDeliveryDate: Ptr("2025-12-10"),
		Lines: []*connectorv1.OrderLine{
			{
				LineNo: 1, InternalSku: "INT-999", Qty: "10.50", Uom: "M", UnitPrice: Ptr("1.2300"),
				CustomerSkuRaw: Ptr("AB-123"), Description: Ptr("Kabel NYM-J 3x1,5"),
			},
			{LineNo: 2, InternalSku: "INT-100", Qty: "3", Uom: "PCE", Currency: Ptr("CHF"), Description: Ptr("")},
		},
		SourceDocument: &connectorv1.SourceDocument{FileName: Ptr("order.pdf")},
		NullFields:     []string{"notes", "lines[1].unit_price"},
	}
}

// OrderWithLines returns an order with n lines, each with a description of the
// given length.
func OrderWithLines(n, descriptionLength int) *connectorv1.DraftOrder {
	order := SampleOrder()
	order.NullFields = []string{"notes"}
	order.Lines = make([]*connectorv1.OrderLine, n)
	description := strings.Repeat("x", descriptionLength)
	for i := range order.Lines {
		order.Lines[i] = &connectorv1.OrderLine{
			LineNo: uint32(i + 1), InternalSku: "INT-" + strconv.Itoa(i+1), //nolint:gosec // small
			Qty: "1.5", Uom: "PCE", UnitPrice: Ptr("0.0001"), Description: &description,
		}
	}
	return order
}

// Ptr returns a pointer to text.
func Ptr(text string) *string { return &text }
