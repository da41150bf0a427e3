package main

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

// createBAPI is the function that creates a sales order and leaves the commit
// to the caller.
const createBAPI = "BAPI_SALESORDER_CREATEFROMDAT2"

// mapped is an order in SAP's terms.
type mapped struct {
	call     rfc.Call
	customer string // the sold-to party in internal form
	// cut names the fields that were shortened to fit, such as "ship_to.name".
	cut []string
}

// mapOrder returns the call that creates the order: the one place that says
// which field of a draft order goes where. docs/connectors/sap-rfc.md has the
// same as a table.
func mapOrder(cfg config, order *sdk.Order, reference string) (mapped, error) {
	m := &mapper{cfg: cfg, order: order}
	m.call = rfc.Call{
		Function:   createBAPI,
		Values:     map[string]string{},
		Structures: map[string]rfc.Structure{},
		Tables:     map[string][]rfc.Structure{"RETURN": {}},
		Read:       []string{"RETURN"},
	}
	if cfg.CreateFunction != "" {
		m.call.Function = cfg.CreateFunction
	}
	if cfg.BehaveWhenError == "save_incomplete" {
		m.call.Values["BEHAVE_WHEN_ERROR"] = "P"
	}
	if cfg.Convert {
		m.call.Values["CONVERT"] = "X"
	}
	m.characters()
	m.header(reference)
	m.partners()
	for i := range order.Lines {
		m.line(i)
	}
	m.texts()
	if len(m.wrong) > 0 {
		slices.SortStableFunc(m.wrong, func(a, b sdk.Violation) int { return strings.Compare(a.Path, b.Path) })
		e := sdk.Errorf(sdk.InvalidOrder, "the order can't be expressed in SAP's terms: %s", m.wrong[0])
		e.Violations = m.wrong
		return mapped{}, e
	}
	return mapped{call: m.call, customer: m.customer, cut: m.cut}, nil
}

// mapper collects the parts of the call and what is wrong with the order.
type mapper struct {
	cfg      config
	order    *sdk.Order
	call     rfc.Call
	customer string
	cut      []string
	wrong    []sdk.Violation
}

// characters refuses what neither XML nor a screen of SAP knows: control
// characters, and code points that are none.
func (m *mapper) characters() {
	check := func(path string, value *string) {
		if value != nil && strings.ContainsFunc(*value, func(r rune) bool {
			return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
		}) {
			m.refuse(path, "holds a control character")
		}
	}
	o := m.order
	check("customer.erp_customer_number", o.Customer.ERPCustomerNumber)
	check("external_order_number", o.ExternalOrderNumber)
	check("currency", &o.Currency)
	check("notes", o.Notes)
	for path, a := range map[string]*sdk.Address{"ship_to": o.ShipTo, "bill_to": o.BillTo} {
		if a == nil {
			continue
		}
		for name, value := range map[string]*string{
			"name": a.Name, "street": a.Street, "city": a.City, "region": a.Region, "postal_code": a.PostalCode, "country": a.Country,
		} {
			check(path+"."+name, value)
		}
	}
	for i, l := range o.Lines {
		at := fmt.Sprintf("lines[%d].", i)
		for name, value := range map[string]*string{
			"internal_sku": &l.InternalSKU, "uom": &l.UOM, "currency": l.Currency, "customer_sku_raw": l.CustomerSKURaw, "description": l.Description,
		} {
			check(at+name, value)
		}
	}
}

func (m *mapper) header(reference string) {
	cfg, order := m.cfg, m.order
	h := rfc.Structure{
		"DOC_TYPE": cfg.DocType, "SALES_ORG": cfg.SalesOrg, "DISTR_CHAN": cfg.DistrChan, "DIVISION": cfg.Division,
	}
	set(h, "SALES_OFF", cfg.SalesOff)
	set(h, "SALES_GRP", cfg.SalesGrp)
	set(h, "PO_METHOD", cfg.POMethod)
	set(h, "PURCH_DATE", m.date("order_date", order.OrderDate))
	set(h, "REQ_DATE_H", m.date("requested_delivery_date", order.RequestedDeliveryDate))
	h[m.currencyField()] = order.Currency
	if cfg.OrderNumberField != none && cfg.OrderNumberField != cfg.ReferenceField {
		set(h, cfg.OrderNumberField, m.key("external_order_number", text(order.ExternalOrderNumber), 35))
	}
	h[cfg.ReferenceField] = reference
	m.structure("ORDER_HEADER_IN", "ORDER_HEADER_INX", h)
}

// structure adds a structure and its X structure.
func (m *mapper) structure(name, nameX string, fields rfc.Structure) {
	m.call.Structures[name] = fields
	if m.cfg.XStructures {
		m.call.Structures[nameX] = flags(fields)
	}
}

// row adds a row to a table and to its X table. keys are repeated there as
// they are.
func (m *mapper) row(name, nameX string, fields rfc.Structure, keys ...string) {
	m.call.Tables[name] = append(m.call.Tables[name], fields)
	if m.cfg.XStructures {
		m.call.Tables[nameX] = append(m.call.Tables[nameX], flags(fields, keys...))
	}
}

// twins are the fields for ISO codes. The X structures flag the field of the
// internal key instead.
var twins = map[string]string{
	"CURR_ISO": "CURRENCY", "T_UNIT_ISO": "TARGET_QU", "S_UNIT_ISO": "SALES_UNIT", "CD_UNT_ISO": "COND_UNIT",
}

// flags returns the X structure to some fields.
func flags(fields rfc.Structure, keys ...string) rfc.Structure {
	x := rfc.Structure{"UPDATEFLAG": "I"}
	for name := range fields {
		if twin, ok := twins[name]; ok {
			name = twin
		}
		x[name] = "X"
	}
	for _, name := range keys {
		x[name] = fields[name]
	}
	return x
}

func (m *mapper) partners() {
	number := text(m.order.Customer.ERPCustomerNumber)
	if number == "" {
		number = m.cfg.DefaultCustomer
	}
	if number == "" {
		m.refuse("customer.erp_customer_number", "is required, since the connection has no default_customer")
		return
	}
	m.customer = m.key("customer.erp_customer_number", m.form(m.cfg.CustomerNumberForm, number, 10), 10)
	m.partner(m.cfg.SoldToRole, nil, "")
	m.partner(m.cfg.ShipToRole, m.order.ShipTo, "ship_to")
	m.partner(m.cfg.BillToRole, m.order.BillTo, "bill_to")
}

// partner adds a row for the sold-to party, or for one with its own address.
func (m *mapper) partner(role string, address *sdk.Address, path string) {
	row := rfc.Structure{"PARTN_ROLE": role, "PARTN_NUMB": m.customer}
	if path != "" {
		if address == nil || m.cfg.Addresses == "ignore" {
			return
		}
		m.address(row, address, path)
	}
	m.call.Tables["ORDER_PARTNERS"] = append(m.call.Tables["ORDER_PARTNERS"], row)
}

func (m *mapper) address(row rfc.Structure, a *sdk.Address, path string) {
	name := text(a.Name)
	for i, field := range []string{"NAME", "NAME_2", "NAME_3", "NAME_4"} {
		part, rest := split(name, 35)
		if i == 3 && rest != "" {
			part = m.shorten(path+".name", name, 35)
		}
		set(row, field, part)
		name = rest
	}
	set(row, "STREET", m.shorten(path+".street", text(a.Street), 35))
	set(row, "CITY", m.shorten(path+".city", text(a.City), 35))
	set(row, "POSTL_CODE", m.key(path+".postal_code", text(a.PostalCode), 10))
	// A region is a key of three characters. A name in its place is left to
	// what SAP knows of the postal code.
	if region := text(a.Region); utf8.RuneCountInString(region) <= 3 {
		set(row, "REGION", region)
	} else {
		m.cut = append(m.cut, path+".region")
	}
	set(row, "COUNTR_ISO", m.country(path+".country", text(a.Country)))
}

func (m *mapper) country(path, value string) string {
	if code, ok := m.cfg.Countries[value]; ok {
		return code
	}
	if value == "" || len(value) == 2 && ascii(value) {
		return strings.ToUpper(value)
	}
	m.refuse(path, "is no two-letter country code and is not listed in the connection's countries")
	return ""
}

func (m *mapper) line(i int) {
	cfg, line := m.cfg, m.order.Lines[i]
	at := func(field string) string { return fmt.Sprintf("lines[%d].%s", i, field) }
	item := rfc.Structure{"ITM_NUMBER": m.itemNumber(line)}
	if line.LineNo <= 999999 {
		item["PO_ITM_NO"] = fmt.Sprintf("%06d", line.LineNo)
	}
	m.material(item, at("internal_sku"), line.InternalSKU)
	qty := m.decimal(at("qty"), line.Qty, 10, 3)
	unit := m.unit(at("uom"), line.UOM)
	item["TARGET_QTY"] = qty
	if cfg.UnitForm == "iso" {
		item["T_UNIT_ISO"], item["S_UNIT_ISO"] = unit, unit
	} else {
		item["TARGET_QU"], item["SALES_UNIT"] = unit, unit
	}
	set(item, "PLANT", cfg.Plant)
	set(item, "STORE_LOC", cfg.StoreLoc)
	set(item, "ITEM_CATEG", cfg.ItemCategory)
	set(item, "CUST_MAT35", m.shorten(at("customer_sku_raw"), text(line.CustomerSKURaw), 35))
	if cfg.ShortText {
		set(item, "SHORT_TEXT", m.shorten(at("description"), text(line.Description), 40))
	}
	m.row("ORDER_ITEMS_IN", "ORDER_ITEMS_INX", item, "ITM_NUMBER")

	schedule := rfc.Structure{"ITM_NUMBER": item["ITM_NUMBER"], "SCHED_LINE": "0001", "REQ_QTY": qty}
	set(schedule, "REQ_DATE", m.date("requested_delivery_date", m.order.RequestedDeliveryDate))
	m.row("ORDER_SCHEDULES_IN", "ORDER_SCHEDULES_INX", schedule, "ITM_NUMBER", "SCHED_LINE")

	if line.UnitPrice == nil || cfg.PriceCondition == none {
		return
	}
	condition := rfc.Structure{
		"ITM_NUMBER": item["ITM_NUMBER"], "COND_TYPE": cfg.PriceCondition,
		"COND_VALUE": m.decimal(at("unit_price"), *line.UnitPrice, 20, 9), "COND_P_UNT": "1",
	}
	// Without a currency SAP takes the value for a percentage.
	condition[m.currencyField()] = m.order.LineCurrency(line)
	if cfg.UnitForm == "iso" {
		condition["CD_UNT_ISO"] = unit
	} else {
		condition["COND_UNIT"] = unit
	}
	m.row("ORDER_CONDITIONS_IN", "ORDER_CONDITIONS_INX", condition, "ITM_NUMBER", "COND_TYPE")
}

func (m *mapper) itemNumber(line sdk.Line) string {
	number := uint64(line.LineNo)
	if m.cfg.ItemNumbers == "times_ten" {
		number *= 10
	}
	if number > 999999 {
		m.refuse("lines", fmt.Sprintf("line %d has no item number of six digits", line.LineNo))
	}
	return fmt.Sprintf("%06d", number)
}

// material fills the short field as long as the number fits. The long one is
// known to newer releases only.
func (m *mapper) material(item rfc.Structure, path, sku string) {
	if utf8.RuneCountInString(sku) <= 18 {
		item["MATERIAL"] = m.form(m.cfg.MaterialNumberForm, sku, 18)
		return
	}
	item["MATERIAL_LONG"] = m.key(path, sku, 40)
}

func (m *mapper) unit(path, uom string) string {
	if code, ok := m.cfg.Units[uom]; ok {
		return code
	}
	return m.key(path, strings.ToUpper(uom), 3)
}

// texts adds the notes, and the lines' descriptions if the config says so.
func (m *mapper) texts() {
	if m.cfg.HeaderTextID != none {
		m.text(m.cfg.HeaderTextID, "000000", m.order.Notes)
	}
	if m.cfg.ItemTextID != none {
		for _, line := range m.order.Lines {
			m.text(m.cfg.ItemTextID, m.itemNumber(line), line.Description)
		}
	}
}

// lineBreaks are those that a text may have.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// text adds a text line by line, as it is. A longer line is broken at a blank
// and goes on in a row without a format; where it has none, "=" joins the parts.
func (m *mapper) text(id, item string, content *string) {
	if text(content) == "" {
		return
	}
	language := "LANGU_ISO"
	if len(m.cfg.TextLanguage) == 1 {
		language = "LANGU"
	}
	for line := range strings.SplitSeq(lineBreaks.Replace(*content), "\n") {
		format := "*"
		for {
			part, rest := split(line, 132)
			row := rfc.Structure{"ITM_NUMBER": item, "TEXT_ID": id, language: m.cfg.TextLanguage}
			set(row, "FORMAT_COL", format)
			set(row, "TEXT_LINE", part)
			m.call.Tables["ORDER_TEXT"] = append(m.call.Tables["ORDER_TEXT"], row)
			if rest == "" {
				break
			}
			if format = ""; len(part)+len(rest) == len(line) {
				format = "="
			}
			line = rest
		}
	}
}

func (m *mapper) currencyField() string {
	if m.cfg.CurrencyForm == "iso" {
		return "CURR_ISO"
	}
	return "CURRENCY"
}

// date turns an ISO date into SAP's form. Years before 1000 don't occur.
func (m *mapper) date(path string, value *string) string {
	if value == nil {
		return ""
	}
	plain := strings.ReplaceAll(*value, "-", "")
	if _, err := strconv.ParseUint(plain, 10, 32); err != nil || len(plain) != 8 || len(*value) != 10 {
		m.refuse(path, "is not a date such as 2025-12-01")
	}
	return plain
}

// decimal checks that a number fits into a packed field. Digits that add
// nothing, such as in 1.5000, don't count.
func (m *mapper) decimal(path string, d sdk.Decimal, whole, decimals int) string {
	value, ok := d.Rat()
	if !ok {
		m.refuse(path, "is not a decimal number")
		return ""
	}
	number := string(d)
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	integer, fraction, _ := strings.Cut(number, ".")
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(whole)), nil)
	if value.Cmp(new(big.Rat).SetInt(limit)) >= 0 || len(integer) > whole+1 {
		m.refuse(path, fmt.Sprintf("has more than %d digits before the point", whole))
	}
	if len(fraction) > decimals {
		m.refuse(path, fmt.Sprintf("has more than %d digits after the point", decimals))
	}
	return number
}

// form brings a number to SAP's internal form.
func (m *mapper) form(form, value string, length int) string {
	if form == "alpha" {
		return alpha(value, length)
	}
	return value
}

// alpha is SAP's conversion exit ALPHA: digits are filled with zeros on the
// left, everything else stays.
func alpha(value string, length int) string {
	value = strings.TrimSpace(value)
	if value == "" || strings.Trim(value, "0123456789") != "" || len(value) >= length {
		return value
	}
	return strings.Repeat("0", length-len(value)) + value
}

// key refuses a value that does not fit: a shortened key is another key.
func (m *mapper) key(path, value string, length int) string {
	if utf8.RuneCountInString(value) > length {
		m.refuse(path, fmt.Sprintf("is longer than SAP's field of %d characters", length))
	}
	return value
}

// shorten cuts a text that does not fit, or refuses it.
func (m *mapper) shorten(path, value string, length int) string {
	if utf8.RuneCountInString(value) <= length {
		return value
	}
	if m.cfg.Overlong == "refuse" {
		m.refuse(path, fmt.Sprintf("is longer than SAP's field of %d characters", length))
		return ""
	}
	m.cut = append(m.cut, path)
	return strings.TrimSpace(string([]rune(value)[:length]))
}

func (m *mapper) refuse(path, message string) {
	m.wrong = append(m.wrong, sdk.Violation{Path: path, Message: message})
}

// split returns at most length characters of a text and the rest, broken at a
// blank if there is one in the second half. That blank belongs to neither.
func split(value string, length int) (part, rest string) {
	runes := []rune(value)
	if len(runes) <= length {
		return value, ""
	}
	for i := length; i > length/2; i-- {
		if runes[i] == ' ' {
			return string(runes[:i]), string(runes[i+1:])
		}
	}
	return string(runes[:length]), string(runes[length:])
}

// set sets a field that has a value.
func set(fields rfc.Structure, name, value string) {
	if value != "" {
		fields[name] = value
	}
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return strings.TrimSpace(*value)
}

func ascii(value string) bool {
	for _, r := range value {
		if r > 127 {
			return false
		}
	}
	return true
}
