package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/view"
)

// waitsFor says in words what keeps a PENDING export from being delivered at
// this moment: the first of the things that have to be there. It is empty for
// an export that does not wait.
func (e *Exports) waitsFor(ctx context.Context, export domain.Export, attempts []domain.Attempt) (string, error) {
	if export.Status != domain.Pending {
		return "", nil
	}
	hosts, err := e.store.ListHosts(ctx)
	if err != nil {
		return "", err
	}
	conn, err := e.store.Connection(ctx, export.OrgID, export.ConnectionID)
	if err != nil {
		return "", err
	}
	alive := e.liveness.running(hosts)
	switch {
	case len(alive) == 0:
		return "a host: none is running", nil
	case !slices.ContainsFunc(alive, has(export.ConnectorType)):
		return fmt.Sprintf("connector %s: no running host has it", export.ConnectorType), nil
	case conn.Status != domain.Active:
		return fmt.Sprintf("its connection, which is %s", conn.Status), nil
	case len(attempts) > 0 && attempts[len(attempts)-1].Outcome == domain.OutcomeRunning:
		return fmt.Sprintf("the end of attempt %d, which is under way", attempts[len(attempts)-1].Number), nil
	case conn.Health.State == domain.Down:
		return "its connection, which is down" + downBecause(conn.Health), nil
	case export.NextAttemptAt != nil && export.NextAttemptAt.After(now()):
		return "its next attempt, at " + view.Time(*export.NextAttemptAt), nil
	}
	return "its turn", nil
}

func downBecause(h domain.Health) string {
	text := fmt.Sprintf(": %s: %s", h.Code, cmp.Or(h.Reason, "no reason is known"))
	if h.Since != nil {
		text = " since " + view.Time(*h.Since) + text
	}
	return text
}
