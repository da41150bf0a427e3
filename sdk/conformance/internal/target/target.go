// Package target makes the targets that a connector delivers to during the
// checks, and sees what has arrived there without asking the connector.
package target

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/orderport/orderport/sdk/conformance/profile"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// Artefact is one thing at a target.
type Artefact struct {
	// Name tells it apart from all others.
	Name string
	// Data is its content; nil if the target can't show it.
	Data []byte
	// Temporary marks what the ERP does not act on.
	Temporary bool
}

// Target stands for an ERP. Its methods may be used concurrently.
//
// What only some targets can do is asked for by Files, Network and Server.
type Target interface {
	// Vars are the placeholders that a config may use.
	Vars() map[string]any
	// List returns what is there now, ordered by name.
	List(ctx context.Context) ([]Artefact, error)
	// Plant puts something there that belongs to somebody else.
	Plant(ctx context.Context, name string, data []byte) error
	// LeaveAck puts an answer of the ERP where the connector looks for it.
	LeaveAck(ctx context.Context, ack Ack) error
	// Cases are the ways in which this target can be made to fail.
	Cases() []Case
	// Close ends and removes the target.
	Close() error
}

// Files is a target that keeps files in directories of this machine.
type Files interface {
	// OrdersDir is where the connector delivers to, AckDir where it reads acks.
	OrdersDir() string
	AckDir() string
}

// Network is a target that is reached through a proxy of ours.
type Network interface {
	Proxy() *sshtest.Proxy
}

// Server is a target that is part of this program.
type Server interface {
	SFTP() *SFTPServer
}

// Case is one way in which a target does not work.
type Case struct {
	// Name says what is wrong, such as "wrong password".
	Name string
	// Vars replace placeholders of the target.
	Vars map[string]any
	// Break makes it so, and mend undoes it. Nil: Vars are enough.
	Break func() (mend func(), err error)
	// Codes are the error codes that say rightly what is wrong.
	Codes []port.Code
	// Login says that it is about credentials.
	Login bool
	// Silent says that the target does not answer at all, so that the failure
	// takes as long as the connector waits.
	Silent bool
}

// Ack is an answer of the ERP.
type Ack struct {
	ExternalRef string
	// ERPOrderID is set in a positive answer.
	ERPOrderID string
	// ErrorCode and Message are set in a negative one.
	ErrorCode, Message string
}

func (a Ack) positive() bool { return a.ErrorCode == "" }

// ErrUnable is wrapped by the errors of what a target can't do.
var ErrUnable = errors.New("this target can't do that")

// New starts a new target of the profile's kind. folder is where relative
// commands of the profile start from.
func New(ctx context.Context, p profile.Profile) (Target, error) {
	var t Target
	var err error
	switch p.Target.Kind {
	case profile.Directory:
		t, err = newDirectory(p)
	case profile.SFTP:
		t, err = newSFTP(p)
	case profile.OpenSSH:
		t, err = newOpenSSH(ctx, p)
	case profile.Script:
		t, err = newScript(ctx, p)
	default:
		err = fmt.Errorf("no such kind: %q", p.Target.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("start the target (%s): %w", p.Target.Kind, err)
	}
	return t, nil
}

// Canary returns a new text that stands for a secret. It has characters that
// URLs, JSON and base64 write in different ways, and can't come up by chance.
func Canary() string { return `Cn+/&"` + rand.Text() }
