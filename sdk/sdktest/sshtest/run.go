package sshtest

import (
	"errors"
	"testing"
)

// Run starts a server that ends with the test. It skips the test where the
// server's binary is not named.
func Run(t testing.TB, opts Options) *Server {
	t.Helper()
	srv, err := Start(t.Context(), opts)
	if errors.Is(err, ErrNoBinary) {
		t.Skipf("%s is not set; make test sets it", opts.kind().Env())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the %s server:\n%s", srv.Kind, srv.Log())
		}
		_ = srv.Close()
	})
	return srv
}

// RunProxy starts a proxy in front of addr that ends with the test.
func RunProxy(t testing.TB, addr string) *Proxy {
	t.Helper()
	p, err := StartProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}
