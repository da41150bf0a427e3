// Package lock keeps connectors.lock.json, the file in the plugin directory
// that says which connector binaries an operator trusts. Each entry pins a
// file name to a connector type, a version and the SHA-256 of the binary.
//
// A host that does not run with --dev starts nothing that is not listed here
// byte for byte. The file is meant to be kept under version control: it is
// sorted by type, one value a line.
package lock

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// FileName is the name of the lock file within the plugin directory.
const FileName = "connectors.lock.json"

// formatVersion is the only version of the file's form so far.
const formatVersion = 1

// Entry pins one binary.
type Entry struct {
	Type    string `json:"type"`    // connector type that it must advertise
	Version string `json:"version"` // version that it must advertise
	SHA256  string `json:"sha256"`  // of the file, lower-case hex
	File    string `json:"file"`    // base name within the plugin directory
}

// File is the content of a lock file.
type File struct {
	Version    int     `json:"version"`
	Connectors []Entry `json:"connectors"`
}

// Errors of Verify. They are wrapped with what an operator has to know.
var (
	// ErrUntrusted says that the file name is not in the lock.
	ErrUntrusted = errors.New("not in " + FileName)
	// ErrDiffers says that the lock pins other bytes, another type or another
	// version for this file name.
	ErrDiffers = errors.New("differs from " + FileName)
)

var typePattern = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)

// Load reads the lock file of a plugin directory. A directory without one
// trusts nothing; a file that can't be read or understood is an error.
func Load(dir string) (*File, error) {
	raw, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return &File{Version: formatVersion}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	return parse(raw)
}

func parse(raw []byte) (*File, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var f File
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("parse %s: %w", FileName, err)
	}
	if dec.More() {
		return nil, fmt.Errorf("parse %s: more than one JSON document", FileName)
	}
	if f.Version != formatVersion {
		return nil, fmt.Errorf("parse %s: version %d is not known, only %d", FileName, f.Version, formatVersion)
	}
	if err := check(f.Connectors); err != nil {
		return nil, fmt.Errorf("parse %s: %w", FileName, err)
	}
	return &f, nil
}

// check refuses entries that could pin nothing or two things at once.
func check(entries []Entry) error {
	types, files := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		if !typePattern.MatchString(e.Type) {
			return fmt.Errorf("%q is no connector type", e.Type)
		}
		if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != 32 || e.SHA256 != strings.ToLower(e.SHA256) {
			return fmt.Errorf("sha256 of %s is not 64 lower-case hex digits", e.Type)
		}
		if e.File == "" || e.File != filepath.Base(e.File) || e.File == "." || e.File == ".." {
			return fmt.Errorf("file of %s is not a plain file name: %q", e.Type, e.File)
		}
		if types[e.Type] {
			return fmt.Errorf("type %s is listed twice", e.Type)
		}
		if files[e.File] {
			return fmt.Errorf("file %s is listed twice", e.File)
		}
		types[e.Type], files[e.File] = true, true
	}
	return nil
}

// Trust adds entries to the lock file of a plugin directory and replaces those
// that name the same type or the same file. The change is atomic and durable:
// a reader sees the old file or the new one. Safe between processes.
func Trust(dir string, entries []Entry) error {
	if err := check(entries); err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	defer unlock()
	f, err := Load(dir)
	if err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	f.Connectors = slices.DeleteFunc(f.Connectors, func(old Entry) bool {
		return slices.ContainsFunc(entries, func(e Entry) bool { return e.Type == old.Type || e.File == old.File })
	})
	f.Connectors = append(f.Connectors, entries...)
	slices.SortFunc(f.Connectors, func(a, b Entry) int { return strings.Compare(a.Type, b.Type) })
	if err := write(dir, f); err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	return nil
}

func write(dir string, f *File) error {
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, "."+FileName+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // not there any more once it is renamed
	_, err = tmp.Write(append(raw, '\n'))
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), filepath.Join(dir, FileName)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lookup returns the entry of a file name.
func (f *File) Lookup(file string) (Entry, bool) {
	for _, e := range f.Connectors {
		if e.File == file {
			return e, true
		}
	}
	return Entry{}, false
}

// Verify says whether the lock allows a file with this digest to run:
// ErrUntrusted or ErrDiffers, wrapped, if not. It is asked before the binary
// runs.
func (f *File) Verify(file, sha256 string) error {
	e, ok := f.Lookup(file)
	if !ok {
		return fmt.Errorf("%s is %w: run `orderport connector trust %s` if it may run", file, ErrUntrusted, file)
	}
	if e.SHA256 != sha256 {
		return fmt.Errorf("%s %w: its SHA-256 is %s, trusted is %s", file, ErrDiffers, sha256, e.SHA256)
	}
	return nil
}

// VerifyIdentity says whether a binary that Verify let run advertises what the
// lock pins for it.
func (f *File) VerifyIdentity(file, connectorType, version string) error {
	e, ok := f.Lookup(file)
	if !ok {
		return fmt.Errorf("%s is %w", file, ErrUntrusted)
	}
	if e.Type != connectorType || e.Version != version {
		return fmt.Errorf("%s %w: it advertises %s %s, trusted is %s %s",
			file, ErrDiffers, connectorType, version, e.Type, e.Version)
	}
	return nil
}
