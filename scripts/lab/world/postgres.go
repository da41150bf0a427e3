package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
	"time"
)

// Postgres is a PostgreSQL server of our own, with default durability.
type Postgres struct {
	bin, dir string
	port     int
	cred     *syscall.Credential // whom to run as; nil: ourselves
	proc     *Process
}

// ErrNoPostgres says that no server binaries were found.
var ErrNoPostgres = errors.New("no PostgreSQL server binaries found: set ORDERPORT_TEST_PGBIN to the folder with initdb and postgres (make test does)")

// NewPostgres creates a cluster under dir and starts it.
func NewPostgres(ctx context.Context, dir string) (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	pg := &Postgres{bin: bin, dir: dir, port: port}
	if err := pg.init(ctx); err != nil {
		return nil, err
	}
	return pg, pg.Start(ctx)
}

func postgresBin() (string, error) {
	if dir := os.Getenv("ORDERPORT_TEST_PGBIN"); dir != "" {
		return dir, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", ErrNoPostgres
	}
	sort.Strings(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// init makes the cluster. PostgreSQL refuses to run as root, so root runs it
// as the user "postgres", or "nobody" where there is none.
func (pg *Postgres) init(ctx context.Context) error {
	if err := os.MkdirAll(pg.dir, 0o700); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return fmt.Errorf("find a user to run PostgreSQL as: %w", err)
			}
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		pg.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(pg.dir, uid, gid); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(pg.bin, "initdb"), "-D", pg.data(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: pg.cred}
	cmd.Dir = pg.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (pg *Postgres) data() string { return filepath.Join(pg.dir, "data") }

// Start starts the server and waits until it takes connections.
func (pg *Postgres) Start(ctx context.Context) error {
	cmd := exec.Command(filepath.Join(pg.bin, "postgres"), "-D", pg.data(), "-p", strconv.Itoa(pg.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: pg.cred}
	cmd.Dir = pg.dir
	var err error
	if pg.proc, err = StartProcess("postgres", cmd, filepath.Join(filepath.Dir(pg.dir), "postgres.log")); err != nil {
		return err
	}
	return Eventually(ctx, 60*time.Second, func() error {
		if !pg.proc.Running() {
			return errors.New("postgres ended at start, see postgres.log")
		}
		return exec.CommandContext(ctx, filepath.Join(pg.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(pg.port)).Run()
	})
}

// URL returns the connection string of the maintenance database.
func (pg *Postgres) URL() string { return pg.database("postgres") }

func (pg *Postgres) database(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", pg.port, name)
}

// CreateDatabase makes an empty database and returns its connection string.
func (pg *Postgres) CreateDatabase(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(pg.bin, "createdb"), "-h", "127.0.0.1", "-p", strconv.Itoa(pg.port), "-U", "postgres", name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("createdb: %w\n%s", err, out)
	}
	return pg.database(name), nil
}

// DropDatabase removes a database, whoever uses it.
func (pg *Postgres) DropDatabase(ctx context.Context, name string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(pg.bin, "dropdb"), "--force", "-h", "127.0.0.1", "-p", strconv.Itoa(pg.port), "-U", "postgres", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dropdb: %w\n%s", err, out)
	}
	return nil
}

// CPUTime returns the processor time that the server has used.
func (pg *Postgres) CPUTime() time.Duration { return TreeCPUTime(pg.proc.PID()) }

// Crash kills every process of the server with SIGKILL, as a power cut would
// end them, and waits until all are gone.
func (pg *Postgres) Crash() {
	group := -pg.proc.PID()
	_ = syscall.Kill(group, syscall.SIGSTOP) // the postmaster must not react to its children's deaths
	for _, pid := range descendants(pg.proc.PID()) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	pg.proc.Kill()
	_ = os.Remove(filepath.Join(pg.data(), "postmaster.pid"))
}

// Stop ends the server, dropping its sessions.
func (pg *Postgres) Stop() error {
	if pg == nil || !pg.proc.Running() {
		return nil
	}
	return pg.proc.Stop(syscall.SIGINT, 30*time.Second)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
