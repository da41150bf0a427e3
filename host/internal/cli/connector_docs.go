package cli

import (
	"io"

	"github.com/orderport/orderport/host/internal/pluginhost"
	"github.com/orderport/orderport/host/internal/refpage"
)

type connectorDocs struct {
	Binary string `arg:"" help:"Path of the connector binary."`
}

// referencePage is what connector docs prints with --json.
type referencePage struct {
	ConnectorType string `json:"connector_type"`
	Markdown      string `json:"markdown"`
}

// Run launches the binary, trusted or not, and prints its page.
func (c *connectorDocs) Run(s *session) error {
	found, err := pluginhost.Inspect(s.ctx, absolute(c.Binary), pluginhost.Options{})
	if err != nil {
		return notUsable(c.Binary, err)
	}
	page, err := refpage.Write(found.Describe)
	if err != nil {
		return notUsable(c.Binary, err)
	}
	shown := referencePage{ConnectorType: found.Describe.GetConnectorType(), Markdown: page}
	return s.out.show(shown, func(w io.Writer) { _, _ = io.WriteString(w, page) })
}
