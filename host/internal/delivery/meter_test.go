package delivery_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/orderport/orderport/host/internal/store"
)

// meter measures the batches that an engine asks of its store.
type meter struct {
	store.Store
	mu    sync.Mutex
	calls map[string]*calls
}

type calls struct {
	count, items int
	took         time.Duration
}

func (m *meter) note(what string, items int, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls = make(map[string]*calls)
	}
	c := m.calls[what]
	if c == nil {
		c = &calls{}
		m.calls[what] = c
	}
	c.count++
	c.items += items
	c.took += time.Since(began)
}

func (m *meter) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := ""
	for what, c := range m.calls {
		text += fmt.Sprintf("%s: %d calls of %.1f items, %.2f ms each; ", what, c.count,
			float64(c.items)/float64(c.count), c.took.Seconds()*1000/float64(c.count))
	}
	return text
}

func (m *meter) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	began := time.Now()
	claimed, err := m.Store.Claim(ctx, req)
	m.note("claim", len(claimed), began)
	return claimed, err
}

func (m *meter) SaveAll(ctx context.Context, saves []store.Save) ([]error, error) {
	defer m.note("save", len(saves), time.Now())
	return m.Store.SaveAll(ctx, saves)
}

func (m *meter) FinishAll(ctx context.Context, finishes []store.Finish) ([]error, error) {
	defer m.note("finish", len(finishes), time.Now())
	return m.Store.FinishAll(ctx, finishes)
}
