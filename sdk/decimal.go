package sdk

import (
	"encoding/json"
	"math/big"
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
