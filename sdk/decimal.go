package sdk

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is an exact decimal number as text, such as "10.5" or "-3". It is
// kept as it was handed in: "1.50" stays "1.50". The host sends valid ones
// only.
type Decimal string

// String returns the number as text.
func (d Decimal) String() string { return string(d) }

// Valid says whether d is an optional minus sign, digits, and optionally a
// point followed by digits, with no needless leading zero. It is then a valid
// JSON number, too.
func (d Decimal) Valid() bool {
	s := string(d)
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	whole := digits(s)
	if whole == 0 || (whole > 1 && s[0] == '0') {
		return false
	}
	if whole == len(s) {
		return true
	}
	fraction := s[whole+1:]
	return s[whole] == '.' && fraction != "" && digits(fraction) == len(fraction)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// JSON returns d as a JSON number with exactly its digits. It is only valid
// JSON if d is Valid.
func (d Decimal) JSON() json.Number { return json.Number(d) }

// Rat returns the exact value, or false if d is not Valid.
func (d Decimal) Rat() (*big.Rat, bool) {
	if !d.Valid() {
		return nil, false
	}
	return new(big.Rat).SetString(string(d))
}

// Digits returns how many digits the number has before and after the point,
// without leading and trailing zeros: 3 and 2 for "120.250". Zero has none. It
// is false if d is not Valid.
func (d Decimal) Digits() (whole, fraction int, ok bool) {
	if !d.Valid() {
		return 0, 0, false
	}
	w, f, _ := strings.Cut(strings.TrimPrefix(string(d), "-"), ".")
	return len(strings.TrimLeft(w, "0")), len(strings.TrimRight(f, "0")), true
}

// Fits says whether the value can be kept exactly in a field of so many digits
// in all, with so many of them after the point, as in SQL's DECIMAL(18, 3).
func (d Decimal) Fits(digits, fraction int) bool {
	w, f, ok := d.Digits()
	return ok && f <= fraction && w <= digits-fraction
}

// Fixed returns the same value with exactly so many digits after the point, or
// false if that would change it, or d is not Valid. It never rounds.
func (d Decimal) Fixed(fraction int) (Decimal, bool) {
	_, f, ok := d.Digits()
	if !ok || fraction < 0 || f > fraction {
		return "", false
	}
	whole, rest, _ := strings.Cut(string(d), ".")
	if fraction == 0 {
		return Decimal(whole), true
	}
	rest = rest[:min(len(rest), fraction)]
	return Decimal(whole + "." + rest + strings.Repeat("0", fraction-len(rest))), true
}

// Units returns the value in units of so many digits after the point, such as
// cents for 2, or false if that would change it, it is out of range, or d is
// not Valid.
func (d Decimal) Units(fraction int) (int64, bool) {
	fixed, ok := d.Fixed(fraction)
	if !ok {
		return 0, false
	}
	units, err := strconv.ParseInt(strings.Replace(string(fixed), ".", "", 1), 10, 64)
	return units, err == nil
}

// Cmp compares values, not texts: -1 if d is less than other, 0 if equal, +1 if
// greater. Both must be Valid; one that is not counts as zero.
func (d Decimal) Cmp(other Decimal) int {
	return d.orZero().Cmp(other.orZero())
}

func (d Decimal) orZero() *big.Rat {
	if r, ok := d.Rat(); ok {
		return r
	}
	return new(big.Rat)
}
