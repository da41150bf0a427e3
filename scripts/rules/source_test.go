package rules

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	longestFunction = 60
	longestFile     = 500
)

// longer lists, as "file" or "file function", what may be longer and why it is
// still one idea.
var longer = map[string]string{}

func TestEveryPackageExplainsItself(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment: say what lives there and where a newcomer starts", p.ImportPath)
		}
	}
}

func TestNothingHappensOnImport(t *testing.T) {
	t.Parallel()
	eachFile(t, packages(t), func(name string, file *ast.File, _ *token.FileSet) {
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has func init: wire it explicitly, where it is read", name)
			}
		}
	})
}

func TestFunctionsAndFilesAreShort(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	report := func(what string, lines, most int) {
		if lines <= most {
			return
		}
		used[what] = true
		if longer[what] == "" {
			t.Errorf("%s has %d lines, more than %d: is there a second idea in it?", what, lines, most)
		}
	}
	eachFile(t, shipped(t), func(name string, file *ast.File, positions *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		report(name, positions.Position(file.FileEnd).Line, longestFile)
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok {
				lines := positions.Position(f.End()).Line - positions.Position(f.Pos()).Line + 1
				report(name+" "+f.Name.Name, lines, longestFunction)
			}
		}
	})
	for what := range longer {
		if !used[what] {
			t.Errorf("%s is short enough by now: take it out of the list", what)
		}
	}
}

// eachFile parses the files of the packages, generated ones left out.
func eachFile(t *testing.T, packages []pkg, do func(name string, file *ast.File, positions *token.FileSet)) {
	t.Helper()
	for _, p := range packages {
		for _, path := range p.files() {
			positions := token.NewFileSet()
			file, err := parser.ParseFile(positions, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if !ast.IsGenerated(file) {
				do(relative(t, path), file, positions)
			}
		}
	}
}

func relative(t *testing.T, path string) string {
	t.Helper()
	name, err := filepath.Rel(root(t), path)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// shipped lists the packages that run on a customer's machine, or in a
// connector author's tests.
func shipped(t *testing.T) []pkg {
	t.Helper()
	var found []pkg
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.ImportPath, "./scripts") {
			found = append(found, p)
		}
	}
	return found
}

// strangers are words that mean something on the machine of whoever wrote them
// and nothing on a reader's.
var strangers = regexp.MustCompile(`(^|[\s"'` + "`" + `(=])(/(work|root)/|(\.\./)*shared/)`)

// TestTextIsForStrangers reads every file that git keeps; tests and scripts may
// name the folder of real orders next to the repository.
func TestTextIsForStrangers(t *testing.T) {
	t.Parallel()
	for _, name := range tracked(t) {
		if strings.HasPrefix(name, "scripts/") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".sum") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root(t), name))
		if err != nil || bytes.IndexByte(content, 0) >= 0 {
			continue // removed, or not text
		}
		for number, line := range strings.Split(string(content), "\n") {
			if strangers.MatchString(line) {
				t.Error(complaint(name, number+1, line))
			}
		}
	}
}

func complaint(name string, line int, text string) string {
	return fmt.Sprintf("%s:%d names a place that a reader does not have: %s", name, line, strings.TrimSpace(text))
}

func TestStrangersFindsPlaces(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"see /" + "work/main":              true,
		`cp "/root/x"`:                     true,
		`open("../../shared/data")`:        true,
		`shared/data has orders`:           true,
		`the framework/working folder`:     false,
		`/var/lib/orderport/shared/orders`: false,
	} {
		if got := strangers.MatchString(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}

func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git clone: %v", err)
	}
	return strings.Fields(string(out))
}
