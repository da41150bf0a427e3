package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// TestAChangedConnectionIsUsedByAllHostsAtOnce moves a connection from one
// directory to the next while three hosts deliver over it.
func TestAChangedConnectionIsUsedByAllHostsAtOnce(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	c := newCluster(ctx, t, "first", "second", "third")
	zones := []dropzone{newDropzone(t, "filesystem").withoutAcks(), newDropzone(t, "filesystem").withoutAcks(), newDropzone(t, "filesystem").withoutAcks()}
	connection := connect(ctx, t, c.hosts[0].Client(), dropzoneType, zones[0].config)

	load := startLoad(t, world.NewOrders(5), 10*time.Millisecond, c.clients()...)
	var changed []time.Time // when the change to the n-th directory had been answered
	changed = append(changed, time.Now())
	for n, zone := range zones[1:] {
		load.after(ctx, 100)
		_, err := c.hosts[(n+1)%3].Client().Call(ctx, http.MethodPut, "/api/v1/connections/"+connection+"/config",
			map[string]any{"config": zone.config}, nil)
		if err != nil {
			t.Fatal(err)
		}
		changed = append(changed, time.Now())
	}
	load.after(ctx, 100)
	ids := load.end()
	awaitCounts(ctx, t, c.hosts[0].Client(), map[string]int{"SENT": len(ids)})

	all := 0
	for n, zone := range zones {
		there := ordersIn(t, zone.inbox)
		all += len(there)
		if n == len(zones)-1 {
			break
		}
		for _, id := range load.ids(func(o handedIn) bool { return o.first.After(changed[n+1]) }) {
			if there[id] {
				t.Errorf("order %s was handed in after the change and went to the old directory", id)
			}
		}
	}
	if all != len(ids) {
		t.Errorf("there are %d files in all directories, want %d", all, len(ids))
	}
}

// ordersIn returns the orders whose files are in a directory.
func ordersIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	orders := map[string]bool{}
	for _, name := range orderFiles(t, dir) {
		parts := fileName.FindStringSubmatch(name)
		if parts == nil {
			t.Fatalf("%s is no order file", filepath.Join(dir, name))
		}
		orders[parts[1]] = true
	}
	return orders
}

// TestADisabledConnectionWaitsOnAllHosts disables a connection over one host
// while another one has its orders, and enables it over the third.
func TestADisabledConnectionWaitsOnAllHosts(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	c := newCluster(ctx, t, "first", "second", "third")
	zone := newDropzone(t, "filesystem").withoutAcks()
	erp := greedy(t, zone.inbox)
	connection := connect(ctx, t, c.hosts[0].Client(), dropzoneType, zone.config)
	orders := world.NewOrders(6)

	// More orders than three hosts take at one time, and no connector runs.
	for _, h := range c.hosts {
		h.SignalConnectors(syscall.SIGSTOP)
	}
	ids := pushBatch(ctx, t, c.hosts[0].Client(), orders, 1500)
	setEnabled(ctx, t, c.hosts[1].Client(), connection, false)
	for _, h := range c.hosts {
		h.SignalConnectors(syscall.SIGCONT)
	}
	if _, order := orders.Next(); true {
		if _, err := c.hosts[2].Client().Push(ctx, order); err == nil {
			t.Error("an order was accepted without an active connection")
		}
	}
	eventually(ctx, t, "the end of what was under way", func() error {
		if n := attemptsRunning(ctx, t, c.in); n > 0 {
			return fmt.Errorf("%d attempts are RUNNING", n)
		}
		return nil
	})
	before, err := c.hosts[0].Client().CountByStatus(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if before["PENDING"] == 0 {
		t.Fatalf("exports by status %v: none waits, so this shows nothing", before)
	}
	// Two sweeps of each host: whoever did not know would deliver now.
	<-time.After(2500 * time.Millisecond)
	awaitCounts(ctx, t, c.hosts[2].Client(), before)

	setEnabled(ctx, t, c.hosts[2].Client(), connection, true)
	awaitCounts(ctx, t, c.hosts[0].Client(), map[string]int{"SENT": len(ids)})
	consumedOnce(t, erp, ids)
}

func setEnabled(ctx context.Context, t *testing.T, client *world.Client, connection string, on bool) {
	t.Helper()
	verb := map[bool]string{true: "enable", false: "disable"}[on]
	if _, err := client.Call(ctx, http.MethodPost, "/api/v1/connections/"+connection+"/"+verb, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// TestANewConnectorIsTakenOverUnderLoad replaces the connector's binary while
// orders are delivered.
func TestANewConnectorIsTakenOverUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	in := install(ctx, t, "sqlite")
	host := serve(ctx, t, in, "data")
	client := host.Client()
	zone := newDropzone(t, "filesystem").withoutAcks()
	erp := greedy(t, zone.inbox)
	connect(ctx, t, client, dropzoneType, zone.config)
	old := host.Connectors()
	if len(old) == 0 {
		t.Fatal("the host has no connector")
	}
	oldVersion := connectorVersion(ctx, t, client)

	load := startLoad(t, world.NewOrders(7), 10*time.Millisecond, client)
	load.after(ctx, 150)
	if len(erp.Consumed()) == 0 {
		t.Error("the old connector delivered nothing")
	}
	buildConnector(ctx, t, in, "../../../plugins/dropzone", "orderport-connector-dropzone", "version=9.8.7", "-trimpath")
	eventually(ctx, t, "the takeover", func() error {
		if v := connectorVersion(ctx, t, client); v != "9.8.7" {
			return fmt.Errorf("version %s is in use", v)
		}
		for _, pid := range host.Connectors() {
			for _, was := range old {
				if pid == was && world.CommandOf(pid, "dropzone") {
					return fmt.Errorf("the old process %d is still there", pid)
				}
			}
		}
		return nil
	})
	delivered := len(erp.Consumed())
	load.after(ctx, 150)
	ids := load.end()
	awaitCounts(ctx, t, client, map[string]int{"SENT": len(ids)})
	if n := len(erp.Consumed()); n <= delivered {
		t.Errorf("the new connector delivered nothing: %d orders before and after", n)
	}
	consumedOnce(t, erp, ids)
	exports, err := client.Exports(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exports {
		if e.AttemptCount != 1 {
			t.Errorf("export %s took %d attempts, want 1: the change is no pause", e.ID, e.AttemptCount)
		}
	}
	t.Logf("%d orders, %d of them before %s was replaced by 9.8.7", len(ids), delivered, oldVersion)
}

func connectorVersion(ctx context.Context, t *testing.T, client *world.Client) string {
	t.Helper()
	var info struct{ Version string }
	if _, err := client.Call(ctx, http.MethodGet, "/api/v1/connector-types/"+dropzoneType, nil, &info); err != nil {
		t.Fatal(err)
	}
	return info.Version
}
