package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// cluster is an installation on PostgreSQL with several hosts. Each has its
// own data directory and its own connectors.
type cluster struct {
	in    *world.Installation
	hosts []*world.Host
}

// newCluster starts a host for each name. A host whose name starts with "bare"
// has no connectors.
func newCluster(ctx context.Context, t *testing.T, names ...string) *cluster {
	t.Helper()
	c := &cluster{in: install(ctx, t, "postgres")}
	for _, name := range names {
		plugins := filepath.Join(c.in.Dir, "connectors-of-"+name)
		from := filepath.Join(string(c.in.Bin), "connectors")
		if name[:4] == "bare" {
			from = t.TempDir()
		}
		if err := world.CopyConnectors(from, plugins); err != nil {
			t.Fatal(err)
		}
		setting := "ORDERPORT_PLUGIN_DIR=" + plugins
		if _, err := c.in.CLIWith(ctx, []string{setting}, "connector", "trust", "--all"); err != nil && name[:4] != "bare" {
			t.Fatal(err)
		}
		c.hosts = append(c.hosts, serve(ctx, t, c.in, name, setting))
	}
	return c
}

func (c *cluster) clients() []*world.Client {
	var all []*world.Client
	for _, h := range c.hosts {
		all = append(all, h.Client())
	}
	return all
}

// TestThreeHostsShareTheWorkHoweverTheyAreKilled kills hosts under load. One of
// the three has no connectors: it takes orders, and the others deliver them.
func TestThreeHostsShareTheWorkHoweverTheyAreKilled(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	c := newCluster(ctx, t, "first", "second", "bare")
	first, second, bare := c.hosts[0], c.hosts[1], c.hosts[2]
	zone := newDropzone(t, "filesystem").withoutAcks()
	erp := greedy(t, zone.inbox)
	connect(ctx, t, first.Client(), dropzoneType, zone.config)

	load := startLoad(t, world.NewOrders(1), 15*time.Millisecond, c.clients()...)
	for _, victims := range [][]*world.Host{{first}, {second}, {bare}, {first, second}, {first, second, bare}} {
		load.after(ctx, 60)
		for _, h := range victims {
			h.Kill()
		}
		if len(victims) < 3 {
			load.after(ctx, 30) // those that are left take orders
		}
		for _, h := range victims {
			if err := h.Start(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	ids := load.end()
	awaitCounts(ctx, t, bare.Client(), map[string]int{"SENT": len(ids)})
	consumedOnce(t, erp, ids)

	exports, err := bare.Client().Exports(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for _, e := range exports {
		full, err := bare.Client().Export(ctx, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range full.Attempts {
			ran[a.Host]++
		}
	}
	if ran["first"] == 0 || ran["second"] == 0 || ran["bare"] != 0 {
		t.Errorf("attempts by host: %v, want some of first and second and none of bare", ran)
	}
}

// freeze stops the connectors of a host and waits until an attempt is in their
// hands. It returns the export.
func freeze(ctx context.Context, t *testing.T, h *world.Host, orders *world.Orders) world.Export {
	t.Helper()
	if h.SignalConnectors(syscall.SIGSTOP) == 0 {
		t.Fatal("the host has no connector")
	}
	client := h.Client()
	_, order := orders.Next()
	pushed, err := client.Push(ctx, order)
	if err != nil {
		t.Fatal(err)
	}
	var export world.Export
	eventually(ctx, t, "an attempt on "+h.Name, func() error {
		export, err = client.Export(ctx, pushed.ID)
		if n := len(export.Attempts); err == nil && (n == 0 || export.Attempts[n-1].Outcome != "RUNNING") {
			err = fmt.Errorf("export %s has attempts %+v", export.ID, export.Attempts)
		}
		return err
	})
	return export
}

// lastAfterLost returns the attempt that delivered. Those before it must be
// LOST: one at least, more where the host had time to give a stopped connector up.
func lastAfterLost(t *testing.T, attempts []world.Attempt) world.Attempt {
	t.Helper()
	for i, a := range attempts {
		want := "LOST"
		if i == len(attempts)-1 {
			want = "DELIVERED"
		}
		if a.Outcome != want || len(attempts) < 2 {
			t.Fatalf("attempts %+v, want LOST ones and then one DELIVERED", attempts)
		}
	}
	return attempts[len(attempts)-1]
}

// TestAnotherHostTakesOverFromADeadOne kills a host in the middle of an
// attempt, and does not start it again.
func TestAnotherHostTakesOverFromADeadOne(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	c := newCluster(ctx, t, "first")
	first := c.hosts[0]
	zone := newDropzone(t, "filesystem").withoutAcks()
	erp := greedy(t, zone.inbox)
	connect(ctx, t, first.Client(), dropzoneType, zone.config)
	export := freeze(ctx, t, first, world.NewOrders(2))
	second := serve(ctx, t, c.in, "second")

	died := time.Now()
	first.Kill()
	sent := awaitExport(ctx, t, second.Client(), export.ID, "SENT")
	last := lastAfterLost(t, sent.Attempts)
	if last.Host != "second" {
		t.Fatalf("attempts %+v, want the last on the second host", sent.Attempts)
	}
	// The bar is 10 s; the rest is for a busy machine.
	took := last.StartedAt.Sub(died)
	t.Logf("running again %.1f s after the host's death", took.Seconds())
	if took > 30*time.Second {
		t.Errorf("it took %s until the export ran again", took)
	}
	consumedOnce(t, erp, []string{export.DraftOrderID})
}

// TestAHostThatSleptCanDoNoHarmWhenItWakes stops a host and its connectors in
// the middle of attempts for longer than it takes to be declared dead, and lets
// them go on when another host has delivered.
func TestAHostThatSleptCanDoNoHarmWhenItWakes(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	c := newCluster(ctx, t, "first")
	first := c.hosts[0]
	zone := newDropzone(t, "filesystem").withoutAcks()
	erp := greedy(t, zone.inbox)
	connect(ctx, t, first.Client(), dropzoneType, zone.config)
	orders := world.NewOrders(3)
	ids := pushBatch(ctx, t, first.Client(), orders, 200)
	export := freeze(ctx, t, first, orders)
	ids = append(ids, export.DraftOrderID)
	if err := first.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second := serve(ctx, t, c.in, "second")
	awaitCounts(ctx, t, second.Client(), map[string]int{"SENT": len(ids)})

	if err := first.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.SignalConnectors(syscall.SIGCONT)
	if err := first.WaitReady(ctx, aLong); err != nil {
		t.Fatal(err)
	}
	// It is at work again, so what it had to say has been said.
	ids = append(ids, pushBatch(ctx, t, first.Client(), orders, 200)...)
	awaitCounts(ctx, t, first.Client(), map[string]int{"SENT": len(ids)})
	if err := first.Shutdown(); err != nil {
		t.Errorf("the host that slept: %v", err)
	}
	sent := awaitExport(ctx, t, second.Client(), export.ID, "SENT")
	lastAfterLost(t, sent.Attempts)
	eventually(ctx, t, "temporary files", func() error {
		left, err := filepath.Glob(filepath.Join(zone.inbox, "*"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d are left: %v", len(left), left)
		}
		return err
	})
	consumedOnce(t, erp, ids)
}

// TestAStopUnderLoadLeavesNothingHalfDone ends a host as an operator does.
func TestAStopUnderLoadLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	for _, db := range []string{"sqlite", "postgres"} {
		t.Run(db, func(t *testing.T) {
			t.Parallel()
			ctx := bounded(t)
			in := install(ctx, t, db)
			host := serve(ctx, t, in, "data")
			zone := newDropzone(t, "filesystem").withoutAcks()
			erp := greedy(t, zone.inbox)
			connect(ctx, t, host.Client(), dropzoneType, zone.config)
			ids := pushBatch(ctx, t, host.Client(), world.NewOrders(4), 3000)
			eventually(ctx, t, "deliveries", func() error {
				if len(erp.Consumed()) < 100 {
					return errors.New("fewer than 100 orders have been delivered")
				}
				return nil
			})

			if err := host.Shutdown(); err != nil {
				t.Fatalf("the host ended with %v, want status 0", err)
			}
			if n := len(erp.Consumed()); n == len(ids) {
				t.Fatal("all was delivered before the stop, so this shows nothing")
			}
			if running := attemptsRunning(ctx, t, in); running != 0 {
				t.Errorf("%d attempts are left RUNNING", running)
			}
			if left, _ := filepath.Glob(filepath.Join(zone.inbox, "*.tmp")); len(left) > 0 {
				t.Errorf("temporary files are left: %v", left)
			}
			if left, _ := os.ReadDir(filepath.Join(in.DataDir(), "run")); len(left) > 0 {
				t.Errorf("the run directory is left: %v", left)
			}
			if err := host.Start(ctx); err != nil {
				t.Fatal(err)
			}
			awaitCounts(ctx, t, host.Client(), map[string]int{"SENT": len(ids)})
			consumedOnce(t, erp, ids)
		})
	}
}
