package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// blockedCustomer is the customer whose orders the small ERP refuses.
const blockedCustomer = "9999"

// erp reads order files from inbox and answers into acks. It leaves the files
// where they are, so that there is something to look at afterwards.
type erp struct {
	inbox, acks string
	nextNumber  int
	answered    map[string]bool
}

// run answers new files until ctx ends.
func (e *erp) run(ctx context.Context) error {
	e.answered = map[string]bool{}
	for {
		if err := e.sweep(); err != nil {
			return fmt.Errorf("the demo's ERP: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (e *erp) sweep() error {
	files, err := filepath.Glob(filepath.Join(e.inbox, "sales_order_*.json"))
	if err != nil {
		return err
	}
	for _, path := range files {
		name := filepath.Base(path)
		if e.answered[name] {
			continue
		}
		if err := e.answer(path, name); err != nil {
			return err
		}
		e.answered[name] = true
	}
	return nil
}

// order is what the ERP reads of a file.
type order struct {
	Customer struct {
		Number *string `json:"erp_customer_number"`
		Name   string  `json:"name"`
	} `json:"customer"`
	Lines []json.RawMessage `json:"lines"`
}

func (e *erp) answer(path, name string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(o.Lines) == 0 || o.Customer.Number == nil {
		return errors.New(name + ": no lines or no customer number")
	}
	now := time.Now().UTC().Format(time.RFC3339)
	if *o.Customer.Number == blockedCustomer {
		return e.write("error_"+name, map[string]string{
			"status": "FAILED", "error_code": "CUSTOMER_BLOCKED", "processed_at": now,
			"message": "customer " + blockedCustomer + " is blocked for orders",
		})
	}
	e.nextNumber++
	return e.write("ack_"+name, map[string]string{
		"status": "ACKED", "erp_order_id": fmt.Sprintf("SO-2025-%06d", e.nextNumber), "processed_at": now,
	})
}

// write makes the answer appear at once and whole, by a rename.
func (e *erp) write(name string, answer map[string]string) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	tmp := filepath.Join(e.acks, strings.TrimSuffix(name, ".json")+".tmp")
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(e.acks, name))
}
