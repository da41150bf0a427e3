package postgres_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/postgres"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

func TestWake(t *testing.T) {
	databases := newDatabases(t)
	storetest.RunWake(t, func(t *testing.T, wake storetest.Wake) store.Store {
		return openWith(t, databases.take(t), postgres.Options{
			Wake: func(ctx context.Context, _ pgx.Tx, ids []uuid.UUID) error { return wake(ctx, ids) },
		})
	})
}
