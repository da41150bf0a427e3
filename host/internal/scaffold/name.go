package scaffold

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/orderport/orderport/sdk/port"
)

// Name is the short name of a connector, such as "acme-erp". All other names
// follow from it.
type Name string

const longestName = 40

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// taken are the connector types that Orderport ships.
var taken = map[string]string{
	"DROPZONE": "dropzone", "DROPZONE_JSON_V1": "dropzone", "SAP_RFC": "sap-rfc",
}

// ParseName says what is wrong with a name that is none.
func ParseName(text string) (Name, error) {
	name := Name(text)
	switch {
	case text == "":
		return "", errors.New("the name is empty")
	case strings.HasPrefix(text, port.BinaryPrefix):
		return "", fmt.Errorf("leave out %q: it is put in front of the name", port.BinaryPrefix)
	case len(text) > longestName:
		return "", fmt.Errorf("the name has %d characters, at most %d are allowed", len(text), longestName)
	case !namePattern.MatchString(text):
		if better := suggest(text); better != "" {
			return "", fmt.Errorf("%q is not a name for a connector: lower-case letters, digits and single dashes, with a letter first; such as %q", text, better)
		}
		return "", fmt.Errorf("%q is not a name for a connector: lower-case letters, digits and single dashes, with a letter first", text)
	case taken[name.Type()] != "":
		return "", fmt.Errorf("the name %q is taken by the connector %s that Orderport ships", text, taken[name.Type()])
	}
	return name, nil
}

// suggest returns a name that is close to the text, or nothing.
func suggest(text string) string {
	var parts []string
	for part := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
		return r > unicode.MaxASCII || (!unicode.IsLetter(r) && !unicode.IsDigit(r))
	}) {
		parts = append(parts, part)
	}
	better := strings.TrimLeft(strings.Join(parts, "-"), "0123456789-")
	if len(better) > longestName || !namePattern.MatchString(better) {
		return ""
	}
	return better
}

// Binary is the name of the executable file.
func (n Name) Binary() string { return port.BinaryPrefix + string(n) }

// Type is the connector type.
func (n Name) Type() string { return strings.ToUpper(strings.ReplaceAll(string(n), "-", "_")) }

// Title is the name for people. A short part is taken for an abbreviation.
func (n Name) Title() string {
	parts := strings.Split(string(n), "-")
	for i, part := range parts {
		if len(part) <= 3 {
			parts[i] = strings.ToUpper(part)
		} else {
			parts[i] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, " ")
}

var (
	modulePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	vendorPattern = regexp.MustCompile(`^[^"\\\x00-\x1f\x7f]{1,100}$`)
)

// checkText keeps what ends up in source files from being anything else there.
func checkText(spec Spec) error {
	if !modulePattern.MatchString(spec.Module) {
		return fmt.Errorf("%q is not a Go module path, such as github.com/acme/%s", spec.Module, spec.Name.Binary())
	}
	if !vendorPattern.MatchString(spec.Vendor) || strings.TrimSpace(spec.Vendor) != spec.Vendor {
		return errors.New("the vendor must be one line of at most 100 characters, without quotes and backslashes")
	}
	return nil
}
