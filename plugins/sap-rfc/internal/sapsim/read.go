package sapsim

import (
	"slices"
	"strings"
)

// cut is a value in a field of n characters.
func cut(value string, n int) string {
	runes := []rune(value)
	if len(runes) > n {
		return strings.TrimRight(string(runes[:n]), " ")
	}
	return value
}

func (d *Document) soldTo() string {
	for _, row := range d.Partners {
		if row["PARTN_ROLE"] == "AG" {
			return row["PARTN_NUMB"]
		}
	}
	return ""
}

// visible returns the documents that a look-up sees. Documents that are not
// committed are in no look-up, also not in that of their own session.
func (s *System) visible() []*Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Document, 0, len(s.documents))
	for _, d := range s.documents {
		if d.unseen > 0 {
			d.unseen--
			continue
		}
		list = append(list, d)
	}
	return list
}

// getList is BAPI_SALESORDER_GETLIST: one row for each item. It compares what
// it is given with what is in the database, as it is.
func getList(s *Session, in Parameters) (Parameters, error) {
	var rows []Row
	for _, d := range s.system.visible() {
		reference := d.Header["PURCH_NO_C"]
		if d.soldTo() != in.Values["CUSTOMER_NUMBER"] || d.Header["SALES_ORG"] != in.Values["SALES_ORGANIZATION"] {
			continue
		}
		if want := in.Values["PURCHASE_ORDER"]; want != "" && cut(reference, 20) != want {
			continue
		}
		if want := in.Values["PURCHASE_ORDER_NUMBER"]; want != "" && reference != want {
			continue
		}
		for _, item := range d.Items {
			if want := in.Values["MATERIAL"]; want != "" && item["MATERIAL"] != want {
				continue
			}
			rows = append(rows, d.listRow(item))
		}
	}
	answer := Parameters{Tables: map[string][]Row{"SALES_ORDERS": rows}}
	if q := s.system.Quirks(); len(rows) == 0 && q.EmptyListType != "" {
		answer.Structures = map[string]Row{"RETURN": {"TYPE": q.EmptyListType, "CODE": q.EmptyListCode, "MESSAGE": "No sales documents found"}}
	}
	return answer, nil
}

func (d *Document) listRow(item Row) Row {
	return Row{
		"SD_DOC": d.Number, "ITM_NUMBER": item["ITM_NUMBER"], "MATERIAL": item["MATERIAL"], "MATERIAL_LONG": item["MATERIAL_LONG"],
		"SHORT_TEXT": item["SHORT_TEXT"], "DOC_TYPE": d.Header["DOC_TYPE"], "DOC_DATE": d.Created.UTC().Format("20060102"),
		"PURCH_NO": cut(d.Header["PURCH_NO_C"], 20), "PURCH_NO_C": d.Header["PURCH_NO_C"], "CURRENCY": d.Header["CURRENCY"],
		"SALES_ORG": d.Header["SALES_ORG"], "DISTR_CHAN": d.Header["DISTR_CHAN"], "DIVISION": d.Header["DIVISION"],
	}
}

// getStatus is BAPI_SALESORDER_GETSTATUS.
func getStatus(s *Session, in Parameters) (Parameters, error) {
	list := s.system.visible()
	i := slices.IndexFunc(list, func(d *Document) bool { return d.Number == in.Values["SALESDOCUMENT"] })
	if i < 0 {
		return Parameters{Structures: map[string]Row{"RETURN": {"TYPE": "E", "CODE": "V1306", "MESSAGE": "SD document does not exist"}}}, nil
	}
	var rows []Row
	for _, item := range list[i].Items {
		row := list[i].listRow(item)
		row["DOC_NUMBER"] = list[i].Number
		rows = append(rows, row)
	}
	return Parameters{Tables: map[string][]Row{"STATUSINFO": rows}}, nil
}
