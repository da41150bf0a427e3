package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// NorthwindFile finds the 830 real orders: the file that the environment
// variable ORDERPORT_TEST_ORDERS names, or the one in the data folder beside
// the repository. Empty: there is none.
func NorthwindFile() string {
	if path := os.Getenv("ORDERPORT_TEST_ORDERS"); path != "" {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "shared", "data", "northwind-orders.ndjson")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Orders makes approved orders out of a random source, so that a seed gives
// the same orders again.
type Orders struct{ rand *rand.Rand }

// NewOrders returns a source of orders for seed.
func NewOrders(seed uint64) *Orders {
	return &Orders{rand.New(rand.NewPCG(seed, 0x6f72646572))}
}

// Next returns one order as JSON on one line, and its id.
func (o *Orders) Next() (id string, order json.RawMessage) {
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(o.rand.UintN(256))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	id = uuid.UUID(raw).String()
	var lines bytes.Buffer
	for i := range 1 + o.rand.IntN(4) {
		if i > 0 {
			lines.WriteByte(',')
		}
		fmt.Fprintf(&lines, `{"line_no":%d,"internal_sku":"SKU-%04d","qty":"%d.%d","uom":"PCE","unit_price":"%d.%02d","currency":null,"customer_sku_raw":null,"description":"Kabel NYM-J 3x1,5"}`,
			i+1, o.rand.IntN(10000), 1+o.rand.IntN(500), o.rand.IntN(10), o.rand.IntN(900), o.rand.IntN(100))
	}
	return id, fmt.Appendf(nil, `{"id":%q,"status":"APPROVED","approved_at":"2025-12-26T10:00:00Z","approved_by":"ops@acme.example","customer":{"id":null,"erp_customer_number":"4711","name":"Muster GmbH"},"external_order_number":"PO-%06d","order_date":"2025-12-01","currency":"EUR","requested_delivery_date":null,"notes":null,"lines":[%s]}`,
		id, o.rand.IntN(1000000), lines.Bytes())
}

// Batch returns n orders, one a line, and their ids.
func (o *Orders) Batch(n int) (ids []string, ndjson []byte) {
	var buf bytes.Buffer
	for range n {
		id, order := o.Next()
		ids = append(ids, id)
		buf.Write(order)
		buf.WriteByte('\n')
	}
	return ids, buf.Bytes()
}
