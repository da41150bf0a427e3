package scaffold_test

import (
	"errors"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orderport/orderport/host/internal/scaffold"
)

// checkout is this repository.
const checkout = "../../.."

func mustName(t *testing.T, text string) scaffold.Name {
	t.Helper()
	name, err := scaffold.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func write(t *testing.T, dir string, change func(*scaffold.Spec)) (scaffold.Result, error) {
	t.Helper()
	spec := scaffold.Spec{Name: mustName(t, "acme-erp"), Dir: dir, SDK: scaffold.SDK{Checkout: checkout}}
	if change != nil {
		change(&spec)
	}
	return scaffold.Write(spec)
}

func TestNamesAreCheckedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // a part of the complaint; empty: fine
		"acme":                     "",
		"acme-erp-2":               "",
		"a":                        "",
		strings.Repeat("a", 40):    "",
		strings.Repeat("a", 41):    "at most 40",
		"":                         "empty",
		"Acme ERP":                 `such as "acme-erp"`,
		"acme_erp":                 `such as "acme-erp"`,
		"2nd-erp":                  `such as "nd-erp"`,
		"acme--erp":                `such as "acme-erp"`,
		"-acme":                    `such as "acme"`,
		"acme-":                    `such as "acme"`,
		"../acme":                  `such as "acme"`,
		"größe":                    `such as "gr-e"`,
		"日本":                       "lower-case letters, digits",
		"orderport-connector-acme": "leave out",
		"dropzone":                 "taken",
		"dropzone-json-v1":         "taken",
		"sap-rfc":                  "taken",
		"acme\nerp":                `such as "acme-erp"`,
		"acme.erp":                 `such as "acme-erp"`,
	} {
		_, err := scaffold.ParseName(text)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestNamesFollowFromOne(t *testing.T) {
	t.Parallel()
	name := mustName(t, "acme-erp-2")
	if name.Binary() != "orderport-connector-acme-erp-2" || name.Type() != "ACME_ERP_2" || name.Title() != "Acme ERP 2" {
		t.Errorf("%s, %s, %s", name.Binary(), name.Type(), name.Title())
	}
}

func TestEveryFileIsWrittenAndFormatted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	made, err := write(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".github/workflows/ci.yml", ".gitignore", "Makefile", "README.md", "go.mod", "go.sum", "main.go", "conformance_test.go"} {
		if !slices.Contains(made.Files, name) {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range made.Files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "[[") && !strings.HasSuffix(name, ".sum") {
			t.Errorf("%s was not filled in", name)
		}
		if strings.HasSuffix(name, ".go") {
			if formatted, err := format.Source(data); err != nil || string(formatted) != string(data) {
				t.Errorf("%s is not formatted (%v)", name, err)
			}
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	for name, present := range map[string]string{
		"a file of the same name": "main.go", "another file": "notes.txt", "a hidden file": ".env", "a folder": "src/x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, present)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := write(t, dir, nil)
			var notEmpty *scaffold.NotEmptyError
			if !errors.As(err, &notEmpty) {
				t.Errorf("error %v", err)
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
				t.Errorf("the file holds %q, %v", data, err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("something was written: %v", entries)
			}
		})
	}
}

func TestANewRepositoryIsWelcome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := write(t, dir, nil); err != nil {
		t.Error(err)
	}
	if _, err := write(t, dir, nil); err == nil {
		t.Error("a second time is not refused")
	}
}

func TestWhatCannotBeDoneLeavesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*scaffold.Spec){
		"no release and no checkout": func(s *scaffold.Spec) { s.SDK = scaffold.SDK{Version: "0.0.0-dev+abc"} },
		"no version at all":          func(s *scaffold.Spec) { s.SDK = scaffold.SDK{Version: "dev"} },
		"a checkout of something":    func(s *scaffold.Spec) { s.SDK.Checkout = t.TempDir() },
		"a module path with a space": func(s *scaffold.Spec) { s.Module = "acme corp/x" },
		"a module path with a break": func(s *scaffold.Spec) { s.Module = "acme\nreplace x => y" },
		"a vendor that breaks out":   func(s *scaffold.Spec) { s.Vendor = `x", Type: "Y` },
		"a vendor of two lines":      func(s *scaffold.Spec) { s.Vendor = "x\ny" },
		"a file instead of a folder": func(s *scaffold.Spec) { s.Dir = file },
		"a folder in a file":         func(s *scaffold.Spec) { s.Dir = filepath.Join(file, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "new")
			if _, err := write(t, dir, change); err == nil {
				t.Error("no error")
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the folder is there: %v", err)
			}
		})
	}
}

func TestAReleaseIsRequiredByItsVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"1.2.3": "v1.2.3", "v2.0.0-rc.1": "v2.0.0-rc.1"} {
		dir := filepath.Join(t.TempDir(), "new")
		made, err := write(t, dir, func(s *scaffold.Spec) { s.SDK = scaffold.SDK{Version: version} })
		if err != nil {
			t.Fatal(err)
		}
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil || !strings.Contains(string(mod), "orderport/sdk "+want+"\n") || strings.Contains(string(mod), "replace") {
			t.Errorf("%s, %v", mod, err)
		}
		if slices.Contains(made.Files, "go.sum") {
			t.Error("there are checksums of something that was never seen")
		}
	}
}
