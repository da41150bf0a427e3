package app

import (
	"context"
	"errors"
	"sync"
	"time"
)

// commitDeadline bounds one shared commit.
const commitDeadline = 30 * time.Second

var errAborted = errors.New("the shared commit was aborted")

// groupCommit lets concurrent hand-ins share a transaction without a goroutine
// of its own and without waiting on purpose: the first caller commits at once;
// those that arrive meanwhile queue up, and when it is done the first of them
// commits for all that are waiting.
type groupCommit struct {
	commit func(ctx context.Context, orders []parsed) []Outcome
	limit  int

	mu      sync.Mutex
	busy    bool     // guarded by mu: somebody is committing
	waiting []*place // guarded by mu: who is not in a commit yet
}

// place is one caller in the queue. It gets exactly one message on each of the
// channels at most: lead, if it is to commit for the others; done, if somebody
// else has committed for it.
type place struct {
	order parsed
	lead  chan struct{}
	done  chan Outcome
}

// do commits one order. Once it is in the queue it is committed even if ctx
// ends: whoever commits does so for others, too.
func (g *groupCommit) do(ctx context.Context, order parsed) Outcome {
	if err := ctx.Err(); err != nil {
		return Outcome{Err: err}
	}
	mine := &place{order: order, lead: make(chan struct{}, 1), done: make(chan Outcome, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, mine)
	first := !g.busy
	g.busy = true
	g.mu.Unlock()
	if first {
		return g.leadFor(ctx, mine)
	}
	select {
	case <-mine.lead:
		return g.leadFor(ctx, mine)
	case out := <-mine.done:
		return out
	}
}

// leadFor commits what is waiting, mine first among it, and then passes the
// lead on.
func (g *groupCommit) leadFor(ctx context.Context, mine *place) Outcome {
	group := g.take()
	defer g.release(group)
	orders := make([]parsed, len(group))
	for i, p := range group {
		orders[i] = p.order
	}
	commitCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitDeadline)
	defer cancel()
	outcomes := g.commit(commitCtx, orders)
	var answer Outcome
	for i, p := range group {
		if p == mine {
			answer = outcomes[i]
			continue
		}
		p.done <- outcomes[i]
	}
	return answer
}

func (g *groupCommit) take() []*place {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), g.limit)
	group := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return group
}

// release passes the lead on. It runs even if the commit panics: those who
// have no answer then get one, or they would wait for ever. The channel of one
// who has its answer already has room for a second that nobody reads.
func (g *groupCommit) release(group []*place) {
	for _, p := range group {
		select {
		case p.done <- Outcome{Err: errAborted}:
		default:
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.busy, g.waiting = false, nil
		return
	}
	g.waiting[0].lead <- struct{}{}
}
