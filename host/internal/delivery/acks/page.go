package acks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// Verdict is what became of an ack.
type Verdict string

// The verdicts. All but Waiting are settled.
const (
	Applied   Verdict = "applied"
	Repeated  Verdict = "repeated"
	Malformed Verdict = "malformed"
	Foreign   Verdict = "foreign"
	Contrary  Verdict = "contrary"
	Waiting   Verdict = "waiting" // matches nothing yet, left where it is
)

// judged is a fetched ack and what becomes of it.
type judged struct {
	ack     *connectorv1.FetchAcksResponse
	verdict Verdict
	reason  string // why it is rejected
}

// poll works through the connection's acks, page by page.
func (p *Poller) poll(ctx context.Context, conn domain.Connection, config []byte) error {
	target, err := p.o.Registry.Get(conn.ConnectorType)
	if err != nil {
		return fmt.Errorf("find connector: %w", err)
	}
	slug, err := p.o.Slug(ctx, conn.OrgID)
	if err != nil {
		return err
	}
	p.mu.Lock()
	s := p.scheduleOf(conn)
	p.mu.Unlock()
	select {
	case <-s.turn:
	case <-ctx.Done():
		return fmt.Errorf("wait for the poll that is under way: %w", ctx.Err())
	}
	defer func() { s.turn <- struct{}{} }()
	work := page{
		Poller: p, conn: conn, target: target, schedule: s,
		address: &connectorv1.Connection{Id: conn.ID.String(), OrgSlug: slug, Config: config},
	}
	for {
		more, err := work.next(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// page is the work on one connection.
type page struct {
	*Poller
	conn     domain.Connection
	target   connector.Port
	address  *connectorv1.Connection
	schedule *schedule
	// crowded says that the acks that wait leave too little room in a page for
	// others. At most as many of them as are in flight can be about exports of
	// ours, and those are recorded soon.
	crowded bool
}

// next does one page and says whether there may be another one. Acks that are
// left where they are come again in each page, so it must have room for them.
func (w *page) next(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.o.Knobs.Timeout)
	defer cancel()
	waiting := len(w.schedule.unmatched)
	limit := min(w.o.Knobs.Page+waiting, w.o.Knobs.MostWaiting)
	w.crowded = w.o.Knobs.Page+waiting > w.o.Knobs.MostWaiting
	fetched, err := w.fetch(ctx, limit)
	if err != nil || len(fetched) == 0 {
		if err == nil {
			w.schedule.unmatched = nil
		}
		return false, err
	}
	all, err := w.commit(ctx, fetched)
	if err != nil {
		return false, err
	}
	settled, err := w.settle(ctx, all)
	w.report(all)
	if err != nil {
		return false, err
	}
	// More that wait make the next page larger, so it reaches further.
	further := settled > 0 || len(w.schedule.unmatched) > waiting && !w.crowded
	return further && len(fetched) >= limit, nil
}

// fetch returns up to limit acks.
func (w *page) fetch(ctx context.Context, limit int) ([]*connectorv1.FetchAcksResponse, error) {
	var fetched []*connectorv1.FetchAcksResponse
	enough := errors.New("enough")
	err := w.target.FetchAcks(ctx, &connectorv1.FetchAcksRequest{Connection: w.address, Limit: uint32(limit)},
		func(ack *connectorv1.FetchAcksResponse) error {
			if len(fetched) == limit {
				return enough
			}
			fetched = append(fetched, ack)
			return nil
		})
	if err != nil && !errors.Is(err, enough) {
		return nil, fmt.Errorf("fetch acks: %w", err)
	}
	return fetched, nil
}

// commit decides on all acks of the page and commits what the good ones say.
func (w *page) commit(ctx context.Context, fetched []*connectorv1.FetchAcksResponse) ([]judged, error) {
	all := make([]judged, len(fetched))
	var readable []store.Ack
	var at []int
	for i, ack := range fetched {
		all[i] = judged{ack: ack, verdict: Malformed}
		said, problem := read(ack)
		if problem != "" {
			all[i].reason = problem
			continue
		}
		readable, at = append(readable, said), append(at, i)
	}
	unmatched := make(map[string]time.Time)
	defer func() { w.schedule.unmatched = unmatched }()
	if len(readable) == 0 {
		return all, nil
	}
	// Counted before the acks are matched: an export that is not in flight now
	// has recorded its reference.
	inFlight, err := w.o.Store.InFlight(ctx, w.conn.ID)
	if err != nil {
		return nil, fmt.Errorf("count exports in flight: %w", err)
	}
	verdicts, err := w.o.Store.ApplyAcks(ctx, w.conn.ID, readable, "host:"+w.o.HostName)
	if err != nil {
		return nil, fmt.Errorf("commit acks: %w", err)
	}
	for i, verdict := range verdicts {
		j := &all[at[i]]
		switch verdict {
		case store.AckApplied:
			j.verdict = Applied
		case store.AckRepeated:
			j.verdict = Repeated
		case store.AckContrary:
			j.verdict, j.reason = Contrary, "it contradicts what the ERP answered before"
		case store.AckUnmatched:
			j.verdict, j.reason = w.unmatched(j.ack.GetHandle(), inFlight, unmatched)
		}
	}
	return all, nil
}

// unmatched decides on an ack that no export knows.
func (w *page) unmatched(handle string, inFlight int, still map[string]time.Time) (Verdict, string) {
	now := time.Now()
	since, known := w.schedule.unmatched[handle]
	if !known {
		since = now
	}
	patience := w.o.Knobs.ForeignAfter
	if w.crowded {
		patience = min(patience, w.o.Knobs.CrowdedAfter)
	}
	if inFlight > 0 && now.Sub(since) < patience {
		still[handle] = since
		return Waiting, ""
	}
	return Foreign, "no export over this connection has this reference"
}

// read turns a message into what the store understands, or says what is wrong.
func read(ack *connectorv1.FetchAcksResponse) (said store.Ack, problem string) {
	said.ExternalRef = ack.GetExternalRef()
	switch answer := ack.GetAnswer().(type) {
	case *connectorv1.FetchAcksResponse_Positive:
		said.Positive, said.ERPOrderID = true, answer.Positive.GetErpOrderId()
	case *connectorv1.FetchAcksResponse_Negative:
		said.ErrorCode, said.Message = clean(answer.Negative.GetErrorCode()), clean(answer.Negative.GetMessage())
	case *connectorv1.FetchAcksResponse_Malformed:
		return said, "it can't be read: " + answer.Malformed.GetReason()
	default:
		return said, "it is neither positive nor negative"
	}
	if said.ExternalRef == "" {
		return said, "it does not say which export it is about"
	}
	if !storable(said.ExternalRef) || !storable(said.ERPOrderID) {
		return said, "it has a reference or order number that can't be stored"
	}
	return said, ""
}

// settle lets the connector put the decided acks away and returns how many it
// has. An ack that the connector could not put away comes again.
func (w *page) settle(ctx context.Context, all []judged) (int, error) {
	var settlements []*connectorv1.Settlement
	for _, j := range all {
		switch j.verdict {
		case Waiting:
		case Applied, Repeated:
			settlements = append(settlements, &connectorv1.Settlement{
				Handle: j.ack.GetHandle(), Verdict: connectorv1.Verdict_VERDICT_PROCESSED,
			})
		default:
			settlements = append(settlements, &connectorv1.Settlement{
				Handle: j.ack.GetHandle(), Verdict: connectorv1.Verdict_VERDICT_REJECTED, Reason: j.reason,
			})
		}
	}
	if len(settlements) == 0 {
		return 0, nil
	}
	if err := w.auditRejected(ctx, all); err != nil {
		return 0, err
	}
	answer, err := w.target.SettleAcks(ctx, &connectorv1.SettleAcksRequest{Connection: w.address, Settlements: settlements})
	if err != nil {
		return 0, fmt.Errorf("settle acks: %w", err)
	}
	settled := 0
	for _, result := range answer.GetResults() {
		if result.GetError() == nil {
			settled++
			continue
		}
		w.o.Logger.Warn("ack could not be settled; it comes again", "connection", w.conn.ID,
			"handle", result.GetHandle(), "code", port.CodeOf(result.GetError().GetCode()), "reason", result.GetError().GetMessage())
	}
	return settled, nil
}

// auditRejected says in the audit log which acks are put aside, and why. A
// contrary one is there already, from the store. It comes before the
// settlement, so that no ack disappears unsaid; a repeated one is said twice.
func (w *page) auditRejected(ctx context.Context, all []judged) error {
	for _, j := range all {
		if j.verdict != Malformed && j.verdict != Foreign {
			continue
		}
		details, err := json.Marshal(map[string]string{
			"handle": short(j.ack.GetHandle()), "external_ref": short(j.ack.GetExternalRef()),
			"verdict": string(j.verdict), "reason": short(j.reason),
		})
		if err != nil {
			return fmt.Errorf("describe rejected ack: %w", err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make id: %w", err)
		}
		entry := domain.AuditEntry{
			ID: id, OrgID: w.conn.OrgID, At: time.Now().UTC(), Actor: "host:" + w.o.HostName,
			Action: "ack.reject", Subject: "connection:" + w.conn.ID.String(), Details: details,
		}
		if err := w.o.Store.AppendAudit(ctx, entry); err != nil {
			return fmt.Errorf("audit rejected ack: %w", err)
		}
	}
	return nil
}

func (w *page) report(all []judged) {
	counts := make(map[Verdict]int)
	for _, j := range all {
		counts[j.verdict]++
		if j.reason != "" {
			w.o.Logger.Warn("ack rejected", "connection", w.conn.ID, "handle", short(j.ack.GetHandle()),
				"verdict", j.verdict, "reason", short(j.reason))
		}
	}
	for verdict, count := range counts {
		w.o.Settled(w.conn.ConnectorType, verdict, count)
	}
}
