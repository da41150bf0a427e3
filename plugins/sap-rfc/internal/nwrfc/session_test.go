package nwrfc

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// SAP's failures, each as the class that the connector decides by.
func TestFailuresOfACallAreTold(t *testing.T) {
	t.Parallel()
	exception := &sapsim.Failure{Kind: sapsim.Exception, Key: "TABLE_NOT_AVAILABLE", Message: "ID:SV Type:E Number:029 TX", ID: "SV", Type: "E", Number: "029"}
	dump := &sapsim.Failure{Kind: sapsim.Dump, Key: "COMPUTE_INT_ZERODIVIDE", Message: "Division by 0"}
	message := &sapsim.Failure{Kind: sapsim.Message, Key: "Function not supported", Message: "Function not supported", ID: "SR", Type: "E", Number: "006"}
	authority := &sapsim.Failure{Kind: sapsim.Dump, Key: "RFC_NO_AUTHORITY", Message: "User ORDERPORT has no RFC authorization"}
	byCode := &sapsim.Failure{Kind: sapsim.Authority, Key: "RFC_AUTHORIZATION_FAILURE", Message: "no"}
	missing := &sapsim.Failure{Kind: sapsim.Exception, Key: "FU_NOT_FOUND", Message: "ID:FL Type:E Number:046 X", ID: "FL", Type: "E", Number: "046"}
	for name, c := range map[string]struct {
		fault  sapsim.Fault
		quirks sapsim.LibraryQuirks
		want   rfc.Error
	}{
		"an exception":                    {fault: sapsim.Fault{Trouble: sapsim.Fail, Failure: exception}, want: rfc.Error{Class: rfc.Raised, Sent: true, Key: "TABLE_NOT_AVAILABLE", MessageID: "SV 029"}},
		"an exception after its effect":   {fault: sapsim.Fault{Trouble: sapsim.Fail, Moment: sapsim.After, Failure: exception}, want: rfc.Error{Class: rfc.Raised, Sent: true, Key: "TABLE_NOT_AVAILABLE", MessageID: "SV 029"}},
		"a dump":                          {fault: sapsim.Fault{Trouble: sapsim.Fail, Failure: dump}, want: rfc.Error{Class: rfc.Dumped, Sent: true, Broken: true, Key: "COMPUTE_INT_ZERODIVIDE"}},
		"a dump told as a message":        {fault: sapsim.Fault{Trouble: sapsim.Fail, Failure: dump}, quirks: sapsim.LibraryQuirks{DumpsAreMessages: true}, want: rfc.Error{Class: rfc.Dumped, Sent: true, Broken: true, Key: "COMPUTE_INT_ZERODIVIDE"}},
		"a message":                       {fault: sapsim.Fault{Trouble: sapsim.Fail, Failure: message}, want: rfc.Error{Class: rfc.Dumped, Sent: true, Broken: true, Key: "Function not supported", MessageID: "SR 006"}},
		"a missing authority":             {fault: sapsim.Fault{Trouble: sapsim.Fail, Failure: authority}, want: rfc.Error{Class: rfc.NotAuthorized, Sent: true, Broken: true, Key: "RFC_NO_AUTHORITY"}},
		"a missing authority by code":     {fault: sapsim.Fault{Trouble: sapsim.Fail, Failure: byCode}, want: rfc.Error{Class: rfc.NotAuthorized, Sent: true, Key: "RFC_AUTHORIZATION_FAILURE"}},
		"a function that went away":       {fault: sapsim.Fault{Trouble: sapsim.Fail, Failure: missing}, want: rfc.Error{Class: rfc.FunctionMissing, Key: "FU_NOT_FOUND", MessageID: "FL 046"}},
		"a line that drops before":        {fault: sapsim.Fault{Trouble: sapsim.Drop}, want: rfc.Error{Class: rfc.Unreachable, Sent: true, Broken: true, Key: "RFC_COMMUNICATION_FAILURE"}},
		"a lost answer":                   {fault: sapsim.Fault{Trouble: sapsim.Drop, Moment: sapsim.After}, want: rfc.Error{Class: rfc.Unreachable, Sent: true, Broken: true, Key: "RFC_COMMUNICATION_FAILURE"}},
		"a session that SAP's own killed": {fault: sapsim.Fault{Trouble: sapsim.Hang}, want: rfc.Error{Class: rfc.Unreachable, Sent: true, Broken: true, Key: "RFC_COMMUNICATION_FAILURE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := sim(t, sapsim.Options{Quirks: sapsim.Quirks{Library: c.quirks}})
			s := l.open(t)
			c.fault.Function = create
			planned := l.system.Inject(c.fault)
			if c.fault.Trouble == sapsim.Hang {
				go func() {
					<-planned.Met()
					l.system.KillSessions()
				}()
			}
			_, err := s.Call(t.Context(), order())
			got := *rfc.As(err)
			if got.Message == "" || strings.ContainsAny(got.Message, "\n") {
				t.Errorf("message %q", got.Message)
			}
			got.Message, got.Err = "", nil
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			err = s.Commit(t.Context())
			if c.want.Broken && (err == nil || rfc.As(err).Sent) {
				t.Errorf("a commit on a session that is gone: %v", err)
			}
			if !c.want.Broken && err != nil {
				t.Errorf("the session should have gone on: %v", err)
			}
			effect := c.fault.Moment == sapsim.After && !c.want.Broken
			if n := len(l.system.Documents()); (n == 1) != effect || n > 1 {
				t.Errorf("%d documents", n)
			}
		})
	}
}

func TestAMissingFunctionBreaksNothing(t *testing.T) {
	t.Parallel()
	s := sim(t, sapsim.Options{}).open(t)
	for _, ask := range []func() error{
		func() error { _, err := s.Call(t.Context(), rfc.Call{Function: "NOSUCH"}); return err },
		func() error { _, err := s.Function(t.Context(), "NOSUCH"); return err },
	} {
		if e := rfc.As(ask()); e.Class != rfc.FunctionMissing || e.Sent || e.Broken || e.MessageID != "FL 046" {
			t.Errorf("%#v", e)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAPingSaysNothingAboutMetadata(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{Users: []sapsim.User{{Name: "ORDERPORT", Password: "Sesame-9", DenyMetadata: true}}})
	s := l.open(t)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Function(t.Context(), create); !rfc.Is(err, rfc.NotAuthorized) || rfc.As(err).Sent {
		t.Errorf("%v", err)
	}
}

// A function that is cancelled runs to its end in SAP: what it commits is
// committed, and what it leaves open is lost.
func TestACallThatTakesTooLongIsCancelled(t *testing.T) {
	t.Parallel()
	for _, function := range []string{create, rfc.CommitFunction} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			l := sim(t, sapsim.Options{})
			s := l.open(t)
			if function == rfc.CommitFunction {
				if _, err := s.Call(t.Context(), order()); err != nil {
					t.Fatal(err)
				}
			}
			planned := l.system.Inject(sapsim.Fault{Function: function, Trouble: sapsim.Hang})
			through := l.system.Inject(sapsim.Fault{Function: function, Moment: sapsim.After, Trouble: sapsim.Watch})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-planned.Met()
				cancel()
			}()
			var err error
			if function == create {
				_, err = s.Call(ctx, order())
			} else {
				err = s.Commit(ctx)
			}
			if e := rfc.As(err); e.Class != rfc.TimedOut || !e.Sent || !e.Broken {
				t.Errorf("%#v", err)
			}
			if _, err := s.Call(t.Context(), order()); err == nil || rfc.As(err).Sent {
				t.Errorf("a session that was given up was used: %v", err)
			}
			planned.Release()
			<-through.Met()
			if n := len(l.system.Documents()); (n == 1) != (function == rfc.CommitFunction) {
				t.Errorf("%d documents", n)
			}
		})
	}
}

// Where a call can't be cancelled, the caller is not kept waiting all the same.
func TestACallThatCannotBeCancelledIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks  sapsim.LibraryQuirks
		variant sdk.Variant
	}{
		"cancelling fails":              {quirks: sapsim.LibraryQuirks{CancelFails: true}},
		"the library is from before it": {variant: sdk.Variant{Old: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sapsim.Options{Quirks: sapsim.Quirks{Library: c.quirks}}, c.variant)
			s := l.open(t)
			planned := l.system.Inject(sapsim.Fault{Function: create, Trouble: sapsim.Hang})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-planned.Met()
				cancel()
			}()
			start := time.Now()
			_, err := s.Call(ctx, order())
			if e := rfc.As(err); e.Class != rfc.TimedOut || !e.Sent || !e.Broken || time.Since(start) > 10*time.Second {
				t.Errorf("%#v after %s", err, time.Since(start))
			}
			if err := s.Commit(t.Context()); err == nil || rfc.As(err).Sent {
				t.Errorf("a session that was given up was used: %v", err)
			}
			s.Close()
			// When the function ends after all, its session is closed and not kept.
			planned.Release()
			await(t, "the session to end", func() bool { return l.system.Sessions() == 0 })
			if n := len(l.system.Documents()); n != 0 {
				t.Errorf("%d documents", n)
			}
		})
	}
}

// await waits for what another process or thread is about to do.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal("no sign of " + what)
		}
	}
}

func TestALogonThatHangsBlocksNobody(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{})
	planned := l.system.Inject(sapsim.Fault{Function: sapsim.LogonStep, Trouble: sapsim.Hang, Nth: 1})
	tr := l.transport(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-planned.Met()
		cancel()
	}()
	_, err := tr.Open(ctx)
	if e := rfc.As(err); e.Class != rfc.TimedOut || e.Sent {
		t.Errorf("%#v", err)
	}
	// Another one is let in meanwhile.
	s, err := tr.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	// The first one is let in too late, and goes again.
	planned.Release()
	await(t, "both logons", func() bool { return l.system.Logons() == 2 })
	await(t, "the late session to end", func() bool { return l.system.Sessions() == 1 })
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLogonsThatHangAreBounded(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{})
	planned := l.system.Inject(sapsim.Fault{Function: sapsim.LogonStep, Trouble: sapsim.Hang})
	tr := l.transport(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := make(chan error, maxOpening)
	for range maxOpening {
		go func() {
			_, err := tr.Open(ctx)
			errs <- err
		}()
	}
	await(t, "all logons", func() bool { return planned.Hits() == maxOpening })
	if _, err := tr.Open(t.Context()); !rfc.Is(err, rfc.Busy) || rfc.As(err).Sent {
		t.Errorf("one more: %v", err)
	}
	cancel()
	for range maxOpening {
		if err := <-errs; !rfc.Is(err, rfc.TimedOut) {
			t.Error(err)
		}
	}
	planned.Release()
	await(t, "the late sessions to end", func() bool { return l.system.Logons() == maxOpening && l.system.Sessions() == 0 })
	s, err := tr.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestMoreSessionsThanHangingLogonsAreOpen(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{})
	tr := l.transport(nil)
	for range 2 * maxOpening {
		s, err := tr.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
	}
}

func TestLogonFailuresAreTold(t *testing.T) {
	t.Parallel()
	users := []sapsim.User{{Name: "ORDERPORT", Password: "Sesame-9"}, {Name: "LOCKED", Password: "Sesame-9", Locked: true}}
	for name, c := range map[string]struct {
		change map[string]string
		class  rfc.Class
		key    string
	}{
		"a wrong password": {map[string]string{"PASSWD": "wrong"}, rfc.LogonRefused, "RFC_LOGON_FAILURE"},
		"an unknown user":  {map[string]string{"USER": "NOBODY"}, rfc.LogonRefused, "RFC_LOGON_FAILURE"},
		"a locked user":    {map[string]string{"USER": "LOCKED"}, rfc.LogonRefused, "RFC_LOGON_FAILURE"},
		"another client":   {map[string]string{"CLIENT": "800"}, rfc.LogonRefused, "RFC_LOGON_FAILURE"},
		"no server":        {map[string]string{"ASHOST": "nobody"}, rfc.Unreachable, "RFC_COMMUNICATION_FAILURE"},
		"no address":       {map[string]string{"ASHOST": ""}, rfc.Misconfigured, "RFC_INVALID_PARAMETER"},
		"a message server": {map[string]string{"ASHOST": "", "MSHOST": "nobody", "GROUP": "PUBLIC"}, rfc.Unreachable, "RFC_COMMUNICATION_FAILURE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := sim(t, sapsim.Options{Users: users})
			_, err := l.transport(c.change).Open(t.Context())
			if e := rfc.As(err); e.Class != c.class || e.Key != c.key || e.Sent || !e.Broken || strings.ContainsAny(e.Message, "\n") || strings.Contains(e.Error(), "wrong") {
				t.Errorf("%#v", err)
			}
			if n := l.system.Sessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// A library that repeats what it was given is not repeated in turn.
func TestSecretsAreNotInErrors(t *testing.T) {
	t.Parallel()
	l := newLab(t, sapsim.Options{}, sdk.Variant{Chatty: true})
	secrets := map[string]string{"PASSWD": "two  blanks", "X509CERT": "MIIB+cert", "MYSAPSSO2": "AjEx=ticket"}
	_, err := l.transport(secrets).Open(t.Context())
	e := rfc.As(err)
	if e.Class != rfc.LogonRefused || !strings.Contains(e.Message, "ORDERPORT") || strings.Count(e.Message, "***") != len(secrets) {
		t.Errorf("%#v", e)
	}
	for _, secret := range append(slices.Collect(maps.Values(secrets)), "two blanks") {
		if strings.Contains(e.Error(), secret) {
			t.Errorf("%q is in %q", secret, e)
		}
	}
}

func TestARefusedLogonIsTriedOnce(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{})
	if _, err := l.transport(map[string]string{"PASSWD": "wrong"}).Open(t.Context()); !rfc.Is(err, rfc.LogonRefused) {
		t.Error(err)
	}
	if tries, _ := l.system.LogonTries("ORDERPORT"); tries != 1 {
		t.Errorf("%d tries", tries)
	}
}

func TestATooFullSystemIsBusy(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{MaxSessions: 1})
	l.open(t)
	if _, err := l.transport(nil).Open(t.Context()); !rfc.Is(err, rfc.Busy) || rfc.As(err).Sent {
		t.Error(err)
	}
}

// A line that drops while nobody uses it shows with the next ping.
func TestALineThatHasDroppedShows(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(*lab){
		"SAP ends the session": func(l *lab) { l.system.KillSessions() },
		"a firewall cuts it":   func(l *lab) { l.gateway.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := sim(t, sapsim.Options{})
			s := l.open(t)
			ends(l)
			if err := s.Ping(t.Context()); !rfc.Is(err, rfc.Unreachable) || !rfc.As(err).Broken {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestASessionThatIsClosedIsGoneInSAP(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{})
	s := l.open(t)
	if _, err := s.Call(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	await(t, "the session to end", func() bool { return l.system.Sessions() == 0 })
	if n := len(l.system.Documents()); n != 0 {
		t.Errorf("%d documents", n)
	}
}

func TestRolledBackWorkIsNotSaved(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{})
	s := l.open(t)
	if _, err := s.Call(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	if err := s.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(l.system.Documents()); n != 0 {
		t.Errorf("%d documents", n)
	}
}

// The commit waits for the update, so it hears when that fails.
func TestAnUpdateThatFailsIsTold(t *testing.T) {
	t.Parallel()
	l := sim(t, sapsim.Options{Quirks: sapsim.Quirks{UpdateFails: true, UpdatesWait: true}})
	s := l.open(t)
	if _, err := s.Call(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	err := s.Commit(t.Context())
	if e := rfc.As(err); e.Class != rfc.Refused || !e.Sent || e.MessageID != "S& 101" {
		t.Errorf("%#v", err)
	}
}

// The library writes what it is given to a file if its trace is on, passwords
// too.
func TestNothingIsTraced(t *testing.T) {
	t.Parallel()
	l := &lab{folder: builds.Folder(t, sdk.Variant{Copy: "traced"}), host: "nobody"}
	trace := filepath.Join(l.folder, "dev_rfc.trc")
	t.Cleanup(func() { _ = os.Remove(trace) })
	if _, err := l.transport(nil).Open(t.Context()); !rfc.Is(err, rfc.Unreachable) {
		t.Error(err)
	}
	if _, err := os.Stat(trace); !os.IsNotExist(err) {
		t.Errorf("there is a trace: %v", err)
	}
	// This is what it would look like.
	if _, err := l.transport(map[string]string{"TRACE": "2"}).Open(t.Context()); !rfc.Is(err, rfc.Unreachable) {
		t.Error(err)
	}
	if data, err := os.ReadFile(trace); err != nil || !strings.Contains(string(data), "Sesame-9") {
		t.Errorf("%q, %v", data, err)
	}
}
