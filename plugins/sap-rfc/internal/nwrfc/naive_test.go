package nwrfc

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// naive is a client that uses the library without any care. Each test here
// shows that a mistake which bindings have made costs it dearly, so that the
// other tests, where the connector is spared, say something.
type naive struct {
	t   *testing.T
	lab *lab
	lib *library
	e   errorInfo
}

func newNaive(t *testing.T, o sapsim.Options, v sdk.Variant) *naive {
	t.Helper()
	l := newLab(t, o, v)
	lib, err := libraries.load(l.folder)
	if err != nil {
		t.Fatal(err)
	}
	return &naive{t: t, lab: l, lib: lib}
}

func (n *naive) open() uintptr {
	n.t.Helper()
	list := []parameter{}
	for name, value := range n.lab.transport(nil).parameters {
		list = append(list, parameter{&uc(name)[0], &uc(value)[0]})
	}
	h := n.lib.openConnection(&list[0], uint32(len(list)), &n.e)
	runtime.KeepAlive(list)
	if h == 0 {
		n.t.Fatal(n.e.failure(false))
	}
	return h
}

// call calls a function with parameters, and returns its container.
func (n *naive) call(h uintptr, call rfc.Call) (container uintptr, rc int32) {
	n.t.Helper()
	f := &frame{lib: n.lib, handle: h, functions: map[string]*description{}, names: map[string]*uint16{}}
	d, err := f.describe(call.Function)
	if err != nil {
		n.t.Fatal(err)
	}
	container = n.lib.createFunction(d.handle, &n.e)
	if err := f.fill(container, d, call); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { n.lib.destroyFunction(container, &errorInfo{}) })
	return container, n.lib.invoke(h, container, &n.e)
}

func commit() rfc.Call {
	return rfc.Call{Function: rfc.CommitFunction, Values: map[string]string{"WAIT": "X"}}
}

// PyRFC and node-rfc open a new connection after an error, and go on with it.
func TestACommitOnAConnectionThatWasOpenedAgainSavesNothing(t *testing.T) {
	t.Parallel()
	n := newNaive(t, sapsim.Options{}, sdk.Variant{})
	h := n.open()
	container, rc := n.call(h, order())
	if rc != rcOK {
		t.Fatal(n.e.failure(true))
	}
	number := make([]uint16, 10)
	n.lib.getChars(container, &uc("SALESDOCUMENT")[0], &number[0], 10, &n.e)
	n.lab.system.KillSessions()
	if n.lib.ping(h, &n.e) == rcOK {
		t.Fatal("the line has not dropped")
	}
	again := n.open()
	defer n.lib.closeConnection(again, &n.e)
	if _, rc := n.call(again, commit()); rc != rcOK {
		t.Fatal("the commit was expected to look fine")
	}
	if docs := n.lab.system.Documents(); text(number) == "" || len(docs) != 0 {
		t.Errorf("number %q, %d documents: the trap does not bite", text(number), len(docs))
	}
}

func TestALateCloseHitsAnotherConnection(t *testing.T) {
	t.Parallel()
	for name, keeps := range map[string]bool{"the library frees a lost handle": false, "the caller has to": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A copy of the library that no other test takes handles from.
			o := sapsim.Options{Quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{KeepsHandles: keeps}}}
			n := newNaive(t, o, sdk.Variant{Copy: name})
			lost := n.open()
			n.lab.system.KillSessions()
			if n.lib.ping(lost, &n.e) == rcOK {
				t.Fatal("the line has not dropped")
			}
			next := n.open()
			if (lost == next) == keeps {
				t.Errorf("the handle was given out again: %t", lost == next)
			}
			n.lib.closeConnection(lost, &n.e)
			if broken := n.lib.ping(next, &n.e) != rcOK; broken == keeps {
				t.Errorf("the other connection is gone: %t", broken)
			}
		})
	}
}

// The connector leaves the handle of a lost connection alone.
func TestALostSessionTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]sapsim.LibraryQuirks{
		"the library frees a lost handle": {}, "the caller has to": {KeepsHandles: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sapsim.Options{Quirks: sapsim.Quirks{Library: q}}, sdk.Variant{Copy: "lost, " + name})
			for range 20 {
				lost := l.open(t)
				l.system.KillSessions()
				if err := lost.Ping(t.Context()); err == nil {
					t.Fatal("the line has not dropped")
				}
				next := l.open(t)
				lost.Close()
				for range 3 {
					if err := next.Ping(t.Context()); err != nil {
						t.Fatalf("the next session has suffered: %v", err)
					}
				}
				next.Close()
				await(t, "the sessions to end", func() bool { return l.system.Sessions() == 0 })
			}
		})
	}
}

func TestAHandleTakesOneCallAtATime(t *testing.T) {
	t.Parallel()
	n := newNaive(t, sapsim.Options{}, sdk.Variant{})
	h := n.open()
	planned := n.lab.system.Inject(sapsim.Fault{Function: "RFC_PING", Trouble: sapsim.Hang, Nth: 1})
	var wait sync.WaitGroup
	wait.Go(func() { n.lib.ping(h, &errorInfo{}) })
	<-planned.Met()
	if rc := n.lib.ping(h, &n.e); rc != rcInvalidHandle {
		t.Errorf("rc %d", rc)
	}
	planned.Release()
	wait.Wait()
	n.lib.closeConnection(h, &n.e)
}

func TestAThreadBoundHandleIsInvalidElsewhere(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]bool{"bound": true, "not bound": false} {
		o := sapsim.Options{Quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{ThreadBound: bound}}}
		n := newNaive(t, o, sdk.Variant{})
		var h uintptr
		runtime.LockOSThread()
		h = n.open()
		rc := make(chan int32)
		go func() {
			runtime.LockOSThread() // another thread, as this one is taken
			defer runtime.UnlockOSThread()
			rc <- n.lib.ping(h, &errorInfo{})
		}()
		if got := <-rc; (got == rcInvalidHandle) != bound {
			t.Errorf("%s: rc %d", name, got)
		}
		n.lib.closeConnection(h, &n.e)
		runtime.UnlockOSThread()
	}
}

// A struct that a later patch level makes longer runs over the end of one that
// is as long as it is known to be.
func TestALongerStructOverrunsAnExactOne(t *testing.T) {
	t.Parallel()
	const known = 1752
	for name, appended := range map[string]int{"as known": 0, "longer": 256} {
		n := newNaive(t, sapsim.Options{}, sdk.Variant{Appended: appended})
		buffer := make([]byte, unsafe.Sizeof(errorInfo{}))
		for i := range buffer {
			buffer[i] = 0x55
		}
		n.lib.ping(1, (*errorInfo)(unsafe.Pointer(&buffer[0])))
		overrun := slices.ContainsFunc(buffer[known:], func(b byte) bool { return b != 0x55 })
		if overrun != (appended > 0) {
			t.Errorf("%s: overrun %t", name, overrun)
		}
		if room := len(buffer) - known; room < 256 {
			t.Errorf("the connector has %d bytes to spare", room)
		}
	}
}

// One binding has eight bytes for a date and six for a time. They have that
// many characters, of two bytes.
func TestADateNeedsSixteenBytes(t *testing.T) {
	t.Parallel()
	n := newNaive(t, sapsim.Options{Own: []sapsim.Own{echo()}}, sdk.Variant{})
	h := n.open()
	defer n.lib.closeConnection(h, &n.e)
	container, rc := n.call(h, rfc.Call{Function: "ECHO", Values: map[string]string{"D": "20251201", "T": "235959"}})
	if rc != rcOK {
		t.Fatal(n.e.failure(true))
	}
	buffer := make([]uint16, 12)
	n.lib.getDate(container, &uc("D")[0], &buffer[0], &n.e)
	if buffer[7] != '1' || buffer[8] != 0 {
		t.Errorf("a date of %v", buffer)
	}
	clear(buffer)
	n.lib.getTime(container, &uc("T")[0], &buffer[0], &n.e)
	if buffer[5] != '9' || buffer[6] != 0 {
		t.Errorf("a time of %v", buffer)
	}
}

// A text fills its whole field with blanks and has no zero at its end.
func TestATextHasBlanksAndNoEnd(t *testing.T) {
	t.Parallel()
	n := newNaive(t, sapsim.Options{Own: []sapsim.Own{echo()}}, sdk.Variant{})
	h := n.open()
	defer n.lib.closeConnection(h, &n.e)
	container, _ := n.call(h, rfc.Call{Function: "ECHO", Values: map[string]string{"C": "ab"}})
	buffer := slices.Repeat([]uint16{0x5555}, 11)
	if rc := n.lib.getChars(container, &uc("C")[0], &buffer[0], 10, &n.e); rc != rcOK || buffer[2] != ' ' || buffer[9] != ' ' || buffer[10] != 0x5555 {
		t.Errorf("rc %d, %v", rc, buffer)
	}
	if rc := n.lib.getChars(container, &uc("C")[0], &buffer[0], 2, &n.e); rc != rcBufferTooSmall {
		t.Errorf("a short buffer: rc %d", rc)
	}
}

func TestATypeThatIsNotTheFieldsOwnIsRefused(t *testing.T) {
	t.Parallel()
	n := newNaive(t, sapsim.Options{Own: []sapsim.Own{echo()}}, sdk.Variant{})
	h := n.open()
	defer n.lib.closeConnection(h, &n.e)
	c, _ := n.call(h, rfc.Call{Function: "ECHO"})
	name := func(name string) *uint16 { return &uc(name)[0] }
	buffer := make([]uint16, 64)
	var number int32
	var inner uintptr
	for what, rc := range map[string]int32{
		"an integer of a text":    n.lib.getInt(c, name("C"), &number, &n.e),
		"a text into an integer":  n.lib.setChars(c, name("I"), &buffer[0], 1, &n.e),
		"a date of a text":        n.lib.getDate(c, name("C"), &buffer[0], &n.e),
		"a table of a structure":  n.lib.getTable(c, name("STR"), &inner, &n.e),
		"a structure of a table":  n.lib.getStructure(c, name("TAB"), &inner, &n.e),
		"letters as a number":     n.lib.setNum(c, name("N"), &uc("abc")[0], 3, &n.e),
		"a comma in an amount":    n.lib.setString(c, name("P"), &uc("1,5")[0], 3, &n.e),
		"a text that is too long": n.lib.setChars(c, name("C"), &uc("12345678901")[0], 11, &n.e),
	} {
		if rc != rcConversion {
			t.Errorf("%s: rc %d", what, rc)
		}
	}
	if rc := n.lib.setChars(c, name("c"), &buffer[0], 1, &n.e); rc != rcInvalidParameter || n.e.group != groupExternal {
		t.Errorf("a name in lower case: rc %d, group %d", rc, n.e.group)
	}
	if rc := n.lib.ping(12345, &n.e); rc != rcInvalidHandle {
		t.Errorf("a handle that is none: rc %d", rc)
	}
}

// What the library leaves open is decided by the system's switches, so both
// ways are tested.
func TestSwitchesOfTheLibrary(t *testing.T) {
	t.Parallel()
	short := func(n *naive, c uintptr) int32 { return n.lib.setNum(c, &uc("N")[0], &uc("42")[0], 2, &n.e) }
	long := func(n *naive, c uintptr) int32 {
		return n.lib.setChars(c, &uc("C")[0], &uc("12345678901")[0], 11, &n.e)
	}
	for name, c := range map[string]struct {
		quirks sapsim.LibraryQuirks
		set    func(*naive, uintptr) int32
		want   int32
	}{
		"a short number is filled up": {sapsim.LibraryQuirks{}, short, rcOK},
		"a short number is refused":   {sapsim.LibraryQuirks{ShortNumbersRefused: true}, short, rcConversion},
		"a long text is refused":      {sapsim.LibraryQuirks{}, long, rcConversion},
		"a long text is cut":          {sapsim.LibraryQuirks{CutsLongText: true}, long, rcOK},
	} {
		n := newNaive(t, sapsim.Options{Own: []sapsim.Own{echo()}, Quirks: sapsim.Quirks{Library: c.quirks}}, sdk.Variant{})
		h := n.open()
		container, _ := n.call(h, rfc.Call{Function: "ECHO"})
		if rc := c.set(n, container); rc != c.want {
			t.Errorf("%s: rc %d", name, rc)
		}
		n.lib.closeConnection(h, &n.e)
	}
}

// Descriptions stay in the library for good: a change in SAP shows after a
// restart.
func TestDescriptionsAreKept(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{Release: sapsim.ECC})
	has := func() bool {
		f, err := l.open(t).Function(t.Context(), create)
		if err != nil {
			t.Fatal(err)
		}
		_, ok := f.Parameters["ORDER_ITEMS_IN"].Fields["MATERIAL_LONG"]
		return ok
	}
	if has() {
		t.Error("ECC has long numbers")
	}
	l.system.Upgrade(sapsim.S4)
	if has() {
		t.Error("the library has asked again")
	}
	// The old description still does for an order.
	s := l.open(t)
	if _, err := s.Call(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context()); err != nil || len(l.system.Documents()) != 1 {
		t.Errorf("%v, %d documents", err, len(l.system.Documents()))
	}
}

// The library takes 100 connections a process, unless it is told otherwise.
func TestAProcessHasRoomForMoreThanAHundredSessions(t *testing.T) {
	t.Parallel()
	l := newLab(t, sapsim.Options{}, sdk.Variant{Copy: "full"})
	for range 101 {
		l.open(t)
	}
}
