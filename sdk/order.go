package sdk

import (
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Order is an approved order as it was handed in. An optional value is nil
// when the order gave none; IsNull tells whether it was given as null. As JSON
// it has the names of the hand-in format, decimals as strings, and null for
// what is nil.
type Order struct {
	ID         string   `json:"id"`          // UUID in lower case
	Status     string   `json:"status"`      // always "APPROVED"
	ApprovedAt string   `json:"approved_at"` // RFC 3339, exactly as handed in
	ApprovedBy *string  `json:"approved_by"`
	Customer   Customer `json:"customer"`
	// ExternalOrderNumber is the customer's own number.
	ExternalOrderNumber   *string         `json:"external_order_number"`
	OrderDate             *string         `json:"order_date"`              // ISO 8601 date
	Currency              string          `json:"currency"`                // ISO 4217
	RequestedDeliveryDate *string         `json:"requested_delivery_date"` // ISO 8601 date
	Notes                 *string         `json:"notes"`
	ShipTo                *Address        `json:"ship_to"`
	BillTo                *Address        `json:"bill_to"`
	Lines                 []Line          `json:"lines"` // at least one
	SourceDocument        *SourceDocument `json:"source_document"`

	nulls map[string]struct{}
}

// Customer is the party that ordered.
type Customer struct {
	ID                *string `json:"id"` // in the application that hands orders in
	ERPCustomerNumber *string `json:"erp_customer_number"`
	Name              string  `json:"name"`
}

// Address is a postal address.
type Address struct {
	Name       *string `json:"name"`
	Street     *string `json:"street"`
	City       *string `json:"city"`
	Region     *string `json:"region"`
	PostalCode *string `json:"postal_code"`
	Country    *string `json:"country"`
}

// Line is one position of an order.
type Line struct {
	LineNo         uint32   `json:"line_no"`      // unique within the order, 1 or more
	InternalSKU    string   `json:"internal_sku"` // in the seller's own numbering
	Qty            Decimal  `json:"qty"`
	UOM            string   `json:"uom"` // unit of measure
	UnitPrice      *Decimal `json:"unit_price"`
	Currency       *string  `json:"currency"`         // nil: the order's
	CustomerSKURaw *string  `json:"customer_sku_raw"` // as the customer wrote it
	Description    *string  `json:"description"`
}

// SourceDocument names the document that an order was read from.
type SourceDocument struct {
	DocumentID *string `json:"document_id"`
	FileName   *string `json:"file_name"`
	SHA256     *string `json:"sha256"` // lower-case hex
}

// IsNull says whether the field was given as null. The path is written like
// "notes", "customer.id" or "lines[0].unit_price". A field that is nil and not
// null was absent.
func (o *Order) IsNull(path string) bool {
	_, ok := o.nulls[path]
	return ok
}

// LineCurrency returns the currency of a line: its own, or the order's.
func (o *Order) LineCurrency(line Line) string {
	if line.Currency != nil {
		return *line.Currency
	}
	return o.Currency
}

func orderFromProto(p *connectorv1.DraftOrder) Order {
	order := Order{
		ID:                    p.GetId(),
		Status:                p.GetStatus(),
		ApprovedAt:            p.GetApprovedAt(),
		ApprovedBy:            p.ApprovedBy,
		ExternalOrderNumber:   p.ExternalOrderNumber,
		OrderDate:             p.OrderDate,
		Currency:              p.GetCurrency(),
		RequestedDeliveryDate: p.RequestedDeliveryDate,
		Notes:                 p.Notes,
		ShipTo:                addressFromProto(p.GetShipTo()),
		BillTo:                addressFromProto(p.GetBillTo()),
		Lines:                 make([]Line, len(p.GetLines())),
		nulls:                 make(map[string]struct{}, len(p.GetNullFields())),
	}
	if c := p.GetCustomer(); c != nil {
		order.Customer = Customer{ID: c.Id, ERPCustomerNumber: c.ErpCustomerNumber, Name: c.GetName()}
	}
	for i, line := range p.GetLines() {
		order.Lines[i] = lineFromProto(line)
	}
	if d := p.GetSourceDocument(); d != nil {
		order.SourceDocument = &SourceDocument{DocumentID: d.DocumentId, FileName: d.FileName, SHA256: d.Sha256}
	}
	for _, path := range p.GetNullFields() {
		order.nulls[path] = struct{}{}
	}
	return order
}

func addressFromProto(p *connectorv1.Address) *Address {
	if p == nil {
		return nil
	}
	return &Address{
		Name: p.Name, Street: p.Street, City: p.City,
		Region: p.Region, PostalCode: p.PostalCode, Country: p.Country,
	}
}

func lineFromProto(p *connectorv1.OrderLine) Line {
	line := Line{
		LineNo:      p.GetLineNo(),
		InternalSKU: p.GetInternalSku(),
		Qty:         Decimal(p.GetQty()),
		UOM:         p.GetUom(),
	}
	if p == nil {
		return line
	}
	line.UnitPrice = (*Decimal)(p.UnitPrice)
	line.Currency = p.Currency
	line.CustomerSKURaw = p.CustomerSkuRaw
	line.Description = p.Description
	return line
}
