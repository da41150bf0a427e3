package record_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orderport/orderport/host/internal/pluginhost/record"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/recording"
)

const schemaJSON = `{"type":"object","properties":{"token":{"type":"string","writeOnly":true}}}`

func identity(t *testing.T) func() record.Identity {
	t.Helper()
	schema, err := configschema.Compile([]byte(schemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	return func() record.Identity { return record.Identity{Type: "A", Version: "1.0.0", Schema: schema} }
}

func call(r recording.Recorder, id, config string) bool {
	if !r.Active() {
		return false
	}
	w := r.Begin(recording.Export, &connectorv1.Connection{Id: id, Config: []byte(config)})
	if w == nil {
		return false
	}
	_ = w.End(nil)
	return true
}

func recordings(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestARequestIsCarriedOutAndEnds(t *testing.T) {
	t.Parallel()
	const c1, c2 = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
	for name, c := range map[string]struct {
		request record.Request
		id      string
		config  string
		want    int // of five calls
	}{
		"all of a type":           {record.Request{ConnectorType: "A", Calls: 10}, c1, `{}`, 5},
		"as many as asked for":    {record.Request{ConnectorType: "A", Calls: 2}, c1, `{}`, 2},
		"another type":            {record.Request{ConnectorType: "B", Calls: 10}, c1, `{}`, 0},
		"one connection":          {record.Request{ConnectorType: "A", ConnectionID: c1, Calls: 10}, c1, `{}`, 5},
		"another connection":      {record.Request{ConnectorType: "A", ConnectionID: c1, Calls: 10}, c2, `{}`, 0},
		"another call":            {record.Request{ConnectorType: "A", Call: "FetchAcks", Calls: 10}, c1, `{}`, 0},
		"this call":               {record.Request{ConnectorType: "A", Call: "Export", Calls: 10}, c1, `{}`, 5},
		"a secret that is short":  {record.Request{ConnectorType: "A", Calls: 10}, c1, `{"token":"abc"}`, 0},
		"an id that is no name":   {record.Request{ConnectorType: "A", Calls: 10}, "../../etc", `{}`, 5},
		"a connection without id": {record.Request{ConnectorType: "A", Calls: 10}, "", `{}`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "recordings")
			recorder := record.New(dir, slog.New(slog.DiscardHandler), nil)
			recorder.Look()
			own := recorder.Of(identity(t))
			if own.Active() {
				t.Error("it records without a request")
			}
			c.request.Until = time.Now().Add(time.Hour)
			if err := record.Ask(dir, c.request); err != nil {
				t.Fatal(err)
			}
			recorder.Look()
			var calls sync.WaitGroup
			for range 5 {
				calls.Go(func() { call(own, c.id, c.config) })
			}
			calls.Wait()
			if got := recordings(t, dir); got != c.want {
				t.Errorf("%d recordings, want %d", got, c.want)
			}
			if err := record.Withdraw(dir); err != nil {
				t.Fatal(err)
			}
			recorder.Look()
			if own.Active() || record.Withdraw(dir) != nil {
				t.Error("it goes on after the request was withdrawn")
			}
		})
	}
}

func TestARequestEndsWithItsTimeAndCanBeRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		recorder := record.New(dir, slog.New(slog.DiscardHandler), nil)
		own := recorder.Of(identity(t))
		ask := func() {
			if err := record.Ask(dir, record.Request{ConnectorType: "A", Until: time.Now().Add(time.Minute), Calls: 10}); err != nil {
				t.Fatal(err)
			}
			recorder.Look()
		}
		ask()
		if !call(own, "", `{}`) {
			t.Error("nothing is recorded")
		}
		time.Sleep(2 * time.Minute) //nolint:forbidigo // in a bubble with a clock of its own
		if call(own, "", `{}`) {
			t.Error("a call after the end is recorded")
		}
		recorder.Look()
		if own.Active() {
			t.Error("it is still active")
		}
		ask()
		if !call(own, "", `{}`) {
			t.Error("nothing is recorded the second time")
		}
		if recorder = record.New(dir, slog.New(slog.DiscardHandler), nil); recorder.Of(identity(t)).Active() {
			t.Error("a new host records before it looked")
		}
	})
}

func TestARequestThatCannotBeReadRecordsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log strings.Builder
	recorder := record.New(dir, slog.New(slog.NewTextHandler(&log, nil)), nil)
	if err := os.WriteFile(filepath.Join(dir, "request.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	recorder.Look()
	recorder.Look()
	if recorder.Of(identity(t)).Active() || strings.Count(log.String(), "can't be read") != 1 {
		t.Errorf("log: %s", log.String())
	}
	record.New("", slog.New(slog.DiscardHandler), nil).Look() // a host without a folder
}
