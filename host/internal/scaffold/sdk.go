package scaffold

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// SDK says where the new module gets Orderport's modules from.
type SDK struct {
	// Checkout is a copy of Orderport's repository, or the sdk folder in it.
	// The module then builds against it, and without a network.
	Checkout string
	// Version is the released version to use if there is no Checkout: a
	// semantic version, with or without "v".
	Version string
}

// ErrNoRelease says that there is neither a checkout nor a released version.
var ErrNoRelease = errors.New("this orderport is no release, so there is no released SDK to go with it")

const (
	ours      = "github.com/orderport/orderport/"
	goVersion = "1.26.0"
	sysModule = "golang.org/x/sys"
)

var releasePattern = regexp.MustCompile(`^v?((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?)$`)

// moduleFiles returns go.mod and, where it can be known, go.sum.
func (s SDK) moduleFiles(module, dir string) ([]file, error) {
	if s.Checkout != "" {
		return s.fromCheckout(module, dir)
	}
	found := releasePattern.FindStringSubmatch(s.Version)
	if found == nil || strings.HasPrefix(found[1], "0.0.0-") {
		return nil, ErrNoRelease
	}
	text := fmt.Sprintf("module %s\n\ngo %s\n\nrequire (\n\t%sproto v%s\n\t%ssdk v%s\n)\n",
		module, goVersion, ours, found[1], ours, found[1])
	return []file{{"go.mod", []byte(text)}}, nil
}

// fromCheckout requires what the SDK does, in the same versions, so that the
// checksums of its go.sum are all that is needed.
func (s SDK) fromCheckout(module, dir string) ([]file, error) {
	root, err := filepath.Abs(s.Checkout)
	if err != nil {
		return nil, fmt.Errorf("find the SDK: %w", err)
	}
	if filepath.Base(root) == "sdk" {
		root = filepath.Dir(root)
	}
	mod, err := os.ReadFile(filepath.Join(root, "sdk", "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module "+ours+"sdk\n") {
		return nil, fmt.Errorf("%s is no copy of Orderport's repository: it has no sdk/go.mod of ours", root)
	}
	sum, err := os.ReadFile(filepath.Join(root, "sdk", "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("read the SDK's checksums: %w", err)
	}
	var direct, indirect strings.Builder
	fmt.Fprintf(&direct, "\t%sproto v0.0.0\n\t%ssdk v0.0.0\n", ours, ours)
	for _, r := range requirements(string(mod)) {
		switch {
		case strings.HasPrefix(r, ours):
		case strings.HasPrefix(r, sysModule+" "):
			direct.WriteString("\t" + r + "\n")
		default:
			indirect.WriteString("\t" + r + " // indirect\n")
		}
	}
	text := fmt.Sprintf("module %s\n\ngo %s\n\nrequire (\n%s)\n\nrequire (\n%s)\n\n", module, goVersion, direct.String(), indirect.String())
	for _, name := range []string{"proto", "sdk"} {
		text += fmt.Sprintf("replace %s%s => %s\n", ours, name, replacement(dir, filepath.Join(root, name)))
	}
	return []file{{"go.mod", []byte(text)}, {"go.sum", sum}}, nil
}

// replacement is a path as go.mod wants it: relative ones start with a dot.
func replacement(dir, to string) string {
	rel, err := filepath.Rel(dir, to)
	if err != nil || strings.Count(rel, "..") > 4 {
		rel = to // far away: an absolute path says more
	}
	if !filepath.IsAbs(rel) && !strings.HasPrefix(rel, ".") {
		rel = "./" + rel
	}
	if strings.ContainsAny(rel, " \t\"'`(),") {
		return fmt.Sprintf("%q", rel)
	}
	return filepath.ToSlash(rel)
}

var requirement = regexp.MustCompile(`^(?:require\s+)?([^\s/]+\.[^\s]+) (v[^\s]+)`)

// requirements returns "module version" for each line of go.mod that requires
// one.
func requirements(mod string) []string {
	var all []string
	for line := range strings.Lines(mod) {
		if m := requirement.FindStringSubmatch(strings.TrimSpace(line)); m != nil && !strings.Contains(line, "=>") {
			all = append(all, m[1]+" "+m[2])
		}
	}
	return all
}
