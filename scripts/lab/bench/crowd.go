package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/orderport/orderport/scripts/lab/world"
)

const (
	crowdIdle = 990
	crowdBusy = 10
	crowdCalm = 12 * time.Second // until a host is at rest: it polls each connection for acks in its first ten seconds
	crowdRest = 20 * time.Second // how long it is watched then
)

// crowd compares a host that has ten connections with one that has 990 idle
// ones as well: what both use at rest, how fast they are when the ten have the
// same to do, and how equally those are served.
func (b *bench) crowd(ctx context.Context) ([]line, error) {
	const name = "1,000 connections, 10 busy"
	rest := line{What: name + ": processor time at rest, beyond that of 10", Unit: "ms/s", Bar: &bar{AtMost: 10}}
	speed := line{What: name + ": orders/s", Unit: "× with 10 alone", Bar: &bar{AtLeast: 0.9}}
	share := line{What: name + ": slowest of the 10", Unit: "× their median", Bar: &bar{AtMost: 1.5}}
	for round := range b.rounds {
		var few, many crowded
		var err error
		turns := []func(){
			func() { few, err = b.crowdOf(ctx, 0) },
			func() { many, err = b.crowdOf(ctx, crowdIdle) },
		}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if turn(); err != nil {
				return nil, err
			}
		}
		rest.Values = append(rest.Values, max(0, many.rest-few.rest))
		speed.Values = append(speed.Values, many.rate/few.rate)
		share.Values = append(share.Values, many.slowest)
	}
	return []line{rest, speed, share}, nil
}

// crowded is what one run of crowdOf showed.
type crowded struct {
	rest    float64 // ms of processor time of the host in a second at rest
	rate    float64 // orders per second of all busy connections
	slowest float64 // time of the slowest connection, the median being 1
}

func (b *bench) crowdOf(ctx context.Context, idle int) (crowded, error) {
	installation, err := b.install(ctx, true)
	if err != nil {
		return crowded{}, err
	}
	if err := b.addIdle(ctx, installation, idle); err != nil {
		return crowded{}, err
	}
	host, err := installation.Serve(ctx, "data")
	if err != nil {
		return crowded{}, err
	}
	defer host.Kill()
	clients := make([]*world.Client, crowdBusy)
	for i := range clients {
		if clients[i], err = b.busy(ctx, installation, host, i); err != nil {
			return crowded{}, err
		}
	}
	if err := pause(ctx, crowdCalm); err != nil {
		return crowded{}, err
	}
	before := world.CPUTime(host.PID())
	if err := pause(ctx, crowdRest); err != nil {
		return crowded{}, err
	}
	used := world.CPUTime(host.PID()) - before
	result := crowded{rest: float64(used.Milliseconds()) / crowdRest.Seconds()}
	return result, b.serveAll(ctx, clients, &result)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// busy makes an organization with a connection to a directory of its own.
func (b *bench) busy(ctx context.Context, in *world.Installation, host *world.Host, i int) (*world.Client, error) {
	client, err := tenant(ctx, in, host, fmt.Sprintf("busy-%d", i))
	if err != nil {
		return nil, err
	}
	drop, err := b.folder("drop")
	if err != nil {
		return nil, err
	}
	_, err = client.CreateConnection(ctx, dropzone, map[string]any{"mode": "filesystem", "export_path": drop})
	return client, err
}

// serveAll hands the same number of orders in for each client, all at once.
func (b *bench) serveAll(ctx context.Context, clients []*world.Client, result *crowded) error {
	each := max(b.orders/len(clients)/2, 20)
	batches := make([][]byte, len(clients))
	for i := range batches {
		_, batches[i] = world.NewOrders(uint64(i)).Batch(each)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([]float64, len(clients))
	var serving sync.WaitGroup
	start := time.Now()
	for i, client := range clients {
		serving.Go(func() {
			err := pushOne(ctx, client, batches[i])
			if err == nil {
				err = awaitNonePending(ctx, client)
			}
			if err != nil {
				cancel(err)
			}
			took[i] = time.Since(start).Seconds()
		})
	}
	serving.Wait()
	result.rate = float64(each*len(clients)) / slices.Max(took)
	result.slowest = slices.Max(took) / median(took)
	return context.Cause(ctx)
}

// addIdle writes n organizations with a connection each into the database, as
// another program with the key may: a thousand commands would take minutes.
func (b *bench) addIdle(ctx context.Context, in *world.Installation, n int) error {
	drop, err := b.folder("idle")
	if err != nil {
		return err
	}
	blob, err := seal(in.MasterKey, map[string]any{"mode": "filesystem", "export_path": drop})
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", in.DatabaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	for i := range n {
		org := uuid.NewString()
		if _, err := db.ExecContext(ctx, `INSERT INTO organization (id, slug, name) VALUES ($1, $2, $2)`, org, fmt.Sprintf("idle-%d", i)); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, `INSERT INTO erp_connection (id, org_id, connector_type, config_encrypted) VALUES ($1, $2, $3, $4)`,
			uuid.NewString(), org, dropzone, blob)
		if err != nil {
			return err
		}
	}
	return nil
}

// seal encrypts a config: 12 random bytes, then AES-256-GCM.
func seal(key string, config any) ([]byte, error) {
	raw, err := hex.DecodeString(key)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	iv := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(iv) // never fails
	return gcm.Seal(iv, iv, text, nil), nil
}
