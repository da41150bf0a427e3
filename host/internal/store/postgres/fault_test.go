package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/postgres"
	"github.com/orderport/orderport/host/internal/store/storetest"
	"github.com/orderport/orderport/sdk/port"
)

// cut says where the wire breaks.
type cut int32

const (
	whole     cut = iota
	notMade       // the next commit does not reach the server
	replyLost     // the next commit reaches the server, its reply is lost
)

// wire passes bytes between a store and the server, and breaks when told to.
type wire struct {
	server string
	next   atomic.Int32 // the cut of the next commit
}

// newWire returns a wire and the database's address at its near end.
func newWire(t *testing.T, database string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	w := &wire{server: address}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	open.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { w.carry(near, network) })
		}
	})
	u.Host = listener.Addr().String()
	query := u.Query()
	query.Set("sslmode", "disable") // to see the commit pass
	query.Del("host")
	u.RawQuery = query.Encode()
	return w, u.String()
}

func (w *wire) carry(near net.Conn, network string) {
	far, err := net.Dial(network, w.server)
	if err != nil {
		_ = near.Close()
		return
	}
	defer func() { _ = far.Close() }()
	defer func() { _ = near.Close() }()
	var lost atomic.Bool
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := far.Read(buf)
			if lost.Load() && n > 0 {
				_ = near.Close() // the reply to the commit
				return
			}
			if err != nil || n > 0 && !write(near, buf[:n]) {
				_ = near.Close()
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	var inTx bool
	for {
		n, err := near.Read(buf)
		if commits(buf[:n], &inTx) {
			switch cut(w.next.Swap(int32(whole))) {
			case notMade:
				return
			case replyLost:
				lost.Store(true)
			case whole:
			}
		}
		if n > 0 && !write(far, buf[:n]) || err != nil {
			return
		}
	}
}

// execute is the protocol's message that runs a prepared statement.
var execute = []byte{'E', 0, 0, 0, 9, 0, 0, 0, 0, 0}

// commits says whether what is sent commits: a statement outside of a
// transaction does so by itself.
func commits(sent []byte, inTx *bool) bool {
	switch sent := bytes.ToLower(sent); {
	case bytes.Contains(sent, []byte("commit\x00")):
		*inTx = false
		return true
	case bytes.Contains(sent, []byte("begin\x00")):
		*inTx = true
	}
	return !*inTx && bytes.Contains(sent, execute)
}

func write(to net.Conn, b []byte) bool {
	_, err := to.Write(b)
	return err == nil
}

// TestEveryWriteMayBeCalledAgain breaks the wire at the commit of each write,
// before and after it has taken effect, and calls again.
func TestEveryWriteMayBeCalledAgain(t *testing.T) {
	t.Parallel()
	databases := newDatabases(t)
	for name, write := range writes {
		for how, at := range map[string]cut{"failed, not applied": notMade, "failed, but applied": replyLost} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				line, url := newWire(t, databases.take(t))
				s := open(t, url)
				w := storetest.NewWorld(t, s)
				call := write(w)
				line.next.Store(int32(at))
				if err := call(false); err == nil || !s.Unavailable(err) {
					t.Fatalf("over a broken wire: %v", err)
				}
				if got := cut(line.next.Load()); got != whole {
					t.Fatal("no commit passed the wire")
				}
				if err := call(at == replyLost); err != nil {
					t.Fatalf("called again: %v", err)
				}
			})
		}
	}
}

func TestADatabaseThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.PostgresURL(t))
	_, ended := s.Pool().Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, refused := postgres.Open(t.Context(), "postgres://"+listener.Addr().String()+"/x?sslmode=disable", postgres.Options{})
	for what, err := range map[string]error{"a session that was ended": ended, "a refused connection": refused} {
		if err == nil || !s.Unavailable(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, missing := s.OrganizationBySlug(t.Context(), "nobody")
	_, noFile := os.Open("/nowhere")
	_, wrong := s.Pool().Exec(t.Context(), "SELECT nothing")
	for what, err := range map[string]error{
		"no such organization": missing, "no such file": noFile, "a statement that is wrong": wrong,
		"a full disk": fmt.Errorf("write payload: %w", syscall.ENOSPC), "a call that took too long": context.DeadlineExceeded,
	} {
		if err == nil || s.Unavailable(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// writes prepare a call. The call says what is wrong with its effect; applied
// says that it took effect before.
var writes = map[string]func(w *storetest.World) func(applied bool) error{
	"accept": func(w *storetest.World) func(bool) error {
		order := w.Order()
		return func(applied bool) error {
			answers, err := w.S.Accept(w.Ctx, []store.Acceptance{order})
			switch {
			case err != nil:
				return err
			case answers[0].Err != nil:
				return answers[0].Err
			case answers[0].Created == applied:
				return errors.New("created is wrong")
			case answers[0].Export.ID != order.Export.ID:
				return errors.New("another export")
			}
			return nil
		}
	},
	"claim": func(w *storetest.World) func(bool) error {
		e := w.AcceptN(1)[0]
		return func(applied bool) error {
			claimed, err := w.S.Claim(w.Ctx, w.Request(1))
			if err != nil {
				return err
			}
			if !applied {
				return unless(len(claimed) == 1, "nothing was claimed")
			}
			// Nobody knows of the claim; the takeover finds it.
			if err := w.S.StopHost(w.Ctx, w.Host); err != nil {
				return err
			}
			lost, err := w.S.Lost(w.Ctx, time.Hour, []string{w.Conn.ConnectorType}, 10)
			if err != nil {
				return err
			}
			return unless(len(claimed) == 0 && len(lost) == 1 && lost[0].ID == e.ID, "the claimed export was not lost")
		}
	},
	"save": func(w *storetest.World) func(bool) error {
		e := w.ClaimOne()
		save := store.Save{ExportID: e.ID, HostID: w.Host, Attempt: 1, Checkpoint: []byte("staged"), ExternalRef: "ref-1"}
		return func(bool) error {
			errs, err := w.S.SaveAll(w.Ctx, []store.Save{save})
			if err := errors.Join(append(errs, err)...); err != nil {
				return err
			}
			got := w.Get(e.ID)
			return unless(string(got.Checkpoint) == "staged" && got.ExternalRef == "ref-1", "the save is not there")
		}
	},
	"finish": func(w *storetest.World) func(bool) error {
		e := w.ClaimOne()
		end := storetest.Ended(e, domain.OutcomeRetry, domain.Pending)
		end.CountsFailure, end.NextAttemptIn = true, time.Hour
		return func(bool) error {
			errs, err := w.S.FinishAll(w.Ctx, []store.Finish{end})
			if err := errors.Join(append(errs, err)...); err != nil {
				return err
			}
			got := w.Get(e.ID)
			return unless(got.FailureCount == 1 && got.Lease == nil, "the end was not recorded once")
		}
	},
	"apply acks": func(w *storetest.World) func(bool) error {
		e := w.Deliver(1)[0]
		return func(applied bool) error {
			verdicts, err := w.S.ApplyAcks(w.Ctx, w.Conn.ID, []store.Ack{{ExternalRef: storetest.Ref(e), Positive: true}}, "host:a")
			if err != nil {
				return err
			}
			return unless(w.Get(e.ID).Status == domain.Acked && (verdicts[0] == store.AckRepeated) == applied, "the ack was not applied once")
		}
	},
	"retry": func(w *storetest.World) func(bool) error {
		failed := w.FailWith(&domain.ExportError{Code: port.RejectedByERP, Message: "no"})
		row := w.Order().Export
		return func(bool) error {
			e, err := w.S.Retry(w.Ctx, w.Org.ID, failed.ID, row, domain.AuditEntry{OrgID: w.Org.ID, Action: "export.retry"})
			if err != nil {
				return err
			}
			return unless(e.ID == row.ID && e.DraftOrderID == failed.DraftOrderID, "another export")
		}
	},
	"resolve": func(w *storetest.World) func(bool) error {
		failed := w.FailWith(&domain.ExportError{Code: port.OutcomeUnknown, Message: "died"})
		return func(applied bool) error {
			_, err := w.S.Resolve(w.Ctx, w.Org.ID, failed.ID, true, domain.AuditEntry{OrgID: w.Org.ID, Action: "export.resolve"})
			if applied && fault.From(err) != nil && fault.From(err).Code == "not_unknown" {
				err = nil
			}
			if err != nil {
				return err
			}
			return unless(w.Get(failed.ID).Status == domain.Sent, "not SENT")
		}
	},
}

func unless(ok bool, wrong string) error {
	if ok {
		return nil
	}
	return errors.New(wrong)
}

func TestAStoreRecoversWhenTheServerEndsItsConnections(t *testing.T) {
	t.Parallel()
	database := storetest.PostgresURL(t)
	s := openWith(t, database, postgres.Options{MaxConns: 3})
	w := storetest.NewWorld(t, s)
	admin, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	for range 5 {
		accepted := w.Deliver(3)
		if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
		// Each connection of the pool may fail one call.
		order := w.Order()
		for try := 0; ; try++ {
			answers, err := s.Accept(t.Context(), []store.Acceptance{order})
			if err == nil {
				if !answers[0].Created {
					t.Error("an order that was not accepted is known")
				}
				break
			}
			if try == 3 {
				t.Fatalf("still failing: %v", err)
			}
		}
		for _, e := range accepted {
			if got := w.Get(e.ID); got.Status != domain.Sent {
				t.Errorf("export %s is %s", e.ID, got.Status)
			}
		}
		w.Finish(storetest.Delivered(w.Claim(1)[0].Export))
	}
}

func TestAFrozenHostDoesNotHoldItsRowsForLong(t *testing.T) {
	t.Parallel()
	database := storetest.PostgresURL(t)
	s := open(t, database)
	w := storetest.NewWorld(t, s)
	e := w.ClaimOne()
	// The host freezes within a transaction that has the row. The test waits
	// for less than the real time-out.
	frozen, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.Rollback(context.Background()) })
	var limit string
	if err := frozen.QueryRow(t.Context(), `SHOW idle_in_transaction_session_timeout`).Scan(&limit); err != nil || limit != "20s" {
		t.Fatalf("the limit is %q, %v", limit, err)
	}
	if _, err := frozen.Exec(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = '200ms';
		UPDATE erp_export SET updated_at = now()`); err != nil {
		t.Fatal(err)
	}
	other := open(t, database)
	errs, err := other.Reclaim(t.Context(), []store.Finish{storetest.Ended(e, domain.OutcomeLost, domain.Pending)})
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
}

// deaf is a connection whose owner stops reading.
type deaf struct {
	net.Conn
	now chan struct{} // closed: from now on
}

func (d deaf) Read(b []byte) (int, error) {
	select {
	case <-d.now:
		select {} // the bytes stay with the kernel
	default:
		return d.Conn.Read(b)
	}
}

func TestAHostThatFreezesWhileItIsBeingAnsweredDoesNotHoldItsRowsForLong(t *testing.T) {
	t.Parallel()
	database := storetest.PostgresURL(t)
	s := open(t, database)
	w := storetest.NewWorld(t, s)
	e := w.ClaimOne()
	var limit string
	if err := s.Pool().QueryRow(t.Context(), `SHOW tcp_user_timeout`).Scan(&limit); err != nil || limit != "20000" {
		t.Fatalf("the limit is %q, %v", limit, err)
	}
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	frozen := deaf{now: make(chan struct{})}
	config.DialFunc = func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		frozen.Conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return frozen, err
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.Close() })
	// The test waits for less than the real time-out.
	if _, err := conn.Exec(t.Context(), `SET tcp_user_timeout = '500ms'`); err != nil {
		t.Fatal(err)
	}
	close(frozen.now)
	go func() {
		_, _ = conn.Exec(context.Background(), `UPDATE erp_export SET updated_at = now() RETURNING repeat('x', 100000000)`, pgx.QueryExecModeSimpleProtocol)
	}()
	other := open(t, database)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for stuck := false; !stuck; <-tick.C {
		err := other.Pool().QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event = 'ClientWrite')`).Scan(&stuck)
		if err != nil {
			t.Fatal(err)
		}
	}
	errs, err := other.Reclaim(t.Context(), []store.Finish{storetest.Ended(e, domain.OutcomeLost, domain.Pending)})
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
}

func TestOpeningAServerThatIsNotThereFailsWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://u:hunter2@127.0.0.1:1/orders?connect_timeout=2",
		"postgres://u:hunter2@127.0.0.1:1/orders?sslmode=nonsense",
		"postgres://u:hunter2@127.0.0.1:notaport/orders",
	} {
		_, err := postgres.Open(t.Context(), address, postgres.Options{})
		if err == nil || bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
			t.Errorf("got %v", err)
		}
	}
}
