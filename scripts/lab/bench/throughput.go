package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

const dropzone = "DROPZONE_JSON_V1"

// versus is a product measurement with its floor.
type versus struct {
	name    string
	atLeast float64 // times the floor
	floor   func(ctx context.Context, workers int) (floor, error)
	product func(ctx context.Context) (delivered, error) // nil: the floor only
}

func (b *bench) throughputs() []versus {
	return []versus{
		{"throughput, PostgreSQL", 1.0, b.openPostgresFloor, func(ctx context.Context) (delivered, error) {
			return b.toDirectory(ctx, true)
		}},
		{"throughput, SQLite", 1.0, b.openSQLiteFloor, func(ctx context.Context) (delivered, error) {
			return b.toDirectory(ctx, false)
		}},
		{"throughput, SFTP", 0.5, b.openSFTPFloor, b.toSFTP},
	}
}

// throughput lets floor and product take turns, the other one first in every
// second round.
func (b *bench) throughput(ctx context.Context, v versus) []line {
	floor := line{What: v.name + ": floor", Unit: "orders/s"}
	product := line{What: v.name + ": orderport", Unit: "orders/s"}
	ratio := line{What: v.name + ": ratio", Unit: "× floor", Bar: &bar{AtLeast: v.atLeast}}
	var used usedLines
	turns := []func() error{
		func() error {
			rate, err := bestFloor(ctx, b.orders, v.floor)
			floor.Values = append(floor.Values, rate)
			return err
		},
		func() error {
			d, err := v.product(ctx)
			say("  orderport: %.0f orders/s; processor time per order %v", d.rate, d.used)
			product.Values = append(product.Values, d.rate)
			used.add(d.used)
			return err
		},
	}
	if v.product == nil {
		turns = turns[:1]
	}
	for round := range b.rounds {
		say("%s, round %d", v.name, round+1)
		for _, turn := range turns {
			if err := errors.Join(b.dropDatabases(ctx), turn()); err != nil {
				return []line{{What: v.name, Problem: err.Error()}}
			}
		}
		slices.Reverse(turns)
		if v.product != nil {
			ratio.Values = append(ratio.Values, product.Values[round]/floor.Values[round])
		}
	}
	if v.product == nil {
		return []line{floor}
	}
	return append([]line{floor, product, ratio}, used.lines(v.name)...)
}

// toDirectory delivers into a directory.
func (b *bench) toDirectory(ctx context.Context, postgres bool) (delivered, error) {
	drop, err := b.folder("drop")
	if err != nil {
		return delivered{}, err
	}
	config := map[string]any{"mode": "filesystem", "export_path": drop}
	return b.deliver(ctx, postgres, config, drop)
}

// toSFTP delivers to an OpenSSH server on loopback.
func (b *bench) toSFTP(ctx context.Context) (delivered, error) {
	drop, err := b.folder("drop-sftp")
	if err != nil {
		return delivered{}, err
	}
	server, err := sshtest.Start(ctx, sshtest.Options{Root: drop})
	if err != nil {
		return delivered{}, err
	}
	defer server.Close()
	return b.deliver(ctx, true, sftpConfig(server, drop), drop)
}

func sftpConfig(server *sshtest.Server, path string) map[string]any {
	return map[string]any{
		"mode": "sftp", "host": server.Host, "port": server.Port, "username": server.User,
		"private_key": server.PrivateKey, "host_key": server.HostKey, "export_path": path,
	}
}

// deliver hands orders in as fast as they are taken and returns how many a
// second became SENT, from the first request to the last one's sent_at. That is
// of this machine's clock, when the last transaction began.
func (b *bench) deliver(ctx context.Context, postgres bool, config map[string]any, drop string) (delivered, error) {
	host, err := b.host(ctx, postgres)
	if err != nil {
		return delivered{}, err
	}
	defer host.Kill()
	client := host.Client()
	if _, err := client.CreateConnection(ctx, dropzone, config); err != nil {
		return delivered{}, err
	}
	batches := orderBatches(b.orders)
	used := b.meter(host)
	start := time.Now()
	if err := push(ctx, client, batches); err != nil {
		return delivered{}, err
	}
	say("  accepted at %.0f orders/s", float64(b.orders)/time.Since(start).Seconds())
	if err := awaitNonePending(ctx, client); err != nil {
		return delivered{}, err
	}
	d := delivered{used: used(b.orders)}
	end, err := verify(ctx, client, b.orders, drop)
	if err != nil {
		return delivered{}, err
	}
	d.rate = float64(b.orders) / end.Sub(start).Seconds()
	return d, host.Shutdown()
}

// host starts Orderport with an empty database.
func (b *bench) host(ctx context.Context, postgres bool) (*world.Host, error) {
	installation, err := b.install(ctx, postgres)
	if err != nil {
		return nil, err
	}
	return installation.Serve(ctx, "data")
}

func (b *bench) install(ctx context.Context, postgres bool) (*world.Installation, error) {
	calm()
	dir, err := b.folder("host")
	if err != nil {
		return nil, err
	}
	in := world.Installation{Bin: b.bin, Dir: dir}
	if postgres {
		if in.DatabaseURL, err = b.database(ctx, "product"); err != nil {
			return nil, err
		}
	}
	return world.Install(ctx, in)
}

// orderBatches makes n orders in batches of up to 500, before the clock runs.
func orderBatches(n int) [][]byte {
	source := world.NewOrders(uint64(time.Now().UnixNano()))
	var batches [][]byte
	for left := n; left > 0; left -= 500 {
		_, batch := source.Batch(min(left, 500))
		batches = append(batches, batch)
	}
	return batches
}

// push hands in batches, four at a time. Each order has to be accepted.
func push(ctx context.Context, client *world.Client, batches [][]byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waiting := make(chan []byte, len(batches))
	for _, batch := range batches {
		waiting <- batch
	}
	close(waiting)
	var pushing sync.WaitGroup
	for range 4 {
		pushing.Go(func() {
			for batch := range waiting {
				if err := pushOne(ctx, client, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	pushing.Wait()
	return context.Cause(ctx)
}

func pushOne(ctx context.Context, client *world.Client, batch []byte) error {
	answers, err := client.PushBatch(ctx, bytes.NewReader(batch))
	if err != nil {
		return err
	}
	if want := bytes.Count(batch, []byte("\n")); len(answers) != want {
		return fmt.Errorf("%d orders handed in, %d answers", want, len(answers))
	}
	for _, answer := range answers {
		if answer.Status != http.StatusAccepted {
			return fmt.Errorf("order refused with %d: %s", answer.Status, answer.Error)
		}
	}
	return nil
}

// awaitNonePending asks a question until its answer is empty, ten times a
// second: more often would be a load of its own.
func awaitNonePending(ctx context.Context, client *world.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var page struct{ Items []json.RawMessage }
		_, err := client.Call(ctx, http.MethodGet, "/api/v1/exports?status=PENDING&limit=1", nil, &page)
		if err == nil && len(page.Items) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("exports are still PENDING, such as %s (%w)", page.Items, errors.Join(ctx.Err(), err))
		}
	}
}

// verify makes sure that the figure is of orders that were delivered, and
// returns when the last one was.
func verify(ctx context.Context, client *world.Client, orders int, drop string) (end time.Time, err error) {
	exports, err := client.Exports(ctx, nil)
	if err != nil {
		return end, err
	}
	sent := 0
	for _, e := range exports {
		if e.Status == "SENT" && e.SentAt != nil {
			sent++
			if e.SentAt.After(end) {
				end = *e.SentAt
			}
		}
	}
	if sent != orders || len(exports) != orders {
		return end, fmt.Errorf("want %d exports SENT, have %d of %d", orders, sent, len(exports))
	}
	files, err := os.ReadDir(drop)
	if err != nil {
		return end, err
	}
	if len(files) != orders {
		return end, fmt.Errorf("want %d files, have %d", orders, len(files))
	}
	return end, nil
}
