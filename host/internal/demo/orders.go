package demo

import (
	"encoding/json"

	"github.com/google/uuid"
)

// customers are the buyers of the sample orders: number, name, article, unit,
// quantity and price of their one or two lines.
var customers = []struct {
	number, name string
	lines        []line
}{
	{"4711", "Muster GmbH", []line{{"INT-999", "Kabel NYM-J 3x1,5", "10.5", "M", "1.23"}, {"INT-120", "Dose UP 60 mm", "40", "PCE", "0.89"}}},
	{"4712", "Elektro Hübner KG", []line{{"INT-310", "LS-Schalter B16", "24", "PCE", "2.15"}}},
	{"4713", "Nordlicht AS", []line{{"INT-777", "LED-Panel 62x62", "12", "PCE", "38.90"}}},
	{"4714", "Škoda Servis s.r.o.", []line{{"INT-450", "Kabelkanal 40x60", "55.250", "M", "3.4"}}},
	{"4715", "Bäckerei Öztürk", []line{{"INT-101", "Steckdose CEE 32A", "2", "PCE", "17.00"}}},
	{"4716", "Maison Lefèvre", []line{{"INT-830", "Schaltschrank 800x600", "1", "PCE", "412.5"}}},
	{"9999", "Pleite & Söhne", []line{{"INT-999", "Kabel NYM-J 3x1,5", "100", "M", "1.23"}}},
	{"4717", "Hafenlogistik Nord", []line{{"INT-220", "Leitung H07RN-F 5G2,5", "250", "M", "2.987"}}},
	{"4718", "Gemeinde Au", []line{{"INT-777", "LED-Panel 62x62", "60", "PCE", "37.10"}, {"INT-778", "Aufbaurahmen", "60", "PCE", "9.99"}}},
	{"4719", "東京電材株式会社", []line{{"INT-501", "Netzteil 24V 10A", "8", "PCE", "88.00"}}},
	{"4720", "Solar Süd eG", []line{{"INT-640", "PV-Stecker MC4", "500", "PR", "0.4975"}}},
	{"4721", "Atelier Noir", []line{{"INT-333", "Dimmer 400 W", "3", "PCE", "21.75"}}},
}

type line struct{ sku, text, qty, uom, price string }

// sampleOrders returns the draft orders of the demo as they are handed in. Ids
// are new each time, so every demo delivers.
func sampleOrders() []json.RawMessage {
	var orders []json.RawMessage
	for i, c := range customers {
		var lines []map[string]any
		for n, l := range c.lines {
			lines = append(lines, map[string]any{
				"line_no": n + 1, "internal_sku": l.sku, "qty": l.qty, "uom": l.uom, "unit_price": l.price,
				"currency": nil, "customer_sku_raw": nil, "description": l.text,
			})
		}
		raw, err := json.Marshal(map[string]any{
			"id": uuid.NewString(), "status": "APPROVED", "approved_at": "2025-12-26T10:00:00Z", "approved_by": "ops@acme.example",
			"customer":              map[string]any{"id": uuid.NewString(), "erp_customer_number": c.number, "name": c.name},
			"external_order_number": orderNumber(i), "order_date": "2025-12-01", "currency": "EUR",
			"requested_delivery_date": "2025-12-10", "notes": nil, "lines": lines,
		})
		if err != nil {
			panic(err) // maps of strings and numbers always encode
		}
		orders = append(orders, raw)
	}
	return orders
}

func orderNumber(i int) string { return "PO-" + string(rune('A'+i)) + "-2025" }
