package nwrfc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

func TestALibraryThatIsNoneIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, sdk.FileName)
	if err := os.WriteFile(page, []byte("<html>download</html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, says string }{
		"missing":            {filepath.Join(dir, "no"), "library_path"},
		"a page":             {page, page},
		"a page in a folder": {dir, page},
		"none in the system": {"", sdk.FileName},
		"another library":    {builds.Folder(t, sdk.Variant{Foreign: true}), "is not the SAP NetWeaver RFC library: it lacks Rfc"},
	} {
		tr := New(&libraries, c.path, nil)
		_, opening := tr.Open(t.Context())
		_, asking := tr.Version()
		for _, err := range []error{opening, asking} {
			if e := rfc.As(err); e.Class != rfc.NoLibrary || e.Sent || !strings.Contains(e.Error(), c.says) {
				t.Errorf("%s: %#v", name, err)
			}
		}
	}
}

func TestTheVersionIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variant sdk.Variant
		starts  string
		old     bool
	}{
		"of today":                        {sdk.Variant{}, "7500.0.12", false},
		"before calls could be cancelled": {sdk.Variant{Old: true}, "7200.0.12", true},
	} {
		v, err := New(&libraries, builds.Folder(t, c.variant), nil).Version()
		if err != nil || !strings.HasPrefix(v, c.starts) || strings.Contains(v, "install the newest") != c.old {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
}

// A copy that is found again is not loaded again, and two copies don't mix.
func TestLibrariesAreLoadedOnce(t *testing.T) {
	t.Parallel()
	var own Libraries
	folder := builds.Folder(t, sdk.Variant{})
	first, err := own.load(folder)
	if err != nil {
		t.Fatal(err)
	}
	second, err := own.load(filepath.Join(folder, sdk.FileName))
	if err != nil || first != second {
		t.Errorf("loaded twice: %v", err)
	}
	old, err := own.load(builds.Folder(t, sdk.Variant{Old: true}))
	if err != nil || old == first || old.cancel != nil || first.cancel == nil {
		t.Errorf("the copies mix: %v", err)
	}
}

// A library that lays its structs out in another way is not used for anything.
func TestAnUnknownLayoutIsNoticed(t *testing.T) {
	t.Parallel()
	l := newLab(t, sapsim.Options{}, sdk.Variant{Shifted: true})
	s := l.open(t)
	_, describing := s.Function(t.Context(), create)
	_, calling := s.Call(t.Context(), order())
	for _, err := range []error{describing, calling} {
		if e := rfc.As(err); e.Class != rfc.NoLibrary || e.Sent || !strings.Contains(e.Message, "7500.0.12") {
			t.Errorf("%#v", err)
		}
	}
	if n := l.system.Calls(create); n != 0 {
		t.Errorf("%d calls", n)
	}
}
