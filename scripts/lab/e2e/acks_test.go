package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/orderport/orderport/scripts/lab/world"
)

// TestTenThousandAcksAreAppliedAndTheOddOnesSetAside lets an ERP answer 10,000
// orders at once, and then writes acks that are no plain answers.
func TestTenThousandAcksAreAppliedAndTheOddOnesSetAside(t *testing.T) {
	t.Parallel()
	const many = 10_000
	ctx := bounded(t)
	in := install(ctx, t, "sqlite")
	client := serve(ctx, t, in, "data").Client()
	zone := newDropzone(t, "filesystem")
	connect(ctx, t, client, dropzoneType, zone.config)
	orders := world.NewOrders(13)
	var ids []string
	for range 5 {
		ids = append(ids, pushBatch(ctx, t, client, orders, many/5)...)
	}
	// Nobody is acknowledged while any order is on its way, so all acks wait
	// in the directory at one time.
	awaitCounts(ctx, t, client, map[string]int{"SENT": many})
	names := orderFiles(t, zone.inbox)
	for _, name := range names {
		writeAck(t, zone.acks, "ack_"+name, acked(name))
	}
	awaitCounts(ctx, t, client, map[string]int{"ACKED": many})
	awaitAcks(ctx, t, zone.acks, many, 0)

	writeAck(t, zone.acks, "ack_"+names[0], acked(names[0]))                                                               // again
	writeAck(t, zone.acks, "error_"+names[1], `{"status":"FAILED","error_code":"X","message":"contrary"}`)                 // after ACKED
	writeAck(t, zone.acks, "ack_sales_order_of_somebody_else.json", `{"status":"ACKED","erp_order_id":"1"}`)               // foreign
	writeAck(t, zone.acks, "ack_"+names[2], `{"status":"NONSENSE"}`)                                                       // malformed
	writeAck(t, zone.acks, "ack_"+names[3], acked(names[3])[:20])                                                          // partial
	if err := os.WriteFile(filepath.Join(zone.acks, "ack_"+names[4]+".tmp"), []byte(acked(names[4])), 0o600); err != nil { // being written
		t.Fatal(err)
	}
	awaitAcks(ctx, t, zone.acks, many, 4)
	if _, err := os.Stat(filepath.Join(zone.acks, "ack_"+names[4]+".tmp")); err != nil {
		t.Errorf("the file that was being written: %v", err)
	}
	awaitCounts(ctx, t, client, map[string]int{"ACKED": many})
	exports, err := client.Exports(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exports {
		if e.ERPOrderID != world.ERPOrderID(e.ID) {
			t.Errorf("export %s has the ERP's order number %q, want %q", e.ID, e.ERPOrderID, world.ERPOrderID(e.ID))
		}
	}
	if len(ids) != len(exports) {
		t.Errorf("%d exports for %d orders", len(exports), len(ids))
	}
}

// TestAcksThatOvertakeTheResultAreKept lets an ERP answer within milliseconds,
// many of them before the result of the delivery is recorded.
func TestAcksThatOvertakeTheResultAreKept(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	client := serve(ctx, t, install(ctx, t, "sqlite"), "data").Client()
	zone := newDropzone(t, "filesystem")
	erp := start(t, &world.ERP{Dir: zone.inbox, AckDir: zone.acks})
	connect(ctx, t, client, dropzoneType, zone.config)
	ids := pushBatch(ctx, t, client, world.NewOrders(14), 1000)
	awaitCounts(ctx, t, client, map[string]int{"ACKED": len(ids)})
	consumedOnce(t, erp, ids)
	awaitAcks(ctx, t, zone.acks, len(ids), 0)
}

// acked is what the ERP says about a file: names end in the first eight digits
// of the export's id.
func acked(name string) string {
	return fmt.Sprintf(`{"status":"ACKED","erp_order_id":%q,"processed_at":"2025-12-27T10:00:00Z"}`,
		world.ERPOrderID(name[len(name)-13:len(name)-5]))
}

func writeAck(t *testing.T, dir, name, content string) {
	t.Helper()
	tmp := filepath.Join(dir, ".writing")
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// awaitAcks waits until no ack waits, so many are processed, and so many are
// set aside.
func awaitAcks(ctx context.Context, t *testing.T, dir string, processed, setAside int) {
	t.Helper()
	eventually(ctx, t, "acks", func() error {
		waiting, _ := filepath.Glob(filepath.Join(dir, "*.json"))
		done, _ := filepath.Glob(filepath.Join(dir, "processed", "*"))
		bad, _ := filepath.Glob(filepath.Join(dir, "error", "*"))
		if len(waiting) != 0 || len(done) != processed || len(bad) != setAside {
			return fmt.Errorf("%d wait, %d are processed, %d set aside; want 0, %d and %d", len(waiting), len(done), len(bad), processed, setAside)
		}
		return nil
	})
}
