package main

import (
	"bytes"
	"encoding/json"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// appendixA writes an order as appendix A of the contract says.
func (m *mutant) appendixA(orgSlug string, o *connectorv1.DraftOrder) ([]byte, error) {
	type customer struct {
		ID     *string `json:"id"`
		Number *string `json:"erp_customer_number"`
		Name   string  `json:"name"`
	}
	type header struct {
		Number   *string `json:"external_order_number"`
		Date     *string `json:"order_date"`
		Currency string  `json:"currency"`
		Wanted   *string `json:"requested_delivery_date"`
		Notes    *string `json:"notes"`
	}
	type source struct {
		ID     *string `json:"document_id"`
		Name   *string `json:"file_name"`
		SHA256 *string `json:"sha256"`
	}
	type meta struct {
		CreatedBy *string `json:"created_by"`
		Source    *source `json:"source_document"`
	}
	c := o.GetCustomer()
	document := struct {
		Version  string     `json:"export_version"`
		Org      string     `json:"org_slug"`
		ID       string     `json:"draft_order_id"`
		Approved string     `json:"approved_at"`
		Customer customer   `json:"customer"`
		Header   header     `json:"header"`
		Lines    []lineItem `json:"lines"`
		Meta     meta       `json:"meta"`
	}{
		Version: "orderflow_export_json_v1", Org: orgSlug, ID: o.GetId(), Approved: o.GetApprovedAt(),
		Customer: customer{c.Id, c.ErpCustomerNumber, c.GetName()},
		Header:   header{o.ExternalOrderNumber, o.OrderDate, o.GetCurrency(), o.RequestedDeliveryDate, o.Notes},
		Lines:    m.lines(o), Meta: meta{CreatedBy: o.ApprovedBy},
	}
	if d := o.GetSourceDocument(); d != nil {
		document.Meta.Source = &source{d.DocumentId, d.FileName, d.Sha256}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(document)
	if m.is("leaves-nulls-out") {
		return bytes.ReplaceAll(out.Bytes(), []byte(`,"notes":null`), nil), err
	}
	return out.Bytes(), err
}

type lineItem struct {
	No          uint32  `json:"line_no"`
	SKU         string  `json:"internal_sku"`
	Qty         any     `json:"qty"`
	UOM         string  `json:"uom"`
	Price       any     `json:"unit_price"`
	Currency    string  `json:"currency"`
	CustomerSKU *string `json:"customer_sku_raw"`
	Description *string `json:"description"`
}

func (m *mutant) lines(o *connectorv1.DraftOrder) []lineItem {
	items := []lineItem{}
	for _, line := range o.GetLines() {
		item := lineItem{
			line.GetLineNo(), line.GetInternalSku(), json.Number(line.GetQty()), line.GetUom(), nil, o.GetCurrency(),
			line.CustomerSkuRaw, line.Description,
		}
		if line.UnitPrice != nil {
			item.Price = json.Number(line.GetUnitPrice())
		}
		if line.Currency != nil {
			item.Currency = line.GetCurrency()
		}
		if m.is("quotes-decimals") {
			item.Qty = line.GetQty()
		}
		items = append(items, item)
	}
	return items
}
