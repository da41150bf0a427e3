package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
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
	consumed := s.erp.Consumed()
	r := &report{
		Database: s.database, Target: s.plan.target, Seed: s.seed,
		Accepted: len(s.submit.accepted), Repeats: s.submit.repeats.Load(), Refused: s.submit.refused,
		Statuses: map[string]int{}, Faults: s.faults, Kills: s.kills, ERP: s.erp.Faults(),
	}
	known := map[string]bool{}
	for _, e := range exports {
		known[e.DraftOrderID] = true
		r.Statuses[e.Status]++
		r.judge(e, consumed[e.DraftOrderID])
	}
	for order, export := range s.submit.accepted {
		if !known[order] {
			r.Lost = append(r.Lost, fmt.Sprintf("order %s was accepted as export %s, which is not there", order, export))
		}
	}
	for order := range consumed {
		if !known[order] {
			r.Foreign = append(r.Foreign, order)
		}
	}
	r.Takeover, err = s.takeovers(ctx, client, exports)
	return r, err
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
	case "FAILED":
		switch {
		case e.Error == nil || e.Error.Message == "":
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

// takeovers measures, for attempts that were lost when a host was killed, how
// long it took until the next attempt began.
func (s *scene) takeovers(ctx context.Context, client *world.Client, exports []world.Export) ([]float64, error) {
	var waits []float64
	for _, e := range exports {
		if e.AttemptCount < 2 {
			continue
		}
		var full struct {
			Attempts []struct {
				StartedAt time.Time `json:"started_at"`
				Outcome   string    `json:"outcome"`
			}
		}
		if _, err := client.Call(ctx, http.MethodGet, "/api/v1/exports/"+e.ID, nil, &full); err != nil {
			return nil, err
		}
		for i := 1; i < len(full.Attempts); i++ {
			before, after := full.Attempts[i-1], full.Attempts[i]
			if kill, ok := s.killBetween(before.StartedAt, after.StartedAt); ok && before.Outcome == "LOST" {
				waits = append(waits, after.StartedAt.Sub(kill).Seconds())
			}
		}
	}
	sort.Float64s(waits)
	return waits, nil
}

// killBetween returns the last kill of a host in a time: if the host that was
// about to take over was killed, too, the wait began anew.
func (s *scene) killBetween(from, to time.Time) (time.Time, bool) {
	for _, at := range slices.Backward(s.hostKills) {
		if at.After(from) && at.Before(to) {
			return at, true
		}
	}
	return time.Time{}, false
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
		if !f.IsDir() {
			left = append(left, "file "+f.Name())
		}
	}
	_ = filepath.WalkDir(s.in.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSocket != 0 {
			left = append(left, "socket "+path)
		}
		return nil
	})
	return append(left, orphans(s.in.PluginDir)...)
}

// orphans lists processes that run a program of the plugin directory.
func orphans(pluginDir string) []string {
	var found []string
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(raw), pluginDir) {
			found = append(found, "process "+filepath.Base(filepath.Dir(path))+" "+strings.ReplaceAll(string(raw), "\x00", " "))
		}
	}
	return found
}
