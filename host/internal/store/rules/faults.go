package rules

import "github.com/orderport/orderport/host/internal/fault"

// NotFound is the fault for a row that does not exist in the organization,
// such as NotFound("export").
func NotFound(thing, words string) *fault.Error {
	return fault.New(fault.NotFound, thing+"_not_found", "there is no such %s", words)
}

// OrganizationNotFound says that no such tenant exists.
func OrganizationNotFound() *fault.Error { return NotFound("organization", "organization") }

// ConnectionNotFound says that the organization has no such connection.
func ConnectionNotFound() *fault.Error { return NotFound("connection", "connection") }

// NoActiveConnection says that nothing can take the organization's orders.
func NoActiveConnection(connectorType string) *fault.Error {
	f := fault.New(fault.NotFound, "connection_not_found", "the organization has no active connection")
	if connectorType != "" {
		f.Message += " of type " + connectorType
	}
	return f.WithHint("create or enable a connection first")
}

// ConnectorTypeRequired says that the choice of a connection is not clear.
func ConnectorTypeRequired() *fault.Error {
	return fault.New(fault.Invalid, "connector_type_required", "the organization has several active connections").
		WithField("connector_type", "name the connector type to use")
}

// ExportNotFound says that the organization has no such export.
func ExportNotFound() *fault.Error { return NotFound("export", "export") }

// DraftOrderNotFound says that the organization has no such draft order.
func DraftOrderNotFound() *fault.Error { return NotFound("draft_order", "draft order") }

// TokenNotFound says that the token does not exist or is revoked.
func TokenNotFound() *fault.Error { return NotFound("token", "token") }

// OrganizationExists says that the slug is taken.
func OrganizationExists() *fault.Error {
	return fault.New(fault.Conflict, "organization_exists", "an organization with this slug exists already").
		WithField("slug", "is taken")
}

// ConnectionExists says that there may be one active connection per type.
func ConnectionExists() *fault.Error {
	return fault.New(fault.Conflict, "connection_exists", "the organization has an active connection of this type already").
		WithHint("update it, or disable it first")
}

// ExportLive says that the order is being delivered or was delivered.
func ExportLive() *fault.Error {
	return fault.New(fault.Conflict, "export_live", "the order has another export that is pending, sent or acknowledged")
}

// NotFailed says that only a FAILED export can be retried.
func NotFailed(status string) *fault.Error {
	return fault.New(fault.Conflict, "not_failed", "the export is %s; only a FAILED one can be retried", status)
}

// OutcomeUnknown says that a retry could deliver twice.
func OutcomeUnknown() *fault.Error {
	return fault.New(fault.Conflict, "outcome_unknown", "it is not known whether the order reached the ERP").
		WithHint("find out in the ERP, then resolve the export as sent or failed")
}

// NotUnknown says that there is nothing to resolve.
func NotUnknown() *fault.Error {
	return fault.New(fault.Conflict, "not_unknown", "only an export that is FAILED with OUTCOME_UNKNOWN can be resolved")
}

// HostStopped says that a host was stopped or declared dead and can't come
// back under its old id.
func HostStopped() *fault.Error {
	return fault.New(fault.Conflict, "host_stopped", "this host id has been stopped or declared dead; register under a new one")
}

// DatabaseFull says that nothing was written because the database's disk is full.
func DatabaseFull() *fault.Error {
	return fault.New(fault.Unavailable, "database_full", "the disk of the database is full; nothing was stored").
		WithHint("make room there, then try again; the host goes on by itself")
}

// DatabaseMoved says that nothing was written because the path of the database
// no longer leads to the file that was opened: what is written there would be
// gone with the process.
func DatabaseMoved(path string) *fault.Error {
	return fault.New(fault.Unavailable, "database_moved", "the database file %s was removed or replaced while it was open", path).
		WithHint("stop the host, put the file back with its -wal and -shm files, and start it again")
}

// RowExists says that a row with this id is there already.
func RowExists() *fault.Error {
	return fault.New(fault.Conflict, "exists", "a row with this id or value exists already")
}
