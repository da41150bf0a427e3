package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/scaffold"
)

type connectorNew struct {
	Name   string `arg:"" help:"Short name, such as acme-erp: lower-case letters, digits and dashes."`
	Dir    string `help:"Folder to write to; it must be new or empty. Default: orderport-connector-NAME." type:"path" placeholder:"DIR"`
	Module string `help:"Go module path. Default: example.com/orderport-connector-NAME." placeholder:"PATH"`
	Vendor string `help:"Who makes and answers for the connector." placeholder:"NAME"`
	SDK    string `name:"sdk" help:"Build against this copy of Orderport's repository, and not a released version." type:"path" placeholder:"DIR"`
}

// newConnector is what connector new prints with --json.
type newConnector struct {
	Dir           string   `json:"dir"`
	Module        string   `json:"module"`
	ConnectorType string   `json:"connector_type"`
	Binary        string   `json:"binary"`
	Files         []string `json:"files"`
}

// Help implements kong.HelpProvider.
func (*connectorNew) Help() string {
	return "Writes a Go module that builds, passes the conformance checks and runs in the host as it is, with a folder for an ERP. Nothing that exists is overwritten."
}

// Run writes the module.
func (c *connectorNew) Run(s *session) error {
	name, err := scaffold.ParseName(c.Name)
	if err != nil {
		return usage("%s", err)
	}
	dir := c.Dir
	if dir == "" {
		dir = name.Binary()
	}
	made, err := scaffold.Write(scaffold.Spec{
		Name: name, Dir: dir, Module: c.Module, Vendor: c.Vendor,
		SDK: scaffold.SDK{Checkout: c.SDK, Version: s.env.Version},
	})
	var notEmpty *scaffold.NotEmptyError
	switch {
	case errors.As(err, &notEmpty):
		return usage("%s", err).WithHint("choose a new folder with --dir: nothing is ever overwritten")
	case errors.Is(err, scaffold.ErrNoRelease):
		return usage("%s", err).WithHint("--sdk DIR names a copy of Orderport's repository to build against")
	case errors.Is(err, os.ErrPermission):
		return fault.New(fault.Unavailable, "not_writable", "the folder can't be written").Because(err)
	case err != nil:
		return usage("%s", err)
	}
	shown := newConnector{
		Dir: made.Dir, Module: made.Module, ConnectorType: name.Type(), Binary: name.Binary(), Files: made.Files,
	}
	return s.out.show(shown, func(w io.Writer) { c.next(w, shown) })
}

// next says what to do now.
func (c *connectorNew) next(w io.Writer, made newConnector) {
	fmt.Fprintf(w, "connector %s (%s) written to %s, %d files\n\n  cd %s\n", made.Binary, made.ConnectorType, made.Dir, len(made.Files), made.Dir)
	if c.SDK == "" {
		fmt.Fprintln(w, "  go mod tidy         # fetches the SDK")
	}
	if work := workspaceAbove(made.Dir); work != "" {
		fmt.Fprintf(w, "  go work use .       # because of %s\n", work)
	}
	fmt.Fprintln(w, "  make check          # unit tests and the conformance checks")
	fmt.Fprintln(w, "  make install        # into ORDERPORT_PLUGIN_DIR, and trusted")
	fmt.Fprintln(w, "\nmain.go says which file holds what. Another file format is map_order.go, another ERP is folder.go.")
}

// workspaceAbove returns the go.work file that a module in dir belongs to but
// is not listed in.
func workspaceAbove(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		path := filepath.Join(at, "go.work")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}
