package draftorder

import (
	"fmt"
	"strings"
)

// decimalFormat bounds a decimal text.
type decimalFormat struct {
	digits   int  // at most so many, a lone leading zero not counted
	decimals int  // at most so many of them after the point
	positive bool // zero is not allowed
}

var (
	qtyFormat   = decimalFormat{digits: 18, decimals: 3, positive: true}
	priceFormat = decimalFormat{digits: 18, decimals: 4}
)

// checkDecimal says what is wrong with a decimal text, or nothing. The text
// is never converted, so it can't change: "10.50" stays "10.50". Exponents are
// refused, since they would have to be rewritten to be kept to these bounds.
func checkDecimal(text string, f decimalFormat) string {
	if strings.HasPrefix(text, "-") && isPlain(text[1:]) {
		if f.positive {
			return "must be greater than zero"
		}
		return "must not be negative"
	}
	if !isPlain(text) {
		return `must be a decimal number in plain notation, such as "10.5"`
	}
	whole, decimals, _ := strings.Cut(text, ".")
	if len(decimals) > f.decimals {
		return fmt.Sprintf("must have at most %d decimals", f.decimals)
	}
	if len(strings.TrimPrefix(whole, "0"))+len(decimals) > f.digits {
		return fmt.Sprintf("must have at most %d digits", f.digits)
	}
	if f.positive && strings.Trim(text, "0.") == "" {
		return "must be greater than zero"
	}
	return ""
}

// isPlain reports whether text is digits, perhaps with a point and further
// digits. That is a JSON number, too, so it can be written as one.
func isPlain(text string) bool {
	whole, decimals, point := strings.Cut(text, ".")
	if !allDigits(whole) || (point && !allDigits(decimals)) {
		return false
	}
	return len(whole) == 1 || whole[0] != '0'
}

func allDigits(text string) bool {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return false
		}
	}
	return text != ""
}
