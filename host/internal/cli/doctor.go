package cli

import (
	"fmt"
	"io"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/seal"
	"github.com/orderport/orderport/host/internal/settings"
)

type doctorCommand struct{}

// diagnosis is what doctor prints with --json.
type diagnosis struct {
	Healthy bool        `json:"healthy"` // nothing failed
	Checks  []app.Check `json:"checks"`
}

func (d *diagnosis) add(checks ...app.Check) { d.Checks = append(d.Checks, checks...) }

func (d *diagnosis) ok(name, format string, args ...any) {
	d.add(app.Check{Name: name, Status: app.CheckOK, Message: fmt.Sprintf(format, args...)})
}

// Run looks at everything. A check that fails is exit code 1.
func (c *doctorCommand) Run(s *session) error {
	d := &diagnosis{}
	set, err := s.settings()
	if err != nil {
		d.add(app.Failed("settings", err))
	} else {
		d.ok("settings", "data in %s, connectors in %s", set.DataDir, set.PluginDir)
		s.examine(d, set)
	}
	d.Healthy = true
	for _, check := range d.Checks {
		d.Healthy = d.Healthy && check.Status != app.CheckFail
	}
	if err := s.out.show(d, func(w io.Writer) { printDiagnosis(w, d.Checks) }); err != nil {
		return err
	}
	if !d.Healthy {
		return errReported
	}
	return nil
}

func (s *session) examine(d *diagnosis, set settings.Settings) {
	s.examinePayloads(d, set)
	keyring, noKey := set.Keyring()
	if noKey != nil {
		d.add(app.Failed("keys", noKey))
		keyring = seal.NewKeyring(seal.GenerateKey())
	}
	db, err := s.openDatabase(set, s.quiet())
	if err != nil {
		d.add(app.Failed("database", err))
		return
	}
	d.ok("database", "%s answers", db.address)
	if err := db.mustBeMigrated(s.ctx); err != nil {
		d.add(app.Failed("schema", err))
		return
	}
	d.ok("schema", "up to date")
	doctor := app.NewDoctor(app.Deps{Store: db.Store, Keyring: keyring, HostDeadAfter: set.HostDeadAfter})
	if noKey == nil {
		d.add(doctor.Connections(s.ctx)...)
	}
	s.examineConnectors(d, set, doctor)
	d.add(doctor.Hosts(s.ctx)...)
	d.add(doctor.Unknown(s.ctx)...)
}

func (s *session) examinePayloads(d *diagnosis, set settings.Settings) {
	payloads, err := payload.Open(s.ctx, set.PayloadURL)
	if err == nil {
		defer func() { _ = payloads.Close() }()
		err = payloads.Check(s.ctx)
	}
	if err != nil {
		d.add(app.Failed("payloads", err))
		return
	}
	d.ok("payloads", "the payload store can be written and read")
}

func (s *session) examineConnectors(d *diagnosis, set settings.Settings, doctor *app.Doctor) {
	options, err := s.pluginOptions(set)
	if err != nil {
		d.add(app.Failed("connectors", err))
		return
	}
	host, err := s.startPlugins(options)
	if err != nil {
		d.add(app.Failed("connectors", err))
		return
	}
	d.add(doctor.Connectors(s.ctx, host)...)
}

func printDiagnosis(w io.Writer, checks []app.Check) {
	for _, check := range checks {
		fmt.Fprintf(w, "%-4s  %-12s %s\n", check.Status, check.Name, oneLine(check.Message))
		if check.Hint != "" && check.Status != app.CheckOK {
			fmt.Fprintf(w, "      %-12s hint: %s\n", "", oneLine(check.Hint))
		}
	}
}
