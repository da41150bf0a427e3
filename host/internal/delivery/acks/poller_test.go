package acks_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery/acks"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

const ackType = "ACK_TEST_V1"

// ledger is the part of a store that acks need, in memory. The real stores
// judge acks in their own suite; here it matters what the poller makes of it.
type ledger struct {
	mu          sync.Mutex
	connections []domain.Connection
	hosts       []domain.HostNode
	verdicts    map[string]store.AckVerdict // by reference; others are unmatched
	inFlight    int
	applied     []store.Ack
	audits      []string
	failApply   error
	lists       int // how often connections were listed
}

func (l *ledger) ActiveConnections(context.Context, []string) ([]domain.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists++
	return l.connections, nil
}

func (l *ledger) set(connections []domain.Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connections = connections
}

func (l *ledger) first() domain.Connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connections[0]
}

func (l *ledger) OrganizationByID(_ context.Context, id uuid.UUID) (domain.Organization, error) {
	return domain.Organization{ID: id, Slug: "acme"}, nil
}

func (l *ledger) ApplyAcks(_ context.Context, _ uuid.UUID, batch []store.Ack, _ string) ([]store.AckVerdict, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failApply != nil {
		return nil, l.failApply
	}
	verdicts := make([]store.AckVerdict, len(batch))
	for i, ack := range batch {
		verdict, known := l.verdicts[ack.ExternalRef]
		if !known {
			verdict = store.AckUnmatched
		}
		verdicts[i] = verdict
		if verdict == store.AckApplied {
			l.verdicts[ack.ExternalRef] = store.AckRepeated
		}
		l.applied = append(l.applied, ack)
	}
	return verdicts, nil
}

func (l *ledger) InFlight(context.Context, uuid.UUID) (int, error) { return l.inFlight, nil }

func (l *ledger) AppendAudit(_ context.Context, entry domain.AuditEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.audits = append(l.audits, entry.Action)
	return nil
}

func (l *ledger) ListHosts(context.Context) ([]domain.HostNode, error) {
	return slices.Clone(l.hosts), nil
}

// target is a connector with acks. What is settled is gone.
type target struct {
	connector.Port
	mu         sync.Mutex
	there      []*connectorv1.FetchAcksResponse
	settled    map[string]connectorv1.Verdict
	fetches    int
	pages      []int
	failFetch  error
	failSettle error
	refuse     string // a handle that can't be settled
	atFetch    func()
}

func (p *target) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func (p *target) Describe() *connectorv1.DescribeResponse {
	return &connectorv1.DescribeResponse{
		ConnectorType: ackType, Capabilities: []connectorv1.Capability{connectorv1.Capability_CAPABILITY_ACKS},
	}
}

func (p *target) FetchAcks(_ context.Context, req *connectorv1.FetchAcksRequest, yield func(*connectorv1.FetchAcksResponse) error) error {
	p.mu.Lock()
	p.fetches++
	page := append([]*connectorv1.FetchAcksResponse{}, p.there[:min(len(p.there), int(req.GetLimit()))]...)
	p.pages = append(p.pages, len(page))
	p.mu.Unlock()
	if p.atFetch != nil {
		p.atFetch()
	}
	if p.failFetch != nil {
		return p.failFetch
	}
	for _, ack := range page {
		if err := yield(ack); err != nil {
			return err
		}
	}
	return nil
}

func (p *target) SettleAcks(_ context.Context, req *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failSettle != nil {
		return nil, p.failSettle
	}
	answer := &connectorv1.SettleAcksResponse{}
	for _, s := range req.GetSettlements() {
		result := &connectorv1.SettleResult{Handle: s.GetHandle()}
		answer.Results = append(answer.Results, result)
		if s.GetHandle() == p.refuse {
			result.Error = &connectorv1.Error{Message: "busy"}
			continue
		}
		p.settled[s.GetHandle()] = s.GetVerdict()
		for i, ack := range p.there {
			if ack.GetHandle() == s.GetHandle() {
				p.there = append(p.there[:i:i], p.there[i+1:]...)
				break
			}
		}
	}
	return answer, nil
}

func (p *target) Get(string) (connector.Port, error)      { return p, nil }
func (p *target) Isolated(string) (connector.Port, error) { return p, nil }
func (p *target) Types() []string                         { return []string{ackType} }
func (p *target) Status() []connector.Status              { return nil }

func positive(handle, ref, number string) *connectorv1.FetchAcksResponse {
	return &connectorv1.FetchAcksResponse{Handle: handle, ExternalRef: ref, Answer: &connectorv1.FetchAcksResponse_Positive{
		Positive: &connectorv1.PositiveAck{ErpOrderId: number},
	}}
}

func negative(handle, ref string) *connectorv1.FetchAcksResponse {
	return &connectorv1.FetchAcksResponse{Handle: handle, ExternalRef: ref, Answer: &connectorv1.FetchAcksResponse_Negative{
		Negative: &connectorv1.NegativeAck{ErrorCode: "E17", Message: "no such article"},
	}}
}

func malformed(handle string) *connectorv1.FetchAcksResponse {
	return &connectorv1.FetchAcksResponse{Handle: handle, Answer: &connectorv1.FetchAcksResponse_Malformed{
		Malformed: &connectorv1.MalformedAck{Reason: "not JSON"},
	}}
}

var me = uuid.New()

func newPoller(l *ledger, p *target, k acks.Knobs) *acks.Poller {
	p.settled = make(map[string]connectorv1.Verdict)
	return acks.New(acks.Options{
		Store: l, Registry: p, OpenConfig: func(domain.Connection) ([]byte, error) { return []byte("{}"), nil },
		Slug:   func(context.Context, uuid.UUID) (string, error) { return "acme", nil },
		Logger: slog.New(slog.DiscardHandler), HostName: "test", HostID: func() uuid.UUID { return me }, Knobs: k,
	})
}

var conn = domain.Connection{ID: uuid.New(), OrgID: uuid.New(), ConnectorType: ackType, Status: domain.Active}

const (
	processed = connectorv1.Verdict_VERDICT_PROCESSED
	rejected  = connectorv1.Verdict_VERDICT_REJECTED
)

func TestWhatBecomesOfEachKindOfAck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		ack      *connectorv1.FetchAcksResponse
		verdict  map[string]store.AckVerdict
		inFlight int
		want     map[string]connectorv1.Verdict
		audits   int
	}{
		{
			"a positive one is committed and put away", positive("h", "r", "SO-1"),
			map[string]store.AckVerdict{"r": store.AckApplied},
			0,
			map[string]connectorv1.Verdict{"h": processed},
			0,
		},
		{
			"a negative one, too", negative("h", "r"),
			map[string]store.AckVerdict{"r": store.AckApplied},
			0,
			map[string]connectorv1.Verdict{"h": processed},
			0,
		},
		{
			"one that comes again is put away", positive("h", "r", "SO-1"),
			map[string]store.AckVerdict{"r": store.AckRepeated},
			0,
			map[string]connectorv1.Verdict{"h": processed},
			0,
		},
		{
			"one that contradicts is set aside; the store audits it", positive("h", "r", "SO-2"),
			map[string]store.AckVerdict{"r": store.AckContrary},
			0,
			map[string]connectorv1.Verdict{"h": rejected},
			0,
		},
		{
			"one that can't be read is set aside and audited", malformed("h"), nil, 3,
			map[string]connectorv1.Verdict{"h": rejected},
			1,
		},
		{
			"one without an answer is set aside and audited", &connectorv1.FetchAcksResponse{Handle: "h", ExternalRef: "r"}, nil, 0,
			map[string]connectorv1.Verdict{"h": rejected},
			1,
		},
		{
			"one without a reference is set aside and audited", positive("h", "", "SO-1"), nil, 0,
			map[string]connectorv1.Verdict{"h": rejected},
			1,
		},
		{
			"one with a number that can't be stored is set aside and audited", positive("h", "r", "SO-\x00"), nil, 0,
			map[string]connectorv1.Verdict{"h": rejected},
			1,
		},
		{
			"a foreign one is set aside and audited", positive("h", "x", "SO-1"), nil, 0,
			map[string]connectorv1.Verdict{"h": rejected},
			1,
		},
		{
			"one that matches nothing waits while exports are in flight", positive("h", "x", "SO-1"), nil, 1,
			map[string]connectorv1.Verdict{},
			0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{verdicts: tc.verdict, inFlight: tc.inFlight}
			p := &target{there: []*connectorv1.FetchAcksResponse{tc.ack}}
			must(t, newPoller(l, p, acks.Knobs{}).Poll(t.Context(), conn))
			if diff := cmp.Diff(tc.want, p.settled); diff != "" {
				t.Errorf("settled (-want +got):\n%s", diff)
			}
			if len(l.audits) != tc.audits {
				t.Errorf("%d audit entries, want %d", len(l.audits), tc.audits)
			}
		})
	}
}

func TestNothingIsSettledThatIsNotCommitted(t *testing.T) {
	t.Parallel()
	l := &ledger{verdicts: map[string]store.AckVerdict{"r": store.AckApplied}, failApply: errors.New("the database is away")}
	p := &target{there: []*connectorv1.FetchAcksResponse{positive("h", "r", "SO-1"), malformed("m")}}
	poller := newPoller(l, p, acks.Knobs{})
	if err := poller.Poll(t.Context(), conn); err == nil {
		t.Error("a poll whose commit failed says that it worked")
	}
	if len(p.settled) != 0 {
		t.Fatalf("settled %v", p.settled)
	}
	l.failApply = nil
	must(t, poller.Poll(t.Context(), conn))
	if diff := cmp.Diff(map[string]connectorv1.Verdict{"h": processed, "m": rejected}, p.settled); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
}

func TestAnAckThatWasCommittedAndNotSettledComesAgainAndIsPutAway(t *testing.T) {
	t.Parallel()
	l := &ledger{verdicts: map[string]store.AckVerdict{"r": store.AckApplied}}
	p := &target{there: []*connectorv1.FetchAcksResponse{positive("h", "r", "SO-1")}, failSettle: errors.New("died")}
	poller := newPoller(l, p, acks.Knobs{})
	if err := poller.Poll(t.Context(), conn); err == nil {
		t.Error("a poll whose settlement failed says that it worked")
	}
	p.failSettle = nil
	must(t, poller.Poll(t.Context(), conn))
	if p.settled["h"] != processed {
		t.Errorf("settled %v", p.settled)
	}
}

func TestAllPagesAreDrained(t *testing.T) {
	t.Parallel()
	l := &ledger{verdicts: make(map[string]store.AckVerdict)}
	p := &target{}
	for i := range 25 {
		ref := fmt.Sprintf("r%d", i)
		l.verdicts[ref] = store.AckApplied
		p.there = append(p.there, positive("h"+ref, ref, "SO"))
	}
	must(t, newPoller(l, p, acks.Knobs{Page: 10}).Poll(t.Context(), conn))
	if diff := cmp.Diff([]int{10, 10, 5}, p.pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if len(p.there) != 0 {
		t.Errorf("%d acks are left", len(p.there))
	}
}

func TestAcksThatWaitDoNotKeepLaterOnesFromBeingFetched(t *testing.T) {
	t.Parallel()
	l := &ledger{verdicts: map[string]store.AckVerdict{"good": store.AckApplied}, inFlight: 1}
	p := &target{}
	for i := range 10 {
		p.there = append(p.there, positive(fmt.Sprintf("w%d", i), fmt.Sprintf("unknown%d", i), "SO"))
	}
	p.there = append(p.there, positive("g", "good", "SO"))
	poller := newPoller(l, p, acks.Knobs{Page: 10})
	must(t, poller.Poll(t.Context(), conn))
	if p.settled["g"] != processed {
		t.Errorf("settled %v, want the one behind those that wait", p.settled)
	}
}

func TestACrowdOfAcksThatWaitKeepsLaterOnesForTwoMinutesAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{verdicts: map[string]store.AckVerdict{"good": store.AckApplied}, inFlight: 1, connections: []domain.Connection{conn}}
		p := &target{}
		for i := range 45 {
			p.there = append(p.there, positive(fmt.Sprintf("w%d", i), fmt.Sprintf("unknown%d", i), "SO"))
		}
		p.there = append(p.there, positive("g", "good", "SO"))
		poller := newPoller(l, p, acks.Knobs{Page: 10, MostWaiting: 30, Every: 10 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		poller.Run(ctx)
		cancel()
		if len(p.settled) != 0 {
			t.Fatalf("settled %v: they may be about exports that are in flight", p.settled)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		poller.Run(ctx)
		if p.settled["g"] != processed || len(p.settled) < 31 {
			t.Errorf("settled %v, want the crowd rejected and the one behind it processed", p.settled)
		}
		for handle, verdict := range p.settled {
			if handle != "g" && verdict != rejected {
				t.Errorf("%s got %s", handle, verdict)
			}
		}
		if n := len(p.there); n != 15 {
			t.Errorf("%d acks still wait, want those that are no crowd any more", n)
		}
	})
}

func TestAPollThatWaitsForAnotherOneEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		p := &target{settled: make(map[string]connectorv1.Verdict)}
		l := &ledger{}
		poller := newPoller(l, p, acks.Knobs{})
		p.atFetch = func() { <-slow }
		ended := make(chan error)
		go func() { ended <- poller.Poll(t.Context(), conn) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := poller.Poll(ctx, conn); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second poll ended with %v", err)
		}
		close(slow)
		must(t, <-ended)
	})
}

// run runs a poller over conn, whose config is what the function says, for as
// long as asked.
func run(t *testing.T, l *ledger, p *target, config func() string, long time.Duration, meanwhile func(*acks.Poller)) {
	t.Helper()
	p.settled = make(map[string]connectorv1.Verdict)
	poller := acks.New(acks.Options{
		Store: l, Registry: p, OpenConfig: func(domain.Connection) ([]byte, error) { return []byte(config()), nil },
		Slug:   func(context.Context, uuid.UUID) (string, error) { return "acme", nil },
		Logger: slog.New(slog.DiscardHandler), HostID: func() uuid.UUID { return me },
	})
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	go meanwhile(poller)
	poller.Run(ctx)
}

func TestANewConnectionIsPolledAtOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		expected bool // orders are delivered over it by this host
		within   time.Duration
	}{
		{"when its first order is delivered here", true, 300 * time.Millisecond},
		{"or when it is seen", false, 6 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, p := &ledger{}, &target{}
				config := func() string { return `{"ack_poll_seconds": 1}` }
				run(t, l, p, config, 20*time.Second, func(poller *acks.Poller) {
					<-time.After(7 * time.Second)
					l.set([]domain.Connection{conn})
					if tc.expected {
						poller.Expect(conn.ID)
					}
					<-time.After(tc.within)
					if p.count() == 0 {
						t.Error("nobody has looked for its acks")
					}
					begun := p.count()
					<-time.After(5 * time.Second)
					if n := p.count() - begun; n < 4 || n > 7 {
						t.Errorf("%d polls in the five seconds that followed, its config says one a second", n)
					}
				})
			})
		})
	}
}

func TestAChangedConfigIsGoneByAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, p := &ledger{connections: []domain.Connection{conn}}, &target{}
		config := func() string {
			if l.first().UpdatedAt.IsZero() {
				return `{"ack_poll_seconds": 86400}`
			}
			return `{"ack_poll_seconds": 2}`
		}
		run(t, l, p, config, 2*time.Minute, func(*acks.Poller) {
			<-time.After(time.Minute)
			if n := p.count(); n != 1 {
				t.Errorf("%d polls in the first minute, its config says one a day", n)
			}
			changed := conn
			changed.UpdatedAt = time.Now()
			l.set([]domain.Connection{changed})
			<-time.After(30 * time.Second)
			if n := p.count(); n < 10 {
				t.Errorf("%d polls in half a minute, its config says one every other second", n)
			}
		})
	})
}

func TestAThousandConnectionsAreNotListedAllTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, p := &ledger{}, &target{}
		for range 1000 {
			l.connections = append(l.connections, domain.Connection{ID: uuid.New(), OrgID: uuid.New(), ConnectorType: ackType})
		}
		l.connections[0].Health.State = domain.Down
		run(t, l, p, func() string { return "{}" }, 10*time.Minute, func(*acks.Poller) {})
		if l.lists > 140 {
			t.Errorf("they were listed %d times in ten minutes", l.lists)
		}
		if n := p.count(); n < 8_000 || n > 12_000 {
			t.Errorf("%d polls in ten minutes, want one a minute of each", n)
		}
	})
}

func TestAnAckThatCannotBeSettledDoesNotMakeThePollTurnInCircles(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	p := &target{there: []*connectorv1.FetchAcksResponse{malformed("stuck")}, refuse: "stuck"}
	must(t, newPoller(l, p, acks.Knobs{Page: 1}).Poll(t.Context(), conn))
	if p.fetches != 1 {
		t.Errorf("it was fetched %d times", p.fetches)
	}
}

func TestAForeignAckIsRejectedInTheEndAlsoWhereExportsNeverCease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{inFlight: 1}
		p := &target{there: []*connectorv1.FetchAcksResponse{positive("h", "x", "SO")}}
		poller := newPoller(l, p, acks.Knobs{ForeignAfter: time.Hour})
		must(t, poller.Poll(t.Context(), conn))
		<-time.After(59 * time.Minute)
		must(t, poller.Poll(t.Context(), conn))
		if len(p.settled) != 0 {
			t.Fatal("it was rejected too early")
		}
		<-time.After(2 * time.Minute)
		must(t, poller.Poll(t.Context(), conn))
		if p.settled["h"] != rejected {
			t.Error("it still waits after more than an hour")
		}
	})
}

func TestConnectionsArePolledAsOftenAsTheirConfigSays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		config   string
		every    time.Duration
		from, to int // fetches in ten minutes
	}{
		{"by default every minute", `{}`, 0, 8, 12},
		{"as the config says", `{"ack_poll_seconds": 10}`, 0, 45, 70},
		{"as the knob says, whatever the config says", `{"ack_poll_seconds": 3600}`, 30 * time.Second, 16, 24},
		{"not more often than each second", `{"ack_poll_seconds": 0.001}`, 0, 50, 700},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{connections: []domain.Connection{conn}}
				p := &target{settled: make(map[string]connectorv1.Verdict)}
				poller := acks.New(acks.Options{
					Store: l, Registry: p, OpenConfig: func(domain.Connection) ([]byte, error) { return []byte(tc.config), nil },
					Slug:   func(context.Context, uuid.UUID) (string, error) { return "acme", nil },
					Logger: slog.New(slog.DiscardHandler), HostID: func() uuid.UUID { return me }, Knobs: acks.Knobs{Every: tc.every},
				})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				poller.Run(ctx)
				if p.fetches < tc.from || p.fetches > tc.to {
					t.Errorf("%d fetches in ten minutes, want %d to %d", p.fetches, tc.from, tc.to)
				}
			})
		})
	}
}

func TestAConnectorThatAsksForAPauseGetsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{connections: []domain.Connection{conn}}
		p := &target{failFetch: &connector.FetchError{Report: &connectorv1.Error{
			Code: connectorv1.ErrorCode_ERROR_CODE_THROTTLED, Retryable: true, RetryAfter: durationpb.New(3 * time.Hour),
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		newPoller(l, p, acks.Knobs{}).Run(ctx)
		if p.fetches != 1 {
			t.Errorf("%d fetches in the two hours after it asked for three without any, want 1", p.fetches)
		}
	})
}

func TestPollsThatFailAreRepeatedLikeProbes(t *testing.T) {
	t.Parallel()
	failing := func(code connectorv1.ErrorCode) error {
		return &connector.FetchError{Report: &connectorv1.Error{Code: code, Retryable: true}}
	}
	for _, tc := range []struct {
		name     string
		err      error
		from, to int // polls in the first hour, at an interval of a second
	}{
		{"an outage: once a minute", failing(connectorv1.ErrorCode_ERROR_CODE_TIMEOUT), 50, 66},
		{"a fault of no connector: the same", errors.New("the stream broke"), 50, 66},
		{"wrong credentials: hardly ever", failing(connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED), 2, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, p := &ledger{connections: []domain.Connection{conn}}, &target{failFetch: tc.err}
				run(t, l, p, func() string { return `{"ack_poll_seconds": 1}` }, time.Hour, func(*acks.Poller) {})
				if n := p.count(); n < tc.from || n > tc.to {
					t.Errorf("%d polls in an hour, want %d to %d", n, tc.from, tc.to)
				}
			})
		})
	}
}

func TestOfSeveralHostsOnePollsEachConnection(t *testing.T) {
	t.Parallel()
	hosts := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	var nodes []domain.HostNode
	for _, id := range hosts {
		nodes = append(nodes, domain.HostNode{ID: id, ConnectorTypes: []string{ackType}})
	}
	stopped := time.Now()
	nodes = append(nodes, domain.HostNode{ID: uuid.New(), ConnectorTypes: []string{ackType}, StoppedAt: &stopped},
		domain.HostNode{ID: uuid.New(), ConnectorTypes: []string{"OTHER"}})
	var connections []domain.Connection
	for range 60 {
		connections = append(connections, domain.Connection{ID: uuid.New(), OrgID: uuid.New(), ConnectorType: ackType})
	}
	synctest.Test(t, func(t *testing.T) {
		polls := make(map[string]int)
		for _, id := range hosts {
			p := &counting{target: target{settled: make(map[string]connectorv1.Verdict)}, polls: polls}
			poller := acks.New(acks.Options{
				Store: &ledger{connections: connections, hosts: nodes}, Registry: p,
				OpenConfig: func(domain.Connection) ([]byte, error) { return []byte("{}"), nil },
				Slug:       func(context.Context, uuid.UUID) (string, error) { return "acme", nil },
				Logger:     slog.New(slog.DiscardHandler), HostID: func() uuid.UUID { return id },
			})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			poller.Run(ctx)
			cancel()
		}
		for _, c := range connections {
			if n := polls[c.ID.String()]; n != 1 {
				t.Errorf("a connection was polled by %d hosts", n)
			}
		}
	})
}

// counting counts polls by connection.
type counting struct {
	target
	polls map[string]int
}

func (p *counting) Get(string) (connector.Port, error) { return p, nil }

func (p *counting) FetchAcks(_ context.Context, req *connectorv1.FetchAcksRequest, _ func(*connectorv1.FetchAcksResponse) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls[req.GetConnection().GetId()]++
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
