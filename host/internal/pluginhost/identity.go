package pluginhost

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/sdk/configschema"
)

// identity is what a binary says of itself, checked.
type identity struct {
	describe *connectorv1.DescribeResponse
	schema   *configschema.Schema
	sha256   string
}

// errIdentity is wrapped when a connector's Describe answer can't be used.
// Starting it again would not help.
var errIdentity = errors.New("its Describe answer can't be used")

// maxText bounds the short texts of a Describe answer, in bytes.
const maxText = 1 << 10

var (
	typePattern    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)
	versionPattern = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

func newIdentity(d *connectorv1.DescribeResponse, sha256 string) (*identity, error) {
	if err := checkDescribe(d); err != nil {
		return nil, fmt.Errorf("%w: %w", errIdentity, err)
	}
	if wrong := configschema.CheckSchema(d.GetConfigSchema()); len(wrong) > 0 {
		return nil, fmt.Errorf("%w: config_schema: %s", errIdentity, wrong[0])
	}
	schema, err := configschema.Compile(d.GetConfigSchema())
	if err != nil {
		return nil, fmt.Errorf("%w: config_schema: %w", errIdentity, err)
	}
	return &identity{describe: d, schema: schema, sha256: sha256}, nil
}

func checkDescribe(d *connectorv1.DescribeResponse) error {
	if !typePattern.MatchString(d.GetConnectorType()) {
		return fmt.Errorf("connector_type %q is not an upper-case letter followed by up to 62 upper-case letters, digits and underscores",
			clip(d.GetConnectorType()))
	}
	if name := d.GetName(); strings.TrimSpace(name) == "" || strings.TrimSpace(name) != name {
		return fmt.Errorf("name %q is empty or not trimmed", clip(name))
	}
	if !versionPattern.MatchString(d.GetVersion()) || len(d.GetVersion()) > 100 {
		return fmt.Errorf("version %q is no semantic version such as 1.2.3", clip(d.GetVersion()))
	}
	if len(d.GetExportFormatVersions()) == 0 {
		return errors.New("export_format_versions is empty")
	}
	for _, t := range append([]string{d.GetName(), d.GetVendor(), d.GetSummary(), d.GetDocumentationUrl()}, d.GetExportFormatVersions()...) {
		if len(t) > maxText {
			return fmt.Errorf("a text is longer than %d bytes", maxText)
		}
	}
	return nil
}

// sameAs says how a restarted process differs from what was registered. Its
// digest can't: it runs the same copy.
func (i *identity) sameAs(registered *identity) error {
	was, is := registered.describe, i.describe
	if was.GetConnectorType() != is.GetConnectorType() || was.GetVersion() != is.GetVersion() {
		return fmt.Errorf("%w: it advertises %s %s after a restart, before it was %s %s", errIdentity,
			is.GetConnectorType(), is.GetVersion(), was.GetConnectorType(), was.GetVersion())
	}
	return nil
}

// clip shortens a connector's text for an error message.
func clip(s string) string { return truncate(s, 200) }

// truncate cuts s to about limit bytes at the edge of a character.
func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
