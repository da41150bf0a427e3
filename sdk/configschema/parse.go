package configschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds that keep a hostile config or schema from costing more than it
// weighs.
const (
	maxDepth    = 64
	maxNumber   = 64  // characters
	maxExponent = 308 // what a float64 can hold
)

var errNotJSON = errors.New("must be valid JSON")

// parse reads exactly one JSON value, numbers as json.Number. Its errors quote
// nothing of the input and read like "must be valid JSON".
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("must be valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	value, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	if halfEscaped(data) {
		return nil, errors.New(`must not have half of a surrogate pair, such as \ud83d alone`)
	}
	return value, nil
}

// halfEscaped reports whether a JSON text has half of a surrogate pair as an
// escape. It is no character, and decoders put another one in its place.
func halfEscaped(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if r := unicodeEscape(text[i:]); !utf16.IsSurrogate(r) {
			i++
		} else if utf16.DecodeRune(r, unicodeEscape(text[i+6:])) != unicode.ReplacementChar {
			i += 11
		} else {
			return true
		}
	}
	return false
}

// unicodeEscape returns the \uXXXX that text begins with, or 0.
func unicodeEscape(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	r, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(r)
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("is nested too deeply")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, errNotJSON
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return parseObject(dec, depth)
		}
		return parseArray(dec, depth)
	case json.Number:
		if !reasonable(token) {
			return nil, errors.New("has a number that is out of range")
		}
		return token, nil
	default:
		return token, nil
	}
}

func parseObject(dec *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for dec.More() {
		token, err := dec.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return nil, errNotJSON
		}
		if _, twice := object[key]; twice {
			return nil, errors.New("has the same key twice in one object")
		}
		if object[key], err = parseValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closing(dec)
}

func parseArray(dec *json.Decoder, depth int) (any, error) {
	array := []any{}
	for dec.More() {
		value, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, closing(dec)
}

func closing(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

// reasonable keeps out numbers such as 1e999999999, which exact arithmetic
// would write out in full.
func reasonable(n json.Number) bool {
	text := string(n)
	if len(text) > maxNumber {
		return false
	}
	i := strings.IndexAny(text, "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.Atoi(text[i+1:])
	return err == nil && exponent >= -maxExponent && exponent <= maxExponent
}
