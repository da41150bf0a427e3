package draftorder

import (
	"fmt"

	"github.com/orderport/orderport/host/internal/fault"
)

// MaxSize bounds an order as handed in, in bytes. It leaves room for the
// Port's message, which may have 32 MiB.
const MaxSize = 16 << 20

// maxViolations bounds a refusal: more are counted, not listed.
const maxViolations = 1000

// Parse reads an order and checks it. Its error is a *fault.Error:
//
//   - TooLarge "order_too_large": more than [MaxSize] bytes;
//   - Malformed "malformed_order": not JSON that can be taken;
//   - Invalid "invalid_order": JSON, but not a valid order. Its violations
//     name every wrong field at once (the first 1,000 of them).
//
// data is not kept.
func Parse(data []byte) (*Order, error) {
	s := takeScanner()
	defer s.giveBack()
	root, err := s.read(data)
	if err != nil {
		return nil, err
	}
	d := decoder{lineNos: make(map[uint32]int)}
	o := d.order(root)
	if len(d.violations) > 0 {
		return nil, d.fault()
	}
	return o, nil
}

// read turns data into JSON values.
func (s *scanner) read(data []byte) (*value, error) {
	if len(data) > MaxSize {
		return nil, fault.New(fault.TooLarge, "order_too_large",
			"draft order has %d bytes, more than %d", len(data), MaxSize)
	}
	root, err := s.scan(string(data))
	if err != nil {
		return nil, fault.New(fault.Malformed, "malformed_order", "draft order is not valid JSON: %s", err)
	}
	return root, nil
}

func (d *decoder) fault() *fault.Error {
	first := d.violations[0]
	subject := first.Path
	if subject == "" {
		subject = "it"
	}
	message := fmt.Sprintf("draft order is not valid: %s %s", subject, first.Message)
	if more := len(d.violations) + d.unlisted - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	e := fault.New(fault.Invalid, "invalid_order", "%s", message)
	e.Violations = d.violations
	return e
}
