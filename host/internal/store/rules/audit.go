package rules

import (
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

// Dated fills in id and time where the caller left them out.
func Dated(e domain.AuditEntry) domain.AuditEntry {
	if e.At.IsZero() {
		e.At = time.Now().UTC()
	}
	if e.ID == uuid.Nil {
		e.ID = uuid.Must(uuid.NewV7()) // fails only without a random source, which ends the process anyway
	}
	return e
}
