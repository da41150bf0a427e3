package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// scene is everything that a run has started.
type scene struct {
	plan
	*timeline
	dir    string
	run    string          // sockets of the hosts' connectors; a short path
	disk   smallDisk       // what the hosts write
	pg     *world.Postgres // nil with SQLite
	in     *world.Installation
	hosts  []*keptHost
	target destination
	erp    *world.ERP
	submit *submitter

	connection string // its id
	outages    outages

	done, idle map[string]int // faults by name; idle: there was nothing to do it to
	kills      map[string]int // SIGKILLs by what was killed
	hostKills  []hostKill
}

type hostKill struct {
	host string
	at   time.Time
}

// keptHost is a host that is started again whenever it has ended, as a service
// manager does, unless its lock is held.
type keptHost struct {
	mu   sync.Mutex
	host *world.Host
}

func newScene(ctx context.Context, p plan) (*scene, error) {
	s := &scene{plan: p, timeline: &timeline{begun: time.Now()}, done: map[string]int{}, idle: map[string]int{}, kills: map[string]int{}}
	err := s.build(ctx)
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *scene) build(ctx context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp(s.plan.dir, "orderport-torture-"); err != nil {
		return err
	}
	if s.run, err = os.MkdirTemp("/tmp", "opt-"); err != nil {
		return err
	}
	in := world.Installation{
		Bin: world.Bin(s.bin), Dir: filepath.Join(s.dir, "orderport"),
		// Pauses of minutes would only make the end come later.
		Extra: []string{"XDG_RUNTIME_DIR=" + s.run, "ORDERPORT_RETRY_MAX=5s"},
	}
	s.disk.dir = in.Dir
	if err := os.Mkdir(in.Dir, 0o755); err != nil {
		return err
	}
	s.disk.mount("1g")
	if in.Bin == "" {
		if in.Bin, err = world.FindBin(); err != nil {
			return err
		}
	}
	// PostgreSQL runs as another user when we are root, so it must reach its folder.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if s.database == "postgres" {
		if s.pg, err = world.NewPostgres(ctx, filepath.Join(s.dir, "postgres")); err != nil {
			return err
		}
		if in.DatabaseURL, err = s.pg.CreateDatabase(ctx, "orderport"); err != nil {
			return err
		}
	}
	if s.target, err = newDestination(ctx, s.plan.target, filepath.Join(s.dir, "erp")); err != nil {
		return err
	}
	if s.in, err = world.Install(ctx, in); err != nil {
		return err
	}
	return s.startHosts(ctx)
}

func (s *scene) startHosts(ctx context.Context) error {
	for i := range s.plan.hosts {
		name := "data" // the commands of Install used this data directory
		if i > 0 {
			name = fmt.Sprintf("data%d", i+1)
		}
		h, err := s.in.Serve(ctx, name)
		if err != nil {
			return err
		}
		s.hosts = append(s.hosts, &keptHost{host: h})
	}
	var err error
	s.connection, err = s.hosts[0].host.Client().CreateConnection(ctx, "DROPZONE_JSON_V1", s.target.config())
	return err
}

// play is the run itself.
func (s *scene) play(ctx context.Context) (*report, error) {
	s.erp = &world.ERP{Dir: s.target.inbox(), AckDir: s.target.acks()}
	s.erp.Start()
	s.submit = &submitter{orders: world.NewOrders(s.seed), rate: s.rate, accepted: map[string]string{}}
	for _, h := range s.hosts {
		s.submit.clients = append(s.submit.clients, h.host.Client())
	}
	load, endLoad := context.WithCancel(ctx)
	defer endLoad()
	keep, endKeep := context.WithCancel(ctx)
	defer endKeep()
	var wg sync.WaitGroup
	wg.Go(func() { s.submit.run(load) })
	wg.Go(func() { s.keepHosts(keep) })
	wg.Go(func() { s.watch(keep) })

	s.begun = time.Now()
	s.torment(ctx)
	took := time.Since(s.begun)
	s.say("healing")
	if err := s.heal(ctx); err != nil {
		return nil, err
	}
	endLoad()
	settling, settled := s.settle(ctx)
	endKeep()
	wg.Wait()
	s.erp.Stop()
	report, err := s.reconcile(ctx)
	if err != nil {
		return nil, err
	}
	if settled != nil {
		report.Stuck = append(report.Stuck, settled.Error())
	}
	report.Seconds, report.Settling = took.Seconds(), settling.Seconds()
	report.Left = append(report.Left, s.leftovers()...)
	return report, ctx.Err()
}

// torment does one fault after another until it is enough.
func (s *scene) torment(ctx context.Context) {
	plan := schedule{s.seed, possibleFaults(s)}
	for n := 0; ctx.Err() == nil && !s.enough(); n++ {
		at := plan.step(n)
		s.sleep(ctx, at.wait)
		switch err := at.fault.do(ctx, s, at); {
		case errors.Is(err, errNothing):
			s.idle[at.fault.name]++
		case err != nil:
			s.say("%s: %v", at.fault.name, err)
		default:
			s.done[at.fault.name]++
		}
	}
}

// enough says that time or kills are used up, or that a run which looks for a
// double has one.
func (s *scene) enough() bool {
	if s.expectDoubles && s.erp.Twice() {
		return true
	}
	if s.plan.kills > 0 {
		return total(s.kills) >= s.plan.kills
	}
	return time.Since(s.begun) > s.duration
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// keepHosts starts hosts again that have ended.
func (s *scene) keepHosts(ctx context.Context) {
	for ctx.Err() == nil {
		for _, h := range s.hosts {
			h.mu.Lock()
			if !h.host.Running() {
				_ = h.host.Launch()
			}
			h.mu.Unlock()
		}
		s.sleep(ctx, 100*time.Millisecond)
	}
}

func (s *scene) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// heal waits until every host is ready again.
func (s *scene) heal(ctx context.Context) error {
	s.target.heal()
	for _, h := range s.hosts {
		err := world.Eventually(ctx, 90*time.Second, func() error {
			h.mu.Lock()
			running := h.host.Running()
			h.mu.Unlock()
			if !running {
				return errors.New("the host is not running")
			}
			return h.host.WaitReady(ctx, time.Second)
		})
		if err != nil {
			return fmt.Errorf("a host does not come back: %w", err)
		}
	}
	return nil
}

// patience is how long nothing may move before an export counts as stuck. It
// is no bound on the whole: a slow machine may take its time.
const patience = 3 * time.Minute

// settle waits until the ERP's answer to every order has arrived.
func (s *scene) settle(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	client := s.hosts[0].host.Client()
	open, moved := -1, time.Now()
	for {
		s.sleep(ctx, 500*time.Millisecond)
		counts, err := client.CountByStatus(ctx)
		left := counts["PENDING"] + counts["SENT"]
		if err == nil && left == 0 || ctx.Err() != nil {
			return time.Since(begun), ctx.Err()
		}
		if err == nil && (open < 0 || left < open) {
			open, moved = left, time.Now()
		}
		if time.Since(moved) > patience {
			return time.Since(begun), fmt.Errorf("nothing has moved for %s: %d exports are PENDING or not acknowledged", patience, open)
		}
	}
}

// close ends what is still running and removes the directory unless it is kept.
func (s *scene) close() {
	for _, h := range s.hosts {
		h.host.Kill()
	}
	if s.target != nil {
		s.target.close()
	}
	_ = s.pg.Stop()
	_ = os.RemoveAll(s.run)
	if s.keep && s.disk.mounted {
		// The file system goes with this program.
		if err := os.CopyFS(filepath.Join(s.dir, "kept"), os.DirFS(s.disk.dir)); err != nil {
			fmt.Fprintln(os.Stderr, "torture: the hosts' files could not be kept:", err)
		}
	}
	s.disk.unmount()
	if !s.keep {
		_ = os.RemoveAll(s.dir)
	}
}
