package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/seal"
)

// Files of the data directory.
const (
	lockFile   = "host.lock"
	hostIDFile = "host-id"
	devKeyFile = "dev-master-key"
)

// lockDataDir makes the data directory and takes it for this process: one host
// for each. The kernel gives it back when the process ends, however it ends,
// so whoever has the lock knows that the host before it is dead.
func lockDataDir(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fault.New(fault.Conflict, "data_dir_in_use", "another host runs with the data directory %s", dir).
			WithHint("stop it, or give this one a directory of its own with --data-dir").Because(err)
	}
	return file.Close, nil
}

// readHostID returns the id of the host that had the data directory last; zero
// if there was none.
func readHostID(dir string) uuid.UUID {
	raw, err := os.ReadFile(filepath.Join(dir, hostIDFile))
	if err != nil {
		return uuid.Nil
	}
	id, err := uuid.Parse(strings.TrimSpace(string(raw)))
	if err != nil {
		return uuid.Nil
	}
	return id
}

// writeHostID leaves this host's id to the next one. Without it the next one
// takes over all the same, some seconds later.
func writeHostID(dir string, id uuid.UUID) error {
	return replaceFile(filepath.Join(dir, hostIDFile), id.String()+"\n")
}

func replaceFile(path, text string) error {
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// devKey returns the key of a host that runs with --dev and has none: it lies
// in the data directory, next to what it is to protect.
func devKey(dir string) (seal.Key, error) {
	path := filepath.Join(dir, devKeyFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key := seal.GenerateKey()
		return key, replaceFile(path, key.Reveal()+"\n")
	}
	if err != nil {
		return seal.Key{}, fmt.Errorf("read %s: %w", path, err)
	}
	return seal.ParseKey(string(raw))
}
