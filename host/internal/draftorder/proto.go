package draftorder

import (
	"strconv"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Proto returns the order as the Port's message, with the fields that were
// null listed in null_fields.
func (o *Order) Proto() *connectorv1.DraftOrder {
	n := &nulls{}
	m := &connectorv1.DraftOrder{
		Id:         o.ID.String(),
		Status:     o.Status,
		ApprovedAt: o.ApprovedAt,
		ApprovedBy: n.text("approved_by", &o.ApprovedBy),
		Customer: &connectorv1.Customer{
			Id:                n.text("customer.id", &o.Customer.ID),
			ErpCustomerNumber: n.text("customer.erp_customer_number", &o.Customer.ERPCustomerNumber),
			Name:              o.Customer.Name,
		},
		ExternalOrderNumber:   n.text("external_order_number", &o.ExternalOrderNumber),
		OrderDate:             n.text("order_date", &o.OrderDate),
		Currency:              o.Currency,
		RequestedDeliveryDate: n.text("requested_delivery_date", &o.RequestedDeliveryDate),
		Notes:                 n.text("notes", &o.Notes),
		ShipTo:                n.address("ship_to", &o.ShipTo),
		BillTo:                n.address("bill_to", &o.BillTo),
		Lines:                 n.lines(o.Lines),
		SourceDocument:        n.sourceDocument(&o.SourceDocument),
	}
	m.NullFields = n.paths
	return m
}

// nulls collects the paths of the fields that are null, in canonical order.
type nulls struct{ paths []string }

// text points into the order, which never changes.
func (n *nulls) text(path string, o *Optional) *string {
	if o.Presence == Null {
		n.paths = append(n.paths, path)
	}
	if o.Presence != Given {
		return nil
	}
	return &o.Text
}

func (n *nulls) address(path string, a *Address) *connectorv1.Address {
	if a.Presence == Null {
		n.paths = append(n.paths, path)
	}
	if a.Presence != Given {
		return nil
	}
	return &connectorv1.Address{
		Name:       n.text(path+".name", &a.Name),
		Street:     n.text(path+".street", &a.Street),
		City:       n.text(path+".city", &a.City),
		Region:     n.text(path+".region", &a.Region),
		PostalCode: n.text(path+".postal_code", &a.PostalCode),
		Country:    n.text(path+".country", &a.Country),
	}
}

func (n *nulls) lines(lines []Line) []*connectorv1.OrderLine {
	messages := make([]*connectorv1.OrderLine, len(lines))
	for i := range lines {
		l := &lines[i]
		messages[i] = &connectorv1.OrderLine{
			LineNo:         l.LineNo,
			InternalSku:    l.InternalSKU,
			Qty:            l.Qty,
			Uom:            l.UOM,
			UnitPrice:      n.ofLine(i, "unit_price", &l.UnitPrice),
			Currency:       n.ofLine(i, "currency", &l.Currency),
			CustomerSkuRaw: n.ofLine(i, "customer_sku_raw", &l.CustomerSKURaw),
			Description:    n.ofLine(i, "description", &l.Description),
		}
	}
	return messages
}

// ofLine makes the path only if it is needed: most fields are not null.
func (n *nulls) ofLine(index int, field string, o *Optional) *string {
	if o.Presence == Null {
		n.paths = append(n.paths, "lines["+strconv.Itoa(index)+"]."+field)
		return nil
	}
	return n.text("", o)
}

func (n *nulls) sourceDocument(doc *SourceDocument) *connectorv1.SourceDocument {
	const path = "source_document"
	if doc.Presence == Null {
		n.paths = append(n.paths, path)
	}
	if doc.Presence != Given {
		return nil
	}
	return &connectorv1.SourceDocument{
		DocumentId: n.text(path+".document_id", &doc.DocumentID),
		FileName:   n.text(path+".file_name", &doc.FileName),
		Sha256:     n.text(path+".sha256", &doc.SHA256),
	}
}
