package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// SQLSTATE codes.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	diskFull             = "53100"
)

// translate turns a violated constraint into the fault that it stands for.
func translate(err error) error {
	var pg *pgconn.PgError
	var known *fault.Error
	if errors.As(err, &known) || !errors.As(err, &pg) {
		return err
	}
	if f := violation(pg); f != nil {
		return f.Because(err)
	}
	return err
}

func violation(pg *pgconn.PgError) *fault.Error {
	switch pg.ConstraintName {
	case "uq_organization_slug":
		return rules.OrganizationExists()
	case "uq_active_connector":
		return rules.ConnectionExists()
	case "uq_live_export":
		return rules.ExportLive()
	case "fk_erp_connection_org", "fk_api_token_org", "fk_audit_log_org":
		return rules.OrganizationNotFound()
	}
	switch pg.Code {
	case uniqueViolation:
		return rules.RowExists()
	case diskFull:
		return rules.DatabaseFull()
	}
	return nil
}

// brokenOff reports whether the database ended the transaction, with nothing
// done, only because of what others did at the same time.
func brokenOff(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == deadlockDetected || pg.Code == serializationFailure)
}
