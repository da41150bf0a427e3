//go:build !nolibrary

package nwrfc

import (
	"syscall"
	"testing"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// A library that handles a signal on whatever stack it finds would ruin that of
// a goroutine. The connector makes it use the one for signals. Not parallel: a
// process has one handler for each signal.
func TestSignalsOfTheLibraryGetAStackOfTheirOwn(t *testing.T) {
	handled := func() (installed, tamed bool) {
		var now sigaction
		if libc()(int32(syscall.SIGUSR2), nil, &now) != 0 {
			t.Fatal("there is no sigaction")
		}
		return now.handler > defaulting, now.flags&onStack != 0
	}
	n := newNaive(t, sapsim.Options{}, sdk.Variant{Signals: true})
	h := n.open()
	defer n.lib.closeConnection(h, &n.e)
	if installed, tamed := handled(); !installed || tamed {
		t.Errorf("installed %t, tamed %t: the trap is not set", installed, tamed)
	}
	s := n.lab.open(t)
	if installed, tamed := handled(); !installed || !tamed {
		t.Errorf("installed %t, tamed %t", installed, tamed)
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
