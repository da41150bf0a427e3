// Package scaffold writes the source of a new connector: a module that builds,
// passes its own tests and the conformance checks, and runs in the host as it
// is, with a folder for an ERP. Its author then replaces the folder.
//
// The files are in template/, with [[ ]] around what differs. Nothing that
// exists is ever overwritten.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed template
var templates embed.FS

// Spec says what to write. Name and SDK are required.
type Spec struct {
	Name Name
	// Dir is the folder to write to: a new one, or one that is empty but for
	// .git.
	Dir string
	// Module is the Go module path; empty: example.com/ and the binary's name.
	Module string
	// Vendor makes and answers for the connector; empty: a placeholder.
	Vendor string
	SDK    SDK
}

// Result is what was written.
type Result struct {
	Dir    string   // absolute
	Module string   // Go module path
	Files  []string // relative to Dir, in order
}

// NotEmptyError says that there is something in the folder already.
type NotEmptyError struct{ Dir, Found string }

// Error names the folder and the first thing in it.
func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("%s is not empty: it holds %s", e.Dir, e.Found)
}

// Write writes the module, all of it or nothing.
func Write(spec Spec) (Result, error) {
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return Result{}, fmt.Errorf("find the folder: %w", err)
	}
	if spec.Module == "" {
		spec.Module = "example.com/" + spec.Name.Binary()
	}
	if spec.Vendor == "" {
		spec.Vendor = "Your company"
	}
	if err := checkText(spec); err != nil {
		return Result{}, err
	}
	files, err := render(spec, dir)
	if err != nil {
		return Result{}, err
	}
	if err := checkEmpty(dir); err != nil {
		return Result{}, err
	}
	if err := writeAll(dir, files); err != nil {
		return Result{}, err
	}
	result := Result{Dir: dir, Module: spec.Module}
	for _, f := range files {
		result.Files = append(result.Files, f.name)
	}
	return result, nil
}

type file struct {
	name string // with slashes
	data []byte
}

// render returns all files, ordered by name.
func render(spec Spec, dir string) ([]file, error) {
	files, err := spec.SDK.moduleFiles(spec.Module, dir)
	if err != nil {
		return nil, err
	}
	values := map[string]string{
		"Name": string(spec.Name), "Binary": spec.Name.Binary(), "Type": spec.Name.Type(), "Title": spec.Name.Title(),
		"Module": spec.Module, "Vendor": spec.Vendor,
	}
	err = fs.WalkDir(templates, "template", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		source, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Delims("[[", "]]").Option("missingkey=error").Parse(string(source))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, values); err != nil {
			return err
		}
		files = append(files, file{targetName(path), out.Bytes()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("render the connector: %w", err)
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// targetName is where a template's file goes. Names that start with a dot are
// kept without it, since embed and some tools pass over them.
func targetName(path string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(path, "template/"), ".tmpl")
	if name == "gitignore" || strings.HasPrefix(name, "github/") {
		name = "." + name
	}
	return name
}

// checkEmpty lets through a folder that is missing, empty, or new to git.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the folder: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			return &NotEmptyError{Dir: dir, Found: entry.Name()}
		}
	}
	return nil
}

// writeAll takes back what it has written when something fails.
func writeAll(dir string, files []file) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for _, path := range slices.Backward(made) {
				_ = os.Remove(path)
			}
		}
	}()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		folders, err := makeFolders(filepath.Dir(path))
		made = append(made, folders...)
		if err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if err := writeNew(path, f.data); err != nil {
			return fmt.Errorf("write the connector: %w", err)
		}
		made = append(made, path)
	}
	return nil
}

// makeFolders is os.MkdirAll that says what it made, from the top down.
func makeFolders(dir string) ([]string, error) {
	var missing []string
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, at)
	}
	var made []string
	for _, path := range slices.Backward(missing) {
		if err := os.Mkdir(path, 0o755); err != nil {
			return made, err
		}
		made = append(made, path)
	}
	return made, nil
}

// writeNew writes a file that must not exist.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}
