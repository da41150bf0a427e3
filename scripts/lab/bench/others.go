package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// measurement is one without a floor.
type measurement struct {
	name string
	run  func(ctx context.Context) ([]line, error)
}

func (b *bench) others() []measurement {
	return []measurement{
		{"latency, PostgreSQL", func(ctx context.Context) ([]line, error) {
			return b.latencies(ctx, "latency, PostgreSQL", true, 15, 60)
		}},
		{"latency, SQLite", func(ctx context.Context) ([]line, error) {
			return b.latencies(ctx, "latency, SQLite", false, 60, 0)
		}},
		{"latency beside a hanging connection", b.beside},
		{"1,000 connections", b.crowd},
		{"takeover", b.takeover},
		{"memory", b.memory},
		{"start", b.start},
	}
}

// latencies measures accept → SENT at 100 orders/s in each round. A bar of 0 is none.
func (b *bench) latencies(ctx context.Context, name string, postgres bool, p50Bar, p99Bar float64) ([]line, error) {
	p50 := line{What: name + ": p50", Unit: "ms", Bar: &bar{AtMost: p50Bar}}
	p99 := line{What: name + ": p99", Unit: "ms"}
	if p99Bar != 0 {
		p99.Bar = &bar{AtMost: p99Bar}
	}
	disk := line{What: name + ": p99 of the disk alone", Unit: "ms"}
	for range b.rounds {
		alone, err := b.pacedFiles(ctx)
		if err != nil {
			return nil, err
		}
		disk.Values = append(disk.Values, quantile(alone, 0.99))
		taken, err := b.paced(ctx, postgres, false)
		if err != nil {
			return nil, err
		}
		p50.Values = append(p50.Values, quantile(taken, 0.5))
		p99.Values = append(p99.Values, quantile(taken, 0.99))
	}
	return []line{p50, p99, disk}, nil
}

// pacedFiles writes one flushed, renamed file an order, and nothing else, at the
// pace of the orders. It returns how long each took, in ms: on a disk that
// stalls now and then nothing can be faster.
func (b *bench) pacedFiles(ctx context.Context) ([]float64, error) {
	dir, err := b.folder("paced")
	if err != nil {
		return nil, err
	}
	calm()
	return everyPace(ctx, func(_ context.Context, i int) (time.Duration, error) {
		start := time.Now()
		err := dropFile(dir, strconv.Itoa(i), make([]byte, 1000))
		return time.Since(start), err
	})
}

// beside compares the latency of one organization's exports with and without
// another connection whose server accepts and then says nothing.
func (b *bench) beside(ctx context.Context) ([]line, error) {
	ratio := line{What: "latency beside a hanging connection: p99", Unit: "× without", Bar: &bar{AtMost: 2}}
	for round := range b.rounds {
		var p99 [2]float64 // without, with
		for _, hanging := range []bool{round%2 == 1, round%2 == 0} {
			taken, err := b.paced(ctx, true, hanging)
			if err != nil {
				return nil, err
			}
			p99[map[bool]int{true: 1}[hanging]] = quantile(taken, 0.99)
		}
		ratio.Values = append(ratio.Values, p99[1]/p99[0])
	}
	return []line{ratio}, nil
}

const (
	pace      = 10 * time.Millisecond // between two orders
	paceFor   = 20 * time.Second
	paceWatch = 3 // every third order is watched
)

// paced hands in an order each 10 ms, however long the answers take, and
// returns the milliseconds from the answer until the export is seen SENT, of
// each order that is watched.
func (b *bench) paced(ctx context.Context, postgres, hanging bool) ([]float64, error) {
	installation, err := b.install(ctx, postgres)
	if err != nil {
		return nil, err
	}
	host, err := installation.Serve(ctx, "data")
	if err != nil {
		return nil, err
	}
	defer host.Kill()
	client := host.Client()
	if hanging {
		stop, err := hang(ctx, installation, host)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	drop, err := b.folder("drop")
	if err != nil {
		return nil, err
	}
	if _, err := client.CreateConnection(ctx, dropzone, map[string]any{"mode": "filesystem", "export_path": drop}); err != nil {
		return nil, err
	}
	// The first orders pay for connections and caches.
	if err := push(ctx, client, orderBatches(100)); err != nil {
		return nil, err
	}
	if err := awaitNonePending(ctx, client); err != nil {
		return nil, err
	}
	return atPace(ctx, client)
}

func atPace(ctx context.Context, client *world.Client) ([]float64, error) {
	source := world.NewOrders(uint64(time.Now().UnixNano()))
	orders := make([]json.RawMessage, paceFor/pace)
	for i := range orders {
		_, orders[i] = source.Next()
	}
	return everyPace(ctx, func(ctx context.Context, i int) (time.Duration, error) {
		export, err := client.Push(ctx, orders[i])
		accepted := time.Now()
		if err != nil || i%paceWatch != 0 {
			return 0, err
		}
		err = untilSent(ctx, client, export.ID)
		return time.Since(accepted), err
	})
}

// everyPace makes calls at the pace, and returns what they took, in ms. A time
// of 0 does not count.
func everyPace(ctx context.Context, call func(ctx context.Context, i int) (time.Duration, error)) ([]float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var lock sync.Mutex // guards taken
	var taken []float64
	var pending sync.WaitGroup
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range int(paceFor / pace) {
		pending.Go(func() {
			took, err := call(ctx, i)
			if err != nil {
				cancel(err)
			}
			if took == 0 {
				return
			}
			lock.Lock()
			defer lock.Unlock()
			taken = append(taken, float64(took.Microseconds())/1000)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	pending.Wait()
	return taken, context.Cause(ctx)
}

// untilSent asks each millisecond, as an application in a hurry would.
func untilSent(ctx context.Context, client *world.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		var export world.Export
		if _, err := client.Call(ctx, http.MethodGet, "/api/v1/exports/"+id, nil, &export); err != nil {
			return err
		}
		switch export.Status {
		case "SENT":
			return nil
		case "FAILED":
			return fmt.Errorf("export %s failed: %+v", id, export.Error)
		}
		<-tick.C
	}
}

// hang gives another organization a connection to a server that accepts and
// then says nothing, and a hundred orders for it.
func hang(ctx context.Context, installation *world.Installation, host *world.Host) (stop func(), err error) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	stop = func() { _ = silent.Close() } // nobody waits for it
	go swallow(silent)
	client, err := tenant(ctx, installation, host, "hanging")
	if err != nil {
		return stop, err
	}
	config := sftpNowhere(silent.Addr().(*net.TCPAddr).Port)
	if _, err := client.CreateConnection(ctx, dropzone, config); err != nil {
		return stop, err
	}
	return stop, push(ctx, client, orderBatches(100))
}

// swallow accepts connections and never answers, until the listener is closed.
func swallow(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
	}
}

func sftpNowhere(port int) map[string]any {
	return map[string]any{
		"mode": "sftp", "host": "127.0.0.1", "port": port, "username": "nobody", "password": "none",
		"insecure_ignore_host_key": true, "export_path": "/in",
	}
}

// memory measures the host's resident memory while orders wait for an ERP that
// is down: its highest value, and how much it grows in the last half minute.
func (b *bench) memory(ctx context.Context) ([]line, error) {
	host, err := b.host(ctx, true)
	if err != nil {
		return nil, err
	}
	defer host.Kill()
	client := host.Client()
	if _, err := client.CreateConnection(ctx, dropzone, sftpNowhere(closedPort())); err != nil {
		return nil, err
	}
	highest := make(chan float64, 1)
	accepted := make(chan struct{})
	go func() { highest <- highestMemory(host, accepted) }()
	err = push(ctx, client, orderBatches(b.waiting))
	close(accepted)
	while := <-highest
	if err != nil {
		return nil, err
	}
	var waiting []float64
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range 60 {
		<-tick.C
		waiting = append(waiting, mebibytes(host))
	}
	half := len(waiting) / 2
	name := fmt.Sprintf("host memory, %d orders waiting", b.waiting)
	return []line{
		{What: name + ": while they are handed in", Unit: "MiB", Values: []float64{while}, Bar: &bar{AtMost: 128}},
		{What: name + ": highest in the minute after", Unit: "MiB", Values: []float64{slices.Max(waiting)}, Bar: &bar{AtMost: 128}},
		{What: name + ": growth in 30 s", Unit: "MiB", Values: []float64{median(waiting[half:]) - median(waiting[:half])}, Bar: &bar{AtMost: 4}},
	}, nil
}

func highestMemory(host *world.Host, until <-chan struct{}) float64 {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var highest float64
	for {
		select {
		case <-until:
			return highest
		case <-tick.C:
			highest = max(highest, mebibytes(host))
		}
	}
}

func mebibytes(host *world.Host) float64 { return float64(world.ResidentBytes(host.PID())) / (1 << 20) }

// closedPort is one that nobody listens on.
func closedPort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start measures from exec until /readyz says yes, with an existing database
// and all connectors that we ship.
func (b *bench) start(ctx context.Context) ([]line, error) {
	installation, err := b.install(ctx, false)
	if err != nil {
		return nil, err
	}
	connectors, err := os.ReadDir(filepath.Join(string(b.bin), "connectors"))
	if err != nil {
		return nil, err
	}
	took := line{What: fmt.Sprintf("start until ready, %d connectors", len(connectors)), Unit: "s", Bar: &bar{AtMost: 1}}
	for range max(b.rounds, 5) {
		start := time.Now()
		host, err := installation.Serve(ctx, "data")
		if err != nil {
			return nil, err
		}
		took.Values = append(took.Values, time.Since(start).Seconds())
		if err := host.Shutdown(); err != nil {
			return nil, err
		}
	}
	return []line{took}, nil
}

// tenant makes another organization and returns a client with its token.
func tenant(ctx context.Context, installation *world.Installation, host *world.Host, slug string) (*world.Client, error) {
	if _, err := installation.CLI(ctx, "org", "create", slug, "--name", slug); err != nil {
		return nil, err
	}
	out, err := installation.CLI(ctx, "token", "create", "--org", slug, "--role", "ADMIN", "--json")
	if err != nil {
		return nil, err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, err
	}
	client := host.Client()
	client.Token = made.Token
	return client, nil
}
