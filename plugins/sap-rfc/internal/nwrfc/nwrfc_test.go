package nwrfc

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// libraries is shared: a library stays in the process.
var libraries Libraries

// compiled is the folder of the compiled test library.
var compiled = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "nwrfc")
	if err != nil {
		return "", err
	}
	name := fileNames["linux"]
	if name == "" {
		name = "libsapnwrfc.so"
	}
	out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", filepath.Join(dir, name), "testdata/library.c").CombinedOutput()
	if err != nil {
		return "", &rfc.Error{Message: string(out), Err: err}
	}
	return dir, nil
})

func transport(t *testing.T, changes map[string]string) *Transport {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc to compile the test library with")
	}
	dir, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{"ASHOST": "sap", "PASSWD": "right", "TRACE": "0"}
	for name, value := range changes {
		parameters[name] = value
	}
	return New(&libraries, dir, parameters)
}

func open(t *testing.T) rfc.Session {
	t.Helper()
	s, err := transport(t, nil).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestValuesOfEveryTypeGoThereAndBack(t *testing.T) {
	t.Parallel()
	s := open(t)
	call := rfc.Call{
		Function:   "ECHO",
		Values:     map[string]string{"C": "Ü 🙂", "N": "42", "D": "20251201", "T": "235959", "P": "-1234567890.123", "I": "-7", "S": strings.Repeat("long ", 100) + "x"},
		Structures: map[string]rfc.Structure{"STR": {"TEXT": "a", "ROW": "3", "AMOUNT": "1.5"}},
		Tables:     map[string][]rfc.Structure{"TAB": {{"TEXT": "one", "ROW": "1"}, {"TEXT": "two", "AMOUNT": "2"}}},
	}
	reply, err := s.Call(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	want := rfc.Reply{
		Values:     map[string]string{"C": "Ü 🙂", "N": "000042", "D": "20251201", "T": "235959", "P": "-1234567890.123", "I": "-7", "S": call.Values["S"]},
		Structures: call.Structures,
		Tables:     map[string][]rfc.Structure{"TAB": {{"TEXT": "one", "ROW": "1", "AMOUNT": ""}, {"TEXT": "two", "ROW": "0", "AMOUNT": "2"}}},
	}
	if diff := cmp.Diff(want, reply); diff != "" {
		t.Error(diff)
	}
}

func TestWhatDoesNotFitIsNotSent(t *testing.T) {
	t.Parallel()
	s := open(t)
	for name, call := range map[string]rfc.Call{
		"a text that is too long":  {Function: "ECHO", Values: map[string]string{"C": "12345678901"}},
		"letters in a number":      {Function: "ECHO", Values: map[string]string{"N": "4A"}},
		"a short date":             {Function: "ECHO", Values: map[string]string{"D": "2025"}},
		"an integer that is none":  {Function: "ECHO", Values: map[string]string{"I": "x"}},
		"an unknown parameter":     {Function: "ECHO", Values: map[string]string{"X": "1"}},
		"an unknown field":         {Function: "ECHO", Structures: map[string]rfc.Structure{"STR": {"X": "1"}}},
		"an unknown field in rows": {Function: "ECHO", Tables: map[string][]rfc.Structure{"TAB": {{"X": "1"}}}},
	} {
		_, err := s.Call(t.Context(), call)
		if e := rfc.As(err); e.Class != rfc.BadValue || e.Sent || e.Broken {
			t.Errorf("%s: %#v", name, err)
		}
	}
	// None of them has reached the system, and the session is as good as new.
	reply, err := s.Call(t.Context(), rfc.Call{Function: "COUNT"})
	if err != nil || reply.Values["I"] != "1" {
		t.Errorf("%v, %v", reply, err)
	}
}

func TestMetadataIsThatOfTheSystem(t *testing.T) {
	t.Parallel()
	f, err := open(t).Function(t.Context(), "ECHO")
	if err != nil {
		t.Fatal(err)
	}
	if p := f.Parameters["TAB"]; p.Direction != rfc.Tables || p.Fields["TEXT"].Length != 20 || p.Fields["AMOUNT"] != (rfc.Type{Kind: "P", Length: 13, Decimals: 3}) {
		t.Errorf("%+v", p)
	}
	if p := f.Parameters["C"]; p.Direction != rfc.Changing || p.Type.Length != 10 || !p.Optional {
		t.Errorf("%+v", p)
	}
}

func TestAMissingFunctionBreaksNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, err := s.Call(t.Context(), rfc.Call{Function: "NOSUCH"})
	if e := rfc.As(err); e.Class != rfc.FunctionMissing || e.Sent || e.Broken || e.MessageID != "FL 046" {
		t.Errorf("%#v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestACallThatTakesTooLongIsCancelled(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Call(ctx, rfc.Call{Function: "SLOW"})
	if e := rfc.As(err); e.Class != rfc.TimedOut || !e.Sent || !e.Broken {
		t.Errorf("%#v", err)
	}
	if _, err := s.Call(t.Context(), rfc.Call{Function: "COUNT"}); err == nil || rfc.As(err).Sent {
		t.Errorf("a broken session was used: %v", err)
	}
}

func TestALogonThatHangsBlocksNobody(t *testing.T) {
	t.Parallel()
	tr := transport(t, map[string]string{"ASHOST": "hang"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := tr.Open(ctx)
	if e := rfc.As(err); e.Class != rfc.TimedOut || e.Sent || time.Since(start) > time.Second {
		t.Errorf("%#v after %s", err, time.Since(start))
	}
}

func TestLogonFailuresAreTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change map[string]string
		class  rfc.Class
	}{
		"a wrong password":    {map[string]string{"PASSWD": "wrong"}, rfc.LogonRefused},
		"no server":           {map[string]string{"ASHOST": "dead"}, rfc.Unreachable},
		"a parameter refused": {map[string]string{"TRACE": "2"}, rfc.Misconfigured},
	} {
		_, err := transport(t, c.change).Open(t.Context())
		if e := rfc.As(err); e.Class != c.class || e.Sent || strings.ContainsAny(e.Message, "\n") {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestALibraryThatIsNoneIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, "libsapnwrfc.so")
	if err := os.WriteFile(page, []byte("<html>download</html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"missing": filepath.Join(dir, "no"), "a page": page, "none in the system": ""} {
		_, err := New(&libraries, path, nil).Open(t.Context())
		if e := rfc.As(err); e.Class != rfc.NoLibrary || e.Sent {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestTheVersionIsTold(t *testing.T) {
	t.Parallel()
	if v, err := transport(t, nil).Version(); err != nil || v != "7500.0.12" {
		t.Errorf("%q, %v", v, err)
	}
}
