package app

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/seal"
	"github.com/orderport/orderport/host/internal/store"
)

// Deps is what the services stand on. All of it is needed but Waker.
type Deps struct {
	Store    store.Store
	Registry Registry
	Keyring  *seal.Keyring
	Payloads Payloads
	// HostDeadAfter is the silence after which a host counts as dead.
	HostDeadAfter time.Duration
	// Waker is this process's engine. Nil where none runs: the wake-up job
	// that the store commits reaches the hosts.
	Waker Waker
}

// Services is one of each.
type Services struct {
	Organizations *Organizations
	Tokens        *Tokens
	Connections   *Connections
	Connectors    *ConnectorTypes
	Intake        *Intake
	Exports       *Exports
	Audit         *AuditLog
	Keys          *Keys
}

// New wires the services.
func New(d Deps) *Services {
	if d.Waker == nil {
		d.Waker = sleeper{}
	}
	return &Services{
		Organizations: &Organizations{store: d.Store},
		Tokens:        &Tokens{store: d.Store},
		Connections: &Connections{
			store: d.Store, registry: d.Registry, vault: vault{d.Keyring}, waker: d.Waker, schemas: &schemas{},
			liveness: liveness(d.HostDeadAfter),
		},
		Connectors: &ConnectorTypes{registry: d.Registry},
		Intake:     newIntake(d.Store, d.Waker),
		Exports:    &Exports{store: d.Store, payloads: d.Payloads, waker: d.Waker, liveness: liveness(d.HostDeadAfter)},
		Audit:      &AuditLog{store: d.Store},
		Keys:       &Keys{store: d.Store, ring: d.Keyring},
	}
}

// sleeper stands for an engine that runs elsewhere.
type sleeper struct{}

func (sleeper) Nudge(uuid.UUID) {}

// vault is a keyring that knows a row's binding.
type vault struct{ ring *seal.Keyring }

func (v vault) Seal(c domain.Connection, config []byte) (domain.SealedConfig, error) {
	return v.ring.Seal(config, seal.BindingOf(c))
}

func (v vault) Open(c domain.Connection) ([]byte, error) {
	return v.ring.Open(c.Sealed, seal.BindingOf(c))
}

type keyStore interface {
	store.Audit
	seal.Rows
	ListOrganizations(ctx context.Context) ([]domain.Organization, error)
}

// Keys rotates master keys.
type Keys struct {
	store keyStore
	ring  *seal.Keyring
}

// Rotate re-seals every config with the current key; see seal.Rotate. Every
// organization's audit log says so.
func (k *Keys) Rotate(ctx context.Context, actor Actor, progress func(seal.Rotation)) (seal.Rotation, error) {
	if err := actor.Authorize(RotateKeys); err != nil {
		return seal.Rotation{}, err
	}
	done, err := seal.Rotate(ctx, k.store, k.ring, progress)
	if err != nil {
		return done, err
	}
	orgs, err := k.store.ListOrganizations(ctx)
	if err != nil {
		return done, err
	}
	for _, org := range orgs {
		actor.OrgID = org.ID
		if err := k.store.AppendAudit(ctx, actor.entry(RotateKeys, "key:"+k.ring.CurrentID(), nil)); err != nil {
			return done, err
		}
	}
	return done, nil
}
