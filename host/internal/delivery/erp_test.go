package delivery_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/host/internal/connector"
)

const erpType = "TEST_ERP_V1"

// erp is an ERP in memory and its connector. It delivers as real connectors
// must: stage, save a checkpoint, do the visible step, which takes effect at
// most once for one staged document. It counts what it must never see.
type erp struct {
	describe *connectorv1.DescribeResponse
	// deliver, if set, runs instead of the connector's own Export; it may call
	// it. test likewise.
	deliver func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error)
	test    func(ctx context.Context) *connectorv1.TestConnectionResponse
	unready error // what Get answers, if set

	mu        sync.Mutex
	staged    map[string]bool // by export
	visible   map[string]int  // by export: how often it was made visible
	running   map[string]int  // by export: attempts under way
	attempts  map[string]int  // by export: attempts begun
	overlaps  int             // attempts of one export that ran at once
	now, peak int             // attempts under way, and the most there ever were
	probes    int
	isolated  int // attempts that ran alone
	acks      []*connectorv1.FetchAcksResponse
	settled   map[string]*connectorv1.Settlement
}

func newERP(capabilities ...connectorv1.Capability) *erp {
	if capabilities == nil {
		capabilities = []connectorv1.Capability{
			connectorv1.Capability_CAPABILITY_RESUME, connectorv1.Capability_CAPABILITY_FENCED,
			connectorv1.Capability_CAPABILITY_ACKS,
		}
	}
	return &erp{
		describe: &connectorv1.DescribeResponse{
			ConnectorType: erpType, ExportFormatVersions: []string{"orderflow_export_json_v1"}, Capabilities: capabilities,
		},
		staged: make(map[string]bool), visible: make(map[string]int),
		running: make(map[string]int), attempts: make(map[string]int),
		settled: make(map[string]*connectorv1.Settlement),
	}
}

func (p *erp) Describe() *connectorv1.DescribeResponse { return p.describe }

func (p *erp) TestConnection(ctx context.Context, _ *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error) {
	p.mu.Lock()
	p.probes++
	test := p.test
	p.mu.Unlock()
	if test != nil {
		return test(ctx), nil
	}
	return &connectorv1.TestConnectionResponse{Success: true}, nil
}

func (p *erp) Export(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
	id := start.GetExportId()
	p.mu.Lock()
	if p.running[id] > 0 {
		p.overlaps++
	}
	p.running[id]++
	p.attempts[id]++
	p.now++
	p.peak = max(p.peak, p.now)
	deliver := p.deliver
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running[id]--
		p.now--
	}()
	if deliver != nil {
		return deliver(ctx, start, sink)
	}
	return p.honest(ctx, start, sink)
}

// honest is what a connector does that has all capabilities.
func (p *erp) honest(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
	id := start.GetExportId()
	if start.GetResume().GetCheckpoint() == nil {
		if refused := p.stage(ctx, id, sink); refused != nil {
			return &connectorv1.ExportResult{ExportId: id, Error: refused}, nil
		}
	}
	return p.publish(id), nil
}

// stage does the invisible part and saves the checkpoint.
func (p *erp) stage(ctx context.Context, id string, sink connector.Sink) *connectorv1.Error {
	if _, err := sink.StorePayload(ctx, "order_"+id+".json", []byte(`{"order":"`+id+`"}`)); err != nil {
		return failure(connectorv1.ErrorCode_ERROR_CODE_INTERNAL, true, err.Error())
	}
	p.mu.Lock()
	p.staged[id] = true
	p.mu.Unlock()
	if err := sink.SaveCheckpoint(ctx, []byte("staged"), "ref-"+id); err != nil {
		return failure(connectorv1.ErrorCode_ERROR_CODE_INTERNAL, true, err.Error())
	}
	return nil
}

// publish does the visible step: at most once for what was staged once.
func (p *erp) publish(id string) *connectorv1.ExportResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	result := &connectorv1.ExportResult{Success: true, ExportId: id, ExternalRef: "ref-" + id, DropzonePath: "/in/" + id}
	if p.staged[id] {
		delete(p.staged, id)
		p.visible[id]++
	} else {
		result.Recovered = true
	}
	return result
}

func (p *erp) FetchAcks(_ context.Context, req *connectorv1.FetchAcksRequest, yield func(*connectorv1.FetchAcksResponse) error) error {
	p.mu.Lock()
	var there []*connectorv1.FetchAcksResponse
	for _, ack := range p.acks {
		if p.settled[ack.GetHandle()] == nil && len(there) < int(req.GetLimit()) {
			there = append(there, ack)
		}
	}
	p.mu.Unlock()
	for _, ack := range there {
		if err := yield(ack); err != nil {
			return err
		}
	}
	return nil
}

func (p *erp) SettleAcks(_ context.Context, req *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := &connectorv1.SettleAcksResponse{}
	for _, s := range req.GetSettlements() {
		p.settled[s.GetHandle()] = s
		answer.Results = append(answer.Results, &connectorv1.SettleResult{Handle: s.GetHandle()})
	}
	return answer, nil
}

func (p *erp) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *erp) attemptsOf(id fmt.Stringer) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attempts[id.String()]
}

func (p *erp) isolatedCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isolated
}

// verify checks what must hold at the end of every test: each export was made
// visible as often as wanted, and no two attempts of one ran at once.
func (p *erp) verify(t *testing.T, want int, ids ...fmt.Stringer) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if got := p.visible[id.String()]; got != want {
			t.Errorf("export %s is in the ERP %d times, want %d", id, got, want)
		}
	}
	if p.overlaps > 0 {
		t.Errorf("%d attempts ran at once with another one of the same export", p.overlaps)
	}
}

func failure(code connectorv1.ErrorCode, retryable bool, message string) *connectorv1.Error {
	return &connectorv1.Error{Code: code, Retryable: retryable, Message: message}
}

// registry is a connector.Registry over ports in memory.
type registry map[string]*erp

func (r registry) Get(name string) (connector.Port, error) {
	p, ok := r[name]
	if !ok {
		return nil, &connector.UnknownTypeError{Type: name}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unready != nil {
		return nil, p.unready
	}
	return p, nil
}

func (r registry) Isolated(name string) (connector.Port, error) {
	p, err := r.Get(name)
	if err != nil {
		return nil, err
	}
	return &alone{erp: p.(*erp)}, nil
}

func (r registry) Types() []string {
	var names []string
	for name := range r {
		if _, err := r.Get(name); err == nil {
			names = append(names, name)
		}
	}
	return names
}

func (r registry) Status() []connector.Status { return nil }

// alone counts what runs in a process of its own, which must be one at a time.
type alone struct {
	*erp
}

func (a *alone) Export(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
	a.set(func() { a.isolated++ })
	return a.erp.Export(context.WithValue(ctx, aloneKey{}, true), start, sink)
}

type aloneKey struct{}

func isAlone(ctx context.Context) bool { return ctx.Value(aloneKey{}) != nil }
