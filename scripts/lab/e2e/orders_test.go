package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

const wantOrders = 830

// TestRealOrdersTravelAllTheWay pushes all 830 orders, by the command line and
// by the batch API, into every combination of database and target, again for
// good measure, and lets an ERP acknowledge them.
func TestRealOrdersTravelAllTheWay(t *testing.T) {
	ndjson := realOrders(t)
	for _, db := range []string{"sqlite", "postgres"} {
		for _, target := range []string{"filesystem", "openssh", "proftpd"} {
			for _, by := range []string{"command line", "batch API"} {
				t.Run(strings.Join([]string{db, target, by}, "/"), func(t *testing.T) {
					travel(t, ndjson, db, target, by)
				})
			}
		}
	}
}

func realOrders(t *testing.T) []byte {
	t.Helper()
	path := world.NorthwindFile()
	if path == "" {
		skip(t, "the 830 real orders are not there: set ORDERPORT_TEST_ORDERS to northwind-orders.ndjson")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func travel(t *testing.T, ndjson []byte, db, targetKind, by string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	zone := newDropzone(t, targetKind)
	in := install(ctx, t, db)
	host := serve(ctx, t, in, "data")
	client := host.Client()
	if _, err := client.CreateConnection(ctx, "DROPZONE_JSON_V1", zone.config); err != nil {
		t.Fatal(err)
	}

	begun := time.Now()
	push(ctx, t, in, client, ndjson, by)
	awaitStatus(ctx, t, client, "SENT")
	t.Logf("%d orders SENT after %.2f s", wantOrders, time.Since(begun).Seconds())
	checkFiles(ctx, t, client, zone.inbox, ndjson)

	push(ctx, t, in, client, ndjson, by)
	awaitStatus(ctx, t, client, "SENT")
	if n := len(orderFiles(t, zone.inbox)); n != wantOrders {
		t.Fatalf("after pushing again there are %d files, want %d", n, wantOrders)
	}

	erp := &world.ERP{Dir: zone.inbox, AckDir: zone.acks, Keep: true}
	erp.Start()
	awaitStatus(ctx, t, client, "ACKED")
	erp.Stop()
	if faults := erp.Faults(); len(faults) > 0 {
		t.Fatalf("the ERP saw %v", faults)
	}
	checkAcksSettled(ctx, t, zone.acks)
}

func push(ctx context.Context, t *testing.T, in *world.Installation, client *world.Client, ndjson []byte, by string) {
	t.Helper()
	if by == "command line" {
		file := filepath.Join(t.TempDir(), "orders.ndjson")
		if err := os.WriteFile(file, ndjson, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := in.CLI(ctx, "push", file, "--org", in.Org, "--wait"); err != nil {
			t.Fatal(err)
		}
		return
	}
	lines, err := client.PushBatch(ctx, bytes.NewReader(ndjson))
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != wantOrders {
		t.Fatalf("the batch answered %d lines, want %d", len(lines), wantOrders)
	}
	for _, l := range lines {
		if l.Export == nil {
			t.Fatalf("line %d: %s", l.Line, l.Error)
		}
	}
}

func awaitStatus(ctx context.Context, t *testing.T, client *world.Client, status string) {
	t.Helper()
	err := world.Eventually(ctx, 2*time.Minute, func() error {
		counts, err := client.CountByStatus(ctx)
		if err == nil && (counts[status] != wantOrders || len(counts) != 1) {
			err = fmt.Errorf("exports by status: %v, want %d %s", counts, wantOrders, status)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func orderFiles(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// checkFiles holds every file against its export, its stored payload and the
// order that was handed in.
func checkFiles(ctx context.Context, t *testing.T, client *world.Client, inbox string, ndjson []byte) {
	t.Helper()
	orders := ordersByID(t, ndjson)
	exports, err := client.Exports(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if files := orderFiles(t, inbox); len(files) != wantOrders || len(exports) != wantOrders {
		t.Fatalf("%d files and %d exports, want %d of each", len(files), len(exports), wantOrders)
	}
	for _, e := range exports {
		checkFile(ctx, t, client, inbox, e, orders[e.DraftOrderID])
	}
}

func ordersByID(t *testing.T, ndjson []byte) map[string]map[string]any {
	t.Helper()
	orders := map[string]map[string]any{}
	scan := bufio.NewScanner(bytes.NewReader(ndjson))
	for scan.Scan() {
		order := decode(t, scan.Bytes())
		orders[order["id"].(string)] = order
	}
	return orders
}

var fileName = regexp.MustCompile(`^sales_order_([0-9a-f-]{36})_(\d{8}T\d{6}Z)_([0-9a-f]{8})\.json$`)

func checkFile(ctx context.Context, t *testing.T, client *world.Client, inbox string, e world.Export, order map[string]any) {
	t.Helper()
	name := filepath.Base(e.DropzonePath)
	parts := fileName.FindStringSubmatch(name)
	if parts == nil || parts[1] != e.DraftOrderID || parts[2] != e.CreatedAt.UTC().Format("20060102T150405Z") || parts[3] != e.ID[:8] {
		t.Fatalf("file name %q does not fit export %s of order %s", name, e.ID, e.DraftOrderID)
	}
	checkContent(ctx, t, client, filepath.Join(inbox, name), e, order)
}

// checkContent holds a file against its export's stored payload and the order
// that was handed in.
func checkContent(ctx context.Context, t *testing.T, client *world.Client, path string, e world.Export, order map[string]any) {
	t.Helper()
	name := filepath.Base(path)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := client.Payload(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, payload) {
		t.Fatalf("%s differs from its payload %s", name, e.StorageKey)
	}
	doc := decode(t, raw)
	header := doc["header"].(map[string]any)
	if v, there := header["notes"]; !there || v != nil {
		t.Errorf("%s: header.notes is %v, want null and present", name, v)
	}
	if header["external_order_number"] != order["external_order_number"] {
		t.Errorf("%s: external order number %v, want %v", name, header["external_order_number"], order["external_order_number"])
	}
	lines, wantLines := doc["lines"].([]any), order["lines"].([]any)
	if len(lines) != len(wantLines) {
		t.Fatalf("%s has %d lines, want %d", name, len(lines), len(wantLines))
	}
	for i := range lines {
		line, want := lines[i].(map[string]any), wantLines[i].(map[string]any)
		for _, field := range []string{"qty", "unit_price"} {
			got, isNumber := line[field].(json.Number)
			if !isNumber || !sameDecimal(got.String(), want[field].(string)) {
				t.Errorf("%s: lines[%d].%s is %v, want the number %v", name, i, field, line[field], want[field])
			}
		}
		if line["currency"] != order["currency"] {
			t.Errorf("%s: lines[%d].currency is %v, want the order's %v", name, i, line["currency"], order["currency"])
		}
		if v, there := line["customer_sku_raw"]; !there || v != nil {
			t.Errorf("%s: lines[%d].customer_sku_raw is %v, want null and present", name, i, v)
		}
	}
}

func sameDecimal(a, b string) bool {
	x, ok1 := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	return ok1 && ok2 && x.Cmp(y) == 0
}

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("%v in %.80s", err, raw)
	}
	return doc
}

// checkAcksSettled waits until every ack file has moved to processed/.
func checkAcksSettled(ctx context.Context, t *testing.T, acks string) {
	t.Helper()
	err := world.Eventually(ctx, 30*time.Second, func() error {
		waiting, _ := filepath.Glob(filepath.Join(acks, "ack_*"))
		done, _ := filepath.Glob(filepath.Join(acks, "processed", "ack_*"))
		if len(waiting) != 0 || len(done) != wantOrders {
			return fmt.Errorf("%d acks wait and %d are processed, want 0 and %d", len(waiting), len(done), wantOrders)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
