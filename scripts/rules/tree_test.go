package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/orderport/orderport/"

// pkg is what "go list" says of a package. Our import paths are shortened to
// "./host/internal/domain".
type pkg struct {
	ImportPath, Name, Dir, Doc         string
	Imports                            []string
	GoFiles, TestGoFiles, XTestGoFiles []string
	IgnoredGoFiles                     []string
}

// files lists the package's Go files, those of other platforms too.
func (p pkg) files() []string {
	var all []string
	for _, names := range [][]string{p.GoFiles, p.TestGoFiles, p.XTestGoFiles, p.IgnoredGoFiles} {
		for _, name := range names {
			all = append(all, filepath.Join(p.Dir, name))
		}
	}
	return all
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// modules asks the one place that knows them; kind is "all", "shipped" or "plugins".
func modules(t *testing.T, kind string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(root(t), "scripts", "modules"), kind).Output()
	if err != nil {
		t.Fatalf("scripts/modules %s: %v", kind, err)
	}
	return strings.Fields(string(out))
}

// listed is filled once for all tests: listing takes a second.
var listed struct {
	sync.Mutex
	packages []pkg
}

// packages lists all packages of all modules.
func packages(t *testing.T) []pkg {
	t.Helper()
	listed.Lock()
	defer listed.Unlock()
	if listed.packages != nil {
		return listed.packages
	}
	var all []pkg
	for _, folder := range modules(t, "all") {
		all = append(all, list(t, filepath.Join(root(t), folder))...)
	}
	listed.packages = all
	return all
}

func list(t *testing.T, dir string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Dir,Doc,Imports,GoFiles,TestGoFiles,XTestGoFiles,IgnoredGoFiles", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v\n%s", dir, err, complaints.Bytes())
	}
	var found []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = short(p.ImportPath)
		for i := range p.Imports {
			p.Imports[i] = short(p.Imports[i])
		}
		found = append(found, p)
	}
}

// short makes our import paths start with "./".
func short(path string) string {
	if ours, ok := strings.CutPrefix(path, module); ok {
		return "./" + ours
	}
	return path
}
