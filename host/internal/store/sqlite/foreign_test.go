package sqlite_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	lite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store/storetest"
	"github.com/orderport/orderport/sdk/port"
)

func TestAConnectionWrittenByAnotherProgramIsAConnection(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLitePath(t))
	w := storetest.NewWorld(t, s)
	var id uuid.UUID
	err := s.WriteDB().QueryRowContext(t.Context(), `INSERT INTO erp_connection (org_id, connector_type, config_encrypted)
		VALUES (?, 'SAP_RFC', x'0102') RETURNING id`, w.Org.ID.String()).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	if id.Version() != 4 || id.Variant() != uuid.RFC4122 {
		t.Errorf("id %s is not a random UUID", id)
	}
	c, err := s.Connection(t.Context(), w.Org.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	if c.Status != domain.Active || c.Sealed.Version != 0 || c.Sealed.KeyID != "" || c.Health.State != domain.HealthUnknown {
		t.Errorf("got %+v", c)
	}
	if time.Since(c.CreatedAt).Abs() > time.Hour || c.UpdatedAt.Sub(c.CreatedAt).Abs() > time.Second {
		t.Errorf("created %v, updated %v", c.CreatedAt, c.UpdatedAt)
	}
}

func TestAnotherProgramMayWriteAConnectionThatIsThere(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := open(t, storetest.SQLitePath(t))
	w := storetest.NewWorld(t, s)
	w.AcceptN(1)
	row := `INTO erp_connection (id, org_id, connector_type, config_encrypted)
		VALUES ('` + w.Conn.ID.String() + `', '` + w.Org.ID.String() + `', '` + w.Conn.ConnectorType + `', x'`
	for _, c := range []struct {
		statement string
		config    byte // afterwards
	}{
		{`INSERT ` + row + `01') ON CONFLICT (id) DO UPDATE SET config_encrypted = excluded.config_encrypted`, 1},
		{`INSERT OR REPLACE ` + row + `02')`, 2},
		{`INSERT OR IGNORE ` + row + `03')`, 2},
		{`INSERT ` + row + `04') ON CONFLICT DO NOTHING`, 2},
	} {
		if _, err := s.WriteDB().ExecContext(ctx, c.statement); err != nil {
			t.Errorf("%s: %v", c.statement, err)
		}
		got, err := s.ConnectionByID(ctx, w.Conn.ID)
		if err != nil || len(got.Sealed.Blob) != 1 || got.Sealed.Blob[0] != c.config {
			t.Errorf("%s: %+v, %v", c.statement, got, err)
		}
	}
	if err := s.CreateConnection(ctx, w.Conn, domain.AuditEntry{}); fault.From(err).Kind != fault.Conflict {
		t.Errorf("created again: %v", err)
	}
}

func TestAnUpdateByAnotherProgramChangesUpdatedAt(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLitePath(t))
	w := storetest.NewWorld(t, s)
	last := w.Conn.UpdatedAt
	for _, set := range []string{
		`config_encrypted = x'0102'`, `status = 'DISABLED'`, `last_test_at = 1`, `connector_type = 'OTHER'`,
		`updated_at = 0`, `status = status`,
	} {
		if _, err := s.WriteDB().ExecContext(t.Context(), `UPDATE erp_connection SET `+set+` WHERE id = ?`, w.Conn.ID.String()); err != nil {
			t.Fatal(err)
		}
		c, err := s.ConnectionByID(t.Context(), w.Conn.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !c.UpdatedAt.After(last) {
			t.Errorf("after SET %s updated_at is %v, was %v", set, c.UpdatedAt, last)
		}
		last = c.UpdatedAt
	}
}

func TestWhatHasExportsCannotBeDeleted(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLitePath(t))
	w := storetest.NewWorld(t, s)
	other := w.NewOrg()
	idle := w.NewConn(w.Org.ID, "SAP_RFC")
	w.AcceptN(2)
	failed := w.FailWith(&domain.ExportError{Code: port.Conflict, Message: "no"})
	for what, statement := range map[string]string{
		"a connection with exports":     `DELETE FROM erp_connection WHERE id = '` + w.Conn.ID.String() + `'`,
		"an order with a failed export": `DELETE FROM draft_order WHERE id = '` + failed.DraftOrderID.String() + `'`,
		"an order with a live export":   `DELETE FROM draft_order WHERE id <> '` + failed.DraftOrderID.String() + `'`,
		"an organization with orders":   `DELETE FROM organization WHERE id = '` + w.Org.ID.String() + `'`,
		"a connection, by its key":      `UPDATE erp_connection SET id = 'x' WHERE id = '` + w.Conn.ID.String() + `'`,
		"a connection, by its owner":    `UPDATE erp_connection SET org_id = '` + other.ID.String() + `' WHERE id = '` + w.Conn.ID.String() + `'`,
		"an order, by its key":          `UPDATE draft_order SET id = 'x' WHERE id = '` + failed.DraftOrderID.String() + `'`,
		"a connection, by its like elsewhere": `INSERT OR REPLACE INTO erp_connection (id, org_id, connector_type, config_encrypted)
			VALUES ('` + w.Conn.ID.String() + `', '` + other.ID.String() + `', '` + w.Conn.ConnectorType + `', x'01')`,
		"a connection, by its successor": `INSERT OR REPLACE INTO erp_connection (org_id, connector_type, config_encrypted)
			VALUES ('` + w.Org.ID.String() + `', '` + w.Conn.ConnectorType + `', x'01')`,
	} {
		var refused *lite.Error
		if _, err := s.WriteDB().ExecContext(t.Context(), statement); !errors.As(err, &refused) || refused.Code()&0xff != sqlite3.SQLITE_CONSTRAINT {
			t.Errorf("delete %s: %v, want a violated constraint", what, err)
		}
	}
	if _, err := s.WriteDB().ExecContext(t.Context(), `DELETE FROM erp_connection WHERE id = ?`, idle.ID.String()); err != nil {
		t.Errorf("delete a connection without exports: %v", err)
	}
}
