package cli

import (
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/seal"
)

type keyCommands struct {
	Generate keyGenerate `cmd:"" help:"Print a new master key. Keep it: without it no stored config opens."`
	Rotate   keyRotate   `cmd:"" help:"Re-seal every config with the current master key. Hosts may run meanwhile; may be run again."`
}

type keyGenerate struct{}

// Run prints a key, and nothing else, on standard output.
func (c *keyGenerate) Run(s *session) error {
	key := seal.GenerateKey()
	return s.out.show(map[string]string{"key": key.Reveal(), "id": key.ID()}, func(w io.Writer) {
		fmt.Fprintln(w, key.Reveal())
	})
}

type keyRotate struct{}

// rotated is what key rotate prints with --json.
type rotated struct {
	KeyID    string        `json:"key_id"`
	Resealed int           `json:"resealed"`
	Failed   []notResealed `json:"failed"`
}

type notResealed struct {
	ConnectionID string `json:"connection_id"`
	OrgID        string `json:"org_id"`
	Error        string `json:"error"`
}

// Run rotates. A config that does not open is exit code 1.
func (c *keyRotate) Run(s *session) error {
	o, err := s.office(wants{keys: true})
	if err != nil {
		return err
	}
	done, err := o.Keys.Rotate(s.ctx, s.operator(uuid.Nil), nil)
	if err != nil {
		return err
	}
	shown := rotated{KeyID: o.deps.Keyring.CurrentID(), Resealed: done.Resealed, Failed: []notResealed{}}
	for _, f := range done.Failed {
		shown.Failed = append(shown.Failed, notResealed{f.Connection.ID.String(), f.Connection.OrgID.String(), f.Err.Error()})
	}
	err = s.out.show(shown, func(w io.Writer) {
		fmt.Fprintf(w, "%d configs are sealed anew with key %s\n", shown.Resealed, shown.KeyID)
		for _, f := range shown.Failed {
			fmt.Fprintf(w, "  connection %s stays as it is: %s\n", f.ConnectionID, f.Error)
		}
		if len(shown.Failed) == 0 {
			fmt.Fprintln(w, "once every host has the new key, the previous ones are no longer needed")
		}
	})
	if err == nil && len(shown.Failed) > 0 {
		err = errReported
	}
	return err
}
