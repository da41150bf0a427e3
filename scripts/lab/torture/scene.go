package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// scene is everything that a run has started.
type scene struct {
	plan
	timeline
	dir    string
	rand   *rand.Rand
	pg     *world.Postgres // nil with SQLite
	in     *world.Installation
	hosts  []*keptHost
	target destination
	erp    *world.ERP
	submit *submitter

	faults    map[string]int
	kills     int
	hostKills []time.Time
}

// keptHost is a host that is started again whenever it has ended, as a service
// manager does.
type keptHost struct {
	mu   sync.Mutex
	host *world.Host
	// held says that the keeper must not start it.
	held bool
}

func newScene(ctx context.Context, p plan) (*scene, error) {
	dir, err := os.MkdirTemp("", "orderport-torture-")
	if err != nil {
		return nil, err
	}
	s := &scene{
		plan: p, dir: dir, timeline: timeline{time.Now()}, faults: map[string]int{},
		rand: rand.New(rand.NewPCG(p.seed, 0x746f7274757265)),
	}
	if err := s.build(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *scene) build(ctx context.Context) error {
	in := world.Installation{Bin: world.Bin(s.bin), Dir: filepath.Join(s.dir, "orderport")}
	var err error
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
	_, err := s.hosts[0].host.Client().CreateConnection(ctx, "DROPZONE_JSON_V1", s.target.config())
	return err
}

// play is the run itself.
func (s *scene) play(ctx context.Context) (*report, error) {
	s.erp = &world.ERP{Dir: s.target.inbox(), AckDir: s.target.acks()}
	s.erp.Start()
	s.submit = &submitter{orders: world.NewOrders(s.seed), rate: s.rate}
	for _, h := range s.hosts {
		s.submit.clients = append(s.submit.clients, h.host.Client())
	}
	load, endLoad := context.WithCancel(ctx)
	defer endLoad()
	var wg sync.WaitGroup
	wg.Go(func() { s.submit.run(load) })
	keep, endKeep := context.WithCancel(ctx)
	defer endKeep()
	wg.Go(func() { s.keepHosts(keep) })

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
	return report, nil
}

// torment does one fault after another until time or kills are used up.
func (s *scene) torment(ctx context.Context) {
	end := s.begun.Add(s.duration)
	for ctx.Err() == nil {
		if s.plan.kills > 0 && s.kills >= s.plan.kills || s.plan.kills == 0 && time.Now().After(end) {
			return
		}
		s.pause(ctx, 100*time.Millisecond, 900*time.Millisecond)
		f := s.pick()
		s.faults[f.name]++
		if f.kill {
			s.kills++
		}
		if err := f.do(ctx, s); err != nil {
			s.say("%s: %v", f.name, err)
		}
	}
}

// pause waits for a time between the bounds that the seed decides.
func (s *scene) pause(ctx context.Context, from, to time.Duration) {
	d := from + time.Duration(s.rand.Int64N(int64(to-from)))
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// keepHosts starts hosts again that have ended.
func (s *scene) keepHosts(ctx context.Context) {
	for ctx.Err() == nil {
		for _, h := range s.hosts {
			h.mu.Lock()
			if !h.held && !h.host.Running() {
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
		h.mu.Lock()
		h.held = false
		h.mu.Unlock()
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

// settle waits until the ERP's answer to every order has arrived.
func (s *scene) settle(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	client := s.hosts[0].host.Client()
	err := world.Eventually(ctx, 4*time.Minute, func() error {
		time.Sleep(500 * time.Millisecond)
		counts, err := client.CountByStatus(ctx)
		if err == nil && counts["PENDING"]+counts["SENT"] > 0 {
			err = fmt.Errorf("%d exports are PENDING and %d are SENT and not acknowledged", counts["PENDING"], counts["SENT"])
		}
		return err
	})
	return time.Since(begun), err
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
	if !s.keep {
		_ = os.RemoveAll(s.dir)
	}
}
