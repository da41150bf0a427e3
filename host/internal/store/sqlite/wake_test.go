package sqlite_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/sqlite"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

func TestWake(t *testing.T) {
	storetest.RunWake(t, func(t *testing.T, wake storetest.Wake) store.Store {
		return openWith(t, storetest.SQLitePath(t), sqlite.Options{
			Wake: func(ctx context.Context, _ *sql.Tx, ids []uuid.UUID) error { return wake(ctx, ids) },
		})
	})
}
