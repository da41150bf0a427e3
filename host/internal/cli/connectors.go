package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/pluginhost"
	"github.com/orderport/orderport/host/internal/pluginhost/lock"
	"github.com/orderport/orderport/host/internal/settings"
	"github.com/orderport/orderport/host/internal/view"
)

// stopConnectors bounds the end of the connectors of a short command.
const stopConnectors = 5 * time.Second

// pluginOptions say where connectors are and where they may keep sockets.
func (s *session) pluginOptions(set settings.Settings) (pluginhost.Options, error) {
	runDir := filepath.Join(set.DataDir, "run")
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return pluginhost.Options{}, fmt.Errorf("make the data directory: %w", err)
	}
	// What goes wrong is in the answer; the log would say it twice.
	return pluginhost.Options{
		Dir: set.PluginDir, RunDir: runDir, RecordDir: recordDir(set), Logger: slog.New(slog.DiscardHandler),
		PassEnv: strings.FieldsFunc(set.ConnectorEnv, func(r rune) bool { return r == ',' || r == ' ' }),
	}, nil
}

// openConnectors starts the connectors of the types given for one command.
func (s *session) openConnectors(set settings.Settings, types []string) (*pluginhost.Host, error) {
	options, err := s.pluginOptions(set)
	if err != nil {
		return nil, err
	}
	options.Only = types
	return s.startPlugins(options)
}

func (s *session) startPlugins(options pluginhost.Options) (*pluginhost.Host, error) {
	host, err := pluginhost.Open(options)
	if err != nil {
		return nil, err
	}
	s.closeWith(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopConnectors)
		defer cancel()
		return host.Stop(ctx)
	})
	if err := host.Start(s.ctx); err != nil {
		return nil, fault.New(fault.Unavailable, "plugin_dir_unavailable", "the plugin directory %s can't be used", options.Dir).
			WithHint("set --plugin-dir or ORDERPORT_PLUGIN_DIR to the directory with the connectors").Because(err)
	}
	return host, nil
}

type connectorCommands struct {
	List    connectorList    `cmd:"" help:"List the connector binaries, the unusable ones too, and why they are."`
	Inspect connectorInspect `cmd:"" help:"Launch one binary, trusted or not, and show what it says of itself."`
	Trust   connectorTrust   `cmd:"" help:"Let binaries run: pin type, version and SHA-256 in connectors.lock.json."`
	New     connectorNew     `cmd:"" help:"Write the source of a new connector."`
	Docs    connectorDocs    `cmd:"" help:"Print the reference page of a connector, in Markdown."`
	Record  connectorRecord  `cmd:"" help:"Record what host and connectors say to each other, for a support case."`
	Replay  connectorReplay  `cmd:"" help:"Make a recorded call again, with another binary."`
}

// connectorStatus is a binary in the plugin directory.
type connectorStatus struct {
	File          string  `json:"file"`
	ConnectorType *string `json:"connector_type"`
	Name          string  `json:"name"`
	Version       string  `json:"version"`
	SHA256        string  `json:"sha256"`
	Trusted       bool    `json:"trusted"`
	State         string  `json:"state"`
	Reason        *string `json:"reason"`
	StartMS       int64   `json:"start_ms"`
}

func newConnectorStatus(v connector.Status) connectorStatus {
	return connectorStatus{
		File: filepath.Base(v.Binary), ConnectorType: nilIfEmpty(v.Type), Name: v.Name, Version: v.Version, SHA256: v.SHA256,
		Trusted: v.Trusted, State: string(v.State), Reason: nilIfEmpty(v.Reason), StartMS: v.StartMilli,
	}
}

func nilIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

type connectorList struct{}

// Run starts every connector that may run, and lists all.
func (c *connectorList) Run(s *session) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	options, err := s.pluginOptions(set)
	if err != nil {
		return err
	}
	host, err := s.startPlugins(options)
	if err != nil {
		return err
	}
	list := view.NewList(host.Status(), "", newConnectorStatus)
	err = showList(s.out, list, []string{"FILE", "TYPE", "VERSION", "STATE", "TRUSTED", "REASON"}, func(v connectorStatus) []string {
		trusted := "no"
		if v.Trusted {
			trusted = "yes"
		}
		return []string{v.File, or(v.ConnectorType), v.Version, v.State, trusted, or(v.Reason)}
	})
	if len(list.Items) == 0 {
		s.note("there is no %s* in %s", port.BinaryPrefix, set.PluginDir)
	}
	return err
}

type connectorInspect struct {
	Binary string `arg:"" help:"The binary: a path, or a file name in the plugin directory."`
}

// inspection is what connector inspect prints with --json.
type inspection struct {
	view.ConnectorType
	File    string `json:"file"`
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"`
	Trusted bool   `json:"trusted"`
	StartMS int64  `json:"start_ms"`
}

// Run inspects the binary.
func (c *connectorInspect) Run(s *session) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	options, err := s.pluginOptions(set)
	if err != nil {
		return err
	}
	path := c.Binary
	if !strings.ContainsRune(path, filepath.Separator) {
		path = filepath.Join(set.PluginDir, path)
	}
	found, err := pluginhost.Inspect(s.ctx, path, options)
	if err != nil {
		return notUsable(path, err)
	}
	shown := inspection{File: filepath.Base(path), SHA256: found.SHA256, Size: found.Size, StartMS: found.Took.Milliseconds()}
	shown.ConnectorType = view.NewConnectorType(found.Describe)
	shown.State = "inspected"
	trusted, err := lock.Load(set.PluginDir)
	shown.Trusted = err == nil && trusted.Verify(shown.File, found.SHA256) == nil
	return s.out.show(shown, func(w io.Writer) { printInspection(w, shown) })
}

func notUsable(path string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return usage("there is no file %s", path)
	}
	return fault.New(fault.Unavailable, "connector_unusable", "%s can't be used as a connector", path).
		WithHint("a connector is an executable that speaks the Port; see the SDK's README").Because(err)
}

func printInspection(w io.Writer, v inspection) {
	trusted := "no: `orderport connector trust " + v.File + "` pins it"
	if v.Trusted {
		trusted = "yes"
	}
	facts(w, [][2]string{
		{"type", v.ConnectorType.ConnectorType},
		{"name", v.Name},
		{"version", v.Version},
		{"vendor", v.Vendor},
		{"summary", v.Summary},
		{"documentation", or(v.DocumentationURL)},
		{"formats", strings.Join(v.ExportFormatVersions, ", ")},
		{"capabilities", strings.Join(v.Capabilities, ", ")},
		{"sha256", v.SHA256},
		{"trusted", trusted},
		{"answered in", fmt.Sprintf("%d ms", v.StartMS)},
	}...)
	var schema struct {
		Required   []string
		Properties map[string]struct {
			Description string
			WriteOnly   bool
		}
	}
	if json.Unmarshal(v.ConfigSchema, &schema) != nil || len(schema.Properties) == 0 {
		return
	}
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintln(w)
	t := newTable(w, "CONFIG FIELD", "", "MEANING")
	for _, name := range names {
		var marks []string
		if slices.Contains(schema.Required, name) {
			marks = append(marks, "required")
		}
		if schema.Properties[name].WriteOnly {
			marks = append(marks, "secret")
		}
		t.row(name, strings.Join(marks, ", "), schema.Properties[name].Description)
	}
	_ = t.flush()
}

type connectorTrust struct {
	Binaries []string `arg:"" optional:"" help:"File names in the plugin directory."`
	All      bool     `help:"Trust every binary that is there now."`
}

// trusted is what connector trust prints with --json.
type trusted struct {
	Trusted []lock.Entry     `json:"trusted"`
	Failed  []trustedFailure `json:"failed"`
}

type trustedFailure struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// Run pins the binaries. One that can't be used is exit code 1; the others are
// pinned all the same.
func (c *connectorTrust) Run(s *session) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	files, err := c.files(set.PluginDir)
	if err != nil {
		return err
	}
	options, err := s.pluginOptions(set)
	if err != nil {
		return err
	}
	result := trusted{Trusted: []lock.Entry{}, Failed: []trustedFailure{}}
	for _, file := range files {
		found, err := pluginhost.Inspect(s.ctx, filepath.Join(set.PluginDir, file), options)
		if err != nil {
			result.Failed = append(result.Failed, trustedFailure{file, err.Error()})
			continue
		}
		result.Trusted = append(result.Trusted, found.Entry())
	}
	if err := result.refuseRivals(set.PluginDir); err != nil {
		return err
	}
	if len(result.Trusted) > 0 {
		if err := lock.Trust(set.PluginDir, result.Trusted); err != nil {
			return err
		}
	}
	err = s.out.show(result, func(w io.Writer) {
		for _, e := range result.Trusted {
			fmt.Fprintf(w, "%s is trusted: %s %s, sha256 %s\n", e.File, e.Type, e.Version, e.SHA256)
		}
		for _, f := range result.Failed {
			fmt.Fprintf(w, "%s is not: %s\n", f.File, oneLine(f.Error))
		}
	})
	if err == nil && len(result.Failed) > 0 {
		err = errReported
	}
	return err
}

// refuseRivals moves binaries to Failed that advertise the type of another one
// which is there: of two, the host would use neither.
func (t *trusted) refuseRivals(dir string) error {
	pinned, err := lock.Load(dir)
	if err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	there := t.Trusted
	for _, e := range pinned.Connectors {
		if _, err := os.Stat(filepath.Join(dir, e.File)); err == nil {
			there = append(slices.Clip(there), e)
		}
	}
	var kept []lock.Entry
	for _, e := range t.Trusted {
		rival := slices.IndexFunc(there, func(o lock.Entry) bool { return o.Type == e.Type && o.File != e.File })
		if rival < 0 {
			kept = append(kept, e)
			continue
		}
		t.Failed = append(t.Failed, trustedFailure{e.File, fmt.Sprintf(
			"%s advertises type %s too, and of two neither is used; remove one of them, then trust the other", there[rival].File, e.Type)})
	}
	t.Trusted = kept
	return nil
}

// files are the names of the binaries to trust.
func (c *connectorTrust) files(dir string) ([]string, error) {
	if c.All == (len(c.Binaries) > 0) {
		return nil, usage("name the binaries to trust, or --all")
	}
	var files []string
	for _, name := range c.Binaries {
		base := filepath.Base(name)
		if _, err := os.Stat(filepath.Join(dir, base)); err != nil {
			return nil, usage("there is no %s in %s", base, dir)
		}
		files = append(files, base)
	}
	if !c.All {
		return files, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, usage("the plugin directory %s can't be read", dir).WithHint("set --plugin-dir or ORDERPORT_PLUGIN_DIR")
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), port.BinaryPrefix) && !entry.IsDir() {
			files = append(files, entry.Name())
		}
	}
	if len(files) == 0 {
		return nil, fault.New(fault.NotFound, "no_connectors", "there is no %s* in %s", port.BinaryPrefix, dir).
			WithHint("set --plugin-dir or ORDERPORT_PLUGIN_DIR to the directory with the connectors")
	}
	return files, nil
}
