package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// plan is what the flags say.
type plan struct {
	database, target string
	seed             uint64
	duration         time.Duration
	kills            int
	rate             int
	hosts            int
	bin              string
	dir              string
	keep             bool
	expectDoubles    bool
	jsonOut          string
}

func main() {
	var p plan
	flag.StringVar(&p.database, "db", "sqlite", "database: sqlite or postgres")
	flag.StringVar(&p.target, "target", "filesystem", "where orders go: filesystem or sftp")
	flag.Uint64Var(&p.seed, "seed", uint64(time.Now().UnixNano()), "what decides the faults; printed, so that a run can be repeated")
	flag.DurationVar(&p.duration, "for", 60*time.Second, "how long to torture")
	flag.IntVar(&p.kills, "kills", 0, "end after this many kills instead (0: by time)")
	flag.IntVar(&p.rate, "rate", 150, "orders handed in per second")
	flag.IntVar(&p.hosts, "hosts", 0, "hosts that share the database (default 1 with sqlite, 2 with postgres)")
	flag.StringVar(&p.bin, "bin", "", "folder with the binaries (default: bin/ of this checkout)")
	flag.StringVar(&p.dir, "dir", "", "folder to work in, where the logs of a run that failed stay (default: TMPDIR)")
	flag.BoolVar(&p.keep, "keep", false, "keep the directory with logs and files")
	flag.BoolVar(&p.expectDoubles, "expect-doubles", false, "go on until an order is delivered twice, and succeed only then: for a connector whose checkpoints have been switched off")
	flag.StringVar(&p.jsonOut, "json", "", "also write the report to this file, as JSON")
	flag.Parse()
	if p.hosts == 0 {
		p.hosts = map[string]int{"sqlite": 1, "postgres": 2}[p.database]
	}
	if flag.NArg() > 0 || p.hosts == 0 || (p.target != "filesystem" && p.target != "sftp") || (p.database == "sqlite" && p.hosts > 1) {
		flag.Usage()
		os.Exit(2)
	}
	if code, done := ownMounts(); done {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, p))
}

func run(ctx context.Context, p plan) int {
	fmt.Printf("torture: %s, %s, %d host(s), seed %d\n", p.database, p.target, p.hosts, p.seed)
	scene, err := newScene(ctx, p)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture: could not set up:", err)
		return 3
	}
	defer scene.close()
	report, err := scene.play(ctx)
	if err != nil {
		scene.keep = true
		fmt.Fprintf(os.Stderr, "torture: %v (logs are in %s)\n", err, scene.dir)
		return 3
	}
	report.print(os.Stdout)
	if p.jsonOut != "" {
		if err := writeJSON(p.jsonOut, report); err != nil {
			fmt.Fprintln(os.Stderr, "torture:", err)
			return 3
		}
	}
	ok := report.clean()
	if p.expectDoubles {
		ok = len(report.Doubled) > 0
	}
	if !ok {
		scene.keep = true
		fmt.Printf("FAILED; logs are in %s; repeat with -db %s -target %s -seed %d\n", scene.dir, p.database, p.target, p.seed)
		return 1
	}
	fmt.Println("passed")
	return 0
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
