package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ERP plays the ERP behind a dropzone: it consumes each order file the moment
// it appears, and remembers which orders it got, and how often.
type ERP struct {
	Dir string // where files appear
	// Ack writes an acknowledgement for each file into this directory. Empty:
	// none.
	AckDir string
	// Keep leaves consumed files where they are. Each name is then consumed
	// once.
	Keep bool

	mu       sync.Mutex
	consumed map[string]int    // draft order id → times
	files    map[string]string // file name → draft order id
	faults   []string
	stop     context.CancelFunc
	done     chan struct{}
}

// Start consumes until Stop.
func (e *ERP) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	e.consumed, e.files = map[string]int{}, map[string]string{}
	e.stop, e.done = cancel, make(chan struct{})
	go func() {
		defer close(e.done)
		for {
			e.sweep()
			select {
			case <-ctx.Done():
				e.sweep()
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
}

// Stop makes a last sweep and ends.
func (e *ERP) Stop() {
	e.stop()
	<-e.done
}

func (e *ERP) sweep() {
	entries, err := os.ReadDir(e.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.fault("read directory: %v", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, "sales_order_") && strings.HasSuffix(name, ".json") {
			e.consume(name)
		}
	}
}

func (e *ERP) consume(name string) {
	e.mu.Lock()
	_, seen := e.files[name]
	e.mu.Unlock()
	if seen && e.Keep {
		return
	}
	path := filepath.Join(e.Dir, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		return // gone again: renamed away by somebody else, and reconciled later
	}
	var order struct {
		DraftOrderID string `json:"draft_order_id"`
		Lines        []any  `json:"lines"`
	}
	if err := json.Unmarshal(raw, &order); err != nil || len(order.Lines) == 0 {
		e.fault("%s is partial or malformed: %v", name, err)
		return
	}
	if !e.Keep {
		if err := os.Remove(path); err != nil {
			return // not ours: it is counted by the sweep that removes it
		}
	}
	e.mu.Lock()
	e.consumed[order.DraftOrderID]++
	e.files[name] = order.DraftOrderID
	e.mu.Unlock()
	if e.AckDir != "" {
		if err := e.ack(name); err != nil {
			e.fault("ack: %v", err)
		}
	}
}

// ERPOrderID is the order number that the ERP gives to an export: file names
// hold the first eight digits of its id.
func ERPOrderID(export string) string { return "SO-" + export[:8] }

// ack writes the file under another name first, as a careful ERP does.
func (e *ERP) ack(name string) error {
	body := fmt.Sprintf(`{"status":"ACKED","erp_order_id":%q,"processed_at":%q}`,
		ERPOrderID(name[len(name)-13:len(name)-5]), time.Now().UTC().Format(time.RFC3339))
	tmp := filepath.Join(e.AckDir, ".writing-"+name)
	if err := os.WriteFile(tmp, []byte(body), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(e.AckDir, "ack_"+name))
}

func (e *ERP) fault(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

// Twice says whether a draft order was consumed more than once.
func (e *ERP) Twice() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.consumed {
		if n > 1 {
			return true
		}
	}
	return false
}

// Consumed returns how often each draft order was consumed.
func (e *ERP) Consumed() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]int, len(e.consumed))
	for id, n := range e.consumed {
		out[id] = n
	}
	return out
}

// Faults lists what an ERP must never see, such as a partial file.
func (e *ERP) Faults() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.faults...)
}
