package postgres

import (
	"errors"
	"io"
	"net"
	"strings"

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
	tooManyConnections   = "53300"
	connectionFailed     = "08"   // and three more characters
	shutsDown            = "57P0" // or starts; and one more
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

// Unavailable implements store.Store.
func (*Store) Unavailable(err error) bool {
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	var network *net.OpError
	switch {
	case errors.As(err, &connect):
		return true
	case errors.As(err, &pg):
		return strings.HasPrefix(pg.Code, connectionFailed) || strings.HasPrefix(pg.Code, shutsDown) || pg.Code == tooManyConnections
	default:
		// Safe to retry is what was not sent, since the session had ended.
		return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
	}
}

// brokenOff reports whether the database ended the transaction, with nothing
// done, only because of what others did at the same time.
func brokenOff(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == deadlockDetected || pg.Code == serializationFailure)
}
