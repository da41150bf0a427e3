// Package gateway serves a simulated SAP system to the library in folder sdk,
// over a Unix socket. A connection is a session: when it ends, so does the
// session.
package gateway

import (
	"bufio"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
)

// Gateway listens for one system under one host name.
type Gateway struct {
	system   *sapsim.System
	listener net.Listener
	conns    sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // guarded by mu; nil when closed
}

// Listen makes a system reachable as host for the copy of the library that lies
// in folder: the library looks there for a socket of the host's name.
func Listen(system *sapsim.System, folder, host string) (*Gateway, error) {
	listener, err := net.Listen("unix", filepath.Join(folder, host+".sock"))
	if err != nil {
		return nil, err
	}
	g := &Gateway{system: system, listener: listener, open: map[net.Conn]bool{}}
	g.conns.Go(g.accept)
	return g, nil
}

// Close ends the listener and drops all connections. A session whose function
// is still running goes on until that ends.
func (g *Gateway) Close() {
	g.listener.Close()
	g.mu.Lock()
	for conn := range g.open {
		conn.Close()
	}
	g.open = nil
	g.mu.Unlock()
	g.conns.Wait()
}

func (g *Gateway) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		if g.open == nil {
			g.mu.Unlock()
			conn.Close()
			return
		}
		g.open[conn] = true
		g.mu.Unlock()
		g.conns.Go(func() { g.serve(conn) })
	}
}

func (g *Gateway) forget(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, conn)
	conn.Close()
}

// Operations of the protocol.
const (
	opLogon, opPing, opDescribe, opInvoke, opReset = 1, 2, 3, 4, 5
)

// serve runs one connection. Requests are read ahead, so that a client that
// goes away in the middle of a call is noticed.
func (g *Gateway) serve(conn net.Conn) {
	defer g.forget(conn)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	requests := make(chan []byte)
	go func() {
		defer cancel()
		r := bufio.NewReader(conn)
		for {
			body, err := readFrame(r)
			if err != nil {
				return
			}
			select {
			case requests <- body:
			case <-ctx.Done():
				return
			}
		}
	}()
	l := &line{system: g.system}
	defer l.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.ended():
			return // the system has ended the session
		case body := <-requests:
			answer, more := l.answer(ctx, body)
			if answer != nil {
				if err := writeFrame(conn, answer); err != nil {
					return
				}
			}
			if !more {
				return
			}
		}
	}
}

// line is the state of one connection.
type line struct {
	system  *sapsim.System
	session *sapsim.Session
}

func (l *line) close() {
	if l.session != nil {
		l.session.Close()
	}
}

func (l *line) ended() <-chan struct{} {
	if l.session == nil {
		return nil
	}
	return l.session.Done()
}

// answer carries out a request. No answer means that the line drops; more says
// that it stays open.
func (l *line) answer(ctx context.Context, body []byte) (answer []byte, more bool) {
	r := &reader{data: body}
	w := &writer{}
	w.byte(0)
	err := l.carryOut(ctx, r, w)
	if err == nil {
		return w.data, true
	}
	var failure *sapsim.Failure
	if !errors.As(err, &failure) {
		return nil, false
	}
	return encodeFailure(failure, l.system.Quirks().Library), !failure.Ends()
}

var errProtocol = errors.New("the request makes no sense")

func (l *line) carryOut(ctx context.Context, r *reader, w *writer) error {
	op := r.byte()
	if (l.session == nil) != (op == opLogon) {
		return errProtocol
	}
	switch op {
	case opLogon:
		return l.logon(ctx, r, w)
	case opPing:
		_, err := l.session.Call(ctx, "RFC_PING", sapsim.Parameters{})
		return err
	case opReset:
		return l.session.Reset()
	case opDescribe:
		name := r.text()
		f, err := l.session.Function(ctx, name)
		if err == nil {
			encodeFunction(w, f)
		}
		return err
	case opInvoke:
		name := r.text()
		in := decodeParameters(r)
		if r.bad {
			return errProtocol
		}
		out, err := l.session.Call(ctx, name, in)
		if err == nil {
			encodeParameters(w, out)
		}
		return err
	default:
		return errProtocol
	}
}

func (l *line) logon(ctx context.Context, r *reader, w *writer) error {
	given := map[string]string{}
	for range r.number() {
		name := r.text()
		given[strings.ToUpper(name)] = r.text()
	}
	if r.bad {
		return errProtocol
	}
	session, err := l.system.Logon(ctx, sapsim.Logon{
		Client: given["CLIENT"], User: given["USER"], Password: given["PASSWD"], Language: given["LANG"],
	})
	if err != nil {
		return err
	}
	l.session = session
	id := l.system.Identity()
	for _, text := range []string{id.SystemID, id.Client, session.User(), given["ASHOST"], id.Release} {
		w.text(text)
	}
	w.byte(optionsOf(l.system.Quirks().Library))
	return nil
}

func optionsOf(q sapsim.LibraryQuirks) byte {
	var options byte
	for i, on := range []bool{q.ThreadBound, q.CancelFails, q.ShortNumbersRefused, q.CutsLongText, q.KeepsHandles} {
		if on {
			options |= 1 << i
		}
	}
	return options
}
