// Package recording keeps what a host and a connector said to each other in
// one call, for support cases, and plays it again to another version of the
// connector.
//
// A recording is a file of one call: JSON, one document a line. The first line
// is the Header, the last one says how the call ended, and those in between
// are the messages of the Port in protobuf's JSON form. Values that the config
// schema marks as writeOnly are not in it: the config is written without them,
// and wherever they turn up in a message, in any of the forms that package
// configschema knows, they are replaced. A recording holds orders, though, with
// all that they say about customers.
//
// The host records when its operator asks for it ("orderport connector
// record"), see Wrap. Replay runs a recording, and sdktest does that in a
// connector's own tests.
package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Version of the form of recordings.
const Version = 1

// Calls that are recorded.
const (
	TestConnection = "TestConnection"
	Export         = "Export"
	FetchAcks      = "FetchAcks"
	SettleAcks     = "SettleAcks"
)

// Header says what was recorded.
type Header struct {
	Recording        int       `json:"recording"` // Version
	Call             string    `json:"call"`      // such as Export
	ConnectorType    string    `json:"connector_type"`
	ConnectorVersion string    `json:"connector_version"`
	SHA256           string    `json:"sha256"` // of the connector's binary
	StartedAt        time.Time `json:"started_at"`
}

// Direction says who sent a message.
type Direction string

// The directions.
const (
	ToConnector Direction = "connector"
	ToHost      Direction = "host"
)

// line is one line after the header.
type line struct {
	At      float64         `json:"at_ms"` // since the start
	To      Direction       `json:"to,omitempty"`
	Message json.RawMessage `json:"message,omitempty"`
	// Omitted says why a message is not there.
	Omitted string `json:"omitted,omitempty"`
	End     *End   `json:"end,omitempty"`
}

// End says how a call ended: with the gRPC status OK, or another one.
type End struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// Entry is one message.
type Entry struct {
	At      time.Duration // since the start
	To      Direction
	Message proto.Message // nil: omitted
	Omitted string        // why
}

// Recording is one call.
type Recording struct {
	Header  Header
	Entries []Entry
	// End is nil if the host did not live to see it.
	End *End
}

// maxLine is more than the largest message of the Port takes in JSON.
const maxLine = 64 << 20

// Read reads a recording.
func Read(from io.Reader) (*Recording, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		return nil, errors.Join(errors.New("this is no recording: it is empty"), lines.Err())
	}
	r := &Recording{}
	if err := json.Unmarshal(lines.Bytes(), &r.Header); err != nil || r.Header.Recording == 0 {
		return nil, errors.New("this is no recording: its first line says nothing of one")
	}
	if r.Header.Recording != Version {
		return nil, fmt.Errorf("the recording has form %d; this program reads %d", r.Header.Recording, Version)
	}
	for number := 2; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := r.add(lines.Bytes()); err != nil {
			return nil, fmt.Errorf("read the recording: line %d: %w", number, err)
		}
	}
	return r, lines.Err()
}

func (r *Recording) add(data []byte) error {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	if l.End != nil {
		r.End = l.End
		return nil
	}
	entry := Entry{At: time.Duration(l.At * float64(time.Millisecond)), To: l.To, Omitted: l.Omitted}
	if l.Message != nil {
		if entry.Message = blank(r.Header.Call, l.To); entry.Message == nil {
			return fmt.Errorf("nobody sends a message to %q in %q", l.To, r.Header.Call)
		}
		// A later version may know more fields.
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(l.Message, entry.Message); err != nil {
			return err
		}
	}
	r.Entries = append(r.Entries, entry)
	return nil
}

// blank returns an empty message of a call.
func blank(call string, to Direction) proto.Message {
	type both struct{ request, response proto.Message }
	known := map[string]both{
		TestConnection: {&connectorv1.TestConnectionRequest{}, &connectorv1.TestConnectionResponse{}},
		Export:         {&connectorv1.ExportRequest{}, &connectorv1.ExportResponse{}},
		FetchAcks:      {&connectorv1.FetchAcksRequest{}, &connectorv1.FetchAcksResponse{}},
		SettleAcks:     {&connectorv1.SettleAcksRequest{}, &connectorv1.SettleAcksResponse{}},
	}[call]
	switch to {
	case ToConnector:
		return known.request
	case ToHost:
		return known.response
	}
	return nil
}

// connectionOf returns the connection that a message brings, or nil.
func connectionOf(m proto.Message) *connectorv1.Connection {
	switch m := m.(type) {
	case *connectorv1.ExportRequest:
		return m.GetStart().GetConnection()
	case interface {
		GetConnection() *connectorv1.Connection
	}:
		return m.GetConnection()
	}
	return nil
}
