package delivery

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery/acks"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/store"
)

// Store is the part of store.Store that the engine uses.
type Store interface {
	store.Ledger
	store.Hosts
	SetHealth(ctx context.Context, id uuid.UUID, asOf time.Time, h domain.Health) error
	PlanProbe(ctx context.Context, id uuid.UUID, asOf time.Time, seen, planned domain.Health) (mine bool, err error)
	Export(ctx context.Context, orgID, id uuid.UUID) (domain.Export, error)
	acks.Store
}

// Payloads is where the bytes go that are delivered; see payload.Store.
type Payloads interface {
	Put(ctx context.Context, key string, data []byte) (payload.Object, error)
}

// Observer hears what happens, for metrics. Its methods are called
// concurrently and must return at once.
type Observer interface {
	// AttemptEnded is told of every attempt that this host ran. code is empty
	// if it succeeded.
	AttemptEnded(connectorType string, outcome domain.Outcome, code port.Code, took time.Duration)
	// Superseded is told of every attempt whose result came too late.
	Superseded(connectorType string)
	// CircuitMoved is told when this host opens or closes a circuit.
	CircuitMoved(connectorType string, to domain.HealthState, code port.Code)
	// TakenOver is told how many exports of dead hosts were taken over.
	TakenOver(exports int)
	// AcksSettled is told how many acks had the same verdict.
	AcksSettled(connectorType string, verdict acks.Verdict, count int)
}

// Options are what an Engine is made of. Those without a default are required.
type Options struct {
	Store    Store
	Registry connector.Registry
	Payloads Payloads
	// OpenConfig decrypts a connection's config.
	OpenConfig func(domain.Connection) ([]byte, error)
	// DecodeOrder turns a stored order into the Port's message.
	DecodeOrder func(canonical []byte) (*connectorv1.DraftOrder, error)
	Logger      *slog.Logger
	Observer    Observer // nil: nobody

	HostName string // for people
	Version  string
	// HostID is this run's id. Zero: a new one. It is known to the caller so
	// that the next run can name it as its Predecessor.
	HostID uuid.UUID
	// Predecessor is the run whose place this one takes, and which is certain
	// to be dead: its exports are taken over at once. Zero: none.
	Predecessor uuid.UUID
	// Registered is told the id under which this host is registered: at Start,
	// and again whenever it has been declared dead and goes on under a new one.
	// Nil: nobody wants to know.
	Registered func(id uuid.UUID)

	Knobs Knobs
}

// Knobs are the numbers that a deployment may want to turn. Zero values mean
// the defaults.
type Knobs struct {
	Concurrency       int           // exports at one time for one connection, at most: 512
	GlobalConcurrency int           // exports at one time on this host: 1024
	AttemptTimeout    time.Duration // one attempt: 60 s
	// LeaseGrace is how much longer than its deadline an attempt is leased, to
	// record how it ended: 15 s.
	LeaseGrace time.Duration
	// MaxFailures is how many failed attempts end an export: 10.
	MaxFailures int
	// MaxLoneCrashes is how often an export may kill a connector that runs
	// nothing else: 3.
	MaxLoneCrashes int
	RetryFirst     time.Duration // pause after the first failure: 2 s
	RetryLongest   time.Duration // longest pause: 5 min

	SweepEvery   time.Duration // look for due connections: 1 s
	BeatEvery    time.Duration // heartbeat and takeover: 1 s
	DeadAfter    time.Duration // a host without heartbeat is dead: 5 s
	Linger       time.Duration // a lane without work lives on: 5 s
	DrainGrace   time.Duration // Stop lets attempts run on: 10 s
	ProbeTimeout time.Duration // one TestConnection: 30 s

	Acks acks.Knobs
}

func (k Knobs) withDefaults() Knobs {
	setDefault(&k.Concurrency, 512)
	setDefault(&k.GlobalConcurrency, 1024)
	setDefault(&k.AttemptTimeout, time.Minute)
	setDefault(&k.LeaseGrace, 15*time.Second)
	setDefault(&k.MaxFailures, 10)
	setDefault(&k.MaxLoneCrashes, 3)
	setDefault(&k.RetryFirst, 2*time.Second)
	setDefault(&k.RetryLongest, 5*time.Minute)
	setDefault(&k.SweepEvery, time.Second)
	setDefault(&k.BeatEvery, time.Second)
	setDefault(&k.DeadAfter, 5*time.Second)
	setDefault(&k.Linger, 5*time.Second)
	setDefault(&k.DrainGrace, 10*time.Second)
	setDefault(&k.ProbeTimeout, 30*time.Second)
	return k
}

func setDefault[T comparable](knob *T, value T) {
	var zero T
	if *knob == zero {
		*knob = value
	}
}

// nobody is the Observer of an engine that has none.
type nobody struct{}

func (nobody) AttemptEnded(string, domain.Outcome, port.Code, time.Duration) {}
func (nobody) Superseded(string)                                             {}
func (nobody) CircuitMoved(string, domain.HealthState, port.Code)            {}
func (nobody) TakenOver(int)                                                 {}
func (nobody) AcksSettled(string, acks.Verdict, int)                         {}
