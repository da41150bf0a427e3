package main

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

// readBackPauses are how long to wait for an order to show after its commit.
// With the commit's WAIT it shows at once; a read-back that goes to a database
// replica may not.
var readBackPauses = [...]time.Duration{0, 300 * time.Millisecond, time.Second, 3 * time.Second}

// shortWait is what an attempt waits by itself for SAP to settle. It holds no
// session meanwhile.
const shortWait = 10 * time.Second

// export is one attempt to create one sales order.
type export struct {
	connector *connector
	req       *sdk.ExportRequest
	cfg       config
	pool      *pool
	reference string
	order     mapped

	system  string      // where orders go to, see pool.system
	session rfc.Session // nil but between acquire and release
	// clean says that the session holds no unfinished work and can be kept.
	clean      bool
	rows       messages // what SAP said about the order
	unflagged  []string // see fit
	storageKey string
}

// newReference derives what the document carries from the export alone, so it
// is the same for every attempt. The field limits its length; 12 characters
// are 60 bits of a hash, 20 characters 90.
func newReference(exportID, field string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(exportID)))
	text := base32.StdEncoding.EncodeToString(sum[:])
	switch field {
	case "REF_1", "REF_1_S":
		return text[:12]
	case "ASS_NUMBER":
		return "OP" + text[:16]
	default:
		return "OP" + text[:18]
	}
}

// deliver runs the attempt.
func (e *export) deliver(ctx context.Context) (sdk.ExportResult, error) {
	if p := e.req.Resume.Payload; p != nil {
		e.storageKey = p.StorageKey
	}
	cp, err := loadCheckpoint(e.req, e.reference)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	if cp.Stage == withdrawn {
		if err := e.refuseToCreate(); err != nil {
			return sdk.ExportResult{}, err
		}
	}
	if err := e.learnSystem(ctx); err != nil {
		return sdk.ExportResult{}, err
	}
	switch cp.Stage {
	case creating:
		return e.resume(ctx, cp)
	case committed:
		return e.confirm(ctx, cp, true)
	default:
		return e.create(ctx)
	}
}

// acquire takes a session. It is held only for what is said to SAP: sessions
// are few, and the host's storage takes its time.
func (e *export) acquire(ctx context.Context) error {
	s, err := e.pool.acquire(ctx)
	if err != nil {
		return failure("open a session with SAP", err)
	}
	e.session, e.clean = s, true
	return nil
}

func (e *export) release() {
	e.pool.release(e.session, e.clean)
	e.session = nil
}

// learnSystem finds out where orders go to, once for all exports of a config.
func (e *export) learnSystem(ctx context.Context) error {
	if e.system = e.pool.knownSystem(); e.system != "" {
		return nil
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	system, err := e.pool.system(ctx, e.session, e.cfg)
	if err != nil {
		e.clean = false
		return failure("ask SAP for its id", err)
	}
	e.system = system
	return nil
}

// refuseToCreate says why a config can't create orders at all.
func (e *export) refuseToCreate() error {
	if e.cfg.CreateFunction == "" && !e.pool.transport.Describe().UnitOfWork {
		return sdk.Errorf(sdk.InvalidConfig, "no order can be created: over SAP's RFC service each call is a unit of work of its own, so a commit would save nothing: install the wrapper function, which creates and commits in one call, and name it in create_function")
	}
	return nil
}

// resume decides about an order that an earlier attempt may have created.
func (e *export) resume(ctx context.Context, cp checkpoint) (sdk.ExportResult, error) {
	numbers, err := e.lookUp(ctx, cp)
	switch {
	case err != nil:
		return sdk.ExportResult{}, err
	case len(numbers) > 0:
		return e.confirmed(ctx, cp, numbers[0], true), nil
	}
	// SAP does not have it now. As long as an earlier call may still be at
	// work in there, that says nothing.
	settled := cp.Until.Add(e.cfg.settle())
	switch left := settled.Sub(e.connector.now()); {
	case left > shortWait:
		return sdk.ExportResult{}, later("an earlier attempt got no answer, and SAP has no order with the reference %s yet: waiting until %s for what it may still be working on", cp.Reference, settled.UTC().Format(time.RFC3339))
	case left > 0:
		if err := e.connector.pause(ctx, left); err != nil {
			return sdk.ExportResult{}, failure("wait for what SAP may still be working on", err)
		}
		return e.resume(ctx, cp)
	}
	if err := e.refuseToCreate(); err != nil {
		return sdk.ExportResult{}, inDoubt(e.req, err)
	}
	return e.create(ctx)
}

// lookUp is find in a session of its own.
func (e *export) lookUp(ctx context.Context, cp checkpoint) ([]string, error) {
	if err := e.acquire(ctx); err != nil {
		return nil, err
	}
	defer e.release()
	return e.find(ctx, cp)
}

// find looks for the order of a checkpoint: by the reference that is in the
// document, whatever the config says by now.
func (e *export) find(ctx context.Context, cp checkpoint) ([]string, error) {
	if cp.System != e.system {
		return nil, unknown(cp.Reference, cp.Document, fmt.Sprintf("an earlier attempt may have created the order in %q, and the connection now leads to %q", cp.System, e.system))
	}
	if cp.ReferenceField != e.cfg.ReferenceField {
		return nil, unknown(cp.Reference, cp.Document, fmt.Sprintf("an earlier attempt put the reference into %s, and reference_field is now %s", cp.ReferenceField, e.cfg.ReferenceField))
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.timeout())
	defer cancel()
	numbers, err := find(ctx, e.session, e.cfg, search{reference: cp.Reference, customer: cp.Customer, salesOrg: cp.SalesOrg})
	var open *unsure
	switch {
	case errors.As(err, &open):
		return nil, unknown(cp.Reference, cp.Document, "SAP does not tell whether it has the order: "+open.why)
	case err != nil:
		e.clean = e.clean && !rfc.As(err).Broken
		return nil, failure("look for the order in SAP", err)
	case len(numbers) > 1:
		return nil, unknown(cp.Reference, strings.Join(numbers, " "), fmt.Sprintf("%d documents carry the reference", len(numbers)))
	}
	return numbers, nil
}

// confirm reads a committed order back. Whatever comes of it, the order is not
// created again.
func (e *export) confirm(ctx context.Context, cp checkpoint, recovered bool) (sdk.ExportResult, error) {
	for _, wait := range readBackPauses {
		if err := e.connector.pause(ctx, wait); err != nil {
			return sdk.ExportResult{}, failure("read the order back", err)
		}
		numbers, err := e.lookUp(ctx, cp)
		switch {
		case err != nil:
			return sdk.ExportResult{}, err
		case len(numbers) > 0:
			return e.matching(ctx, cp, numbers[0], recovered)
		}
	}
	return sdk.ExportResult{}, unknown(cp.Reference, cp.Document, fmt.Sprintf("SAP confirmed the commit of order %s, and does not find it", cp.Document))
}

// matching is the result for an order that SAP has, unless its number is not
// the one that SAP gave.
func (e *export) matching(ctx context.Context, cp checkpoint, number string, recovered bool) (sdk.ExportResult, error) {
	if cp.Document != "" && number != cp.Document {
		return sdk.ExportResult{}, unknown(cp.Reference, number, fmt.Sprintf("SAP gave the order the number %s, and the reference is in %s", cp.Document, number))
	}
	return e.confirmed(ctx, cp, number, recovered), nil
}

// confirmed is the result for an order that SAP has.
func (e *export) confirmed(ctx context.Context, cp checkpoint, number string, recovered bool) sdk.ExportResult {
	metadata := map[string]string{"sap_document": number, "sap_system": cp.System, "reference": cp.Reference}
	maps.Copy(metadata, e.rows.details())
	if len(e.rows) == 0 {
		maps.Copy(metadata, numbered(cp.Errors)) // of an earlier attempt
	}
	set(metadata, "shortened", strings.Join(e.order.cut, ", "))
	set(metadata, "not_flagged", strings.Join(e.unflagged, ", "))
	if wrong := append(e.rows.errors(), cp.Errors...); len(wrong) > 0 {
		first := wrong[0]
		metadata["incomplete"] = "true"
		slog.WarnContext(ctx, "SAP has saved the order, but not all of it", "document", number, "reason", first)
		e.req.Progress("warning: SAP saved order %s incomplete: %s", number, first)
	}
	return sdk.ExportResult{
		StorageKey: e.storageKey, ExternalRef: cp.Reference, ERPOrderID: number,
		Metadata: metadata, Recovered: recovered,
	}
}

// store keeps the call in the host's payload store. The same order gives the
// same bytes.
func (e *export) store(ctx context.Context, call rfc.Call) error {
	data, err := json.MarshalIndent(call, "", " ")
	if err != nil {
		return sdk.Errorf(sdk.Internal, "encode the order: %w", err)
	}
	payload, err := e.req.StorePayload(ctx, fmt.Sprintf("sap_order_%s.json", e.reference), data)
	if err == nil {
		e.storageKey = payload.StorageKey
	}
	return err
}
