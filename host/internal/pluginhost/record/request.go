package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Request is what an operator asks to be recorded.
type Request struct {
	ConnectorType string `json:"connector_type"`
	// ConnectionID limits it to one connection; empty: all of the type.
	ConnectionID string `json:"connection_id,omitempty"`
	// Call limits it to one kind, such as Export; empty: all.
	Call string `json:"call,omitempty"`
	// Until ends it, and so do so many Calls.
	Until time.Time `json:"until"`
	Calls int       `json:"calls"`
}

const requestFile = "request.json"

// Ask leaves a request in a folder of recordings. It replaces an earlier one.
func Ask(dir string, r Request) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of recordings: %w", err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".request-*")
	if err != nil {
		return fmt.Errorf("leave the request: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, requestFile))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("leave the request: %w", err)
	}
	return nil
}

// Withdraw takes the request away. There need not be one.
func Withdraw(dir string) error {
	if err := os.Remove(filepath.Join(dir, requestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("withdraw the request: %w", err)
	}
	return nil
}

// load returns the request and its bytes; nil: there is none.
func load(dir string) (*Request, []byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, requestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the request: %w", err)
	}
	var r Request
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, data, fmt.Errorf("read the request: %w", err)
	}
	return &r, data, nil
}
