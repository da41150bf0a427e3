package main

import (
	"fmt"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// delivered is what one product run did.
type delivered struct {
	rate float64 // orders per second
	used used
}

// used is processor time per order, user and system together. Unlike orders per
// second it says nearly the same on a machine that others use as well.
type used struct {
	host, connector, database time.Duration
}

func (u used) String() string {
	return fmt.Sprintf("host %d µs, connector %d µs, database %d µs, together %d µs",
		u.host.Microseconds(), u.connector.Microseconds(), u.database.Microseconds(), u.sum().Microseconds())
}

func (u used) sum() time.Duration { return u.host + u.connector + u.database }

// meter reads what has been used so far. The function that it returns says
// what was used since, by each of a number of orders.
func (b *bench) meter(host *world.Host) func(orders int) used {
	connectors := host.Connectors()
	read := func() used {
		u := used{host: world.CPUTime(host.PID()), database: b.postgres.CPUTime()}
		for _, pid := range connectors {
			u.connector += world.CPUTime(pid)
		}
		return u
	}
	before := read()
	return func(orders int) used {
		after, n := read(), time.Duration(orders)
		return used{
			host:      (after.host - before.host) / n,
			connector: (after.connector - before.connector) / n,
			database:  (after.database - before.database) / n,
		}
	}
}

// usedLines are the figures of several rounds.
type usedLines []used

func (l *usedLines) add(u used) { *l = append(*l, u) }

func (l usedLines) lines(name string) []line {
	column := func(who string, of func(used) time.Duration) line {
		figures := line{What: name + ": processor time per order, " + who, Unit: "µs"}
		for _, u := range l {
			figures.Values = append(figures.Values, float64(of(u).Microseconds()))
		}
		return figures
	}
	return []line{
		column("host", func(u used) time.Duration { return u.host }),
		column("connector", func(u used) time.Duration { return u.connector }),
		column("database", func(u used) time.Duration { return u.database }),
		column("together", used.sum),
	}
}
