package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/orderport/orderport/sdk"
)

// orderFile is the document of one order. The order of the fields is part of
// the format, and a field without a value is null, never left out.
type orderFile struct {
	ExportVersion string       `json:"export_version"`
	OrgSlug       string       `json:"org_slug"`
	DraftOrderID  string       `json:"draft_order_id"`
	ApprovedAt    string       `json:"approved_at"`
	Customer      customerPart `json:"customer"`
	Header        headerPart   `json:"header"`
	Lines         []linePart   `json:"lines"`
	Meta          metaPart     `json:"meta"`
}

type customerPart struct {
	ID                *string `json:"id"`
	ERPCustomerNumber *string `json:"erp_customer_number"`
	Name              string  `json:"name"`
}

type headerPart struct {
	ExternalOrderNumber   *string `json:"external_order_number"`
	OrderDate             *string `json:"order_date"`
	Currency              string  `json:"currency"`
	RequestedDeliveryDate *string `json:"requested_delivery_date"`
	Notes                 *string `json:"notes"`
}

type linePart struct {
	LineNo         uint32       `json:"line_no"`
	InternalSKU    string       `json:"internal_sku"`
	Qty            json.Number  `json:"qty"`
	UOM            string       `json:"uom"`
	UnitPrice      *json.Number `json:"unit_price"`
	Currency       string       `json:"currency"`
	CustomerSKURaw *string      `json:"customer_sku_raw"`
	Description    *string      `json:"description"`
}

type metaPart struct {
	CreatedBy      *string       `json:"created_by"`
	SourceDocument *documentPart `json:"source_document"`
}

type documentPart struct {
	DocumentID *string `json:"document_id"`
	FileName   *string `json:"file_name"`
	SHA256     *string `json:"sha256"`
}

// mapOrder returns the file's content. The same order gives the same bytes.
func mapOrder(orgSlug string, order *sdk.Order) ([]byte, error) {
	lines, err := mapLines(order)
	if err != nil {
		return nil, err
	}
	file := orderFile{
		ExportVersion: sdk.FormatOrderflowJSONV1,
		OrgSlug:       orgSlug,
		DraftOrderID:  order.ID,
		ApprovedAt:    order.ApprovedAt,
		Customer:      customerPart(order.Customer),
		Header: headerPart{
			ExternalOrderNumber:   order.ExternalOrderNumber,
			OrderDate:             order.OrderDate,
			Currency:              order.Currency,
			RequestedDeliveryDate: order.RequestedDeliveryDate,
			Notes:                 order.Notes,
		},
		Lines: lines,
		Meta: metaPart{
			CreatedBy:      order.ApprovedBy,
			SourceDocument: (*documentPart)(order.SourceDocument),
		},
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(file); err != nil {
		return nil, sdk.Errorf(sdk.Internal, "encode the order: %w", err)
	}
	return out.Bytes(), nil
}

func mapLines(order *sdk.Order) ([]linePart, error) {
	lines := make([]linePart, len(order.Lines))
	var wrong []sdk.Violation
	for i, line := range order.Lines {
		lines[i] = linePart{
			LineNo:         line.LineNo,
			InternalSKU:    line.InternalSKU,
			Qty:            line.Qty.JSON(),
			UOM:            line.UOM,
			Currency:       order.LineCurrency(line),
			CustomerSKURaw: line.CustomerSKURaw,
			Description:    line.Description,
		}
		if !line.Qty.Valid() {
			wrong = append(wrong, sdk.Violation{Path: fmt.Sprintf("lines[%d].qty", i), Message: "is not a decimal number"})
		}
		if line.UnitPrice == nil {
			continue
		}
		price := line.UnitPrice.JSON()
		lines[i].UnitPrice = &price
		if !line.UnitPrice.Valid() {
			wrong = append(wrong, sdk.Violation{Path: fmt.Sprintf("lines[%d].unit_price", i), Message: "is not a decimal number"})
		}
	}
	if len(wrong) > 0 {
		return nil, invalidOrder(wrong...)
	}
	return lines, nil
}

// checkOrder refuses what the format does not know and what must not get into
// a file name.
func checkOrder(req *sdk.ExportRequest) error {
	var wrong []sdk.Violation
	if req.FormatVersion != sdk.FormatOrderflowJSONV1 {
		wrong = append(wrong, sdk.Violation{Path: "export_format_version", Message: "must be " + sdk.FormatOrderflowJSONV1})
	}
	if req.Order.Status != "APPROVED" {
		wrong = append(wrong, sdk.Violation{Path: "status", Message: "must be APPROVED"})
	}
	if !safeID(req.Order.ID) {
		wrong = append(wrong, sdk.Violation{Path: "id", Message: "must be a UUID"})
	}
	if !safeID(req.ExportID) {
		wrong = append(wrong, sdk.Violation{Path: "export_id", Message: "must be a UUID"})
	}
	if len(req.Order.Lines) == 0 {
		wrong = append(wrong, sdk.Violation{Path: "lines", Message: "must not be empty"})
	}
	if len(wrong) > 0 {
		return invalidOrder(wrong...)
	}
	return nil
}

func invalidOrder(wrong ...sdk.Violation) error {
	e := sdk.Errorf(sdk.InvalidOrder, "the order can't be written as a file: %s", wrong[0])
	e.Violations = wrong
	return e
}

var uuidShape = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func safeID(id string) bool { return uuidShape.MatchString(id) }

// finalName returns the name of the order's file. It depends on the export
// only, so it is the same for every attempt.
func finalName(orderID string, createdAt time.Time, exportID string) string {
	return fmt.Sprintf("sales_order_%s_%s_%s.json", orderID, createdAt.UTC().Format("20060102T150405Z"), exportID[:8])
}

// tmpName returns the name under which an attempt writes the file.
func tmpName(final string, attempt int) string { return fmt.Sprintf("%s.%d.tmp", final, attempt) }
