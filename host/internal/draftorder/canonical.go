package draftorder

import (
	"crypto/sha256"
	"strconv"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/fault"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Canonical returns the order as deterministic JSON: the fields in one fixed
// order without white space, decimals as strings of exactly the digits that
// were handed in, the id and the SHA-256 in lower case, null as null, absent
// fields absent. Two orders have the same content if and only if these bytes
// are the same.
func (o *Order) Canonical() []byte {
	w := writer{buf: make([]byte, 0, 768+256*len(o.Lines))}
	w.open('{')
	w.text("id", o.ID.String())
	w.text("status", o.Status)
	w.text("approved_at", o.ApprovedAt)
	w.optional("approved_by", o.ApprovedBy)
	w.key("customer")
	w.open('{')
	w.optional("id", o.Customer.ID)
	w.optional("erp_customer_number", o.Customer.ERPCustomerNumber)
	w.text("name", o.Customer.Name)
	w.close('}')
	w.optional("external_order_number", o.ExternalOrderNumber)
	w.optional("order_date", o.OrderDate)
	w.text("currency", o.Currency)
	w.optional("requested_delivery_date", o.RequestedDeliveryDate)
	w.optional("notes", o.Notes)
	w.address("ship_to", &o.ShipTo)
	w.address("bill_to", &o.BillTo)
	w.key("lines")
	w.open('[')
	for i := range o.Lines {
		w.line(&o.Lines[i])
	}
	w.close(']')
	w.sourceDocument("source_document", &o.SourceDocument)
	w.close('}')
	return w.buf
}

// SHA256 returns the hash of the canonical form.
func (o *Order) SHA256() [32]byte { return hash(o.Canonical()) }

func hash(content []byte) [32]byte { return sha256.Sum256(content) }

// DecodeCanonical makes the Port's message of what [Order.Canonical] made. It
// does not check the order again: what was accepted stays deliverable when
// the rules change. Bytes that hold no order at all are an Internal error,
// "stored_order_unreadable": something has damaged what was accepted.
func DecodeCanonical(data []byte) (*connectorv1.DraftOrder, error) {
	s := takeScanner()
	defer s.giveBack()
	root, err := s.read(data)
	if err != nil {
		return nil, unreadable(err)
	}
	d := decoder{}
	o := d.order(root)
	if o == nil || o.ID == uuid.Nil || len(o.Lines) == 0 {
		return nil, unreadable(d.fault())
	}
	return o.Proto(), nil
}

func unreadable(err error) error {
	return fault.New(fault.Internal, "stored_order_unreadable", "stored draft order can't be read").Because(err)
}

// writer appends JSON.
type writer struct {
	buf   []byte
	comma bool // a comma is due before the next item
}

func (w *writer) open(bracket byte) {
	if w.comma {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, bracket)
	w.comma = false
}

func (w *writer) close(bracket byte) {
	w.buf = append(w.buf, bracket)
	w.comma = true
}

func (w *writer) key(key string) {
	if w.comma {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, key...)
	w.buf = append(w.buf, '"', ':')
	w.comma = false
}

func (w *writer) text(key, text string) {
	w.key(key)
	w.quote(text)
	w.comma = true
}

// quote escapes what JSON demands to be escaped and nothing else.
func (w *writer) quote(text string) {
	const digits = "0123456789abcdef"
	w.buf = append(w.buf, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		w.buf = append(w.buf, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			w.buf = append(w.buf, '\\', c)
		case '\n':
			w.buf = append(w.buf, '\\', 'n')
		case '\r':
			w.buf = append(w.buf, '\\', 'r')
		case '\t':
			w.buf = append(w.buf, '\\', 't')
		default:
			w.buf = append(w.buf, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
	}
	w.buf = append(w.buf, text[start:]...)
	w.buf = append(w.buf, '"')
}

func (w *writer) null(key string) {
	w.key(key)
	w.buf = append(w.buf, "null"...)
	w.comma = true
}

func (w *writer) optional(key string, o Optional) {
	switch o.Presence {
	case Absent:
	case Given:
		w.text(key, o.Text)
	case Null:
		w.null(key)
	}
}

func (w *writer) line(l *Line) {
	w.open('{')
	w.key("line_no")
	w.buf = strconv.AppendUint(w.buf, uint64(l.LineNo), 10)
	w.comma = true
	w.text("internal_sku", l.InternalSKU)
	w.text("qty", l.Qty)
	w.text("uom", l.UOM)
	w.optional("unit_price", l.UnitPrice)
	w.optional("currency", l.Currency)
	w.optional("customer_sku_raw", l.CustomerSKURaw)
	w.optional("description", l.Description)
	w.close('}')
}

func (w *writer) address(key string, a *Address) {
	switch a.Presence {
	case Absent:
	case Null:
		w.null(key)
	case Given:
		w.key(key)
		w.open('{')
		w.optional("name", a.Name)
		w.optional("street", a.Street)
		w.optional("city", a.City)
		w.optional("region", a.Region)
		w.optional("postal_code", a.PostalCode)
		w.optional("country", a.Country)
		w.close('}')
	}
}

func (w *writer) sourceDocument(key string, doc *SourceDocument) {
	switch doc.Presence {
	case Absent:
	case Null:
		w.null(key)
	case Given:
		w.key(key)
		w.open('{')
		w.optional("document_id", doc.DocumentID)
		w.optional("file_name", doc.FileName)
		w.optional("sha256", doc.SHA256)
		w.close('}')
	}
}
