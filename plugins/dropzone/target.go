package main

import (
	"context"
	"io/fs"
)

// target is a place for files. Both implementations pass the suite in
// target_test.go.
//
// All methods may be called concurrently. They return once the work is done or
// the context ends; in the latter case, and when a server's answer is lost,
// the work may still happen later. Errors wrap fs.ErrNotExist, fs.ErrExist,
// fs.ErrPermission, errNoSpace, errLost or errSlow where that is the cause.
// Paths use slashes.
type target interface {
	// Create writes a new file and flushes its content. It never touches an
	// existing file: that is fs.ErrExist. A file that it could not finish is
	// removed if possible. A second call with the same path fails.
	Create(ctx context.Context, path string, data []byte) error
	// CreateVisible is Create for a file that readers see while it grows: what
	// it could not finish stays.
	CreateVisible(ctx context.Context, path string, data []byte) error
	// Complete writes data over an existing file from its start, without
	// truncating it first, and flushes it. It may be repeated, also by two at
	// once with the same data.
	Complete(ctx context.Context, path string, data []byte) error
	// Rename renames a file in one step that never replaces: an existing file
	// at to is fs.ErrExist, a missing one at from fs.ErrNotExist.
	Rename(ctx context.Context, from, to string) error
	// Flush makes durable which names are in the directory: what happened
	// before the call survives a power cut. Where a server can't, it is nil.
	Flush(ctx context.Context, dir string) error
	// Stat describes a file or directory, or what a link leads to.
	Stat(ctx context.Context, path string) (fs.FileInfo, error)
	// List returns the directory's entries in no order.
	List(ctx context.Context, dir string) ([]fs.FileInfo, error)
	// Read returns a file's content, or its first limit bytes.
	Read(ctx context.Context, path string, limit int64) ([]byte, error)
	// Remove removes a file. One that is missing is no error.
	Remove(ctx context.Context, path string) error
	// Mkdir makes a directory. One that exists is no error.
	Mkdir(ctx context.Context, path string) error
	// Identity names the directory itself, beyond its path. It is empty where
	// the target can't tell, and then does not ask whether the directory is
	// there.
	Identity(ctx context.Context, dir string) (string, error)
}

// findDir fails unless the place is a directory.
func (p place) findDir(ctx context.Context, t target) error {
	info, err := t.Stat(ctx, p.path)
	if err == nil && !info.IsDir() {
		err = errNotDirectory
	}
	return p.failure("find the directory", err)
}
