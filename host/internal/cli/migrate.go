package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/orderport/orderport/host/internal/store/schema"
	"github.com/orderport/orderport/host/internal/view"
)

type migrateCommands struct {
	Up     migrateUp     `cmd:"" help:"Apply what is missing. May be run again. A host on SQLite is to be stopped before, and a backup is worth having."`
	Status migrateStatus `cmd:"" help:"List all steps and whether they are applied."`
}

type migrateUp struct{}

// migrated is what migrate up prints with --json.
type migrated struct {
	Applied []schema.Step `json:"applied"`
}

// Run migrates the database.
func (c *migrateUp) Run(s *session) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	db, err := s.makeDatabase(set, s.quiet())
	if err != nil {
		return err
	}
	applied, err := db.schema.Up(s.ctx)
	if err != nil {
		return err
	}
	if applied == nil {
		applied = []schema.Step{}
	}
	return s.out.show(migrated{applied}, func(w io.Writer) {
		for _, step := range applied {
			fmt.Fprintf(w, "applied %s %d %s\n", step.Part, step.Version, step.Name)
		}
		fmt.Fprintf(w, "%s is up to date\n", db.address)
	})
}

type migrateStatus struct{}

// Run lists the steps. Steps that are missing are exit code 1.
func (c *migrateStatus) Run(s *session) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	db, err := s.makeDatabase(set, s.quiet())
	if err != nil {
		return err
	}
	steps, err := db.schema.Status(s.ctx)
	if err != nil {
		return err
	}
	same := func(v schema.Step) schema.Step { return v }
	err = showList(s.out, view.NewList(steps, "", same), []string{"PART", "VERSION", "NAME", "APPLIED"},
		func(v schema.Step) []string {
			applied := "no"
			if v.Applied {
				applied = "yes"
			}
			if v.AppliedAt != nil {
				applied = view.Time(*v.AppliedAt)
			}
			return []string{v.Part, strconv.FormatInt(v.Version, 10), v.Name, applied}
		})
	if err != nil {
		return err
	}
	for _, step := range steps {
		if !step.Applied {
			s.note("some steps are missing: `orderport migrate up` applies them")
			return errReported
		}
	}
	return nil
}
