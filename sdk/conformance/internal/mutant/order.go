package main

import (
	"fmt"
	"regexp"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

var (
	positive = regexp.MustCompile(`^[0-9]*[1-9][0-9]*(\.[0-9]+)?$|^[0-9]+\.[0-9]*[1-9][0-9]*$`)
	decimal  = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
)

// checkOrder refuses an order that breaks the rules of the Port.
func checkOrder(order *connectorv1.DraftOrder) *connectorv1.Error {
	e := fault(port.InvalidOrder, "the order is not valid")
	complain := func(path, message string) {
		e.Violations = append(e.Violations, &connectorv1.FieldViolation{Path: path, Message: message})
	}
	if order.GetStatus() != "APPROVED" {
		complain("status", "must be APPROVED")
	}
	if order.GetCustomer().GetName() == "" {
		complain("customer.name", "is required")
	}
	if len(order.GetLines()) == 0 {
		complain("lines", "must not be empty")
	}
	seen := map[uint32]bool{}
	for i, line := range order.GetLines() {
		at := fmt.Sprintf("lines[%d].", i)
		if line.GetLineNo() == 0 || seen[line.GetLineNo()] {
			complain(at+"line_no", "must be unique and not 0")
		}
		seen[line.GetLineNo()] = true
		if !positive.MatchString(line.GetQty()) {
			complain(at+"qty", "must be a decimal greater than 0")
		}
		if line != nil && line.UnitPrice != nil && !decimal.MatchString(line.GetUnitPrice()) {
			complain(at+"unit_price", "must be a decimal")
		}
	}
	if len(e.GetViolations()) == 0 {
		return nil
	}
	return e
}
