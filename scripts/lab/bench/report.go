package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is everything that was measured.
type report struct {
	Orders int    `json:"orders"`
	Rounds int    `json:"rounds"`
	Lines  []line `json:"lines"`
}

// line is one figure and, if it has one, its bar.
type line struct {
	What    string    `json:"what"`
	Unit    string    `json:"unit,omitempty"`
	Values  []float64 `json:"values,omitempty"` // one a round, in order
	Median  float64   `json:"median"`
	Bar     *bar      `json:"bar,omitempty"`
	Worst   bool      `json:"worst,omitempty"`   // the bar is for the highest value, not for the median
	Problem string    `json:"problem,omitempty"` // why there is no figure
}

// bar is what a median has to reach, or the highest value.
type bar struct {
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	Met     bool    `json:"met"`
}

// judged is the value that the bar is for.
func (l line) judged() float64 {
	if l.Worst {
		return slices.Max(l.Values)
	}
	return l.Median
}

func (b *bar) holds(value float64) bool {
	if b.AtMost != 0 {
		return value <= b.AtMost
	}
	return value >= b.AtLeast
}

func (b *bar) String() string {
	if b.AtMost != 0 {
		return fmt.Sprintf("≤ %g", b.AtMost)
	}
	return fmt.Sprintf("≥ %g", b.AtLeast)
}

func (r *report) add(lines ...line) {
	for _, l := range lines {
		l.Median = median(l.Values)
		if l.Bar != nil {
			l.Bar.Met = len(l.Values) > 0 && l.Bar.holds(l.judged())
		}
		r.Lines = append(r.Lines, l)
	}
}

func (r *report) met() bool {
	return !slices.ContainsFunc(r.Lines, func(l line) bool {
		return l.Problem != "" || l.Bar != nil && !l.Bar.Met
	})
}

func (r *report) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tmedian\tfrom\tto\tunit\tbar\t")
	for _, l := range r.Lines {
		if l.Problem != "" {
			fmt.Fprintf(w, "%s\tfailed: %s\n", l.What, l.Problem)
			continue
		}
		verdict := ""
		if l.Bar != nil {
			verdict = l.Bar.String() + map[bool]string{true: "\tmet", false: "\tMISSED"}[l.Bar.Met]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.What, short(l.Median), short(slices.Min(l.Values)), short(slices.Max(l.Values)), l.Unit, verdict)
	}
	_ = w.Flush() // to memory
	return b.String()
}

// short writes a figure with about three digits.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// median is 0 for no values.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns the value below which the share q of the values lies,
// interpolated; 0 for no values.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below+1 == len(sorted) {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}
