package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// Checkpoints saves and reads checkpoints that are values of T, as JSON with
// the version of their form, so that a later version of the connector knows
// what it is looking at. Keep one in a package variable or in the connector:
//
//	var checkpoints = sdk.Checkpoints[staged]{Version: 1}
//
// Fields may be added to T without a new version as long as an older
// connector that ignores them still does the right thing. When that is not so,
// raise Version and give Upgrade what it needs to read the older ones.
type Checkpoints[T any] struct {
	// Version of T's form, 1 or more.
	Version int
	// Upgrade makes a T out of what an earlier version saved. The version is 0
	// for a checkpoint that was not saved through Checkpoints; data is then the
	// whole of it. Nil: earlier versions can't be read.
	Upgrade func(version int, data []byte) (T, error)
}

// envelope is the form in which the host keeps a checkpoint.
type envelope struct {
	Version int             `json:"version"`
	Data    json.RawMessage `json:"data"`
}

// Save is SaveCheckpoint for a T; what is said there about errors holds.
func (c Checkpoints[T]) Save(ctx context.Context, req *ExportRequest, value T, externalRef string) error {
	if c.Version < 1 {
		return Errorf(Internal, "save checkpoint: Checkpoints.Version must be 1 or more")
	}
	data, err := json.Marshal(value)
	if err == nil {
		data, err = json.Marshal(envelope{c.Version, data})
	}
	if err != nil {
		return Errorf(Internal, "save checkpoint: %w", err)
	}
	return req.SaveCheckpoint(ctx, data, externalRef)
}

// Load returns the checkpoint that an earlier attempt saved; found is false if
// none did. One that can't be understood is an OUTCOME_UNKNOWN error: guessing
// could deliver the order twice. Export returns that error as it is.
func (c Checkpoints[T]) Load(req *ExportRequest) (value T, found bool, err error) {
	raw := req.Resume.Checkpoint
	if raw == nil {
		return value, false, nil
	}
	saved, ok := openEnvelope(raw)
	if !ok {
		saved = envelope{Version: 0, Data: raw}
	}
	switch {
	case saved.Version == c.Version:
		err = json.Unmarshal(saved.Data, &value)
	case saved.Version > c.Version:
		err = fmt.Errorf("it has version %d, and this connector knows up to %d", saved.Version, c.Version)
	case c.Upgrade == nil:
		err = fmt.Errorf("it has version %d, and this connector knows %d only", saved.Version, c.Version)
	default:
		value, err = c.Upgrade(saved.Version, saved.Data)
	}
	if err != nil {
		var zero T
		return zero, true, Errorf(OutcomeUnknown, "the checkpoint of an earlier attempt can't be understood: %w", err)
	}
	return value, true, nil
}

// openEnvelope says whether raw is an envelope and nothing else.
func openEnvelope(raw []byte) (envelope, bool) {
	var e envelope
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(&e)
	return e, err == nil && !dec.More() && e.Version > 0 && e.Data != nil
}
