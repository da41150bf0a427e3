package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// killsPerRound is how often a host is killed in one round, each way.
const killsPerRound = 3

// takeover kills a host with SIGKILL while it delivers, again and again, and
// measures when its last unfinished export was running again: on another host,
// and on its own restart.
func (b *bench) takeover(ctx context.Context) ([]line, error) {
	other := line{What: "takeover of a killed host by another: last export runs again", Unit: "s", Bar: &bar{AtMost: 10}, Worst: true}
	own := line{What: "takeover of a killed host by its restart: last export runs again", Unit: "s", Bar: &bar{AtMost: 10}, Worst: true}
	for _, way := range []struct {
		line    *line
		another bool
	}{{&other, true}, {&own, false}} {
		k, err := b.killable(ctx, way.another)
		if err != nil {
			return nil, err
		}
		for range killsPerRound * b.rounds {
			took, err := k.kill(ctx)
			if err != nil {
				k.close()
				return nil, err
			}
			way.line.Values = append(way.line.Values, took.Seconds())
		}
		k.close()
	}
	return []line{other, own}, nil
}

// killable is a host to be killed, with another one beside it or without.
type killable struct {
	db     *sql.DB
	host   *world.Host
	beside *world.Host // nil: alone
}

func (b *bench) killable(ctx context.Context, another bool) (*killable, error) {
	installation, err := b.install(ctx, true)
	if err != nil {
		return nil, err
	}
	k := &killable{}
	if k.db, err = sql.Open("pgx", installation.DatabaseURL); err != nil {
		return nil, err
	}
	if k.host, err = installation.Serve(ctx, "data"); err != nil {
		return nil, err
	}
	if another {
		if k.beside, err = installation.Serve(ctx, "beside"); err != nil {
			return nil, err
		}
	}
	drop, err := b.folder("drop")
	if err != nil {
		return nil, err
	}
	_, err = k.client().CreateConnection(ctx, dropzone, map[string]any{"mode": "filesystem", "export_path": drop})
	return k, err
}

func (k *killable) close() {
	k.host.Kill()
	if k.beside != nil {
		k.beside.Kill()
	}
	_ = k.db.Close() // it is thrown away
}

// client talks to the host that is not killed, if there is one.
func (k *killable) client() *world.Client {
	if k.beside != nil {
		return k.beside.Client()
	}
	return k.host.Client()
}

// kill kills the host under load and returns when the last export that it left
// unfinished was running again, from then on. The host is back afterwards.
func (k *killable) kill(ctx context.Context) (time.Duration, error) {
	for range 20 {
		var before int
		if err := k.db.QueryRowContext(ctx, `SELECT count(*) FROM (`+attempts+`) a WHERE outcome = 'LOST'`).Scan(&before); err != nil {
			return 0, err
		}
		// Handing in may be cut off with the host; the orders that it took are enough.
		go func() { _ = push(ctx, k.client(), orderBatches(2000)) }()
		if err := k.awaitRunning(ctx); err != nil {
			return 0, err
		}
		k.host.Kill()
		killed := time.Now()
		if k.beside == nil {
			if err := k.host.Start(ctx); err != nil {
				return 0, err
			}
		}
		if err := awaitNonePending(ctx, k.client()); err != nil {
			return 0, err
		}
		if k.beside != nil {
			if err := k.host.Start(ctx); err != nil {
				return 0, err
			}
		}
		took, lost, err := k.lastAfter(ctx, killed)
		if err != nil {
			return 0, err
		}
		if lost > before {
			return took, nil
		}
	}
	return 0, errors.New("in 20 kills the host had nothing unfinished")
}

// attempts are those of all exports; the newest of each is part of its row.
const attempts = `
	SELECT export_id, number, host_name, started_at, outcome FROM export_attempt
	UNION ALL
	SELECT id, attempt_number, attempt_host_name, attempt_started_at, attempt_outcome FROM erp_export WHERE attempt_number IS NOT NULL`

// awaitRunning waits until the host that is to be killed has attempts under way.
func (k *killable) awaitRunning(ctx context.Context) error {
	return world.Eventually(ctx, time.Minute, func() error {
		var running int
		err := k.db.QueryRowContext(ctx, `SELECT count(*) FROM (`+attempts+`) a WHERE outcome = 'RUNNING' AND host_name = 'data'`).Scan(&running)
		if err == nil && running == 0 {
			err = errors.New("nothing is under way")
		}
		return err
	})
}

// lastAfter returns when the last attempt began that follows a lost one, and how
// many were lost so far. The database runs on this machine, so its clock is ours.
func (k *killable) lastAfter(ctx context.Context, killed time.Time) (time.Duration, int, error) {
	var last time.Time
	var lost int
	err := k.db.QueryRowContext(ctx, `
		WITH a AS (`+attempts+`)
		SELECT COALESCE(max(n.started_at), now()), (SELECT count(*) FROM a WHERE outcome = 'LOST')
		FROM a l JOIN a n ON n.export_id = l.export_id AND n.number = l.number + 1
		WHERE l.outcome = 'LOST'`).Scan(&last, &lost)
	return last.Sub(killed), lost, err
}
