package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

func TestAConnectionWrittenByAnotherProgramIsAConnection(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.PostgresURL(t))
	w := storetest.NewWorld(t, s)
	var id uuid.UUID
	err := s.Pool().QueryRow(t.Context(), `INSERT INTO erp_connection (org_id, connector_type, config_encrypted)
		VALUES ($1, 'SAP_RFC', '\x0102') RETURNING id`, w.Org.ID).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Connection(t.Context(), w.Org.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	if c.Status != domain.Active || c.Sealed.Version != 0 || c.Sealed.KeyID != "" || c.Health.State != domain.HealthUnknown {
		t.Errorf("got %+v", c)
	}
	if time.Since(c.CreatedAt).Abs() > time.Hour || !c.UpdatedAt.Equal(c.CreatedAt) {
		t.Errorf("created %v, updated %v", c.CreatedAt, c.UpdatedAt)
	}
}

func TestAnUpdateByAnotherProgramChangesUpdatedAt(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.PostgresURL(t))
	w := storetest.NewWorld(t, s)
	last := w.Conn.UpdatedAt
	for _, set := range []string{
		`config_encrypted = '\x0102'`, `status = 'DISABLED'`, `last_test_at = now()`, `connector_type = 'OTHER'`,
		`updated_at = '2000-01-01'`, `status = status`,
	} {
		if _, err := s.Pool().Exec(t.Context(), `UPDATE erp_connection SET `+set+` WHERE id = $1`, w.Conn.ID); err != nil {
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
