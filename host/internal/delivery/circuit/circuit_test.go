package circuit_test

import (
	"testing"
	"time"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/delivery/circuit"
	"github.com/orderport/orderport/host/internal/domain"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestWhichFailureOpensACircuit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code   port.Code
		needed int
	}{
		{port.Unreachable, 3},
		{port.Timeout, 3},
		{port.AuthenticationFailed, 1},
		{port.HostKeyMismatch, 1},
		{port.PermissionDenied, 1},
		{port.NotFound, 1},
		{port.InvalidConfig, 1},
	} {
		for inARow := 1; inARow <= 3; inARow++ {
			if got := circuit.Opens(tc.code, inARow); got != (inARow >= tc.needed) {
				t.Errorf("%s number %d in a row opens: %v", tc.code, inARow, got)
			}
		}
	}
}

func TestProbesGetRarerUntilTheBound(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		code           port.Code
		first, longest time.Duration
	}{
		{"the network: seconds to a minute", port.Unreachable, 5 * time.Second, time.Minute},
		{"credentials: rarely, so that no account gets locked", port.AuthenticationFailed, 15 * time.Minute, 4 * time.Hour},
		{"a wrong host key: now and then", port.HostKeyMismatch, 30 * time.Second, 15 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := circuit.Open(domain.Health{State: domain.Healthy}, tc.code, "why", noon, 0)
			pause := h.NextProbeAt.Sub(noon)
			if pause != tc.first {
				t.Errorf("first probe after %v, want %v", pause, tc.first)
			}
			for range 100 {
				at := *h.NextProbeAt
				h = circuit.ProbeFailed(h, tc.code, "why", at, 0)
				next := h.NextProbeAt.Sub(at)
				if next < pause || next > tc.longest {
					t.Fatalf("after %v comes %v, the bound being %v", pause, next, tc.longest)
				}
				pause = next
			}
			if pause != tc.longest {
				t.Errorf("after many failures the pause is %v, want %v", pause, tc.longest)
			}
			if h.State != domain.Down || h.Since == nil || !h.Since.Equal(noon) {
				t.Errorf("the circuit is %s since %v, want DOWN since it opened", h.State, h.Since)
			}
		})
	}
}

func TestAProbeIsDueOnlyWhileDownAndOnlyWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	down := circuit.Open(domain.Health{}, port.Unreachable, "why", noon, 0)
	planned := circuit.Probing(down, noon.Add(5*time.Second), 0)
	for _, tc := range []struct {
		name string
		h    domain.Health
		at   time.Time
		want bool
	}{
		{"before its time", down, noon.Add(4 * time.Second), false},
		{"at its time", down, noon.Add(5 * time.Second), true},
		{"while somebody probes", planned, noon.Add(5 * time.Second), false},
		{"when who probed has died", planned, noon.Add(time.Minute), true},
		{"without a plan", domain.Health{State: domain.Down}, noon, true},
		{"while it works", domain.Health{State: domain.Healthy}, noon, false},
	} {
		if got := circuit.Due(tc.h, tc.at); got != tc.want {
			t.Errorf("%s: due is %v", tc.name, got)
		}
	}
}

func TestWhereTheTestPassesAndExportsFailProbesStillGetRarer(t *testing.T) {
	t.Parallel()
	h := domain.Health{State: domain.HealthUnknown}
	var pause time.Duration
	for i := range 20 {
		h = circuit.Open(h, port.NotFound, "no such directory", noon, 0)
		if next := h.NextProbeAt.Sub(noon); next < pause || (i > 0 && i < 5 && next == pause) {
			t.Fatalf("after %v comes %v", pause, next)
		} else {
			pause = next
		}
		h = circuit.ProbeSucceeded(h, noon)
		if !circuit.Trial(h) {
			t.Fatal("after a probe several exports run at once, before one has worked")
		}
	}
	h, moved := circuit.Worked(h, noon)
	if !moved || circuit.Trial(h) || h.Failures != 0 {
		t.Errorf("after an export that worked: %+v", h)
	}
}

func TestAnExportThatBeganEarlierDoesNotCloseACircuit(t *testing.T) {
	t.Parallel()
	down := circuit.Open(domain.Health{State: domain.Healthy}, port.AuthenticationFailed, "why", noon, 0)
	if h, moved := circuit.Worked(down, noon); moved || h.State != domain.Down {
		t.Errorf("the circuit is %s", h.State)
	}
}

func TestAWorkingConnectionIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	h, moved := circuit.Worked(domain.Health{State: domain.HealthUnknown}, noon)
	if !moved || h.State != domain.Healthy {
		t.Fatalf("the first success makes it %s", h.State)
	}
	if _, moved := circuit.Worked(h, noon.Add(time.Hour)); moved {
		t.Error("the second success is written, too")
	}
}
