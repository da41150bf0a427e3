package connector_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/orderport/orderport/host/internal/connector"
)

func TestPayloadNamesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	contract := regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$`)
	names := []string{
		"", "a", "-", "_", ".", "..", ".a", "a.", "a..b", "sales_order_1.json", "a/b", `a\b`, "a b", "ä", "a\x00", "a\n", "a:b",
		strings.Repeat("a", 199), strings.Repeat("a", 200), strings.Repeat("a", 201),
	}
	for c := range 256 {
		names = append(names, string([]byte{byte(c)}), string([]byte{'a', byte(c)}))
	}
	for _, name := range names {
		if got, want := connector.IsPayloadName(name), contract.MatchString(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
