package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// report is what a run found.
type report struct {
	Database string         `json:"database"`
	Target   string         `json:"target"`
	Seed     uint64         `json:"seed"`
	Seconds  float64        `json:"seconds"`
	Accepted int            `json:"accepted"`
	Repeats  int64          `json:"repeated_calls"`
	Statuses map[string]int `json:"statuses"`
	Hosts    int            `json:"hosts"`
	Rate     int            `json:"orders_per_second"`
	Load     string         `json:"load_average"` // of the machine, at the end
	Faults   map[string]int `json:"faults"`       // done, by name
	Idle     map[string]int `json:"idle_faults"`  // there was nothing to do them to
	Kills    map[string]int `json:"kills"`        // SIGKILLs by what was killed
	Timeline []string       `json:"timeline"`

	Lost     []string `json:"lost"`     // accepted, said to be delivered, never consumed
	Doubled  []string `json:"doubled"`  // consumed more than once
	Untrue   []string `json:"untrue"`   // state and fact disagree
	Stuck    []string `json:"stuck"`    // still PENDING at the end
	Foreign  []string `json:"foreign"`  // consumed, never accepted
	Left     []string `json:"left"`     // temporary files, processes, sockets
	Refused  []string `json:"refused"`  // orders that the API refused
	ERP      []string `json:"erp"`      // partial files and the like
	Unknown  int      `json:"unknown"`  // FAILED with OUTCOME_UNKNOWN: allowed, and worth knowing
	Settling float64  `json:"settling"` // seconds from healing until nothing was PENDING

	// Takeover is how long exports of a killed host waited for their next
	// attempt, in seconds, sorted.
	Takeover []float64 `json:"takeover_seconds"`
	// TakeoverUp are these waits without the time in which the connection was
	// down, sorted.
	TakeoverUp []float64 `json:"takeover_seconds_while_up"`
}

func (r *report) findings() map[string][]string {
	return map[string][]string{
		"lost": r.Lost, "doubled": r.Doubled, "untrue": r.Untrue, "stuck": r.Stuck, "foreign": r.Foreign,
		"left behind": r.Left, "refused": r.Refused, "seen by the ERP": r.ERP,
	}
}

func (r *report) clean() bool {
	for _, list := range r.findings() {
		if len(list) > 0 {
			return false
		}
	}
	return r.Accepted > 0 && total(r.Kills) > 0 // or else it shows nothing
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d orders accepted in %.0f s (%d calls repeated), %d kills, load average %s\n",
		r.Accepted, r.Seconds, r.Repeats, total(r.Kills), r.Load)
	printCounts(w, "killed", r.Kills)
	printCounts(w, "done", r.Faults)
	fmt.Fprintf(w, "states %v, outcome unknown %d, settled %.1f s after the last fault\n", r.Statuses, r.Unknown, r.Settling)
	printWaits(w, "next attempt after a host's death", r.Takeover)
	printWaits(w, "  of that while the connection was up", r.TakeoverUp)
	findings := r.findings()
	for _, name := range slices.Sorted(maps.Keys(findings)) {
		list := findings[name]
		fmt.Fprintf(w, "%-16s %d\n", name, len(list))
		for i, line := range list {
			if i == 10 {
				fmt.Fprintf(w, "    … and %d more\n", len(list)-i)
				break
			}
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
}

func printWaits(w io.Writer, what string, sorted []float64) {
	if n := len(sorted); n > 0 {
		fmt.Fprintf(w, "%s: median %.1f s, 90 %% within %.1f s, longest %.1f s (%d exports)\n",
			what, sorted[n/2], sorted[n*9/10], sorted[n-1], n)
	}
}

func printCounts(w io.Writer, title string, counts map[string]int) {
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "  %-6s %-20s %d\n", title, kind, counts[kind])
	}
}

// timeline prints what is done, with the time since the start, and keeps it.
type timeline struct {
	begun time.Time
	lines []string
}

func (t *timeline) say(format string, args ...any) {
	line := fmt.Sprintf("%8.2f  %s", time.Since(t.begun).Seconds(), fmt.Sprintf(format, args...))
	t.lines = append(t.lines, line)
	fmt.Println(line)
}
