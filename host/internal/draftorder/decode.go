package draftorder

import (
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/fault"
)

// decoder makes an Order of JSON values and collects everything that is wrong
// with them. A wrong value leaves its field as it is, or zero.
type decoder struct {
	violations []fault.Violation
	unlisted   int            // violations beyond maxViolations
	lineNos    map[uint32]int // line number → index of the line that has it
}

// scope is one object of the order, and where it is.
type scope struct {
	d      *decoder
	object *value
	name   string // "" for the order itself
	index  int    // of a line; -1 if it is none
}

// path is only made for a field that something is to be said of.
func (s *scope) path(field string) string {
	switch {
	case s.name == "":
		return field
	case s.index < 0:
		return s.name + "." + field
	case field == "":
		return s.name + "[" + strconv.Itoa(s.index) + "]"
	default:
		return s.name + "[" + strconv.Itoa(s.index) + "]." + field
	}
}

func (s *scope) wrong(field, format string, args ...any) {
	s.d.wrong(s.path(field), format, args...)
}

func (d *decoder) wrong(path, format string, args ...any) {
	if len(d.violations) >= maxViolations {
		d.unlisted++
		return
	}
	d.violations = append(d.violations, fault.Violation{Path: path, Message: fmt.Sprintf(format, args...)})
}

// take returns a member, nil if the object has none of that name.
func (s *scope) take(field string) *value {
	for _, m := range s.object.content {
		if m.key == field {
			m.used = true
			return m
		}
	}
	return nil
}

// refuseRest reports members that nobody took.
func (s *scope) refuseRest() {
	for _, m := range s.object.content {
		if !m.used {
			s.wrong(pathElement(m.key), "is not a field of a draft order")
		}
	}
}

func (d *decoder) order(root *value) *Order {
	if root.kind != kindObject {
		d.wrong("", "must be an object, not %s", root.kind)
		return nil
	}
	s := &scope{d: d, object: root, index: -1}
	o := &Order{
		ID:                    s.uuid("id"),
		Status:                s.status("status"),
		ApprovedAt:            s.required("approved_at", instant),
		ApprovedBy:            s.optional("approved_by", shortText),
		Customer:              s.customer("customer"),
		ExternalOrderNumber:   s.optional("external_order_number", shortText),
		OrderDate:             s.optional("order_date", day),
		Currency:              s.required("currency", currency),
		RequestedDeliveryDate: s.optional("requested_delivery_date", day),
		Notes:                 s.optional("notes", notesText),
		ShipTo:                s.address("ship_to"),
		BillTo:                s.address("bill_to"),
		Lines:                 s.lines("lines"),
		SourceDocument:        s.sourceDocument("source_document"),
	}
	s.refuseRest()
	return o
}

func (s *scope) customer(field string) (c Customer) {
	v := s.take(field)
	if v == nil || v.kind == kindNull {
		s.wrong(field, "is required")
		return c
	}
	if in := s.into(v); in != nil {
		c.ID = in.optional("id", shortText)
		c.ERPCustomerNumber = in.optional("erp_customer_number", shortText)
		c.Name = in.required("name", shortText)
		in.refuseRest()
	}
	return c
}

func (s *scope) address(field string) (a Address) {
	in, presence := s.maybeInto(field)
	if a.Presence = presence; in != nil {
		a.Name = in.optional("name", shortText)
		a.Street = in.optional("street", shortText)
		a.City = in.optional("city", shortText)
		a.Region = in.optional("region", shortText)
		a.PostalCode = in.optional("postal_code", shortText)
		a.Country = in.optional("country", shortText)
		in.refuseRest()
	}
	return a
}

func (s *scope) sourceDocument(field string) (doc SourceDocument) {
	in, presence := s.maybeInto(field)
	if doc.Presence = presence; in != nil {
		doc.DocumentID = in.optional("document_id", shortText)
		doc.FileName = in.optional("file_name", shortText)
		doc.SHA256 = in.optional("sha256", sha256Hex)
		in.refuseRest()
	}
	return doc
}

func (s *scope) lines(field string) []Line {
	v := s.take(field)
	switch {
	case v == nil || v.kind == kindNull:
		s.wrong(field, "is required")
		return nil
	case v.kind != kindArray:
		s.wrong(field, "must be a list, not %s", v.kind)
		return nil
	case len(v.content) == 0:
		s.wrong(field, "must have at least one line")
		return nil
	}
	lines := make([]Line, len(v.content))
	for i, item := range v.content {
		in := &scope{d: s.d, object: item, name: field, index: i}
		if item.kind != kindObject {
			in.wrong("", "must be an object, not %s", item.kind)
			continue
		}
		lines[i] = in.line()
	}
	return lines
}

func (s *scope) line() Line {
	l := Line{
		LineNo:         s.lineNo("line_no"),
		InternalSKU:    s.required("internal_sku", shortText),
		Qty:            s.qty("qty"),
		UOM:            s.required("uom", shortText),
		UnitPrice:      s.price("unit_price"),
		Currency:       s.optional("currency", currency),
		CustomerSKURaw: s.optional("customer_sku_raw", shortText),
		Description:    s.optional("description", descriptionText),
	}
	s.refuseRest()
	return l
}

// into enters an object.
func (s *scope) into(v *value) *scope {
	if v.kind != kindObject {
		s.wrong(v.key, "must be an object, not %s", v.kind)
		return nil
	}
	return &scope{d: s.d, object: v, name: v.key, index: -1}
}

// maybeInto enters an object that may be null or absent.
func (s *scope) maybeInto(field string) (*scope, Presence) {
	v := s.take(field)
	switch {
	case v == nil:
		return nil, Absent
	case v.kind == kindNull:
		return nil, Null
	default:
		return s.into(v), Given
	}
}

// required reads a text that must be there and not blank.
func (s *scope) required(field string, check textCheck) string {
	v := s.take(field)
	if v == nil || v.kind == kindNull {
		s.wrong(field, "is required")
		return ""
	}
	text := s.text(v, check)
	if v.kind == kindString && isBlank(text) {
		s.wrong(field, "must not be blank")
	}
	return text
}

func (s *scope) optional(field string, check textCheck) Optional {
	v := s.take(field)
	switch {
	case v == nil:
		return Optional{}
	case v.kind == kindNull:
		return Optional{Presence: Null}
	default:
		return Optional{Presence: Given, Text: s.text(v, check)}
	}
}

func (s *scope) text(v *value, check textCheck) string {
	if v.kind != kindString {
		s.wrong(v.key, "must be a text, not %s", v.kind)
		return ""
	}
	text, problem := check(v.text)
	if problem != "" {
		s.wrong(v.key, "%s", problem)
	}
	return text
}

func (s *scope) status(field string) string {
	status := s.required(field, shortText)
	if v := s.take(field); v != nil && v.kind == kindString && !isBlank(status) && status != "APPROVED" {
		s.wrong(field, "must be APPROVED")
	}
	return status
}

func (s *scope) uuid(field string) uuid.UUID {
	id, err := uuid.UUID{}, error(nil)
	text := s.required(field, func(text string) (string, string) {
		// The other forms that uuid.Parse takes are not for interchange.
		if id, err = uuid.Parse(text); err != nil || len(text) != 36 {
			return text, "must be a UUID in its 36-character form"
		}
		return text, ""
	})
	if text != "" && err == nil && id == uuid.Nil {
		s.wrong(field, "must not be all zeros")
	}
	return id
}

// number returns the text of a number or of a string that stands for one.
func (s *scope) number(v *value) (text string, ok bool) {
	if v.kind != kindNumber && v.kind != kindString {
		s.wrong(v.key, "must be a number, not %s", v.kind)
		return "", false
	}
	return v.text, true
}

func (s *scope) lineNo(field string) uint32 {
	v := s.take(field)
	if v == nil || v.kind == kindNull {
		s.wrong(field, "is required")
		return 0
	}
	text, ok := s.number(v)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 || text[0] == '0' {
		s.wrong(field, "must be a whole number from 1 to %d", math.MaxInt32)
		return 0
	}
	if first, taken := s.d.lineNos[uint32(n)]; taken {
		s.wrong(field, "repeats the number of lines[%d]", first)
	} else if s.d.lineNos != nil {
		s.d.lineNos[uint32(n)] = s.index
	}
	return uint32(n)
}

func (s *scope) qty(field string) string {
	v := s.take(field)
	if v == nil || v.kind == kindNull {
		s.wrong(field, "is required")
		return ""
	}
	text, ok := s.number(v)
	if !ok {
		return ""
	}
	if problem := checkDecimal(text, qtyFormat); problem != "" {
		s.wrong(field, "%s", problem)
	}
	return text
}

func (s *scope) price(field string) Optional {
	v := s.take(field)
	if v == nil {
		return Optional{}
	}
	if v.kind == kindNull {
		return Optional{Presence: Null}
	}
	text, ok := s.number(v)
	if !ok {
		return Optional{}
	}
	if problem := checkDecimal(text, priceFormat); problem != "" {
		s.wrong(field, "%s", problem)
	}
	return Optional{Presence: Given, Text: text}
}
