package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
)

const docs = "../../docs/connectors/sap-rfc.md"

// section returns the part of the docs between two marks.
func section(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(data), "<!-- "+name+":")
	_, rest, _ = strings.Cut(rest, "-->\n")
	part, _, ended := strings.Cut(rest, "<!-- end of "+name+" -->")
	if !found || !ended {
		t.Fatalf("%s has no section %s", docs, name)
	}
	return part
}

// schemaProperties are the settings as the schema has them.
func schemaProperties(t *testing.T) map[string]struct {
	Description string
	Default     any
} {
	t.Helper()
	var schema struct {
		Properties map[string]struct {
			Description string
			Default     any
		}
	}
	if err := json.Unmarshal(configSchema, &schema); err != nil {
		t.Fatal(err)
	}
	return schema.Properties
}

// fullOrder is an order that has everything.
func fullOrder() *connectorv1.DraftOrder {
	text := func(s string) *string { return &s }
	order := sdktest.SampleOrder()
	order.ExternalOrderNumber, order.Notes = text("PO-1"), text("Please ring")
	order.OrderDate, order.RequestedDeliveryDate = text("2026-03-01"), text("2026-03-05")
	order.Customer.ErpCustomerNumber = text("4711")
	order.ShipTo = &connectorv1.Address{
		Name: text(strings.Repeat("a name of many words ", 8)), Street: text("Street 1"), City: text("City"),
		PostalCode: text("12345"), Region: text("BY"), Country: text("DE"),
	}
	order.BillTo = order.ShipTo
	line := order.Lines[0]
	line.UnitPrice, line.CustomerSkuRaw, line.Description = text("1.5"), text("C-1"), text("Cable")
	long := &connectorv1.OrderLine{LineNo: 77, InternalSku: strings.Repeat("L", 30), Qty: "1", Uom: "M"}
	order.Lines = append(order.Lines, long)
	return order
}

// TestTheDocsNameEachFieldThatIsFilled compares the mapping table with what
// the code sends, over configs that switch everything on in turn.
func TestTheDocsNameEachFieldThatIsFilled(t *testing.T) {
	t.Parallel()
	table := section(t, "mapping")
	filled := map[string]bool{}
	all := fields{
		"sales_off": "1", "sales_grp": "1", "po_method": "EDI", "plant": "1000", "store_loc": "1", "item_category": "TAN",
		"short_text": true, "item_text_id": "0002", "convert": true, "behave_when_error": "save_incomplete",
	}
	for _, change := range []fields{
		nil, all,
		{"unit_form": "internal", "currency_form": "iso", "text_language": "E"},
		{"reference_field": "REF_1", "lookup": "function", "lookup_function": "Z"},
		{"reference_field": "REF_1_S", "lookup": "function", "lookup_function": "Z"},
		{"reference_field": "ASS_NUMBER", "lookup": "function", "lookup_function": "Z"},
	} {
		result, payload := payloadOf(t, nwrfcFields().with(change), fullOrder())
		var call rfc.Call
		if err := json.Unmarshal(payload, &call); err != nil {
			t.Fatalf("%v: %v", err, result)
		}
		for name := range call.Values {
			filled[name] = true
		}
		for name, s := range call.Structures {
			note(filled, name, s)
		}
		for name, rows := range call.Tables {
			for _, row := range rows {
				note(filled, name, row)
			}
		}
	}
	named := map[string]bool{}
	for _, found := range regexp.MustCompile("`([A-Z0-9_]+(-[A-Z0-9_]+)?)`").FindAllStringSubmatch(table, -1) {
		named[found[1]] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(filled)), slices.Sorted(maps.Keys(named))); diff != "" {
		t.Errorf("filled by the code (-) and named by the docs (+) differ:\n%s", diff)
	}
	known := schemaProperties(t)
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) != 5 {
			continue
		}
		for _, found := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[3], -1) {
			if _, ok := known[found[1]]; !ok {
				t.Errorf("the docs name the setting %s, which does not exist", found[1])
			}
		}
	}
}

// note records the fields of a structure. The X structures repeat them.
func note(filled map[string]bool, name string, s rfc.Structure) {
	if strings.HasSuffix(name, "_INX") {
		return
	}
	for field := range s {
		filled[name+"-"+field] = true
	}
}

func TestTheDocsNameEachErrorCode(t *testing.T) {
	t.Parallel()
	codes := map[string]bool{
		string(sdk.Throttled): true, string(sdk.RejectedByERP): true, string(sdk.OutcomeUnknown): true, string(sdk.InvalidOrder): true,
	}
	for class := rfc.Other; class <= rfc.NoLibrary; class++ {
		codes[string(codeOf(class))] = true
	}
	named := map[string]bool{}
	for _, found := range regexp.MustCompile("\\| `([A-Z_]+)` \\|").FindAllStringSubmatch(section(t, "errors"), -1) {
		named[found[1]] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(codes)), slices.Sorted(maps.Keys(named))); diff != "" {
		t.Errorf("codes of the connector (-) and of the docs (+) differ:\n%s", diff)
	}
}

// TestTheDocsListEachSetting keeps the list of settings as the schema has it.
func TestTheDocsListEachSetting(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("\n| setting | default | |\n| --- | --- | --- |\n")
	known := schemaProperties(t)
	for _, name := range orderedProperties(t) {
		p := known[name]
		value := ""
		if p.Default != nil {
			data, err := json.Marshal(p.Default)
			if err != nil {
				t.Fatal(err)
			}
			value = "`" + strings.Trim(string(data), `"`) + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", name, value, strings.ReplaceAll(p.Description, "|", "\\|"))
	}
	table.WriteString("\n")
	got := section(t, "settings")
	if got == table.String() {
		return
	}
	if !*update {
		t.Errorf("the list of settings is not that of the schema; write it with -run TheDocs -update:\n%s", cmp.Diff(table.String(), got))
		return
	}
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(`(?s)(<!-- settings:[^\n]*-->\n).*(<!-- end of settings -->)`)
	data = mark.ReplaceAll(data, []byte("${1}"+strings.ReplaceAll(table.String(), "$", "$$")+"${2}"))
	if err := os.WriteFile(docs, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// orderedProperties are the names of the settings in the schema's order.
func orderedProperties(t *testing.T) []string {
	t.Helper()
	known := schemaProperties(t)
	names := slices.Collect(maps.Keys(known))
	at := func(name string) int { return strings.Index(string(configSchema), "\n    \""+name+"\": {") }
	slices.SortFunc(names, func(a, b string) int { return at(a) - at(b) })
	return names
}

// Each setting that the docs speak of exists.
func TestTheDocsNameNoSettingThatDoesNotExist(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	known := schemaProperties(t)
	_, uncertain, _ := strings.Cut(string(data), "## What is not certain")
	uncertain, _, _ = strings.Cut(uncertain, "## What has not been seen")
	steps := []string{"metadata", "lookup", "nwrfc"}
	for _, found := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(uncertain, -1) {
		if _, ok := known[found[1]]; !ok && !slices.Contains(steps, found[1]) {
			t.Errorf("%s is no setting", found[1])
		}
	}
}
