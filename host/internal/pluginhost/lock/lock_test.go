package lock_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/host/internal/pluginhost/lock"
)

func entry(n int) lock.Entry {
	return lock.Entry{
		Type: fmt.Sprintf("TYPE_%02d", n), Version: "1.0.0",
		SHA256: fmt.Sprintf("%064x", n), File: fmt.Sprintf("orderport-connector-%02d", n),
	}
}

func TestDirectoryWithoutALockFileTrustsNothing(t *testing.T) {
	t.Parallel()
	f, err := lock.Load(t.TempDir())
	if err != nil || len(f.Connectors) != 0 {
		t.Fatalf("%+v %v", f, err)
	}
	if err := f.Verify("x", entry(1).SHA256); !errors.Is(err, lock.ErrUntrusted) {
		t.Errorf("got %v", err)
	}
}

func TestTrustAddsAndReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	trust := func(entries ...lock.Entry) {
		t.Helper()
		if err := lock.Trust(dir, entries); err != nil {
			t.Fatal(err)
		}
	}
	trust(entry(2), entry(1))
	sameType, sameFile := entry(1), entry(2)
	sameType.File, sameFile.Type = "orderport-connector-new", "TYPE_NEW"
	trust(sameType, sameFile, entry(3))
	got, err := lock.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]lock.Entry{sameType, entry(3), sameFile}, got.Connectors); diff != "" {
		t.Error(diff)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("temporary files were left: %v", left)
	}
	info, _ := os.Stat(filepath.Join(dir, lock.FileName))
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %s", info.Mode())
	}
}

func TestConcurrentTrustLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if err := lock.Trust(dir, []lock.Entry{entry(n)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f, err := lock.Load(dir); err != nil || len(f.Connectors) != 20 {
		t.Errorf("%d entries, %v", len(f.Connectors), err)
	}
}

func TestVerifyComparesFileDigestAndIdentity(t *testing.T) {
	t.Parallel()
	f := &lock.File{Connectors: []lock.Entry{entry(1)}}
	e := entry(1)
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"the same":         {f.Verify(e.File, e.SHA256), nil},
		"another digest":   {f.Verify(e.File, entry(2).SHA256), lock.ErrDiffers},
		"another file":     {f.Verify("other", e.SHA256), lock.ErrUntrusted},
		"same identity":    {f.VerifyIdentity(e.File, e.Type, e.Version), nil},
		"another type":     {f.VerifyIdentity(e.File, "X", e.Version), lock.ErrDiffers},
		"another version":  {f.VerifyIdentity(e.File, e.Type, "2.0.0"), lock.ErrDiffers},
		"unknown identity": {f.VerifyIdentity("other", e.Type, e.Version), lock.ErrUntrusted},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

func TestLockFilesThatCanNotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	good := fmt.Sprintf(`{"type":"A","version":"1","sha256":"%064x","file":"f"}`, 1)
	for name, content := range map[string]string{
		"no JSON":            `{`,
		"another version":    `{"version":2,"connectors":[]}`,
		"no version":         `{"connectors":[]}`,
		"an unknown field":   `{"version":1,"connectors":[],"more":1}`,
		"two documents":      `{"version":1,"connectors":[]} {}`,
		"a bad type":         `{"version":1,"connectors":[` + strings.Replace(good, `"A"`, `"a"`, 1) + `]}`,
		"a short digest":     `{"version":1,"connectors":[` + strings.Replace(good, `000001`, `1`, 1) + `]}`,
		"a path":             `{"version":1,"connectors":[` + strings.Replace(good, `"f"`, `"../f"`, 1) + `]}`,
		"one type twice":     `{"version":1,"connectors":[` + good + `,` + strings.Replace(good, `"f"`, `"g"`, 1) + `]}`,
		"one file twice":     `{"version":1,"connectors":[` + good + `,` + strings.Replace(good, `"A"`, `"B"`, 1) + `]}`,
		"an upper-case hash": `{"version":1,"connectors":[` + strings.Replace(good, `000001`, `00000A`, 1) + `]}`,
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, lock.FileName), []byte(content), 0o644)
		if f, err := lock.Load(dir); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
		if err := lock.Trust(dir, []lock.Entry{entry(1)}); err == nil {
			t.Errorf("%s: trust overwrote it", name)
		}
	}
	if err := lock.Trust(t.TempDir(), []lock.Entry{{Type: "A"}}); err == nil {
		t.Error("an incomplete entry was trusted")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":1,"connectors":[{"type":"A","version":"1","sha256":"","file":"f"}]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		os.WriteFile(filepath.Join(dir, lock.FileName), content, 0o644)
		file, err := lock.Load(dir)
		if err != nil {
			return
		}
		for _, e := range file.Connectors {
			if e.File != filepath.Base(e.File) || len(e.SHA256) != 64 {
				t.Errorf("accepted %+v", e)
			}
		}
	})
}
