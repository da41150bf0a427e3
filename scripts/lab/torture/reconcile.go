package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// reconcile compares what was accepted with what the ERP consumed.
func (s *scene) reconcile(ctx context.Context) (*report, error) {
	client := s.hosts[0].host.Client()
	exports, err := client.Exports(ctx, nil)
	if err != nil {
		return nil, err
	}
	load, _ := os.ReadFile("/proc/loadavg")
	r := &report{
		Database: s.database, Target: s.plan.target, Seed: s.seed, Hosts: len(s.hosts), Rate: s.rate,
		Load:    strings.Join(strings.Fields(string(load))[:3], " "),
		Repeats: s.submit.repeats.Load(), Refused: s.submit.refused,
		Faults: s.done, Idle: s.idle, Kills: s.kills, ERP: s.erp.Faults(), Timeline: s.lines,
	}
	r.compare(s.submit.accepted, exports, s.erp.Consumed())
	for _, e := range exports {
		if e.AttemptCount < 2 {
			continue
		}
		full, err := client.Export(ctx, e.ID)
		if err != nil {
			return nil, err
		}
		r.judgeAttempts(full)
		for _, wait := range takeovers(full.Attempts, s.hostKills) {
			all := wait.to.Sub(wait.from)
			r.Takeover = append(r.Takeover, all.Seconds())
			r.TakeoverUp = append(r.TakeoverUp, (all - s.outages.within(wait)).Seconds())
		}
	}
	slices.Sort(r.Takeover)
	slices.Sort(r.TakeoverUp)
	return r, nil
}

// compare takes the export of each accepted order, all exports, and how often
// the ERP consumed each order.
func (r *report) compare(accepted map[string]string, exports []world.Export, consumed map[string]int) {
	r.Accepted, r.Statuses = len(accepted), map[string]int{}
	known := map[string]bool{}
	for _, e := range exports {
		known[e.DraftOrderID] = true
		r.Statuses[e.Status]++
		r.judge(e, consumed[e.DraftOrderID])
		if id, ok := accepted[e.DraftOrderID]; ok && id != e.ID {
			r.Untrue = append(r.Untrue, fmt.Sprintf("order %s was accepted as export %s and is export %s now", e.DraftOrderID, id, e.ID))
		}
	}
	for order, export := range accepted {
		if !known[order] {
			r.Lost = append(r.Lost, fmt.Sprintf("order %s was accepted as export %s, which is not there", order, export))
		}
	}
	for order := range consumed {
		if !known[order] {
			r.Foreign = append(r.Foreign, order)
		}
	}
}

// judge compares one export's state with how often the ERP got its order.
func (r *report) judge(e world.Export, times int) {
	line := fmt.Sprintf("order %s, export %s, %s, consumed %d times", e.DraftOrderID, e.ID, e.Status, times)
	if e.Error != nil {
		line += ", " + e.Error.Code + ": " + e.Error.Message
	}
	if times > 1 {
		r.Doubled = append(r.Doubled, line)
	}
	switch e.Status {
	case "SENT", "ACKED":
		if times == 0 {
			r.Lost = append(r.Lost, line)
		}
		if e.Status == "ACKED" && e.ERPOrderID != world.ERPOrderID(e.ID) {
			r.Untrue = append(r.Untrue, line+", with the ERP's order number "+e.ERPOrderID)
		}
	case "FAILED":
		switch {
		case e.Error == nil || e.Error.Code == "" || e.Error.Message == "":
			r.Untrue = append(r.Untrue, line+", without a reason")
		case e.Error.Code == "OUTCOME_UNKNOWN":
			r.Unknown++
		case times > 0:
			r.Untrue = append(r.Untrue, line)
		}
	default:
		r.Stuck = append(r.Stuck, line)
	}
}

// judgeAttempts finds attempts that nobody has ended, and exports that ran on
// after they had been delivered.
func (r *report) judgeAttempts(e world.Export) {
	for i, a := range e.Attempts {
		if a.Outcome == "RUNNING" || a.Outcome == "DELIVERED" && i < len(e.Attempts)-1 {
			r.Untrue = append(r.Untrue, fmt.Sprintf("export %s is %s, attempt %d of %d is %s", e.ID, e.Status, a.Number, len(e.Attempts), a.Outcome))
		}
	}
}

// takeovers returns, for attempts that were lost when their host was killed,
// the time from then until the next attempt began. If the host that was about
// to take over was killed, too, the wait began anew.
func takeovers(attempts []world.Attempt, kills []hostKill) []span {
	var waits []span
	for i := 1; i < len(attempts); i++ {
		before, after := attempts[i-1], attempts[i]
		died, last := false, time.Time{}
		for _, k := range kills {
			if k.at.After(before.StartedAt) && k.at.Before(after.StartedAt) {
				died, last = died || k.host == before.Host, k.at
			}
		}
		if died && before.Outcome == "LOST" {
			waits = append(waits, span{last, after.StartedAt})
		}
	}
	return waits
}

// leftovers stops the hosts and lists what should be gone.
func (s *scene) leftovers() []string {
	var left []string
	for _, h := range s.hosts {
		if err := h.host.Shutdown(); err != nil {
			left = append(left, fmt.Sprintf("%s: %v", h.host.Name, err))
		}
	}
	files, err := os.ReadDir(s.target.inbox())
	if err != nil {
		left = append(left, err.Error())
	}
	for _, f := range files {
		if !isProbe(f.Name()) {
			left = append(left, "file "+f.Name())
		}
	}
	left = append(left, leftSockets(s.in.Dir, s.run)...)
	return append(left, orphans(s.in.Dir, s.run)...)
}

// isProbe says whether a file is that of a connection test that was killed,
// before or after its rename. The first test after a quarter of an hour removes
// it, so here it may be left.
func isProbe(name string) bool {
	return strings.HasPrefix(name, "test_connection_") &&
		(strings.HasSuffix(name, ".json.tmp") || strings.HasSuffix(name, ".json"))
}

// leftSockets lists sockets, and the folders in which hosts keep them.
func leftSockets(dir, run string) []string {
	var left []string
	for _, root := range []string{dir, run} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && (d.Type()&fs.ModeSocket != 0 || filepath.Dir(path) == run) {
				left = append(left, "socket or its folder "+path)
			}
			return nil
		})
	}
	return left
}

// orphans lists processes that belong to an installation. A connector shows no
// path in its command line, because it runs from a sealed copy; its environment
// names the folder of its socket.
func orphans(dirs ...string) []string {
	var found []string
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		command, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		about := string(command) + "\x00" + string(environment)
		if slices.ContainsFunc(dirs, func(dir string) bool { return strings.Contains(about, dir) }) {
			found = append(found, "process "+filepath.Base(process)+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}
