package draftorder

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep JSON may nest; a draft order needs three levels.
const maxDepth = 16

// kind is the type of a JSON value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// String names the kind as a person would.
func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "a text", "a list", "an object"}[k]
}

// value is one JSON value. Numbers keep their text: nothing is converted.
type value struct {
	kind    kind
	used    bool     // a decoder asked for it
	key     string   // its name, if it is a member of an object
	text    string   // of a number, or of a string without its escapes
	content []*value // elements of an array, members of an object
}

// syntaxError says why bytes are not a JSON document that can be taken.
type syntaxError struct {
	offset int
	reason string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.reason, e.offset) }

// scanner reads one JSON document (RFC 8259) strictly. It is written by hand
// because encoding/json replaces broken UTF-8, takes keys twice and loses the
// text of numbers, and for speed.
type scanner struct {
	text  string
	pos   int
	depth int
	stack []*value // contents of the arrays and objects that are still open

	// What is made, as far as there is room; used again for other orders.
	first    []value
	contents []*value

	values []value // the block that the next value is put into: first, at first
}

const (
	usualValues   = 256  // of an order of some twenty lines
	largestToKeep = 4096 // of a stack
)

var scanners = sync.Pool{New: func() any {
	return &scanner{first: make([]value, usualValues), contents: make([]*value, 0, usualValues)}
}}

// takeScanner returns a scanner, for one text. What it returns is gone with
// giveBack, but for texts.
func takeScanner() *scanner {
	s, ok := scanners.Get().(*scanner)
	if !ok {
		panic("draftorder: the pool has something else")
	}
	s.values = s.first[:0]
	return s
}

func (s *scanner) giveBack() {
	clear(s.first)
	clear(s.contents)
	if cap(s.stack) > largestToKeep {
		s.stack = nil
	}
	clear(s.stack[:cap(s.stack)])
	*s = scanner{stack: s.stack[:0], first: s.first, contents: s.contents[:0]}
	scanners.Put(s)
}

// scan reads the one value that text consists of.
func (s *scanner) scan(text string) (*value, error) {
	if !utf8.ValidString(text) {
		return nil, &syntaxError{offset: firstInvalid(text), reason: "invalid UTF-8"}
	}
	s.text = text
	v, err := s.value()
	if err != nil {
		return nil, err
	}
	s.space()
	if s.pos < len(text) {
		return nil, s.unexpected("after the end of the order")
	}
	return v, nil
}

func firstInvalid(text string) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(text)
}

func (s *scanner) fail(reason string) error {
	return &syntaxError{offset: s.pos, reason: reason}
}

func (s *scanner) unexpected(where string) error {
	if s.pos >= len(s.text) {
		return s.fail("unexpected end")
	}
	r, _ := utf8.DecodeRuneInString(s.text[s.pos:])
	return s.fail(fmt.Sprintf("unexpected %q %s", r, where))
}

// peek returns the next byte, or 0 at the end: no valid document needs a 0.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// newValue returns a new value.
func (s *scanner) newValue(k kind, text string) *value {
	if len(s.values) == cap(s.values) {
		s.values = make([]value, 0, 64) // those before live for as long as they are used
	}
	s.values = append(s.values, value{kind: k, text: text})
	return &s.values[len(s.values)-1]
}

// closed returns what has been put on the stack since it had bottom items, and
// takes it from there.
func (s *scanner) closed(bottom int) []*value {
	items := s.stack[bottom:]
	s.stack = s.stack[:bottom]
	if len(items) > cap(s.contents)-len(s.contents) {
		return slices.Clone(items)
	}
	start := len(s.contents)
	s.contents = append(s.contents, items...)
	return slices.Clip(s.contents[start:])
}

func (s *scanner) value() (*value, error) {
	s.space()
	switch c := s.peek(); {
	case c == '{':
		return s.nested(kindObject, '}', s.member)
	case c == '[':
		return s.nested(kindArray, ']', s.value)
	case c == '"':
		text, err := s.quoted()
		if err != nil {
			return nil, err
		}
		return s.newValue(kindString, text), nil
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.literal("true", kindBool)
	case c == 'f':
		return s.literal("false", kindBool)
	case c == 'n':
		return s.literal("null", kindNull)
	default:
		return nil, s.unexpected("instead of a value")
	}
}

func (s *scanner) literal(word string, k kind) (*value, error) {
	if len(s.text)-s.pos < len(word) || s.text[s.pos:s.pos+len(word)] != word {
		return nil, s.unexpected("instead of a value")
	}
	s.pos += len(word)
	return s.newValue(k, word), nil
}

// nested reads an array or object whose opening bracket comes next.
func (s *scanner) nested(k kind, closing byte, item func() (*value, error)) (*value, error) {
	s.depth++
	defer func() { s.depth-- }()
	if s.depth > maxDepth {
		return nil, s.fail("more than " + strconv.Itoa(maxDepth) + " levels of nesting")
	}
	s.pos++
	v := s.newValue(k, "")
	bottom := len(s.stack)
	s.space()
	for more := s.peek() != closing; more; {
		content, err := item()
		if err != nil {
			return nil, err
		}
		s.stack = append(s.stack, content)
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case closing:
			more = false
		default:
			return nil, s.unexpected("instead of a comma or the closing bracket")
		}
	}
	s.pos++
	v.content = s.closed(bottom)
	if k == kindObject {
		return v, s.checkKeys(v)
	}
	return v, nil
}

func (s *scanner) member() (*value, error) {
	s.space()
	if s.peek() != '"' {
		return nil, s.unexpected("instead of a key")
	}
	key, err := s.quoted()
	if err != nil {
		return nil, err
	}
	s.space()
	if s.peek() != ':' {
		return nil, s.unexpected("instead of a colon")
	}
	s.pos++
	v, err := s.value()
	if err != nil {
		return nil, err
	}
	v.key = key
	return v, nil
}

// checkKeys refuses an object that has a key twice: readers disagree about
// which one counts.
func (s *scanner) checkKeys(object *value) error {
	const few = 24
	if len(object.content) > few {
		return s.checkManyKeys(object)
	}
	for i, m := range object.content {
		for _, earlier := range object.content[:i] {
			if earlier.key == m.key {
				return s.duplicate(m.key)
			}
		}
	}
	return nil
}

func (s *scanner) checkManyKeys(object *value) error {
	seen := make(map[string]bool, len(object.content))
	for _, m := range object.content {
		if seen[m.key] {
			return s.duplicate(m.key)
		}
		seen[m.key] = true
	}
	return nil
}

func (s *scanner) duplicate(key string) error {
	return s.fail("key " + strconv.Quote(shorten(key)) + " twice in the object that ends")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// number reads a number without interpreting it.
func (s *scanner) number() (*value, error) {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return nil, s.unexpected("in a number")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return nil, s.unexpected("in a number")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return nil, s.unexpected("in a number")
		}
	}
	return s.newValue(kindNumber, s.text[start:s.pos]), nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for isDigit(s.peek()) {
		s.pos++
	}
	return s.pos > start
}

// quoted reads a string. Without escapes it is a part of the input.
func (s *scanner) quoted() (string, error) {
	s.pos++
	start := s.pos
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start : s.pos-1], nil
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return "", s.unexpected("in a text")
		}
		s.pos++
	}
	return "", s.unexpected("")
}

// escaped reads the rest of a string from its first escape on.
func (s *scanner) escaped(start int) (string, error) {
	out := append(make([]byte, 0, s.pos-start+64), s.text[start:s.pos]...)
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return string(out), nil
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		case c < 0x20:
			return "", s.unexpected("in a text")
		default:
			out = append(out, c)
			s.pos++
		}
	}
	return "", s.unexpected("")
}

// escape reads one escape sequence.
func (s *scanner) escape() (rune, error) {
	s.pos++
	c := s.peek()
	if c == 'u' {
		return s.unicode()
	}
	for i, plain := range []byte("\"\\/\b\f\n\r\t") {
		if c == `"\/bfnrt`[i] {
			s.pos++
			return rune(plain), nil
		}
	}
	return 0, s.unexpected("after a backslash")
}

// unicode reads \uXXXX from its u on, or two of them that are one character.
func (s *scanner) unicode() (rune, error) {
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if s.peek() == '\\' {
		s.pos++
		low, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, nil
		}
	}
	return 0, s.fail("half of a surrogate pair")
}

func (s *scanner) hex4() (rune, error) {
	if s.peek() != 'u' || len(s.text)-s.pos < 5 {
		return 0, s.fail("incomplete escape")
	}
	n, err := strconv.ParseUint(s.text[s.pos+1:s.pos+5], 16, 16)
	if err != nil {
		return 0, s.fail("invalid escape")
	}
	s.pos += 5
	return rune(n), nil
}
