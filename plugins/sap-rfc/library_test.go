package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// onLibrary is a simulation over a variant of the library.
func onLibrary(t *testing.T, v sdk.Variant, q sapsim.Quirks) *simulation {
	t.Helper()
	s := &simulation{sys: sapsim.New(sapsim.Options{Quirks: q})}
	t.Cleanup(s.sys.Close)
	s.listen(t, builds.Folder(t, v))
	s.bench = newBench(t)
	s.connector.transport = s.connector.dial
	return s
}

// libraries are what the library's documentation leaves open, or what differs
// from one patch level to the next.
var libraries = map[string]struct {
	variant sdk.Variant
	quirks  sapsim.Quirks
}{
	"before calls could be cancelled":    {variant: sdk.Variant{Old: true}},
	"with longer structs":                {variant: sdk.Variant{Appended: 256}},
	"that ties a handle to a thread":     {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{ThreadBound: true}}},
	"that can't cancel":                  {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{CancelFails: true}}},
	"that wants numbers in full":         {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{ShortNumbersRefused: true}}},
	"that cuts long texts":               {quirks: sapsim.Quirks{CutLongText: true, Library: sapsim.LibraryQuirks{CutsLongText: true}}},
	"that leaves lost handles to others": {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{KeepsHandles: true}}},
	"that tells dumps as messages":       {quirks: sapsim.Quirks{Library: sapsim.LibraryQuirks{DumpsAreMessages: true}}},
}

// Whatever the library is like, a commit that gets lost on the way, before it
// took effect or after, leaves one order with all of its fields.
func TestOneOrderWhateverTheLibraryIsLike(t *testing.T) {
	t.Parallel()
	for name, c := range libraries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, moment := range []sapsim.Moment{sapsim.Before, sapsim.After} {
				s := onLibrary(t, c.variant, c.quirks)
				lost := s.sys.Inject(sapsim.Fault{Function: saves, Nth: 1, Moment: moment})
				e := s.export(nil)
				result := s.finished(t, e, nil)
				s.one(t, e, result)
				if lost.Hits() != 1 {
					t.Error("the commit was not lost")
				}
				d := s.sys.Documents()[0]
				if d.Header["PURCH_NO_C"] != result.GetExternalRef() || d.Items[0]["ITM_NUMBER"] == "" || d.Partners[0]["PARTN_NUMB"] == "" {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

// A call that is still at work in SAP when its caller gives up is waited for:
// also where it can't be cancelled, and whatever comes of it.
func TestACallThatHangsLeavesOneOrder(t *testing.T) {
	t.Parallel()
	cancelFails := sapsim.Quirks{Library: sapsim.LibraryQuirks{CancelFails: true}}
	for name, c := range map[string]struct {
		function string
		moment   sapsim.Moment
		variant  sdk.Variant
		quirks   sapsim.Quirks
	}{
		"the create, before its effect":                   {function: creates},
		"the create, after it":                            {function: creates, moment: sapsim.After},
		"the create, and it can't be cancelled":           {function: creates, quirks: cancelFails},
		"the create, and the library knows no cancelling": {function: creates, variant: sdk.Variant{Old: true}},
		"the commit, before its effect":                   {function: saves},
		"the commit, after it":                            {function: saves, moment: sapsim.After},
		"the commit, and it can't be cancelled":           {function: saves, quirks: cancelFails},
		"the commit, and the library knows no cancelling": {function: saves, variant: sdk.Variant{Old: true}},
		"the read-back":                                   {function: gets},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onLibrary(t, c.variant, c.quirks)
			hang := s.sys.Inject(sapsim.Fault{Function: c.function, Nth: 1, Moment: c.moment, Trouble: sapsim.Hang})
			e := s.export(fields{"timeout_seconds": 1})
			// An attempt that comes while SAP is still at work neither creates the
			// order nor gives it up.
			for attempt := range 2 {
				result, err := e.Run(t.Context())
				if err != nil || !result.GetSuccess() && !result.GetError().GetRetryable() || result.GetSuccess() && attempt == 0 {
					t.Fatalf("attempt %d: %v, %v", attempt+1, result, err)
				}
				if result.GetSuccess() {
					s.one(t, e, result)
					return
				}
			}
			s.one(t, e, s.finished(t, e, hang.Release))
		})
	}
}

// A logon that hangs takes its own connection's time and nobody else's.
func TestALogonThatHangsBlocksNoOtherConnection(t *testing.T) {
	t.Parallel()
	s, other := onLibrary(t, sdk.Variant{}, sapsim.Quirks{}), onLibrary(t, sdk.Variant{}, sapsim.Quirks{})
	hang := s.sys.Inject(sapsim.Fault{Function: sapsim.LogonStep, Trouble: sapsim.Hang})
	hanging := make(chan error, 1)
	e := s.export(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := e.Run(ctx)
		hanging <- err
	}()
	<-hang.Met()
	// The same process, another connection.
	free := s.host.NewExport(other.config.json(), sampleWithNumber())
	result, err := free.Run(t.Context())
	if err != nil || !result.GetSuccess() || len(other.sys.Documents()) != 1 {
		t.Errorf("%v, %v", result, err)
	}
	select {
	case <-hanging:
		t.Error("the logon did not hang until then")
	default:
	}
	cancel()
	<-hanging
	start := time.Now()
	steps, response := probed(t, s.bench, s.config.with(fields{"timeout_seconds": 1}))
	if steps != "config library open!" || response.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_TIMEOUT || time.Since(start) > 20*time.Second {
		t.Errorf("%s, %v after %s", steps, response.GetError(), time.Since(start))
	}
	hang.Release()
	s.one(t, e, s.finished(t, e, nil))
}

// Which library is missing, wrong or too old is a step of its own that says what
// to install.
func TestTheProbeTellsWhichLibraryThereIs(t *testing.T) {
	t.Parallel()
	page := t.TempDir()
	if err := os.WriteFile(filepath.Join(page, sdk.FileName), []byte("<html>log in first</html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path  string
		steps string
		says  []string
	}{
		"none":           {"/nowhere/nwrfcsdk/lib", "config library!", []string{"/nowhere/nwrfcsdk/lib", "install", "library_path", "libicu"}},
		"a web page":     {page, "config library!", []string{sdk.FileName, "install"}},
		"another one":    {builds.Folder(t, sdk.Variant{Foreign: true}), "config library!", []string{"is not the SAP NetWeaver RFC library", "install"}},
		"an old one":     {builds.Folder(t, sdk.Variant{Old: true}), "config library open!", []string{"7200.0.12", "can't cancel", "install the newest 7.50"}},
		"one of today's": {builds.Folder(t, sdk.Variant{}), "config library open!", []string{"7500.0.12"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.connector.transport = b.connector.dial
			steps, response := probed(t, b, nwrfcFields().with(fields{"library_path": c.path, "ashost": "nobody"}))
			if steps != c.steps {
				t.Fatalf("steps %q, want %q; %v", steps, c.steps, response.GetError())
			}
			message := response.GetSteps()[1].GetMessage()
			if strings.HasSuffix(c.steps, "library!") {
				message += response.GetError().GetMessage()
				if code := response.GetError().GetCode(); code != connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG {
					t.Errorf("code %v", code)
				}
			}
			for _, part := range c.says {
				if !strings.Contains(message, part) {
					t.Errorf("%q does not say %q", message, part)
				}
			}
		})
	}
}
