package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// awaitHealth waits until a connection is in a state and returns it.
func awaitHealth(ctx context.Context, t *testing.T, client *world.Client, id, state string) world.Connection {
	t.Helper()
	var conn world.Connection
	eventually(ctx, t, "health", func() error {
		var err error
		conn, err = client.Connection(ctx, id)
		if err == nil && conn.Health.State != state {
			err = fmt.Errorf("the connection is %+v, want %s", conn.Health, state)
		}
		return err
	})
	return conn
}

// TestAnERPThatIsAwayCostsNoAttempts stops the SFTP server, and starts it again.
func TestAnERPThatIsAwayCostsNoAttempts(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	zone := newDropzone(t, "openssh").withoutAcks()
	host := serve(ctx, t, install(ctx, t, "sqlite"), "data")
	client, orders := host.Client(), world.NewOrders(9)
	erp := greedy(t, zone.inbox)
	connection := connect(ctx, t, client, dropzoneType, zone.config)
	ids := pushBatch(ctx, t, client, orders, 20)
	awaitCounts(ctx, t, client, map[string]int{"SENT": 20})

	begun := time.Now().Add(-time.Second)
	zone.server.Kill()
	ids = append(ids, pushBatch(ctx, t, client, orders, 50)...)
	down := awaitHealth(ctx, t, client, connection, "DOWN")
	if down.Health.Code != "UNREACHABLE" || down.Health.Reason == "" || down.Health.Since == nil || down.Health.Since.Before(begun) {
		t.Errorf("health %+v, want UNREACHABLE with a reason and since when", down.Health)
	}
	awaitCounts(ctx, t, client, map[string]int{"PENDING": 50, "SENT": 20})

	if err := zone.server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	awaitCounts(ctx, t, client, map[string]int{"SENT": 70})
	awaitHealth(ctx, t, client, connection, "HEALTHY")
	consumedOnce(t, erp, ids)
	exports, err := client.Exports(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exports {
		full, err := client.Export(ctx, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range full.Attempts {
			if a.Outcome == "RETRY" || a.Outcome == "FAILED" {
				t.Errorf("attempt %d of export %s ended as %s: an outage costs no attempts", a.Number, e.ID, a.Outcome)
			}
		}
	}
}

// TestAWrongPasswordIsTriedRarely counts the connections that reach the server.
func TestAWrongPasswordIsTriedRarely(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	zone := newDropzone(t, "proftpd").withoutAcks()
	proxy := sshtest.RunProxy(t, zone.server.Addr)
	zone.config["port"], zone.config["password"] = proxy.Port, "not the password"
	client := serve(ctx, t, install(ctx, t, "sqlite"), "data").Client()
	connection := connect(ctx, t, client, dropzoneType, zone.config)
	pushBatch(ctx, t, client, world.NewOrders(10), 50)
	down := awaitHealth(ctx, t, client, connection, "DOWN")
	if down.Health.Code != "AUTHENTICATION_FAILED" {
		t.Errorf("health %+v, want AUTHENTICATION_FAILED", down.Health)
	}
	// Time for whoever would try again; on any machine, more time means more tries.
	<-time.After(5 * time.Second)
	awaitCounts(ctx, t, client, map[string]int{"PENDING": 50})
	if n := proxy.Accepted(); n > 2 {
		t.Errorf("the server has seen %d logins with 50 orders waiting, at most 2 are fine", n)
	}
}

// TestAHangingConnectionDoesNotHoldUpOthers puts a black hole before one
// organization's server.
func TestAHangingConnectionDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	in := install(ctx, t, "sqlite")
	host := serve(ctx, t, in, "data")
	hanging := newDropzone(t, "openssh").withoutAcks()
	proxy := sshtest.RunProxy(t, hanging.server.Addr)
	proxy.Blackhole(true)
	hanging.config["port"] = proxy.Port
	hanging.config["timeout_seconds"] = 20
	connect(ctx, t, host.Client(), dropzoneType, hanging.config)
	stuck := world.NewOrders(11)
	first := pushBatch(ctx, t, host.Client(), stuck, 500)
	eventually(ctx, t, "attempts that hang", func() error {
		if proxy.Accepted() == 0 {
			return fmt.Errorf("nobody has reached the black hole")
		}
		return nil
	})

	healthy := newDropzone(t, "filesystem").withoutAcks()
	erp := greedy(t, healthy.inbox)
	other := host.ClientWith(newTenant(ctx, t, in, "other"))
	connect(ctx, t, other, dropzoneType, healthy.config)
	ids := pushBatch(ctx, t, other, world.NewOrders(12), 500)
	awaitCounts(ctx, t, other, map[string]int{"SENT": 500})
	consumedOnce(t, erp, ids)
	awaitCounts(ctx, t, host.Client(), map[string]int{"PENDING": len(first)})

	late := greedy(t, hanging.inbox)
	proxy.Blackhole(false)
	awaitCounts(ctx, t, host.Client(), map[string]int{"SENT": len(first)})
	consumedOnce(t, late, first)
}
