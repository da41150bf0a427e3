package e2e

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/scripts/lab/world"
)

// newTenant makes an organization and returns an admin's token.
func newTenant(ctx context.Context, t *testing.T, in *world.Installation, slug string) string {
	t.Helper()
	if _, err := in.CLI(ctx, "org", "create", slug, "--name", slug); err != nil {
		t.Fatal(err)
	}
	out, err := in.CLI(ctx, "token", "create", "--org", slug, "--role", "ADMIN", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// sealed encrypts a config as any program with the key may: 12 random bytes,
// AES-256-GCM.
func sealed(t *testing.T, key string, config any) []byte {
	t.Helper()
	raw, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	iv := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(iv) // never fails
	return gcm.Seal(iv, iv, text, nil)
}

// addIdle writes n organizations with a connection each, as another program
// would: the rows, and nothing else.
func addIdle(ctx context.Context, t *testing.T, in *world.Installation, n int, config any) {
	t.Helper()
	tx, err := openRows(t, in).BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	blob := sealed(t, in.MasterKey, config)
	for i := range n {
		org := uuid.NewString()
		_, err = tx.ExecContext(ctx, "INSERT INTO organization (id, slug, name) VALUES ($1, $2, $2)", org, fmt.Sprintf("idle-%d", i))
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO erp_connection (id, org_id, connector_type, config_encrypted) VALUES ($1, $2, $3, $4)",
				uuid.NewString(), org, dropzoneType, blob)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestAThousandConnectionsCostNothingAndTenBusyOnesShare looks at a host with
// 1,000 connections at rest, and then at ten that all have the same to do.
func TestAThousandConnectionsCostNothingAndTenBusyOnesShare(t *testing.T) {
	ctx := bounded(t)
	in := install(ctx, t, "postgres")
	addIdle(ctx, t, in, 990, map[string]any{"mode": "filesystem", "export_path": t.TempDir()})
	host := serve(ctx, t, in, "data")
	type tenant struct {
		client *world.Client
		zone   dropzone
		erp    *world.ERP
		ids    []string
	}
	tenants := make([]tenant, 10)
	for i := range tenants {
		zone := newDropzone(t, "filesystem").withoutAcks()
		tenants[i] = tenant{host.ClientWith(newTenant(ctx, t, in, fmt.Sprintf("busy-%d", i))), zone, greedy(t, zone.inbox), nil}
		connect(ctx, t, tenants[i].client, dropzoneType, zone.config)
	}
	used := world.CPUTime(host.PID())
	<-time.After(10 * time.Second)
	used = world.CPUTime(host.PID()) - used
	t.Logf("1,000 connections at rest: %s of processor time in 10 s", used)
	if used > time.Second {
		t.Errorf("1,000 connections at rest took %s of processor time in 10 s", used)
	}

	const each = 300
	for i := range tenants {
		tenants[i].ids = pushBatch(ctx, t, tenants[i].client, world.NewOrders(uint64(100+i)), each)
	}
	var ends []time.Duration
	var begun time.Time
	for _, tenant := range tenants {
		awaitCounts(ctx, t, tenant.client, map[string]int{"SENT": each})
		consumedOnce(t, tenant.erp, tenant.ids)
		exports, err := tenant.client.Exports(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		first, last := span(exports)
		if begun.IsZero() {
			begun = first
		}
		ends = append(ends, last.Sub(begun))
	}
	t.Logf("ten connections with %d orders each had all SENT after %v", each, ends)
	// Handed in one after the other, the last began last. Fair sharing lets
	// nobody wait for more than a few times what the first one took.
	if slowest, median := slices.Max(ends), slices.Sorted(slices.Values(ends))[5]; slowest > 4*median+2*time.Second {
		t.Errorf("one connection took %s, half of them %s", slowest, median)
	}
	resident := world.ResidentBytes(host.PID())
	t.Logf("resident memory %d MiB", resident>>20)
	if resident > 256<<20 {
		t.Errorf("the host uses %d MiB", resident>>20)
	}
}

// span returns when the first export was accepted and the last one was sent.
func span(exports []world.Export) (first, last time.Time) {
	for _, e := range exports {
		if first.IsZero() || e.CreatedAt.Before(first) {
			first = e.CreatedAt
		}
		if e.SentAt != nil && e.SentAt.After(last) {
			last = *e.SentAt
		}
	}
	return first, last
}
