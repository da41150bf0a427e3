package schema_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store/schema"
	"github.com/orderport/orderport/host/internal/store/sqlite"
	"github.com/orderport/orderport/host/internal/store/storetest"
	"github.com/orderport/orderport/migrations"
)

// released are the files that databases out there have applied. They never
// change; a change of the schema is a new file and a new line here.
var released = map[string]string{
	"postgres/00001_core.sql":                "b444633cb3545434ebefc3116ecda70f7584a849073a814fd4347dfbb41ae946",
	"sqlite/00001_core.sql":                  "d666fdc2f20750c6f9ad3ac82fa12239f49b296e058712ba58d60f0896106585",
	"postgres/00002_lighter.sql":             "29693baee4fa6ff410eeafc5f892c6c370039302a21bb30f944ad7bf879bd051",
	"sqlite/00002_lighter.sql":               "cc33bc0d0eedbe14bcdc5c7278953e3925ce8473bdf4307e196cb2f1e2a0cbf5",
	"postgres/00003_lighter_exports.sql":     "6ad7526d2263b26feea1237cd0ba8475c8efeff053de496b9795eea06244a122",
	"sqlite/00003_lighter_exports.sql":       "0065ec5612d6d351e14f2e532debcc7a5146fe1ffc58b2a3a87a69c7d668b930",
	"postgres/00004_attempts_in_exports.sql": "73bb0e7fa4e45d6197e51799d52f4735f9d45dc51ef0c2e13f91427b086e67f8",
	"sqlite/00004_attempts_in_exports.sql":   "170e3ee7e9ad4853421a67e07b9e4321f598245d189df99b90235385611bdc4d",
}

func TestReleasedFilesNeverChange(t *testing.T) {
	t.Parallel()
	for name, want := range released {
		content, err := fs.ReadFile(both{}, name)
		if err != nil {
			t.Errorf("%s is gone: %v", name, err)
			continue
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has changed (%s): put the change into a new file", name, got)
		}
	}
}

func TestEveryFileIsGuarded(t *testing.T) {
	t.Parallel()
	for folder, files := range map[string]fs.FS{"postgres/": migrations.Postgres(), "sqlite/": migrations.SQLite()} {
		for _, name := range names(t, files) {
			if released[folder+name] == "" {
				t.Errorf("%s%s has no hash here", folder, name)
			}
		}
	}
}

func TestBothDialectsHaveTheSameSteps(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(names(t, migrations.Postgres()), names(t, migrations.SQLite())); diff != "" {
		t.Errorf("steps differ (-postgres +sqlite):\n%s", diff)
	}
}

func names(t *testing.T, files fs.FS) []string {
	t.Helper()
	found, err := fs.Glob(files, "*.sql")
	if err != nil || len(found) == 0 {
		t.Fatalf("found %v, %v", found, err)
	}
	return found
}

// both holds the files of both dialects, under their folders.
type both struct{}

func (both) Open(name string) (fs.File, error) {
	folder, file := filepath.Split(name)
	if folder == "sqlite/" {
		return migrations.SQLite().Open(file)
	}
	return migrations.Postgres().Open(file)
}

func TestPostgresComesUpFromNothingAndStaysUp(t *testing.T) {
	t.Parallel()
	url := storetest.EmptyPostgresURL(t)
	checkUp(t, func() (*schema.Schema, error) { return openPostgres(t, url) })
}

func TestSQLiteComesUpFromNothingAndStaysUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	checkUp(t, func() (*schema.Schema, error) { return openSQLite(t, path) })
}

func checkUp(t *testing.T, open func() (*schema.Schema, error)) {
	t.Helper()
	ctx := t.Context()
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) < 2 || slices.ContainsFunc(before, func(step schema.Step) bool { return step.Applied }) {
		t.Fatalf("an empty database has steps: %+v", before)
	}
	applied, err := s.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) != len(before) {
		t.Errorf("applied %d steps, want %d", len(applied), len(before))
	}
	for range 2 {
		again, err := s.Up(ctx)
		if err != nil || len(again) != 0 {
			t.Fatalf("applied again: %v, %v", again, err)
		}
	}
	pending, err := s.Pending(ctx)
	if err != nil || pending != 0 {
		t.Errorf("pending: %d, %v", pending, err)
	}
	after, err := s.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range after {
		if !step.Applied || (step.Part == "orderport") != (step.AppliedAt != nil) {
			t.Errorf("step %+v", step)
		}
	}
}

func TestHostsThatStartAtOnceMigratePostgresOnce(t *testing.T) {
	t.Parallel()
	url := storetest.EmptyPostgresURL(t)
	checkTogether(t, func(t *testing.T) (*schema.Schema, error) { return openPostgres(t, url) })
}

func TestAProcessThatHangsInAMigrationIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	pool := connect(t, storetest.EmptyPostgresURL(t))
	other, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	if _, err := other.Exec(t.Context(), "SELECT pg_advisory_lock($1)", schema.LockKey); err != nil {
		t.Fatal(err)
	}
	s, err := schema.PostgresWithPatience(pool, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Up(t.Context()); fault.From(err).Code != "migration_under_way" {
		t.Errorf("got %v", err)
	}
}

func TestProcessesThatStartAtOnceMigrateSQLiteOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	checkTogether(t, func(t *testing.T) (*schema.Schema, error) { return openSQLite(t, path) })
}

func checkTogether(t *testing.T, open func(t *testing.T) (*schema.Schema, error)) {
	t.Helper()
	const hosts = 4
	results := make(chan error, hosts)
	start := make(chan struct{})
	for range hosts {
		go func() {
			<-start
			results <- func() error {
				s, err := open(t)
				if err != nil {
					return err
				}
				if _, err := s.Up(context.Background()); err != nil {
					return err
				}
				pending, err := s.Pending(context.Background())
				if err == nil && pending != 0 {
					t.Errorf("%d steps are pending after Up", pending)
				}
				return err
			}()
		}()
	}
	close(start)
	for range hosts {
		if err := <-results; err != nil {
			t.Errorf("open and migrate: %v", err)
		}
	}
}

func TestTwoPostgresDatabasesFromNothingAreEqual(t *testing.T) {
	t.Parallel()
	// One is a copy of the template that other tests use, one is new.
	copied := describe(t, storetest.PostgresURL(t))
	fresh := storetest.EmptyPostgresURL(t)
	s, err := openPostgres(t, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(copied, describe(t, fresh)); diff != "" {
		t.Errorf("schemas differ (-template +new):\n%s", diff)
	}
}

func describe(t *testing.T, url string) []string {
	t.Helper()
	rows, err := connect(t, url).Query(t.Context(), `
		SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(column_default, '')
			FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE connamespace = 'public'::regnamespace
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(lines) < 50 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	return lines
}

func connect(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func openPostgres(t *testing.T, url string) (*schema.Schema, error) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		return nil, err
	}
	t.Cleanup(pool.Close)
	return schema.Postgres(pool)
}

func openSQLite(t *testing.T, path string) (*schema.Schema, error) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.Schema()
}

func TestASchemaThatIsNewerIsRefused(t *testing.T) {
	t.Parallel()
	path := storetest.SQLitePath(t)
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	older, err := schema.SQLiteOfOld(s.WriteDB(), 2)
	if err != nil {
		t.Fatal(err)
	}
	_, pending := older.Pending(t.Context())
	_, up := older.Up(t.Context())
	for what, err := range map[string]error{"pending": pending, "up": up} {
		if err == nil || fault.From(err).Code != "schema_ahead" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAnUpgradeForWhichThereIsNoRoomSaysSo(t *testing.T) {
	t.Parallel()
	s := openOfOld(t, exportsOfOld+fmt.Sprintf(manyOfOld, 500))
	if _, err := s.WriteDB().ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil { // no more than there are
		t.Fatal(err)
	}
	now, err := s.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := now.Up(t.Context()); err == nil || fault.From(err).Code != "database_full" {
		t.Errorf("got %v", err)
	}
	if pending, err := now.Pending(t.Context()); err != nil || pending == 0 {
		t.Errorf("%d steps pending, %v", pending, err)
	}
}
