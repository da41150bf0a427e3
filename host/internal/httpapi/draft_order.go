package httpapi

import (
	"github.com/danielgtaylor/huma/v2"
)

// The types of this file only document what package draftorder reads.

// exportBody is the body of createExport.
type exportBody struct {
	DraftOrder    draftOrder `json:"draft_order"`
	ConnectorType string     `json:"connector_type,omitempty" doc:"Where to deliver it; needed if the organization has active connections of several types." example:"DROPZONE_JSON_V1"`
}

type draftOrder struct {
	ID                    string          `json:"id" format:"uuid" doc:"Makes the hand-in idempotent: one order is delivered once."`
	Status                string          `json:"status" enum:"APPROVED"`
	ApprovedAt            string          `json:"approved_at" format:"date-time"`
	ApprovedBy            *string         `json:"approved_by,omitempty" nullable:"true"`
	Customer              customer        `json:"customer"`
	ExternalOrderNumber   *string         `json:"external_order_number,omitempty" nullable:"true" doc:"The customer's own order number."`
	OrderDate             *string         `json:"order_date,omitempty" nullable:"true" format:"date"`
	Currency              string          `json:"currency" pattern:"^[A-Z]{3}$" example:"EUR"`
	RequestedDeliveryDate *string         `json:"requested_delivery_date,omitempty" nullable:"true" format:"date"`
	Notes                 *string         `json:"notes,omitempty" nullable:"true"`
	ShipTo                *address        `json:"ship_to,omitempty" doc:"Null: the customer's own address."`
	BillTo                *address        `json:"bill_to,omitempty" doc:"Null: the customer."`
	Lines                 []orderLine     `json:"lines" minItems:"1" nullable:"false"`
	SourceDocument        *sourceDocument `json:"source_document,omitempty" doc:"The document that the order was read from, or null."`
}

type customer struct {
	ID                *string `json:"id,omitempty" nullable:"true"`
	ERPCustomerNumber *string `json:"erp_customer_number,omitempty" nullable:"true" doc:"The customer's number in the ERP."`
	Name              string  `json:"name" minLength:"1"`
}

type address struct {
	Name       *string `json:"name,omitempty" nullable:"true"`
	Street     *string `json:"street,omitempty" nullable:"true"`
	City       *string `json:"city,omitempty" nullable:"true"`
	Region     *string `json:"region,omitempty" nullable:"true"`
	PostalCode *string `json:"postal_code,omitempty" nullable:"true"`
	Country    *string `json:"country,omitempty" nullable:"true"`
}

type orderLine struct {
	LineNo         int           `json:"line_no" minimum:"1" doc:"Unique within the order."`
	InternalSKU    string        `json:"internal_sku" minLength:"1"`
	Qty            exactQuantity `json:"qty"`
	UOM            string        `json:"uom" minLength:"1" doc:"Unit of measure." example:"PCE"`
	UnitPrice      *exactPrice   `json:"unit_price,omitempty"`
	Currency       *string       `json:"currency,omitempty" nullable:"true" doc:"Null: the order's currency."`
	CustomerSKURaw *string       `json:"customer_sku_raw,omitempty" nullable:"true" doc:"The article as the customer wrote it."`
	Description    *string       `json:"description,omitempty" nullable:"true"`
}

type sourceDocument struct {
	DocumentID *string `json:"document_id,omitempty" nullable:"true"`
	FileName   *string `json:"file_name,omitempty" nullable:"true"`
	SHA256     *string `json:"sha256,omitempty" nullable:"true" doc:"64 hexadecimal digits."`
}

type exactQuantity string

// Schema says that a number or a text will do.
func (exactQuantity) Schema(huma.Registry) *huma.Schema {
	return exactDecimal("Greater than zero, at most 18 digits, 3 of them decimals; kept exactly.", "10.5", false)
}

type exactPrice string

// Schema says that a number, a text or null will do.
func (exactPrice) Schema(huma.Registry) *huma.Schema {
	return exactDecimal("Zero or more, at most 18 digits, 4 of them decimals; kept exactly. Null: no price.", "1.23", true)
}

func exactDecimal(text, example string, nullable bool) *huma.Schema {
	s := &huma.Schema{
		Description: text, Examples: []any{example},
		OneOf: []*huma.Schema{{Type: huma.TypeString, Pattern: `^[0-9]+(\.[0-9]+)?$`}, {Type: huma.TypeNumber}},
	}
	if nullable {
		s.OneOf = append(s.OneOf, &huma.Schema{Type: "null"})
	}
	return s
}
