package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/postgres"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// crew is a store on which a host of before step 4 works as well.
type crew struct {
	*storetest.World

	s     *postgres.Store
	older uuid.UUID
}

func newCrew(t *testing.T) *crew {
	t.Helper()
	s := open(t, storetest.PostgresURL(t))
	w := storetest.NewWorld(t, s)
	return &crew{World: w, s: s, older: w.NewHost("older")}
}

func (c *crew) exec(query string, args ...any) {
	c.T.Helper()
	if _, err := c.s.Pool().Exec(c.Ctx, query, args...); err != nil {
		c.T.Fatal(err)
	}
}

// olderClaim does what the older host's claim does to whatever is due.
func (c *crew) olderClaim() {
	c.T.Helper()
	c.exec(`WITH leased AS (
			UPDATE erp_export SET attempt_count = attempt_count + 1, lease_host_id = $1, lease_expires_at = now() + interval '1 minute'
			WHERE status = 'PENDING' AND lease_host_id IS NULL RETURNING *)
		INSERT INTO export_attempt (export_id, number, host_id, host_name, started_at)
		SELECT id, attempt_count, $1, 'older', now() FROM leased`, c.older)
}

// olderRetry ends what the older host runs with RETRY.
func (c *crew) olderRetry() {
	c.T.Helper()
	c.exec(`WITH done AS (
			UPDATE erp_export SET tried = true, next_attempt_at = created_at, lease_host_id = NULL, lease_expires_at = NULL
			WHERE lease_host_id = $1 RETURNING id, attempt_count)
		UPDATE export_attempt a SET outcome = 'RETRY', finished_at = now()
		FROM done WHERE a.export_id = done.id AND a.number = done.attempt_count`, c.older)
}

func (c *crew) wantAttempts(id uuid.UUID, want ...string) {
	c.T.Helper()
	attempts, err := c.S.Attempts(c.Ctx, c.Org.ID, id)
	if err != nil {
		c.T.Fatal(err)
	}
	var got []string
	for _, a := range attempts {
		got = append(got, fmt.Sprintf("%d %s by %s", a.Number, a.Outcome, a.HostName))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.T.Errorf("attempts (-want +got):\n%s", diff)
	}
}

func (c *crew) wantLost(n int) []domain.Export {
	c.T.Helper()
	lost, err := c.S.Lost(c.Ctx, time.Hour, []string{c.Conn.ConnectorType}, 100)
	if err != nil {
		c.T.Fatal(err)
	}
	if len(lost) != n {
		c.T.Fatalf("%d exports are lost, want %d", len(lost), n)
	}
	return lost
}

func (c *crew) stop(host uuid.UUID) {
	c.T.Helper()
	if err := c.S.StopHost(c.Ctx, host); err != nil {
		c.T.Fatal(err)
	}
}

func TestWhatAnOlderHostRunsIsTakenOver(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	export := c.AcceptN(1)[0]
	c.olderClaim()
	c.wantAttempts(export.ID, "1 RUNNING by older")
	c.wantLost(0)
	if leased, err := c.S.Leased(c.Ctx, c.older); err != nil || len(leased) != 1 {
		t.Errorf("the older host holds %d exports, %v", len(leased), err)
	}
	if n, err := c.S.InFlight(c.Ctx, c.Conn.ID); err != nil || n != 1 {
		t.Errorf("%d exports in flight, %v", n, err)
	}

	c.stop(c.older)
	lost := c.wantLost(1)
	reclaim := []store.Finish{storetest.Ended(lost[0], domain.OutcomeLost, domain.Pending)}
	for range 2 { // it is repeatable
		if errs, err := c.S.Reclaim(c.Ctx, reclaim); err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
	}
	c.wantLost(0)
	c.Finish(storetest.Delivered(c.Claim(1)[0].Export))
	c.wantAttempts(export.ID, "1 LOST by older", "2 DELIVERED by host-a")
}

func TestAttemptsOfHostsOfBothVersionsStandInARow(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	export := c.AcceptN(1)[0]
	retry := func() { c.Finish(storetest.Ended(c.Claim(1)[0].Export, domain.OutcomeRetry, domain.Pending)) }
	retry()
	c.olderClaim()
	c.wantAttempts(export.ID, "1 RETRY by host-a", "2 RUNNING by older")
	c.olderRetry()
	retry()
	retry()
	c.wantAttempts(export.ID, "1 RETRY by host-a", "2 RETRY by older", "3 RETRY by host-a", "4 RETRY by host-a")
}

func TestAnAckThatIsQuickerThanAnOlderHostIsApplied(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	export := c.AcceptN(1)[0]
	c.olderClaim()
	c.exec(`UPDATE erp_export SET running_ref = 'r' WHERE id = $1`, export.ID)
	verdicts, err := c.S.ApplyAcks(c.Ctx, c.Conn.ID, []store.Ack{{ExternalRef: "r", Positive: true}}, "test")
	if err != nil || verdicts[0] != store.AckApplied {
		t.Errorf("got %v, %v", verdicts, err)
	}
}

// wantClaims has claims forgotten and counts those that stay.
func (c *crew) wantClaims(want int) {
	c.T.Helper()
	c.wantLost(0) // which forgets
	var n int
	if err := c.s.Pool().QueryRow(c.Ctx, `SELECT count(*) FROM export_claim`).Scan(&n); err != nil || n != want {
		c.T.Errorf("%d claims, %v; want %d", n, err, want)
	}
}

// TestClaimsAreForgotten: a claim stays for as long as anything of it runs, so
// that it is found if its host dies, and no longer.
func TestClaimsAreForgotten(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.AcceptN(3)
	claimed := c.Claim(3)
	c.wantClaims(1)
	c.Finish(storetest.Delivered(claimed[0].Export), storetest.Ended(claimed[1].Export, domain.OutcomeRetry, domain.Pending))
	again := c.Claim(1)[0].Export
	c.wantClaims(2)
	c.Finish(storetest.Delivered(again))
	c.wantClaims(1)
	c.stop(c.Host)
	if lost := c.wantLost(1); lost[0].ID != claimed[2].Export.ID {
		t.Errorf("lost is %s", lost[0].ID)
	}
	if errs, err := c.S.Reclaim(c.Ctx, []store.Finish{storetest.Ended(claimed[2].Export, domain.OutcomeLost, domain.Pending)}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	c.wantClaims(0)
}

// An export that the same host runs again does not keep the claims of before.
func TestClaimsOfEarlierAttemptsAreForgotten(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.AcceptN(1)
	for range 5 {
		c.Finish(storetest.Ended(c.Claim(1)[0].Export, domain.OutcomeRetry, domain.Pending))
	}
	c.Claim(1)
	c.wantClaims(1)
}
