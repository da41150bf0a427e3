package draftorder

import (
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

// Order is an approved order that passed [Parse]. It is not to be changed.
type Order struct {
	ID                    uuid.UUID
	Status                string
	ApprovedAt            string // exactly as handed in
	ApprovedBy            Optional
	Customer              Customer
	ExternalOrderNumber   Optional
	OrderDate             Optional
	Currency              string
	RequestedDeliveryDate Optional
	Notes                 Optional
	ShipTo                Address
	BillTo                Address
	Lines                 []Line
	SourceDocument        SourceDocument
}

// Customer is the party that ordered.
type Customer struct {
	ID                Optional
	ERPCustomerNumber Optional
	Name              string
}

// Address is a postal address, or the lack of one.
type Address struct {
	Presence   Presence
	Name       Optional
	Street     Optional
	City       Optional
	Region     Optional
	PostalCode Optional
	Country    Optional
}

// Line is one position of an order. Qty and UnitPrice are decimal texts.
type Line struct {
	LineNo         uint32
	InternalSKU    string
	Qty            string
	UOM            string
	UnitPrice      Optional
	Currency       Optional
	CustomerSKURaw Optional
	Description    Optional
}

// SourceDocument names the document that an order was read from, or the lack
// of one.
type SourceDocument struct {
	Presence   Presence
	DocumentID Optional
	FileName   Optional
	SHA256     Optional // lower-case hex
}

// Presence tells a value from null and from nothing at all.
type Presence uint8

// The presences.
const (
	Absent Presence = iota // the order does not have the field
	Null                   // the order says null
	Given                  // the order has a value, perhaps an empty one
)

// Optional is a text that an order may leave out or give as null.
type Optional struct {
	Presence Presence
	Text     string // empty unless Given
}

// Ptr returns the text, or nil if there is none.
func (o Optional) Ptr() *string {
	if o.Presence != Given {
		return nil
	}
	text := o.Text
	return &text
}

// Draft returns the order as the store takes it.
func (o *Order) Draft(orgID uuid.UUID, createdAt time.Time) domain.DraftOrder {
	content := o.Canonical()
	return domain.DraftOrder{
		OrgID:               orgID,
		ID:                  o.ID,
		Content:             content,
		SHA256:              hash(content),
		ExternalOrderNumber: o.ExternalOrderNumber.Ptr(),
		CreatedAt:           createdAt,
	}
}
