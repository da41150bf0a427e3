package sapsim

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// createFromDat2 is BAPI_SALESORDER_CREATEFROMDAT2: it checks an order, gives
// it a number, says that it has been saved, and leaves it to a commit to save
// it.
func createFromDat2(s *Session, in Parameters) (Parameters, error) {
	c := &creation{session: s, in: in, masters: s.system.options.Masters, quirks: s.system.Quirks()}
	c.messages.quirks = c.quirks
	c.document = &Document{User: s.user.Name, Created: s.system.options.Now(), By: s.name, Given: s.sent}
	c.header()
	c.partners()
	c.items()
	c.schedules()
	c.conditions()
	c.texts()
	c.lock()
	return c.finish()
}

// creation is one call of the create.
type creation struct {
	session  *Session
	in       Parameters
	masters  Masters
	quirks   Quirks
	document *Document
	messages messages
	numbers  map[string]bool // of the items
	faulty   map[string]bool // item numbers
	fatal    bool
}

// refuse reports an error that no part of the order survives.
func (c *creation) refuse(id, number, text string, at place, variables ...string) {
	c.fatal = true
	c.messages.add("E", id, number, text, at, variables...)
}

// spoil reports an error of one item.
func (c *creation) spoil(item, id, number, text string, at place, variables ...string) {
	if c.faulty == nil {
		c.faulty = map[string]bool{}
	}
	c.faulty[item] = true
	c.messages.add("E", id, number, text, at, variables...)
}

// flagged takes those fields that the X structure flags, or all if it does not
// say that this is about new data. An ISO code goes with its internal key.
func (c *creation) flagged(row, x Row, keys ...string) Row {
	taken := maps.Clone(row)
	if taken == nil {
		taken = Row{}
	}
	if x["UPDATEFLAG"] != "I" {
		return taken
	}
	twins := map[string]string{"CURR_ISO": "CURRENCY", "T_UNIT_ISO": "TARGET_QU", "S_UNIT_ISO": "SALES_UNIT", "CD_UNT_ISO": "COND_UNIT"}
	maps.DeleteFunc(taken, func(name, _ string) bool {
		flag := name
		if twin, ok := twins[name]; ok && !c.quirks.UnflaggedISOLost {
			flag = twin
		}
		return x[flag] == "" && !slices.Contains(keys, name)
	})
	return taken
}

// shown says that keys may be given as the logon language shows them.
func (c *creation) shown() bool {
	return c.session.language == "E" && (c.quirks.EnglishKeys || c.in.Values["CONVERT"] == "X")
}

func (c *creation) header() {
	at := place{parameter: "ORDER_HEADER_IN"}
	h := c.flagged(c.in.Structures["ORDER_HEADER_IN"], c.in.Structures["ORDER_HEADER_INX"])
	c.document.Header = h
	internal, ok := c.masters.orderType(h["DOC_TYPE"], c.shown())
	if !ok {
		at.field = "DOC_TYPE"
		c.refuse("V1", "302", "Sales document type "+h["DOC_TYPE"]+" is not defined", at, h["DOC_TYPE"])
	}
	h["DOC_TYPE"] = internal
	for _, field := range []string{"SALES_ORG", "DISTR_CHAN", "DIVISION"} {
		if h[field] == "" {
			c.refuse("V1", "313", "Sales area is incomplete: "+field, place{parameter: "ORDER_HEADER_IN", field: field})
			return
		}
	}
	if !c.masters.salesArea(h) {
		c.refuse("V1", "438", "Sales area "+h["SALES_ORG"]+" "+h["DISTR_CHAN"]+" "+h["DIVISION"]+" is not defined", place{parameter: "ORDER_HEADER_IN"})
	}
	c.currency(h, "S&", place{parameter: "ORDER_HEADER_IN", field: "CURRENCY"}, func(id, number, text string, at place, v string) { c.refuse(id, number, text, at, v) })
}

// currency brings a row's currency to its key.
func (c *creation) currency(row Row, id string, at place, wrong func(id, number, text string, at place, v string)) {
	if row["CURRENCY"] == "" && row["CURR_ISO"] == "" {
		return
	}
	key, ok := c.masters.currency(row["CURRENCY"], row["CURR_ISO"])
	if !ok {
		wrong(id, "044", "Currency "+key+" is not defined", at, key)
	}
	row["CURRENCY"] = key
}

func (c *creation) partners() {
	soldTo := false
	for i, given := range c.in.Tables["ORDER_PARTNERS"] {
		row := maps.Clone(given)
		at := place{parameter: "ORDER_PARTNERS", row: i + 1}
		internal, ok := role(row["PARTN_ROLE"], c.shown())
		if !ok {
			at.field = "PARTN_ROLE"
			c.refuse("V1", "314", "Partner role "+row["PARTN_ROLE"]+" is not defined", at, row["PARTN_ROLE"])
			continue
		}
		row["PARTN_ROLE"] = internal
		if !c.masters.customer(row["PARTN_NUMB"]) {
			at.field = "PARTN_NUMB"
			h := c.document.Header
			c.refuse("VP", "199", fmt.Sprintf("Sold-to party %s not maintained for sales area %s %s %s", row["PARTN_NUMB"], h["SALES_ORG"], h["DISTR_CHAN"], h["DIVISION"]), at, row["PARTN_NUMB"])
		}
		soldTo = soldTo || internal == "AG"
		c.document.Partners = append(c.document.Partners, row)
	}
	if !soldTo {
		c.refuse("V1", "331", "Enter sold-to party or ship-to party", place{parameter: "ORDER_PARTNERS"})
		return
	}
	// What is not given goes to the sold-to party.
	if !slices.ContainsFunc(c.document.Partners, func(r Row) bool { return r["PARTN_ROLE"] == "WE" }) {
		i := slices.IndexFunc(c.document.Partners, func(r Row) bool { return r["PARTN_ROLE"] == "AG" })
		c.document.Partners = append(c.document.Partners, Row{"PARTN_ROLE": "WE", "PARTN_NUMB": c.document.Partners[i]["PARTN_NUMB"]})
	}
}

// xRow finds the row of an X table with the same keys as the i-th row has. It is
// the i-th one, too, as a rule.
func xRow(table []Row, i int, row Row, keys ...string) Row {
	matches := func(x Row) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return x[key] != row[key] })
	}
	if i < len(table) && matches(table[i]) {
		return table[i]
	}
	if at := slices.IndexFunc(table, matches); at >= 0 {
		return table[at]
	}
	return nil
}

func (c *creation) items() {
	c.numbers = map[string]bool{}
	for i, given := range c.in.Tables["ORDER_ITEMS_IN"] {
		row := c.flagged(given, xRow(c.in.Tables["ORDER_ITEMS_INX"], i, given, "ITM_NUMBER"), "ITM_NUMBER")
		at := place{parameter: "ORDER_ITEM_IN", row: i + 1}
		if initial(row["ITM_NUMBER"]) || c.in.Values["INT_NUMBER_ASSIGNMENT"] == "X" {
			row["ITM_NUMBER"] = fmt.Sprintf("%06d", 10*(i+1))
		}
		item := row["ITM_NUMBER"]
		if c.numbers[item] {
			c.spoil(item, "V1", "363", "Item "+item+" exists already", at, item)
			continue
		}
		c.numbers[item] = true
		c.material(row, at)
		c.units(row, at)
		c.document.Items = append(c.document.Items, row)
	}
	if len(c.document.Items) == 0 {
		c.refuse("V1", "384", "Enter at least one item", place{parameter: "ORDER_ITEM_IN"})
	}
}

func (c *creation) material(row Row, at place) {
	key := row["MATERIAL"]
	if key == "" {
		key = row["MATERIAL_LONG"]
	}
	if !c.masters.material(key) {
		at.field = "MATERIAL"
		h := c.document.Header
		c.spoil(row["ITM_NUMBER"], "V1", "382", fmt.Sprintf("Material %s is not defined for sales org. %s, distr. chan. %s, language EN", key, h["SALES_ORG"], h["DISTR_CHAN"]), at, key)
	}
}

// units brings the units of an item to their internal keys.
func (c *creation) units(row Row, at place) {
	for internal, iso := range map[string]string{"TARGET_QU": "T_UNIT_ISO", "SALES_UNIT": "S_UNIT_ISO"} {
		if row[internal] == "" && row[iso] == "" {
			continue
		}
		key, ok := c.masters.unit(row[internal], row[iso])
		if !ok {
			at.field = internal
			c.spoil(row["ITM_NUMBER"], "BM", "302", fmt.Sprintf("Unit %s%s is not defined", row[internal], row[iso]), at, row[internal]+row[iso])
			continue
		}
		row[internal] = key
	}
}

func (c *creation) item(number string) bool { return c.numbers[number] }

func (c *creation) schedules() {
	asked := map[string]*big.Rat{}
	for i, given := range c.in.Tables["ORDER_SCHEDULES_IN"] {
		row := c.flagged(given, xRow(c.in.Tables["ORDER_SCHEDULES_INX"], i, given, "ITM_NUMBER", "SCHED_LINE"), "ITM_NUMBER", "SCHED_LINE")
		at := place{parameter: "ORDER_SCHEDULE_IN", row: i + 1}
		if item := row["ITM_NUMBER"]; !c.item(item) {
			c.spoil(item, "V4", "247", "Schedule line without an item: "+item, at, item)
			continue
		}
		c.document.Schedules = append(c.document.Schedules, row)
		if asked[row["ITM_NUMBER"]] == nil {
			asked[row["ITM_NUMBER"]] = new(big.Rat)
		}
		asked[row["ITM_NUMBER"]].Add(asked[row["ITM_NUMBER"]], rat(row["REQ_QTY"]))
	}
	for i, row := range c.document.Items {
		total := asked[row["ITM_NUMBER"]]
		if total == nil {
			total = rat(row["TARGET_QTY"])
		}
		if total.Sign() <= 0 {
			c.spoil(row["ITM_NUMBER"], "V1", "320", "Enter the order quantity", place{parameter: "ORDER_ITEM_IN", row: i + 1})
		}
	}
}

func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return new(big.Rat)
	}
	return r
}

// conditions take a value without a currency for a percentage.
func (c *creation) conditions() {
	for i, given := range c.in.Tables["ORDER_CONDITIONS_IN"] {
		keys := []string{"ITM_NUMBER", "COND_ST_NO", "COND_COUNT", "COND_TYPE"}
		row := c.flagged(given, xRow(c.in.Tables["ORDER_CONDITIONS_INX"], i, given, keys...), keys...)
		at := place{parameter: "ORDER_CONDITIONS_IN", row: i + 1}
		item := row["ITM_NUMBER"]
		if !initial(item) && !c.item(item) {
			c.spoil(item, "V1", "394", "Condition without an item: "+item, at, item)
			continue
		}
		c.currency(row, "S&", at, func(id, number, text string, at place, v string) { c.spoil(item, id, number, text, at, v) })
		if row["CURRENCY"] == "" {
			row["CURRENCY"] = "%"
		}
		if row["COND_UNIT"] != "" || row["CD_UNT_ISO"] != "" {
			key, ok := c.masters.unit(row["COND_UNIT"], row["CD_UNT_ISO"])
			if !ok {
				c.spoil(item, "BM", "302", "Unit "+row["COND_UNIT"]+row["CD_UNT_ISO"]+" is not defined", at)
			}
			row["COND_UNIT"] = key
		}
		c.document.Conditions = append(c.document.Conditions, row)
	}
}

func (c *creation) texts() {
	for i, given := range c.in.Tables["ORDER_TEXT"] {
		row := maps.Clone(given)
		if row["LANGU"] == "" {
			row["LANGU"] = map[string]string{"EN": "E", "DE": "D", "FR": "F", "": c.session.language}[row["LANGU_ISO"]]
		}
		if row["LANGU"] == "" {
			c.refuse("S&", "047", "Language "+row["LANGU_ISO"]+" is not defined", place{parameter: "ORDER_TEXT", row: i + 1})
		}
		c.document.Texts = append(c.document.Texts, row)
	}
}

// lock takes what the create has to have for itself until the unit of work
// ends, or reports who has it.
func (c *creation) lock() {
	sys, s := c.session.system, c.session
	sys.mu.Lock()
	defer sys.mu.Unlock()
	taken := func(object string) (string, bool) {
		held, ok := sys.locks[object]
		if !ok || held.session == s {
			return "", false
		}
		if held.session != nil {
			return held.session.user.Name, true
		}
		return held.user, true
	}
	for i, row := range c.document.Partners {
		if user, ok := taken("customer " + row["PARTN_NUMB"]); ok {
			c.fatal = true
			c.messages.locked("Customer "+row["PARTN_NUMB"], user, place{parameter: "ORDER_PARTNERS", row: i + 1})
			return
		}
	}
	for i, row := range c.document.Items {
		if user, ok := taken("material " + row["MATERIAL"]); ok {
			c.fatal = true
			c.messages.locked("Material "+strings.TrimLeft(row["MATERIAL"], "0"), user, place{parameter: "ORDER_ITEM_IN", row: i + 1})
			return
		}
	}
	if c.quirks.MaterialLocks && !c.fatal {
		for _, row := range c.document.Items {
			sys.locks["material "+row["MATERIAL"]] = lock{session: s}
		}
	}
}

// finish gives the order its number and puts it into the unit of work, or
// refuses it.
func (c *creation) finish() (Parameters, error) {
	behave := c.in.Values["BEHAVE_WHEN_ERROR"]
	if c.fatal || len(c.faulty) > 0 && behave != "P" && behave != "R" {
		c.messages.add("E", "V4", "219", "Sales document was not changed", place{})
		return c.answer(""), nil
	}
	c.drop()
	if c.fatal {
		return c.answer(""), nil
	}
	c.processed()
	if c.in.Values["TESTRUN"] == "X" || behave == "R" {
		return c.answer(""), nil
	}
	no, ok := c.number()
	if !ok {
		c.messages.add("E", "V4", "219", "Sales document was not changed", place{})
		return c.answer(""), nil
	}
	d := c.document
	d.Number, d.Incomplete = no, len(c.faulty) > 0
	c.session.work = append(c.session.work, d)
	shown := strings.TrimLeft(no, "0")
	c.messages.add("S", "V1", "311", "Standard Order "+shown+" has been saved", place{}, "Standard Order", shown)
	if c.quirks.EnhancementCommits {
		c.session.save(true)
	}
	return c.answer(no), nil
}

// drop takes the items with errors out, with all that belongs to them.
func (c *creation) drop() {
	bad := func(r Row) bool { return c.faulty[r["ITM_NUMBER"]] }
	d := c.document
	for _, list := range []*[]Row{&d.Items, &d.Schedules, &d.Conditions, &d.Texts} {
		*list = slices.DeleteFunc(*list, bad)
	}
	if len(d.Items) == 0 {
		c.refuse("V4", "219", "Sales document was not changed", place{})
	}
}

// processed says of each part that it went well.
func (c *creation) processed() {
	c.messages.add("S", "V4", "233", "SALES_HEADER_IN has been processed successfully", place{parameter: "ORDER_HEADER_IN"}, "VBAKKOM")
	for i, row := range c.document.Items {
		c.messages.add("S", "V4", "233", "SALES_ITEM_IN has been processed successfully", place{parameter: "ORDER_ITEM_IN", row: i + 1}, "VBAPKOM", row["ITM_NUMBER"])
	}
}

// number takes the next one of the range, for good: it is not given back.
func (c *creation) number() (string, bool) {
	sys := c.session.system
	sys.mu.Lock()
	defer sys.mu.Unlock()
	if given := c.in.Values["SALESDOCUMENTIN"]; given != "" {
		taken := slices.ContainsFunc(slices.Concat(sys.documents, sys.updates), func(d *Document) bool { return d.Number == given })
		if !c.quirks.OwnNumbers || taken {
			c.messages.add("E", "V1", "303", "Number "+given+" cannot be used", place{}, given)
			return "", false
		}
		return given, true
	}
	sys.next++
	return number(sys.next), true
}

func (c *creation) answer(no string) Parameters {
	keys := make([]Row, 0, len(c.document.Items))
	if no != "" {
		for _, row := range c.document.Items {
			keys = append(keys, Row{"REFOBJTYPE": "VBAP", "DOC_NUMBER": no, "ITM_NUMBER": row["ITM_NUMBER"]})
		}
	}
	return Parameters{
		Values: map[string]string{"SALESDOCUMENT": no},
		Tables: map[string][]Row{"RETURN": c.messages.rows, "ORDER_KEYS": keys},
	}
}

// initial says that a number is blank or all zeros.
func initial(text string) bool {
	n, err := strconv.Atoi(text)
	return text == "" || err == nil && n == 0
}
