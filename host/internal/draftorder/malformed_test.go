package draftorder_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/orderport/orderport/host/internal/draftorder"
	"github.com/orderport/orderport/host/internal/fault"
)

func TestWhatIsNotJSONIsMalformed(t *testing.T) {
	t.Parallel()
	manyKeys := new(strings.Builder)
	for i := range 100 {
		fmt.Fprintf(manyKeys, `"k%d":1,`, i)
	}
	tests := []struct {
		name string
		data string
		says string
	}{
		{"nothing", "", "unexpected end at byte 0"},
		{"white space", " \n", "unexpected end"},
		{"NaN", `{"lines":[{"qty":NaN}]}`, "unexpected 'N' instead of a value at byte 17"},
		{"Infinity", `{"qty":-Infinity}`, "unexpected 'I' in a number"},
		{"broken UTF-8", "{\"notes\":\"a\xff\"}", "invalid UTF-8 at byte 11"},
		{"UTF-8 of a surrogate", "{\"notes\":\"\xed\xa0\x80\"}", "invalid UTF-8"},
		{"a byte order mark", "\ufeff{}", "instead of a value at byte 0"},
		{"trailing text", `{} {}`, "unexpected '{' after the end"},
		{"trailing comma in an object", `{"id":1,}`, "instead of a key"},
		{"trailing comma in a list", `[1,]`, "instead of a value"},
		{"missing comma", `[1 2]`, "instead of a comma"},
		{"wrong bracket", `[1}`, "instead of a comma or the closing bracket"},
		{"missing colon", `{"id" 1}`, "instead of a colon"},
		{"key without quotes", `{id:1}`, "instead of a key"},
		{"open list", `[1`, "unexpected end"},
		{"open object", `{"id":1`, "unexpected end"},
		{"open text", `"abc`, "unexpected end"},
		{"open text after an escape", `"\n`, "unexpected end"},
		{"line break in a text", "\"a\nb\"", "in a text"},
		{"tab in a text after an escape", "\"\\n\t\"", "in a text"},
		{"unknown escape", `"\x"`, "after a backslash"},
		{"cut escape", `"\u12`, "incomplete escape"},
		{"escape with a sign", `"\u+123"`, "invalid escape"},
		{"half of a surrogate pair", `"\ud800"`, "half of a surrogate pair"},
		{"second half first", `"\udc00\ud800"`, "half of a surrogate pair"},
		{"surrogate before a plain escape", `"\ud800\n"`, "incomplete escape"},
		{"number with a leading zero", `01`, "after the end"},
		{"number without digits", `-`, "unexpected end"},
		{"number that ends with a point", `1.`, "unexpected end"},
		{"number with an empty exponent", `1e+`, "unexpected end"},
		{"hexadecimal number", `0x10`, "after the end"},
		{"cut literal", `nul`, "instead of a value"},
		{"comment", `{/* */}`, "instead of a key"},
		{"NUL byte", "\x00", "instead of a value"},
		{"17 levels", strings.Repeat("[", 17) + strings.Repeat("]", 17), "more than 16 levels"},
		{"a million levels", strings.Repeat("[", 1_000_000), "more than 16 levels"},
		{"a key twice", `{"id":1,"id":1}`, `key "id" twice`},
		{"a key twice, once escaped", `{"id":1,"\u0069d":1}`, `key "id" twice`},
		{"a key twice, deep inside", `{"lines":[{"qty":1,"uom":"x","qty":2}]}`, `key "qty" twice`},
		{"a key twice among many", "{" + manyKeys.String() + `"k50":1}`, `key "k50" twice`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := draftorder.Parse([]byte(tt.data))
			e := refusal(t, err, fault.Malformed, "malformed_order")
			if !strings.Contains(e.Message, tt.says) {
				t.Errorf("message %q does not say %q", e.Message, tt.says)
			}
			if _, err := draftorder.DecodeCanonical([]byte(tt.data)); err == nil {
				t.Error("DecodeCanonical takes it")
			}
		})
	}
}

func TestJSONThatIsNoObjectIsInvalid(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`[]`, `"x"`, `1`, `null`, `true`, strings.Repeat("[", 16) + strings.Repeat("]", 16)} {
		_, err := draftorder.Parse([]byte(data))
		e := refusal(t, err, fault.Invalid, "invalid_order")
		if !strings.Contains(e.Message, "it must be an object, not") {
			t.Errorf("%s: message %q", data, e.Message)
		}
	}
}

func TestAnOrderBeyondTheSizeBoundIsTooLarge(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte(" "), draftorder.MaxSize+1)
	_, err := draftorder.Parse(data)
	refusal(t, err, fault.TooLarge, "order_too_large")
	_, err = draftorder.Parse(data[1:])
	refusal(t, err, fault.Malformed, "malformed_order")
}

func TestEveryCutOfAnOrderIsRefused(t *testing.T) {
	t.Parallel()
	whole := marshal(t, fullOrder())
	for n := range len(whole) {
		if _, err := draftorder.Parse(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes parse", n, len(whole))
		}
	}
}
