package main

import (
	"fmt"
	"time"

	"github.com/orderport/orderport/sdk"
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
	Stage stage `json:"stage"`
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

// checkpoints is how they are kept.
var checkpoints = sdk.Checkpoints[checkpoint]{Version: 1}

// loadCheckpoint returns the checkpoint of the earlier attempts; without one,
// nothing has been announced. It refuses what it can't be sure to understand: to
// guess here is to lose an order or to create it twice.
func loadCheckpoint(req *sdk.ExportRequest, reference string) (checkpoint, error) {
	c, found, err := checkpoints.Load(req)
	switch {
	case err != nil:
		return checkpoint{}, unknown(reference, "", err.Error())
	case !found:
		return checkpoint{Stage: withdrawn}, nil
	}
	switch c.Stage {
	case creating, committed, withdrawn:
	default:
		return checkpoint{}, unknown(reference, "", fmt.Sprintf("the checkpoint has the unknown stage %q", c.Stage))
	}
	if c.Reference == "" || c.ReferenceField == "" {
		return checkpoint{}, unknown(reference, "", "the checkpoint names no reference")
	}
	return c, nil
}
