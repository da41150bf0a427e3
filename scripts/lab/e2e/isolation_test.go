package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// tenant is an organization with one connection.
type tenant struct {
	client *world.Client
	orders *world.Orders
}

// latencies hands in orders at an even pace and returns how long each took from
// acceptance to SENT, sorted.
func (o tenant) latencies(ctx context.Context, t *testing.T) []time.Duration {
	t.Helper()
	const count = 200
	begun := time.Now().Add(-time.Second)
	mine := map[string]bool{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range count {
		<-tick.C
		id, order := o.orders.Next()
		if _, err := o.client.Push(ctx, order); err != nil {
			t.Fatal(err)
		}
		mine[id] = true
	}
	var took []time.Duration
	eventually(ctx, t, "deliveries", func() error {
		exports, err := o.client.Exports(ctx, url.Values{"since": {begun.UTC().Format(time.RFC3339)}})
		took = nil
		for _, e := range exports {
			if mine[e.DraftOrderID] && e.Status == "SENT" && e.SentAt != nil {
				took = append(took, e.SentAt.Sub(e.CreatedAt))
			}
		}
		if err == nil && len(took) < count {
			err = fmt.Errorf("%d of %d are SENT", len(took), count)
		}
		return err
	})
	slices.Sort(took)
	return took
}

// TestTroubleOfOneConnectionIsNotThatOfOthers measures how long orders of one
// organization take while another one's connection hangs, is flooded, or kills
// the connector that both use. The bar is for a machine of its own (`make
// bench`); here a multiple of it is for one that is busy.
func TestTroubleOfOneConnectionIsNotThatOfOthers(t *testing.T) {
	ctx := bounded(t)
	in := install(ctx, t, "sqlite")
	buildConnector(ctx, t, in, "brittle", "orderport-connector-brittle", "connectorType=DIES")
	host := serve(ctx, t, in, "data")
	calm, shared := calmTenant(ctx, t, in, host), brittleTenant(ctx, t, in, host, "shared")

	undisturbed := calm.latencies(ctx, t)
	for _, trouble := range []struct {
		name  string
		begin func()
	}{
		{"one that hangs", func() { beginHanging(ctx, t, in, host) }},
		{"one that hangs, and one that is flooded", func() { beginFlood(ctx, t, in, host) }},
	} {
		trouble.begin()
		compare(t, "beside "+trouble.name, undisturbed, calm.latencies(ctx, t))
	}
	// The killers die alone after a few tries; until then each death ends what
	// others have under way in the same process.
	undisturbed = shared.latencies(ctx, t)
	killers := brittleTenant(ctx, t, in, host, "killers")
	for range 10 {
		pushNoted(ctx, t, killers.client, killers.orders, "die at once")
	}
	compare(t, "beside one that kills the connector of both", undisturbed, shared.latencies(ctx, t))
	awaitCounts(ctx, t, killers.client, map[string]int{"FAILED": 10})
}

// compare wants p99 to be of the order of what it is without trouble.
func compare(t *testing.T, what string, without, with []time.Duration) {
	t.Helper()
	p99 := func(all []time.Duration) time.Duration { return all[len(all)*99/100] }
	t.Logf("%s: p50 %s, p99 %s; without p50 %s, p99 %s", what, with[len(with)/2], p99(with), without[len(without)/2], p99(without))
	if p99(with) > 5*p99(without)+2*time.Second {
		t.Errorf("%s p99 is %s, without it %s", what, p99(with), p99(without))
	}
}

func calmTenant(ctx context.Context, t *testing.T, in *world.Installation, host *world.Host) tenant {
	t.Helper()
	zone := newDropzone(t, "filesystem").withoutAcks()
	calm := tenant{host.ClientWith(newTenant(ctx, t, in, "calm")), world.NewOrders(20)}
	connect(ctx, t, calm.client, dropzoneType, zone.config)
	return calm
}

func brittleTenant(ctx context.Context, t *testing.T, in *world.Installation, host *world.Host, name string) tenant {
	t.Helper()
	one := tenant{host.ClientWith(newTenant(ctx, t, in, name)), world.NewOrders(uint64(21 + len(name)))}
	connect(ctx, t, one.client, "DIES", map[string]any{"dir": t.TempDir()})
	return one
}

// beginHanging gives an organization a server that swallows everything, and 500
// orders for it.
func beginHanging(ctx context.Context, t *testing.T, in *world.Installation, host *world.Host) {
	t.Helper()
	zone := newDropzone(t, "openssh").withoutAcks()
	proxy := sshtest.RunProxy(t, zone.server.Addr)
	proxy.Blackhole(true)
	zone.config["port"], zone.config["timeout_seconds"] = proxy.Port, 60
	hanging := host.ClientWith(newTenant(ctx, t, in, "hanging"))
	connect(ctx, t, hanging, dropzoneType, zone.config)
	pushBatch(ctx, t, hanging, world.NewOrders(30), 500)
	eventually(ctx, t, "attempts that hang", func() error {
		if proxy.Accepted() == 0 {
			return fmt.Errorf("nobody has reached the black hole")
		}
		return nil
	})
}

// beginFlood hands in more orders at once than can be delivered while anybody
// measures.
func beginFlood(ctx context.Context, t *testing.T, in *world.Installation, host *world.Host) {
	t.Helper()
	zone := newDropzone(t, "filesystem").withoutAcks()
	flooded := host.ClientWith(newTenant(ctx, t, in, "flooded"))
	connect(ctx, t, flooded, dropzoneType, zone.config)
	orders := world.NewOrders(31)
	var batch bytes.Buffer
	for range 15_000 {
		_, order := orders.Next()
		batch.Write(append(order, '\n'))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := flooded.PushBatch(ctx, &batch); err != nil {
			t.Errorf("flood: %v", err)
		}
	}()
	t.Cleanup(func() { <-done })
}
