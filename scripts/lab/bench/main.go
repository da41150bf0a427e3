package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"

	"github.com/orderport/orderport/scripts/lab/world"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errBars says that the program worked and the product is too slow.
var errBars = errors.New("not all bars are met")

func run(ctx context.Context) error {
	b := bench{}
	flag.IntVar(&b.orders, "orders", 20000, "orders of one product run")
	flag.IntVar(&b.waiting, "waiting", 100000, "orders that wait in the memory measurement")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds in which floor and product take turns")
	flag.BoolVar(&b.floorsOnly, "floors", false, "measure the floors only, without the product")
	only := flag.String("only", "", "regular expression: measure only what matches by name")
	base := flag.String("dir", "/var/tmp", "folder on a real disk to work in")
	out := flag.String("out", "", "file for the results as JSON")
	flag.Parse()

	var err error
	if b.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	if err := refuseMemoryFileSystem(*base); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(*base, "orderport-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	// PostgreSQL runs as another user if we are root, and has to get in.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	if !b.floorsOnly {
		if b.bin, err = world.FindBin(); err != nil {
			return err
		}
	}
	if b.postgres, err = world.NewPostgres(ctx, filepath.Join(b.dir, "postgres")); err != nil {
		return err
	}
	defer func() { _ = b.postgres.Stop() }() // it is thrown away

	report, err := b.measure(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d rounds of %d orders on %d cores\n\n%s", b.rounds, b.orders, runtime.NumCPU(), report.table())
	if *out != "" {
		if err := writeJSON(*out, report); err != nil {
			return err
		}
	}
	if !report.met() {
		return errBars
	}
	return nil
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// bench is what the measurements share.
type bench struct {
	orders, waiting, rounds int
	floorsOnly              bool
	only                    *regexp.Regexp
	dir                     string
	bin                     world.Bin
	postgres                *world.Postgres
	made                    int      // names of databases and folders made so far
	databases               []string // that are there now
}

// folder makes a new folder, name and number being part of its name.
func (b *bench) folder(name string) (string, error) {
	b.made++
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-%d", name, b.made))
	return dir, os.MkdirAll(dir, 0o755)
}

// database makes a new PostgreSQL database, the only one.
func (b *bench) database(ctx context.Context, name string) (string, error) {
	if err := b.dropDatabases(ctx); err != nil {
		return "", err
	}
	b.made++
	name = fmt.Sprintf("%s_%d", name, b.made)
	url, err := b.postgres.CreateDatabase(ctx, name)
	if err == nil {
		b.databases = append(b.databases, name)
	}
	return url, err
}

// dropDatabases removes what earlier measurements have left: the server would
// go on to vacuum it and to write it back, at the cost of the next one.
func (b *bench) dropDatabases(ctx context.Context) error {
	for len(b.databases) > 0 {
		if err := b.postgres.DropDatabase(ctx, b.databases[0]); err != nil {
			return err
		}
		b.databases = b.databases[1:]
	}
	return nil
}

// measure runs everything that was asked for. What did not work is reported as
// a bar that is not met, so that one failure does not hide the other figures.
func (b *bench) measure(ctx context.Context) (*report, error) {
	report := &report{Orders: b.orders, Rounds: b.rounds}
	for _, m := range b.throughputs() {
		if !b.only.MatchString(m.name) {
			continue
		}
		if b.floorsOnly {
			m.product = nil
		}
		report.add(b.throughput(ctx, m)...)
	}
	if b.floorsOnly {
		return report, ctx.Err()
	}
	for _, m := range b.others() {
		if !b.only.MatchString(m.name) {
			continue
		}
		say("%s", m.name)
		lines, err := m.run(ctx)
		if err != nil {
			lines = []line{{What: m.name, Problem: err.Error()}}
		}
		report.add(lines...)
	}
	return report, ctx.Err()
}

// refuseMemoryFileSystem: flushing to memory costs nothing.
func refuseMemoryFileSystem(dir string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	if fs.Type == tmpfs || fs.Type == ramfs {
		return fmt.Errorf("%s is in memory; name a folder on a disk with -dir", dir)
	}
	return nil
}

// say reports progress while a measurement runs.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
