package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
)

// dial returns a line to a system.
func dial(t *testing.T) (*sapsim.System, net.Conn) {
	t.Helper()
	folder, err := os.MkdirTemp("", "gw") // short: it is part of a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	sys := sapsim.New(sapsim.Options{})
	g, err := Listen(sys, folder, "sap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sys.Close()
		g.Close()
	})
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "unix", filepath.Join(folder, "sap.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return sys, conn
}

// logon is a request that is let in.
func logon() []byte {
	w := &writer{}
	w.byte(opLogon)
	w.number(3)
	for _, text := range []string{"client", "100", "USER", "ORDERPORT", "PASSWD", "Sesame-9"} {
		w.text(text)
	}
	return w.data
}

func ask(t *testing.T, conn net.Conn, request []byte) ([]byte, error) {
	t.Helper()
	if err := writeFrame(conn, request); err != nil {
		return nil, err
	}
	return readFrame(conn)
}

func TestALineIsASession(t *testing.T) {
	t.Parallel()
	sys, conn := dial(t)
	if answer, err := ask(t, conn, logon()); err != nil || answer[0] != 0 || sys.Sessions() != 1 {
		t.Fatalf("%v, %v", answer, err)
	}
	for _, op := range []byte{opPing, opReset} {
		if answer, err := ask(t, conn, []byte{op}); err != nil || len(answer) != 1 || answer[0] != 0 {
			t.Errorf("operation %d: %v, %v", op, answer, err)
		}
	}
	sys.KillSessions()
	if _, err := readFrame(conn); !errors.Is(err, io.EOF) {
		t.Errorf("the line is still there: %v", err)
	}
}

func TestARequestThatMakesNoSenseDropsTheLine(t *testing.T) {
	t.Parallel()
	for name, requests := range map[string][][]byte{
		"nothing":              {{}},
		"a call without logon": {{opPing}},
		"half a logon":         {logon()[:20]},
		"a second logon":       {logon(), logon()},
		"an unknown operation": {logon(), {99}},
		"half a call":          {logon(), {opInvoke, 4, 0, 0, 0, 'R', 0}},
		"more rows than bytes": {logon(), append(append([]byte{opInvoke}, 0, 0, 0, 0), 0xff, 0xff, 0xff, 0x7f)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t)
			var err error
			for _, request := range requests {
				_, err = ask(t, conn, request)
			}
			if err == nil {
				t.Error("it was answered")
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	call := &writer{}
	call.byte(opInvoke)
	call.text("BAPI_TRANSACTION_COMMIT")
	encodeParameters(call, sapsim.Parameters{
		Values: map[string]string{"WAIT": "X"}, Structures: map[string]sapsim.Row{"S": {"A": "1"}}, Tables: map[string][]sapsim.Row{"T": {{"B": "2"}}},
	})
	describe := &writer{}
	describe.byte(opDescribe)
	describe.text("RFC_READ_TABLE")
	for _, seed := range [][]byte{logon(), {opPing}, call.data, describe.data, {opReset}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		sys := sapsim.New(sapsim.Options{})
		defer sys.Close()
		l := &line{system: sys}
		defer l.close()
		l.answer(t.Context(), logon())
		if r := (&reader{data: request}); r.byte() == opInvoke && r.text() == "RFC_PING_AND_WAIT" {
			t.Skip("it waits")
		}
		if answer, more := l.answer(t.Context(), request); more && len(answer) == 0 {
			t.Error("the line stays open without an answer")
		}
	})
}
