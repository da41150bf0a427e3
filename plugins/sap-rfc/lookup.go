package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// The read functions of SAP.
const (
	getlistBAPI = "BAPI_SALESORDER_GETLIST"
	readTable   = "RFC_READ_TABLE"
)

// unsure says that SAP's answer tells neither that the order is there nor that
// it is not.
type unsure struct{ why string }

func (e *unsure) Error() string { return e.why }

// search is what a look-up goes by.
type search struct {
	reference, customer, salesOrg string
}

// find returns the numbers of the documents that carry the reference. None, and
// no error, means that SAP has said that there is no such document. An *unsure
// error means that it has not.
func find(ctx context.Context, s rfc.Session, cfg config, by search) ([]string, error) {
	switch cfg.Lookup {
	case lookupReadTable:
		return findInTable(ctx, s, cfg, by)
	case lookupFunction:
		return findByFunction(ctx, s, cfg, by)
	default:
		return findInList(ctx, s, cfg, by)
	}
}

// findInList asks BAPI_SALESORDER_GETLIST. It compares 20 characters in every
// release, and no reference is longer.
func findInList(ctx context.Context, s rfc.Session, cfg config, by search) ([]string, error) {
	reply, err := s.Call(ctx, rfc.Call{
		Function: getlistBAPI,
		Values: map[string]string{
			"CUSTOMER_NUMBER": by.customer, "SALES_ORGANIZATION": by.salesOrg, "PURCHASE_ORDER": by.reference,
		},
		Tables: map[string][]rfc.Structure{"SALES_ORDERS": {}},
	})
	if err != nil {
		return nil, err
	}
	rows, ok := reply.Tables["SALES_ORDERS"]
	if !ok {
		return nil, &unsure{getlistBAPI + " returned no table SALES_ORDERS"}
	}
	var found []string
	for _, row := range rows {
		if !carries(row, by.reference) {
			continue
		}
		found = append(found, row["SD_DOC"])
	}
	if len(found) > 0 {
		return documents(getlistBAPI, found)
	}
	answer, ok := reply.Structures["RETURN"]
	if _, empty := reply.Values["RETURN"]; !ok && !empty {
		return nil, &unsure{getlistBAPI + " returned no RETURN"}
	}
	if m := newMessage(answer); m.failed() && !slices.Contains(cfg.NotFoundCodes, m.ID) {
		return nil, &unsure{fmt.Sprintf("%s answered %q: if that means an empty list, add code %q to not_found_codes", getlistBAPI, m, m.ID)}
	}
	return nil, nil
}

// carries says whether a row of the list is about the reference. Releases have
// it in one field or in both.
func carries(row rfc.Structure, reference string) bool {
	return row["PURCH_NO"] == reference || row["PURCH_NO_C"] == reference
}

// longestCondition is a line of RFC_READ_TABLE's OPTIONS.
const longestCondition = 72

// findInTable asks RFC_READ_TABLE. Each of its exceptions leaves the question
// open, also TABLE_WITHOUT_DATA: it can stand for a wrong field.
func findInTable(ctx context.Context, s rfc.Session, cfg config, by search) ([]string, error) {
	// One line, and blanks around the operator: SAP joins lines with a blank.
	condition := fmt.Sprintf("%s = '%s'", cfg.LookupColumn, strings.ReplaceAll(by.reference, "'", "''"))
	if len(condition) > longestCondition {
		return nil, &unsure{fmt.Sprintf("the condition %q is longer than a line of %s", condition, readTable)}
	}
	reply, err := s.Call(ctx, rfc.Call{
		Function: readTable,
		Values:   map[string]string{"QUERY_TABLE": cfg.LookupTable, "ROWCOUNT": "10"},
		Tables: map[string][]rfc.Structure{
			"OPTIONS": {{"TEXT": condition}},
			"FIELDS":  {{"FIELDNAME": "VBELN"}, {"FIELDNAME": cfg.LookupColumn}},
			"DATA":    {},
		},
	})
	if rfc.Is(err, rfc.Raised) {
		if e := rfc.As(err); e.Key == "NOT_AUTHORIZED" {
			e.Class = rfc.NotAuthorized
			return nil, e
		}
		return nil, &unsure{fmt.Sprintf("%s refused to search %s for %s: %v", readTable, cfg.LookupTable, cfg.LookupColumn, err)}
	}
	if err != nil {
		return nil, err
	}
	rows, ok := reply.Tables["DATA"]
	fields, described := reply.Tables["FIELDS"]
	if !ok || !described || len(fields) != 2 {
		return nil, &unsure{readTable + " did not return what it was asked for"}
	}
	var found []string
	for _, row := range rows {
		number, errNumber := column(row["WA"], fields[0])
		reference, errReference := column(row["WA"], fields[1])
		if errNumber != nil || errReference != nil || reference != by.reference {
			return nil, &unsure{readTable + " returned a row that does not fit what it was asked for"}
		}
		found = append(found, number)
	}
	return documents(readTable, found)
}

// column cuts a column out of a row of RFC_READ_TABLE, where the reply says
// that it is.
func column(row string, field rfc.Structure) (string, error) {
	offset, err := strconv.Atoi(strings.TrimSpace(field["OFFSET"]))
	if err != nil {
		return "", err
	}
	length, err := strconv.Atoi(strings.TrimSpace(field["LENGTH"]))
	if err != nil {
		return "", err
	}
	runes := []rune(row)
	from, to := min(max(offset, 0), len(runes)), min(max(offset+length, 0), len(runes))
	return strings.TrimSpace(string(runes[from:max(from, to)])), nil
}

// findByFunction asks the customer's own function. E_SEARCHED tells that it
// got as far as searching.
func findByFunction(ctx context.Context, s rfc.Session, cfg config, by search) ([]string, error) {
	reply, err := s.Call(ctx, rfc.Call{
		Function: cfg.LookupFunction,
		Values:   map[string]string{"I_REFERENCE": by.reference, "I_FIELD": cfg.ReferenceField},
		Tables:   map[string][]rfc.Structure{"ORDERS": {}},
	})
	if err != nil {
		return nil, err
	}
	rows, ok := reply.Tables["ORDERS"]
	if !ok || reply.Values["E_SEARCHED"] != "X" {
		return nil, &unsure{cfg.LookupFunction + " did not say that it has searched (E_SEARCHED)"}
	}
	var found []string
	for _, row := range rows {
		found = append(found, row["VBELN"])
	}
	return documents(cfg.LookupFunction, found)
}

// documents returns each number once. The list functions return a row an item.
func documents(function string, numbers []string) ([]string, error) {
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	if slices.ContainsFunc(numbers, initial) {
		return nil, &unsure{function + " returned a document without a number"}
	}
	return numbers, nil
}

// initial says that a number is blank or all zeros: SAP's "no value".
func initial(number string) bool { return strings.Trim(number, "0 ") == "" }
