package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// place names where the export works, for its checkpoint.
func (e *export) place() string {
	return fmt.Sprintf("%s %s:%d %s", e.config.Mode, e.config.Host, e.config.Port, e.config.Dir)
}

// spoil makes a result wrong. An error is sent instead of it.
func (e *export) spoil(result *connectorv1.ExportResult) error {
	failure := result.GetError()
	target := failure != nil && len(failure.GetViolations()) == 0 && failure.GetDetails() == nil
	switch {
	case e.is("wrong-export-id"):
		result.ExportId = "somebody else's"
	case e.is("success-with-error") && failure == nil:
		result.Error = fault(port.Internal, "a warning")
	case e.is("result-twice"):
		return e.stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Result{Result: result}})
	case e.is("no-result"):
		return errors.Join(e.stream.Send(&connectorv1.ExportResponse{}), nil)
	case e.is("recovered-unset"):
		result.Recovered = false
	case e.is("export-status") && target:
		return status.Error(codes.Internal, failure.GetMessage())
	case e.is("export-unclassified") && target:
		failure.Code = port.Internal.Proto()
	case (e.is("export-failure-final") || e.is("cut-is-final")) && target:
		failure.Retryable = false
	}
	return nil
}

// payload returns what the host is to store.
func (e *export) payload() []byte {
	if e.is("stores-other-bytes") {
		return append([]byte(" "), e.data...)
	}
	return e.data
}

// writeInPlace lets readers see half of an order.
func (e *export) writeInPlace(ctx context.Context) (*connectorv1.ExportResult, error) {
	file, err := os.Create(e.final()) //nolint:gosec // the config says where
	if err != nil {
		return e.failure(ctx, "write the order", err)
	}
	_, _ = file.Write(e.data[:len(e.data)/2])
	time.Sleep(30 * time.Millisecond)
	_, err = file.Write(e.data[len(e.data)/2:])
	if err := errors.Join(err, file.Close()); err != nil {
		return e.failure(ctx, "write the order", err)
	}
	return e.success(false), nil
}

// publishLater makes the visible step when nobody waits for it any more.
func (e *export) publishLater(temporary string) {
	from, to := path.Join(e.config.Dir, temporary), e.final()
	go func() {
		time.Sleep(400 * time.Millisecond)
		_ = os.Rename(from, to)
	}()
}

// copyOut makes a visible step that two attempts can make.
func (e *export) copyOut(ctx context.Context, temporary string) (*connectorv1.ExportResult, error) {
	time.Sleep(30 * time.Millisecond)
	name := fmt.Sprintf("order_%s-%d.json", e.start.GetExportId(), e.start.GetAttempt())
	if err := e.at.write(path.Join(e.config.Dir, name), e.data); err != nil {
		return e.failure(ctx, "write the order", err)
	}
	_ = e.at.remove(path.Join(e.config.Dir, temporary))
	return e.success(false), nil
}

// deliverNonsense delivers an order that is refused at the same time.
func (e *export) deliverNonsense() {
	if e.is("delivers-nonsense") {
		_ = os.WriteFile(path.Join(e.config.Dir, "order_"+strconv.FormatInt(time.Now().UnixNano(), 10)+".json"), []byte("{}"), 0o600)
	}
}

var (
	quantity = regexp.MustCompile(`"qty":([0-9.]+)`)
	day      = regexp.MustCompile(`"[0-9]{4}-[0-9]{2}-[0-9]{2}"`)
)

// garble changes values of the document.
func (e *export) garble(data []byte) []byte {
	switch e.broken {
	case "composes-text":
		return bytes.ReplaceAll(data, []byte("u\u0308"), []byte("\u00fc"))
	case "Latin-text":
		return []byte(strings.Map(func(r rune) rune {
			if r > 0xff {
				return '?'
			}
			return r
		}, string(data)))
	case "float-decimals":
		return quantity.ReplaceAllFunc(data, func(match []byte) []byte {
			value, _ := strconv.ParseFloat(string(quantity.FindSubmatch(match)[1]), 32)
			return fmt.Appendf(nil, `"qty":%v`, float32(value))
		})
	case "shifts-dates":
		return day.ReplaceAllFunc(data, func(match []byte) []byte {
			parsed, _ := time.Parse(`"2006-01-02"`, string(match))
			return []byte(parsed.AddDate(0, 0, 1).Format(`"2006-01-02"`))
		})
	}
	return data
}

// busy is called at the start of an export and returns what to do at its end.
func (m *mutant) busy() func() {
	switch m.broken {
	case "one-export-at-a-time", "stall-blocks-others":
		m.turn.Lock()
		return m.turn.Unlock
	case "fails-when-busy":
		m.running.Add(1)
		return func() { m.running.Add(-1) }
	}
	return func() {}
}

// stuck says that nothing is delivered any more.
func (e *export) stuck() bool {
	switch e.broken {
	case "fails-when-busy":
		time.Sleep(20 * time.Millisecond)
		return e.running.Load() > 1
	case "sticks-after-stall":
		return e.stalled.Load()
	case "sticks-after-cancel":
		return e.cut.Load()
	}
	return false
}

// shared returns the config that is used.
func (m *mutant) shared(c config) config {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.firstConfig == nil {
		m.firstConfig = &c
	}
	if m.is("shares-config") {
		return *m.firstConfig
	}
	return c
}
