package main

import (
	"math/rand/v2"
	"time"
)

// schedule decides, by the seed alone, what is done in which order. Each step
// has a random source of its own, so that a step which finds nothing to do
// does not change those that follow.
type schedule struct {
	seed   uint64
	faults []fault
}

// step is one fault and the time to wait before it.
type step struct {
	wait  time.Duration
	fault fault
	rand  *rand.Rand // for the fault's own choices
}

func (s schedule) step(n int) step {
	r := rand.New(rand.NewPCG(s.seed, uint64(n)))
	return step{between(r, 100*time.Millisecond, 900*time.Millisecond), s.pick(r), r}
}

// pick chooses a fault by weight.
func (s schedule) pick(r *rand.Rand) fault {
	total := 0
	for _, f := range s.faults {
		total += f.weight
	}
	n := r.IntN(total)
	for _, f := range s.faults {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	panic("unreachable: weights add up to total")
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}
