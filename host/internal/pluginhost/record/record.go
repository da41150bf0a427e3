// Package record keeps recordings of calls to connectors while an operator
// asks for them.
//
// The request is a file in the folder of recordings, so that it needs no
// restart and no right beyond that to the host's own data: "orderport connector
// record" writes it (Ask), every host that uses the folder sees it when it
// looks at its plugin directory (Look), and it ends by itself, by time and by
// number. Each recorded call becomes a file of its own; see package recording
// for what is in it and what is not.
package record

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/recording"
)

// Recorder decides which calls are recorded. It is safe for concurrent use.
type Recorder struct {
	dir  string // empty: nothing is ever recorded
	log  *slog.Logger
	hide func(string) string // secrets of all connections

	order atomic.Pointer[order] // nil: nothing is recorded now
	seen  []byte                // the request as last read; Look only
}

// order is a request that is being carried out.
type order struct {
	Request
	left atomic.Int64 // calls
}

// New returns a Recorder for a folder. It begins with the first Look.
func New(dir string, log *slog.Logger, hide func(string) string) *Recorder {
	return &Recorder{dir: dir, log: log, hide: hide}
}

// Look sees whether the operator wants something else than before. It must not
// be called concurrently.
func (r *Recorder) Look() {
	if r.dir == "" {
		return
	}
	request, data, err := load(r.dir)
	if bytes.Equal(data, r.seen) {
		r.expire()
		return
	}
	r.seen = data
	switch {
	case err != nil:
		r.log.Warn("calls are not recorded: the request can't be read", "error", err)
		r.order.Store(nil)
	case request == nil:
		if r.order.Swap(nil) != nil {
			r.log.Warn("no more calls are recorded: the request was withdrawn")
		}
	case time.Now().Before(request.Until):
		o := &order{Request: *request}
		o.left.Store(int64(request.Calls))
		r.order.Store(o)
		r.log.Warn("calls are recorded, with the orders in them", "type", request.ConnectorType,
			"connection_id", request.ConnectionID, "until", request.Until, "calls", request.Calls, "dir", r.dir)
	}
}

// expire ends an order whose time is over.
func (r *Recorder) expire() {
	o := r.order.Load()
	if o != nil && (time.Now().After(o.Until) || o.left.Load() <= 0) {
		r.order.Store(nil)
		r.log.Warn("no more calls are recorded: all that was asked for is there, or the time is over", "type", o.ConnectorType)
	}
}

// Of returns the recorder of one connector's calls.
func (r *Recorder) Of(identity func() Identity) recording.Recorder { return &own{r, identity} }

// Identity is what a recording says of the connector.
type Identity struct {
	Type, Version, SHA256 string
	Schema                *configschema.Schema
}

type own struct {
	*Recorder
	identity func() Identity
}

// Active implements recording.Recorder.
func (o *own) Active() bool { return o.order.Load() != nil }

// Begin implements recording.Recorder.
func (o *own) Begin(call string, connection *connectorv1.Connection) *recording.Writer {
	wanted, id := o.order.Load(), o.identity()
	if wanted == nil || wanted.ConnectorType != id.Type || time.Now().After(wanted.Until) ||
		(wanted.ConnectionID != "" && wanted.ConnectionID != connection.GetId()) || (wanted.Call != "" && wanted.Call != call) {
		return nil
	}
	secrets, err := recording.NewSecrets(id.Schema, connection.GetConfig(), o.hide)
	if err == nil && wanted.left.Add(-1) < 0 {
		return nil
	}
	var file *os.File
	if err == nil {
		file, err = os.OpenFile(filepath.Join(o.dir, fileName(call, connection)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		o.log.Warn("a call is not recorded", "call", call, "connection_id", connection.GetId(), "error", err)
		return nil
	}
	return recording.NewWriter(file, recording.Header{
		Call: call, ConnectorType: id.Type, ConnectorVersion: id.Version, SHA256: id.SHA256, StartedAt: time.Now().UTC(),
	}, secrets)
}

// fileName sorts by time and is never used twice.
func fileName(call string, connection *connectorv1.Connection) string {
	id := connection.GetId()
	id = strings.Map(func(r rune) rune {
		if r == '-' || (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') {
			return r
		}
		return -1
	}, id[:min(len(id), 8)])
	return fmt.Sprintf("%s_%s_%s_%.6s.jsonl", time.Now().UTC().Format("20060102T150405.000Z"), call, id, rand.Text())
}
