package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/scripts/lab/world"
)

const signingKey = "0123456789abcdef key of the tests"

// foreign are the connectors of plugins/examples, by their connector types.
var foreign = map[string]string{
	"EXAMPLE_FILEDROP_NODE":   "orderport-connector-filedrop-node",
	"EXAMPLE_FILEDROP_PYTHON": "orderport-connector-filedrop-python",
}

// drop is a host with one connector that is not written in Go, connected to a
// directory.
type drop struct {
	host   *world.Host
	client *world.Client
	orders *world.Orders
	inbox  string
	acks   string
}

// built is the folder with the connectors of plugins/examples.
func built(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("ORDERPORT_TEST_EXAMPLES")
	if folder == "" {
		skip(t, "ORDERPORT_TEST_EXAMPLES is not set: make test sets it, scripts/examples prints it")
	}
	return folder
}

// eachForeign runs a test with each of these connectors.
func eachForeign(t *testing.T, test func(ctx context.Context, t *testing.T, d *drop)) {
	folder := built(t)
	for connectorType, binary := range foreign {
		t.Run(connectorType, func(t *testing.T) {
			t.Parallel()
			ctx := bounded(t)
			in := install(ctx, t, "sqlite")
			place(t, filepath.Join(folder, binary), filepath.Join(in.PluginDir, binary))
			if _, err := in.CLI(ctx, "connector", "trust", binary); err != nil {
				t.Fatal(err)
			}
			d := &drop{host: serve(ctx, t, in, "data"), orders: world.NewOrders(21), inbox: t.TempDir(), acks: t.TempDir()}
			d.client = d.host.Client()
			connect(ctx, t, d.client, connectorType, map[string]any{
				"directory": d.inbox, "ack_directory": d.acks, "ack_poll_seconds": 1, "signing_key": signingKey,
			})
			test(ctx, t, d)
		})
	}
}

// TestConnectorsInOtherLanguagesDeliverAndFetchAcks has an ERP answer each
// order, and looks into the files.
func TestConnectorsInOtherLanguagesDeliverAndFetchAcks(t *testing.T) {
	t.Parallel()
	eachForeign(t, func(ctx context.Context, t *testing.T, d *drop) {
		erp := start(t, &world.ERP{Dir: d.inbox, AckDir: d.acks, Keep: true})
		ids := pushBatch(ctx, t, d.client, d.orders, 200)
		awaitCounts(ctx, t, d.client, map[string]int{"ACKED": len(ids)})
		consumedOnce(t, erp, ids)
		awaitAcks(ctx, t, d.acks, len(ids), 0)
		exports, err := d.client.Exports(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, export := range exports {
			d.holdsWhatTheHostStored(ctx, t, export)
		}
		d.isClean(t)
	})
}

func (d *drop) holdsWhatTheHostStored(ctx context.Context, t *testing.T, export world.Export) {
	t.Helper()
	delivered, err := os.ReadFile(export.DropzonePath)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := d.client.Payload(ctx, export.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(delivered, stored) {
		t.Errorf("export %s: the file is not the stored payload", export.ID)
	}
	body, rest, signed := bytes.Cut(delivered, []byte(`,"signature":"`))
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write(append(body, '}'))
	if want := hex.EncodeToString(mac.Sum(nil)) + "\"}\n"; !signed || string(rest) != want {
		t.Errorf("export %s: signature %q, want %q", export.ID, rest, want)
	}
}

// TestConnectorsInOtherLanguagesWriteTheSameDocument hands in the orders of the
// dropzone connector's golden files.
func TestConnectorsInOtherLanguagesWriteTheSameDocument(t *testing.T) {
	t.Parallel()
	golden, err := filepath.Glob("../../../plugins/dropzone/testdata/*.in")
	if err != nil || len(golden) == 0 {
		t.Fatalf("%d golden files, %v", len(golden), err)
	}
	eachForeign(t, func(ctx context.Context, t *testing.T, d *drop) {
		for _, file := range golden {
			order, want := readGolden(t, file)
			export, err := d.client.Push(ctx, order)
			if err != nil {
				t.Fatal(err)
			}
			export = awaitExport(ctx, t, d.client, export.ID, "SENT")
			raw, err := os.ReadFile(export.DropzonePath)
			if err != nil {
				t.Fatal(err)
			}
			got := decode(t, raw)
			delete(got, "signature")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", filepath.Base(file), diff)
			}
		}
	})
}

func readGolden(t *testing.T, file string) (order json.RawMessage, document map[string]any) {
	t.Helper()
	order, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(strings.TrimSuffix(file, ".in") + ".out")
	if err != nil {
		t.Fatal(err)
	}
	// Not a character that the host lets in.
	strip := func(raw []byte) []byte { return bytes.ReplaceAll(raw, []byte(`\u0001`), nil) }
	return strip(order), decode(t, strip(out))
}

// TestRealOrdersTravelThroughConnectorsInOtherLanguages pushes all 830 orders
// and lets an ERP acknowledge them.
func TestRealOrdersTravelThroughConnectorsInOtherLanguages(t *testing.T) {
	t.Parallel()
	ndjson := realOrders(t)
	eachForeign(t, func(ctx context.Context, t *testing.T, d *drop) {
		start(t, &world.ERP{Dir: d.inbox, AckDir: d.acks, Keep: true})
		begun := time.Now()
		push(ctx, t, nil, d.client, ndjson, "batch API")
		awaitStatus(ctx, t, d.client, "ACKED")
		t.Logf("%d orders ACKED after %.2f s", wantOrders, time.Since(begun).Seconds())
		checkAcksSettled(ctx, t, d.acks)
		exports, err := d.client.Exports(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		orders := ordersByID(t, ndjson)
		for _, export := range exports {
			checkContent(ctx, t, d.client, export.DropzonePath, export, orders[export.DraftOrderID])
		}
		if files := orderFiles(t, d.inbox); len(files) != wantOrders {
			t.Errorf("%d files, want %d", len(files), wantOrders)
		}
	})
}

// isClean checks that nothing but orders is in the directory.
func (d *drop) isClean(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(d.inbox)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name()[0] == '.' {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
}

// TestConnectorsInOtherLanguagesAreKilledAndDeliverOnce kills the connector
// again and again while orders are on their way, into a directory whose ERP
// consumes what appears at once.
func TestConnectorsInOtherLanguagesAreKilledAndDeliverOnce(t *testing.T) {
	t.Parallel()
	const kills = 8
	eachForeign(t, func(ctx context.Context, t *testing.T, d *drop) {
		erp := greedy(t, d.inbox)
		var ids []string
		for n := range kills {
			ids = append(ids, pushBatch(ctx, t, d.client, d.orders, 50)...)
			// Somewhere in the middle of this batch.
			wanted := len(ids) - 45 + 5*n
			eventually(ctx, t, "deliveries", func() error {
				if got := len(erp.Consumed()); got < wanted {
					return fmt.Errorf("%d orders are consumed, want %d", got, wanted)
				}
				return nil
			})
			for _, pid := range d.connectors(t) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		awaitCounts(ctx, t, d.client, map[string]int{"SENT": len(ids)})
		consumedOnce(t, erp, ids)
		if again := d.attempts(ctx, t); again == 0 {
			t.Error("no export took a second attempt: nothing was killed in the middle")
		}
		d.isClean(t)
	})
}

// ownCopy is in the command line of a script: the path of the host's copy, which
// the system hands to the interpreter instead of the name.
const ownCopy = "/proc/self/fd/"

// connectors waits for the connector's process.
func (d *drop) connectors(t *testing.T) (pids []int) {
	t.Helper()
	eventually(t.Context(), t, "connector", func() error {
		if pids = world.ChildrenNamed(d.host.PID(), ownCopy); len(pids) == 0 {
			return errors.New("none runs")
		}
		return nil
	})
	return pids
}

// attempts counts the exports that took more than one.
func (d *drop) attempts(ctx context.Context, t *testing.T) int {
	t.Helper()
	exports, err := d.client.Exports(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	again := 0
	for _, export := range exports {
		if export.AttemptCount > 1 {
			again++
		}
	}
	return again
}

// TestConnectorsInOtherLanguagesEndWithTheirHost kills the host outright.
func TestConnectorsInOtherLanguagesEndWithTheirHost(t *testing.T) {
	t.Parallel()
	eachForeign(t, func(ctx context.Context, t *testing.T, d *drop) {
		pids := d.connectors(t)
		d.host.Kill()
		if err := world.Eventually(ctx, 10*time.Second, func() error {
			for _, pid := range pids {
				if world.CommandOf(pid, ownCopy) {
					return fmt.Errorf("connector %d still runs", pid)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := d.host.Start(ctx); err != nil {
			t.Fatal(err)
		}
		id, order := d.orders.Next()
		export, err := d.client.Push(ctx, order)
		if err != nil {
			t.Fatal(err)
		}
		erp := patient(t, d.inbox)
		awaitExport(ctx, t, d.client, export.ID, "SENT")
		consumedOnce(t, erp, []string{id})
	})
}

// TestConnectorsInOtherLanguagesConform runs the conformance checks with the
// profile that each of them brings. It measures, so it runs by itself.
func TestConnectorsInOtherLanguagesConform(t *testing.T) {
	folder := built(t)
	bin, err := world.FindBin()
	if err != nil {
		t.Fatal(err)
	}
	for connectorType, binary := range foreign {
		t.Run(connectorType, func(t *testing.T) {
			language := binary[len("orderport-connector-filedrop-"):]
			profile := filepath.Join(string(bin), "..", "plugins", "examples", language, "conformance.yaml")
			check := exec.CommandContext(bounded(t), filepath.Join(string(bin), "orderport-conformance"),
				"--color", "never", "--profile", profile, filepath.Join(folder, binary))
			out, err := check.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", check, err, out)
			}
		})
	}
}
