package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/orderport/orderport/sdk/conformance/profile"
	"github.com/orderport/orderport/sdk/port"
)

// folders are the directories of a target that keeps files.
type folders struct {
	root    string
	pattern string // of orders
	acks    *profile.Acks
}

func newFolders(p profile.Profile) (*folders, error) {
	root, err := os.MkdirTemp("", "opc-target")
	if err != nil {
		return nil, err
	}
	f := &folders{root: root, pattern: cmp.Or(p.Target.Orders, "*"), acks: p.Acks}
	if err := errors.Join(os.Mkdir(f.OrdersDir(), 0o700), os.Mkdir(f.AckDir(), 0o700)); err != nil {
		f.remove()
		return nil, err
	}
	return f, nil
}

func (f *folders) remove() { _ = os.RemoveAll(f.root) }

// OrdersDir implements Files.
func (f *folders) OrdersDir() string { return filepath.Join(f.root, "orders") }

// AckDir implements Files.
func (f *folders) AckDir() string { return filepath.Join(f.root, "acks") }

// List returns everything below the root but acks: an order that ends up
// beside its directory is found, too.
func (f *folders) List(context.Context) ([]Artefact, error) {
	var found []Artefact
	err := filepath.WalkDir(f.root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) || file == f.AckDir():
			if err == nil {
				return fs.SkipDir
			}
			return nil // it has gone meanwhile
		case err != nil || entry.IsDir():
			return err
		}
		name, _ := filepath.Rel(f.OrdersDir(), file)
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		order, _ := path.Match(f.pattern, name)
		found = append(found, Artefact{Name: name, Data: data, Temporary: !order})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look at the target: %w", err)
	}
	slices.SortFunc(found, func(a, b Artefact) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

// Plant implements Target.
func (f *folders) Plant(_ context.Context, name string, data []byte) error {
	return os.WriteFile(filepath.Join(f.OrdersDir(), name), data, 0o600)
}

// LeaveAck implements Target, as an ERP does it well: by a rename.
func (f *folders) LeaveAck(_ context.Context, ack Ack) error {
	name, data, err := f.AckFile(ack)
	if err != nil {
		return err
	}
	// Not in the ack directory: nobody says which names a connector ignores there.
	hidden := filepath.Join(f.root, "being-written")
	if err := os.WriteFile(hidden, data, 0o600); err != nil {
		return err
	}
	return os.Rename(hidden, filepath.Join(f.AckDir(), name))
}

// AckFile returns an ack as the profile writes it.
func (f *folders) AckFile(ack Ack) (name string, data []byte, err error) {
	if f.acks == nil {
		return "", nil, fmt.Errorf("leave an ack: the profile does not say what acks look like: %w", ErrUnable)
	}
	form := f.acks.Positive
	if !ack.positive() {
		form = f.acks.Negative
	}
	fill := strings.NewReplacer("${external_ref}", ack.ExternalRef, "${erp_order_id}", ack.ERPOrderID,
		"${error_code}", ack.ErrorCode, "${message}", ack.Message)
	return fill.Replace(form.Name), []byte(fill.Replace(form.Data)), nil
}

// cases are the ways in which directories can be wrong.
func (f *folders) cases() []Case {
	return []Case{
		{
			Name: "directory missing", Vars: map[string]any{"dir": filepath.Join(f.root, "missing")},
			Codes: []port.Code{port.NotFound},
		},
		{
			Name: "a file instead of the directory", Vars: map[string]any{"dir": filepath.Join(f.root, "file")},
			Break: func() (func(), error) {
				file := filepath.Join(f.root, "file")
				return func() { _ = os.Remove(file) }, os.WriteFile(file, nil, 0o600)
			},
			Codes: []port.Code{port.NotFound, port.InvalidConfig, port.Conflict, port.PermissionDenied},
		},
	}
}

// directory is a directory of this machine.
type directory struct{ *folders }

func newDirectory(p profile.Profile) (*directory, error) {
	f, err := newFolders(p)
	if err != nil {
		return nil, err
	}
	return &directory{f}, nil
}

// Vars implements Target.
func (d *directory) Vars() map[string]any {
	return map[string]any{"dir": d.OrdersDir(), "ack_dir": d.AckDir(), "canary": Canary()}
}

// Cases implements Target.
func (d *directory) Cases() []Case {
	cases := d.cases()
	if os.Geteuid() != 0 { // who may write everywhere
		cases = append(cases, Case{
			Name: "directory closed for writing",
			Break: func() (func(), error) {
				return func() { _ = os.Chmod(d.OrdersDir(), 0o700) }, os.Chmod(d.OrdersDir(), 0o500) //nolint:gosec // closed is what it is about
			},
			Codes: []port.Code{port.PermissionDenied},
		})
	}
	return cases
}

// Close implements Target.
func (d *directory) Close() error {
	d.remove()
	return nil
}
