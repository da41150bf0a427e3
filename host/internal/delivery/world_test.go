package delivery_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/delivery"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/draftorder"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/postgres"
	"github.com/orderport/orderport/host/internal/store/sqlite"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// world is a database with an organization, and what tests do with it.
type world struct {
	t     testing.TB
	store store.Store
	org   domain.Organization

	sweeps atomic.Int32 // of the engines that were made with options
}

// sweptStore counts sweeps.
type sweptStore struct {
	store.Store
	sweeps *atomic.Int32
}

func (s sweptStore) DueConnections(ctx context.Context, types []string) ([]domain.Connection, error) {
	defer s.sweeps.Add(1)
	return s.Store.DueConnections(ctx, types)
}

// sweepsPass waits until the engine has looked n times for what is due.
func (w *world) sweepsPass(n int32) {
	w.t.Helper()
	from := w.sweeps.Load()
	eventually(w.t, "the engine sweeps", func() bool { return w.sweeps.Load() > from+n })
}

// onBoth runs a test on PostgreSQL and on SQLite.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		w, _ := onPostgres(t)
		test(t, w)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, onSQLite(t))
	})
}

func onSQLite(t testing.TB) *world {
	t.Helper()
	s, err := sqlite.Open(context.Background(), storetest.SQLitePath(t), sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return newWorld(t, s)
}

// onPostgres returns a world and a function that opens its database again, as
// another host would.
func onPostgres(t testing.TB) (*world, func() store.Store) {
	t.Helper()
	url := storetest.PostgresURL(t)
	open := func() store.Store {
		s, err := postgres.Open(context.Background(), url, postgres.Options{})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	return newWorld(t, open()), open
}

func newWorld(t testing.TB, s store.Store) *world {
	t.Helper()
	w := &world{t: t, store: s}
	w.org = domain.Organization{ID: uuid.New(), Slug: "acme", Name: "Acme", CreatedAt: now()}
	must(t, s.CreateOrganization(context.Background(), w.org, w.audit("organization.create")))
	return w
}

func (w *world) audit(action string) domain.AuditEntry {
	return domain.AuditEntry{ID: uuid.Must(uuid.NewV7()), OrgID: w.org.ID, At: now(), Actor: "cli:test", Action: action, Subject: "test"}
}

// connection makes an active connection, in an organization of its own if the
// world's has one already.
func (w *world) connection() domain.Connection {
	w.t.Helper()
	return w.connectionOf(erpType)
}

func (w *world) connectionOf(kind string) domain.Connection {
	w.t.Helper()
	org := domain.Organization{ID: uuid.New(), Slug: "org-" + uuid.NewString()[:8], Name: "Org", CreatedAt: now()}
	must(w.t, w.store.CreateOrganization(context.Background(), org, w.audit("organization.create")))
	c := domain.Connection{
		ID: uuid.New(), OrgID: org.ID, ConnectorType: kind, Status: domain.Active,
		Sealed:    domain.SealedConfig{Blob: make([]byte, 12+2+16), Version: 1, KeyID: "test"},
		Health:    domain.Health{State: domain.HealthUnknown},
		CreatedAt: now(), UpdatedAt: now(),
	}
	must(w.t, w.store.CreateConnection(context.Background(), c, w.audit("connection.create")))
	stored, err := w.store.ConnectionByID(context.Background(), c.ID)
	must(w.t, err)
	return stored
}

// accept hands in n orders for a connection.
func (w *world) accept(c domain.Connection, n int) []domain.Export {
	w.t.Helper()
	batch := make([]store.Acceptance, n)
	for i := range batch {
		id := uuid.New()
		content := canonicalOrder(w.t, id)
		batch[i] = store.Acceptance{
			Draft: domain.DraftOrder{OrgID: c.OrgID, ID: id, Content: content, SHA256: sha256.Sum256(content), CreatedAt: now()},
			Export: domain.Export{
				ID: uuid.New(), OrgID: c.OrgID, ConnectionID: c.ID, ConnectorType: c.ConnectorType, DraftOrderID: id,
				FormatVersion: domain.FormatVersion, Status: domain.Pending, CreatedAt: now(), UpdatedAt: now(),
			},
		}
	}
	accepted, err := w.store.Accept(context.Background(), batch)
	must(w.t, err)
	exports := make([]domain.Export, n)
	for i, a := range accepted {
		must(w.t, a.Err)
		exports[i] = a.Export
	}
	return exports
}

func canonicalOrder(t testing.TB, id uuid.UUID) []byte {
	t.Helper()
	order, err := draftorder.Parse([]byte(fmt.Sprintf(`{"id":%q,"status":"APPROVED","approved_at":"2025-12-26T10:00:00Z",
		"customer":{"name":"Muster GmbH"},"currency":"EUR",
		"lines":[{"line_no":1,"internal_sku":"INT-999","qty":"10.5","uom":"M","unit_price":"1.23"},
		{"line_no":2,"internal_sku":"INT-998","qty":"1","uom":"PCS","unit_price":null}]}`, id)))
	must(t, err)
	return order.Canonical()
}

// quick are knobs that make tests short.
func quick() delivery.Knobs {
	return delivery.Knobs{
		SweepEvery: 50 * time.Millisecond, BeatEvery: 50 * time.Millisecond, DeadAfter: time.Second,
		RetryFirst: 20 * time.Millisecond, RetryLongest: 100 * time.Millisecond,
		AttemptTimeout: 20 * time.Second, LeaseGrace: 2 * time.Second, DrainGrace: 2 * time.Second,
	}
}

// options are what all tests have in common.
func (w *world) options(ports registry) delivery.Options {
	payloads, err := payload.OpenDir(w.t.TempDir())
	must(w.t, err)
	w.t.Cleanup(func() { _ = payloads.Close() })
	return delivery.Options{
		Store: sweptStore{w.store, &w.sweeps}, Registry: ports, Payloads: payloads,
		OpenConfig:  func(domain.Connection) ([]byte, error) { return []byte("{}"), nil },
		DecodeOrder: draftorder.DecodeCanonical,
		Logger:      testLogger(), HostName: "test", Version: "0.0.0", Knobs: quick(),
	}
}

func testLogger() *slog.Logger {
	if os.Getenv("ORDERPORT_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// run starts an engine and stops it at the end.
func (w *world) run(o delivery.Options) *delivery.Engine {
	w.t.Helper()
	e := delivery.New(o)
	must(w.t, e.Start(context.Background()))
	w.t.Cleanup(func() { stop(w.t, e) })
	return e
}

func stop(t testing.TB, e *delivery.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	must(t, e.Stop(ctx))
}

// get reads an export.
func (w *world) get(e domain.Export) domain.Export {
	w.t.Helper()
	got, err := w.store.Export(context.Background(), e.OrgID, e.ID)
	must(w.t, err)
	return got
}

// await waits until all exports have the status, and returns them.
func (w *world) await(status domain.ExportStatus, exports ...domain.Export) []domain.Export {
	w.t.Helper()
	got := make([]domain.Export, len(exports))
	for i, e := range exports {
		eventually(w.t, fmt.Sprintf("export %d is %s", i, status), func() bool {
			got[i] = w.get(e)
			return got[i].Status == status
		}, func() string { return fmt.Sprintf("it is %s, error %+v", got[i].Status, got[i].Error) })
	}
	return got
}

// outcomes returns how the attempts of an export ended.
func (w *world) outcomes(e domain.Export) string {
	w.t.Helper()
	attempts, err := w.store.Attempts(context.Background(), e.OrgID, e.ID)
	must(w.t, err)
	var all []string
	for _, a := range attempts {
		all = append(all, string(a.Outcome))
	}
	return strings.Join(all, " ")
}

func eventually(t testing.TB, what string, ok func() bool, detail ...func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			for _, d := range detail {
				what += ": " + d()
			}
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func ids(exports []domain.Export) []fmt.Stringer {
	all := make([]fmt.Stringer, len(exports))
	for i, e := range exports {
		all[i] = e.ID
	}
	return all
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noPayloads keeps nothing, to measure the engine alone.
type noPayloads struct{}

func (noPayloads) Put(_ context.Context, key string, data []byte) (payload.Object, error) {
	return payload.Object{Key: key, Size: int64(len(data)), SHA256: sha256.Sum256(data)}, nil
}
