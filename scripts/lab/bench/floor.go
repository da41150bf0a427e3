package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// floorWorkers are the numbers of workers out of which the best one counts.
var floorWorkers = []int{8, 16, 32}

// floor delivers orders one by one, each durably. Its order method is called by
// several workers at once.
type floor interface {
	order(ctx context.Context, worker int, id string, content []byte) error
	close()
}

// bestFloor returns the orders per second of the best number of workers; open
// makes a new floor for each.
func bestFloor(ctx context.Context, orders int, open func(ctx context.Context, workers int) (floor, error)) (float64, error) {
	var best float64
	for _, workers := range floorWorkers {
		f, err := open(ctx, workers)
		if err != nil {
			return 0, err
		}
		rate, err := runFloor(ctx, f, workers, orders)
		f.close()
		if err != nil {
			return 0, err
		}
		say("  floor with %d workers: %.0f orders/s", workers, rate)
		best = max(best, rate)
	}
	return best, nil
}

// runFloor shares the orders out among the workers and returns orders per second.
func runFloor(ctx context.Context, f floor, workers, orders int) (float64, error) {
	ids, contents := floorOrders(orders)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var running sync.WaitGroup
	calm()
	start := time.Now()
	for worker := range workers {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < orders && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := f.order(ctx, worker, ids[i], contents[i]); err != nil {
					cancel(fmt.Errorf("floor: order %d: %w", i, err))
				}
			}
		})
	}
	running.Wait()
	took := time.Since(start)
	return float64(orders) / took.Seconds(), context.Cause(ctx)
}

// calm writes what earlier measurements have left in memory to the disk, so that
// none pays for another one.
func calm() { syscall.Sync() }

// floorOrders makes the orders before the clock runs. They are the product's.
func floorOrders(n int) (ids []string, contents []json.RawMessage) {
	source := world.NewOrders(1)
	for range n {
		id, order := source.Next()
		ids, contents = append(ids, id), append(contents, order)
	}
	return ids, contents
}

// dropFile writes a file durably: contents, then name, then the directory that
// holds the name.
func dropFile(dir, id string, content []byte) error {
	name := filepath.Join(dir, id+".json")
	f, err := os.OpenFile(name+".tmp", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
