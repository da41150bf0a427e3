package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// stage says how far an export had come when its checkpoint was saved.
type stage string

const (
	// creating: the order is about to be created in SAP. Whether it has been
	// has to be looked up.
	creating stage = "creating"
	// committed: SAP has confirmed the commit. The order is never created
	// again.
	committed stage = "committed"
	// withdrawn: what an earlier checkpoint announced did not happen and can't
	// happen any more. The next attempt starts afresh.
	withdrawn stage = "withdrawn"
)

// checkpoint is what the host keeps between attempts. Later versions of the
// connector must be able to read it.
type checkpoint struct {
	Version int   `json:"v"`
	Stage   stage `json:"stage"`
	// Reference is in the document, in ReferenceField.
	Reference      string `json:"reference"`
	ReferenceField string `json:"reference_field"`
	// System is where the document is, see pool.system.
	System string `json:"system"`
	// Customer and SalesOrg narrow the look-up.
	Customer string `json:"customer"`
	SalesOrg string `json:"sales_org"`
	// Until is the latest moment at which the order was sent to SAP.
	Until time.Time `json:"until,omitzero"`
	// Document is the number that SAP gave, if it is known.
	Document string `json:"document,omitempty"`
	// Errors are what SAP has said of an order that it saves all the same.
	Errors []string `json:"errors,omitempty"`
}

const checkpointVersion = 1

func (c checkpoint) encode() []byte {
	c.Version = checkpointVersion
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of strings and a time always marshals
	}
	return data
}

// decodeCheckpoint refuses what it can't be sure to understand: to guess here
// is to lose an order or to create it twice.
func decodeCheckpoint(data []byte) (checkpoint, error) {
	var c checkpoint
	if err := json.Unmarshal(data, &c); err != nil {
		return checkpoint{}, fmt.Errorf("the checkpoint can't be read: %w", err)
	}
	if c.Version != checkpointVersion {
		return checkpoint{}, fmt.Errorf("the checkpoint has version %d; this connector knows %d", c.Version, checkpointVersion)
	}
	switch c.Stage {
	case creating, committed, withdrawn:
	default:
		return checkpoint{}, fmt.Errorf("the checkpoint has the unknown stage %q", c.Stage)
	}
	if c.Reference == "" || c.ReferenceField == "" {
		return checkpoint{}, errors.New("the checkpoint names no reference")
	}
	return c, nil
}
