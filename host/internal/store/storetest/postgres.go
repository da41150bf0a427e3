package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/orderport/orderport/host/internal/store/schema"
	"github.com/orderport/orderport/migrations"
)

// PostgresEnv names the variable with the address of a PostgreSQL server and a
// role that may create databases.
const PostgresEnv = "ORDERPORT_TEST_POSTGRES"

// templateLock makes test processes that run at once build the template once.
const templateLock int64 = 0x74656d706c617465

// PostgresURL returns the address of a new, migrated database of the test's
// own, which is dropped when the test ends. Without a server the test is
// skipped.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := PostgresServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	defer func() { _ = admin.Close(ctx) }()
	template, err := ensureTemplate(ctx, admin, server)
	if err != nil {
		t.Fatalf("prepare the template database: %v", err)
	}
	return newDatabase(ctx, t, admin, server, "TEMPLATE "+template)
}

// EmptyPostgresURL is PostgresURL without any tables.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	server := PostgresServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	defer func() { _ = admin.Close(ctx) }()
	return newDatabase(ctx, t, admin, server, "")
}

// PostgresServer returns the address of the test server, or skips the test.
func PostgresServer(t testing.TB) string {
	t.Helper()
	server := os.Getenv(PostgresEnv)
	if server == "" {
		t.Skipf("%s is not set; make test sets it", PostgresEnv)
	}
	return server
}

func newDatabase(ctx context.Context, t testing.TB, admin *pgx.Conn, server, clause string) string {
	t.Helper()
	name := "orderport_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name+" "+clause); err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	t.Cleanup(func() { dropDatabase(t, server, name) })
	return withDatabase(t, server, name)
}

func dropDatabase(t testing.TB, server, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Logf("test database %s stays: %v", name, err)
		return
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
		t.Logf("test database %s stays: %v", name, err)
	}
}

func withDatabase(t testing.TB, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s must be a URL", PostgresEnv)
	}
	u.Path = "/" + name
	return u.String()
}

// ensureTemplate returns the name of a migrated database that nobody uses. The
// name depends on what is migrated, so a changed migration makes a new one.
func ensureTemplate(ctx context.Context, admin *pgx.Conn, server string) (string, error) {
	name, err := templateName()
	if err != nil {
		return "", err
	}
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return "", err
	}
	defer func() { _, _ = admin.Exec(ctx, "SELECT pg_advisory_unlock($1)", templateLock) }()
	var exists bool
	if err := admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return "", err
	}
	if exists {
		return name, nil
	}
	// Built under another name, so that a build that is killed leaves no
	// half-migrated template behind.
	draft := "orderport_draft_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+draft); err != nil {
		return "", err
	}
	if err := migrate(ctx, server, draft); err != nil {
		return "", err
	}
	_, err = admin.Exec(ctx, "ALTER DATABASE "+draft+" RENAME TO "+name)
	return name, err
}

func migrate(ctx context.Context, server, database string) error {
	config, err := pgxpool.ParseConfig(server)
	if err != nil {
		return err
	}
	config.ConnConfig.Database = database
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	s, err := schema.Postgres(pool)
	if err != nil {
		return err
	}
	_, err = s.Up(ctx)
	return err
}

func templateName() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(migrations.Postgres(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(migrations.Postgres(), path)
		fmt.Fprintf(sum, "%s %d %s", path, len(content), content)
		return err
	})
	if err != nil {
		return "", err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return "", err
	}
	for _, v := range migrator.AllVersions() {
		fmt.Fprintf(sum, "%d %s", v.Version, v.SQLUp)
	}
	return "orderport_template_" + hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
