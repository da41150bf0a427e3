package sapsim

import (
	"slices"
	"strings"
)

// Masters are the system's master data. Where a list is nil, every key exists
// that is in its internal form: a number of digits only must be filled up with
// zeros.
type Masters struct {
	Customers []string // in internal form, ten characters if digits
	Materials []string // in internal form, 18 characters if digits
	// SalesAreas are such as "1000/10/00".
	SalesAreas []string
	// Units are internal keys by ISO codes; nil is a small customary set. Every
	// internal key is known as itself.
	Units map[string]string
	// Currencies are the known keys; nil is a small customary set.
	Currencies []string
	// OrderTypes are the internal keys; nil is TA alone.
	OrderTypes []string
}

var (
	customaryUnits = map[string]string{
		"PCE": "ST", "MTR": "M", "KGM": "KG", "LTR": "L", "CS": "KAR", "CT": "KAR", "BX": "KI", "PK": "PAK", "GRM": "G", "MTK": "M2", "HUR": "H",
	}
	customaryCurrencies = []string{"EUR", "USD", "CHF", "GBP", "JPY"}
	// english are internal keys by what an English session shows.
	englishRoles = map[string]string{"SP": "AG", "SH": "WE", "BP": "RE", "PY": "RG"}
	englishTypes = map[string]string{"OR": "TA"}
	roles        = []string{"AG", "WE", "RE", "RG"}
)

// internalForm says that a key is as the database has it: digits fill their
// field.
func internalForm(key string, length int) bool {
	if key == "" || strings.Trim(key, "0123456789") != "" {
		return key != "" && key == strings.ToUpper(key)
	}
	return len(key) == length
}

func (m Masters) customer(key string) bool {
	return known(m.Customers, key, internalForm(key, 10))
}

func (m Masters) material(key string) bool {
	return known(m.Materials, key, internalForm(key, 18) || len(key) > 18 && internalForm(key, 40))
}

func (m Masters) salesArea(header Row) bool {
	area := header["SALES_ORG"] + "/" + header["DISTR_CHAN"] + "/" + header["DIVISION"]
	return known(m.SalesAreas, area, true)
}

func known(list []string, key string, otherwise bool) bool {
	if list == nil {
		return otherwise
	}
	return slices.Contains(list, key)
}

// unit returns the internal key of a unit that is given by its internal key or
// by its ISO code.
func (m Masters) unit(internal, iso string) (string, bool) {
	units := m.Units
	if units == nil {
		units = customaryUnits
	}
	if internal != "" {
		for _, key := range units {
			if key == internal {
				return key, true
			}
		}
		return "", false
	}
	key, ok := units[iso]
	return key, ok
}

// currency is unit for currencies, whose ISO codes are mostly the same.
func (m Masters) currency(internal, iso string) (string, bool) {
	key := internal
	if key == "" {
		key = iso
	}
	list := m.Currencies
	if list == nil {
		list = customaryCurrencies
	}
	return key, slices.Contains(list, key)
}

// orderType brings an order type to its internal form, if shown says that it
// may be given as the logon language shows it.
func (m Masters) orderType(key string, shown bool) (string, bool) {
	if shown {
		if internal, ok := englishTypes[key]; ok {
			key = internal
		}
	}
	list := m.OrderTypes
	if list == nil {
		list = []string{"TA"}
	}
	return key, slices.Contains(list, key)
}

// role is orderType for partner roles.
func role(key string, shown bool) (string, bool) {
	if shown {
		if internal, ok := englishRoles[key]; ok {
			key = internal
		}
	}
	return key, slices.Contains(roles, key)
}
