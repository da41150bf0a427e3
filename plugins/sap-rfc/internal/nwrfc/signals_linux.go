//go:build !nolibrary

package nwrfc

import (
	"sync"

	"github.com/ebitengine/purego"
)

// sigaction is glibc's struct sigaction on 64-bit Linux. It goes back to glibc
// from where it was read to.
type sigaction struct {
	handler uintptr
	_       [16]uint64 // mask
	flags   int32
	_       uintptr // restorer
}

const (
	onStack    = 0x08000000 // SA_ONSTACK
	maxSignal  = 64
	defaulting = 1 // handlers up to this one are SIG_DFL and SIG_IGN
)

// libc has sigaction, nil where it is not found.
var libc = sync.OnceValue(func() (act func(signal int32, to, from *sigaction) int32) {
	if address, err := purego.Dlsym(purego.RTLD_DEFAULT, "sigaction"); err == nil {
		purego.RegisterFunc(&act, address)
	}
	return act
})

// tameSignals makes signal handlers that the library may have installed run on
// the stack that Go keeps for them: on a goroutine's own they would write over
// what is not theirs. Whether SAP's library installs any is not documented.
func tameSignals() {
	act := libc()
	if act == nil {
		return
	}
	for signal := range int32(maxSignal) {
		var now sigaction
		if act(signal+1, nil, &now) != 0 || now.handler <= defaulting || now.flags&onStack != 0 {
			continue
		}
		now.flags |= onStack
		act(signal+1, &now, nil)
	}
}
