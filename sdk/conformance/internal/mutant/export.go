package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// Export implements the Port.
func (s *service) Export(stream connectorv1.ConnectorService_ExportServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetStart() == nil && s.is("hangs-without-start") {
		<-stream.Context().Done()
	}
	defer s.busy()()
	e := &export{mutant: s.mutant, stream: stream, start: first.GetStart()}
	e.leak(e.start)
	result, err := e.run(stream.Context())
	if err != nil {
		s.cut.Store(true)
		return err // cut off: the next attempt finds out
	}
	result.ExportId = e.start.GetExportId()
	result.Success = result.GetError() == nil
	if err := e.spoil(result); err != nil {
		return err
	}
	id := e.start.GetExportId()
	if s.is("logs-without-export-id") {
		id = ""
	}
	s.log.line("info", "export ended", id)
	return stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Result{Result: result}})
}

// export is one attempt.
type export struct {
	*mutant
	stream connectorv1.ConnectorService_ExportServer
	start  *connectorv1.ExportStart
	config config
	at     place
	data   []byte
	key    string // where the host keeps the payload
}

// checkpoint is what the host remembers between attempts.
type checkpoint struct {
	Temporary string `json:"temporary"`
	Place     string `json:"place"`
}

var exportID = regexp.MustCompile(`^[0-9a-f-]{36}$`)

func failed(e *connectorv1.Error) *connectorv1.ExportResult {
	return &connectorv1.ExportResult{Error: e}
}

// run returns a result, or the error that ended the conversation.
func (e *export) run(ctx context.Context) (*connectorv1.ExportResult, error) {
	var invalid *connectorv1.Error
	if e.config, invalid = e.decode(e.start.GetConnection()); invalid != nil {
		return failed(e.inDoubt(invalid)), nil
	}
	e.config = e.shared(e.config)
	if e.data, invalid = e.document(); invalid != nil {
		e.deliverNonsense()
		return failed(e.inDoubt(invalid)), nil
	}
	if e.stuck() {
		return failed(fault(port.Unreachable, "stuck since a call timed out")), nil
	}
	var err error
	dialing := ctx
	if e.is("export-outlives-deadline") {
		dialing = context.WithoutCancel(ctx)
	}
	if e.at, err = e.open(dialing, e.config); err != nil {
		return e.failure(ctx, "connect", err)
	}
	defer e.at.close()
	// A server that hangs must not hang the call.
	if !e.is("outlives-cancel") {
		defer context.AfterFunc(ctx, e.at.close)()
	}
	if e.start.GetResume() != nil && e.start.GetResume().Checkpoint != nil {
		return e.resume(ctx)
	}
	if err := e.removeLeftovers(); err != nil {
		return e.failure(ctx, "look for what an earlier attempt left", err)
	}
	return e.deliver(ctx)
}

// inDoubt keeps an error from being final where an earlier attempt may have
// delivered.
func (e *export) inDoubt(err *connectorv1.Error) *connectorv1.Error {
	if e.start.GetResume() != nil && e.start.GetResume().Checkpoint != nil {
		err.Retryable = true
	}
	return err
}

// failure reports what went wrong at the target; after the call has ended
// there is nobody to report to.
func (e *export) failure(ctx context.Context, what string, err error) (*connectorv1.ExportResult, error) {
	if ctx.Err() != nil {
		e.stalled.Store(true)
		return nil, ctx.Err()
	}
	e.tell(&what)
	return failed(classify(ctx, what, err)), nil
}

// tell adds to a message what should not be in it.
func (e *export) tell(message *string) {
	if e.is("secret-in-error") {
		*message += " with " + e.config.Token
	}
}

// document checks the order and writes it as JSON.
func (e *export) document() ([]byte, *connectorv1.Error) {
	if !exportID.MatchString(e.start.GetExportId()) {
		return nil, fault(port.InvalidOrder, "the export id is no UUID")
	}
	if invalid := checkOrder(e.start.GetDraftOrder()); invalid != nil {
		return nil, invalid
	}
	if e.is("needs-optional-fields") && e.start.GetDraftOrder().Notes == nil {
		return nil, fault(port.InvalidOrder, "the order has no notes")
	}
	data, err := e.appendixA(e.start.GetConnection().GetOrgSlug(), e.start.GetDraftOrder())
	if err != nil {
		return nil, fault(port.InvalidOrder, "the order can't be written as JSON")
	}
	data = e.garble(data)
	if len(data) > maxPayload && !e.is("delivers-beyond-limit") {
		return nil, fault(port.InvalidOrder, "the order has %d bytes, more than %d", len(data), maxPayload)
	}
	return data, nil
}

func (e *export) name() string {
	switch e.broken {
	case "names-by-order":
		return "order_" + e.start.GetDraftOrder().GetId() + ".json"
	case "new-name-each-attempt", "other-ref-each-attempt":
		return fmt.Sprintf("order_%s.%d.json", e.start.GetExportId(), e.start.GetAttempt())
	}
	return "order_" + e.start.GetExportId() + ".json"
}

func (e *export) final() string {
	switch e.broken {
	case "path-from-order":
		return path.Join(e.config.Dir, "in", e.start.GetDraftOrder().GetCustomer().GetId())
	case "other-ref-each-attempt":
		return path.Join(e.config.Dir, "order_"+e.start.GetExportId()+".json")
	}
	return path.Join(e.config.Dir, e.name())
}

func (e *export) removeLeftovers() error {
	infos, err := e.at.list(e.config.Dir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		own := strings.HasPrefix(info.Name(), e.name()+".") && !e.is("leaves-temporaries") || e.is("cleans-directory")
		if own && strings.HasSuffix(info.Name(), ".tmp") {
			if err := e.at.remove(path.Join(e.config.Dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// deliver does all of it: payload, temporary file, checkpoint, rename.
func (e *export) deliver(ctx context.Context) (*connectorv1.ExportResult, error) {
	if refused, err := e.store(); refused != nil || err != nil {
		return refused, err
	}
	temporary := fmt.Sprintf("%s.%d.tmp", e.name(), e.start.GetAttempt())
	if e.is("writes-in-place") {
		return e.writeInPlace(ctx)
	}
	if err := e.at.write(path.Join(e.config.Dir, temporary), e.data); err != nil {
		_ = e.at.remove(path.Join(e.config.Dir, temporary))
		return e.failure(ctx, "write the order", err)
	}
	if e.is("no-checkpoint") {
		return e.publish(ctx, temporary, false)
	}
	if refused, err := e.save(ctx, checkpoint{Temporary: temporary, Place: e.place()}); refused != nil || err != nil {
		return refused, err
	}
	return e.publish(ctx, temporary, false)
}

// publish makes the visible step.
func (e *export) publish(ctx context.Context, temporary string, recovered bool) (*connectorv1.ExportResult, error) {
	if e.is("copies-late") || e.is("copies-on-resume") && e.start.GetResume() != nil {
		return e.copyOut(ctx, temporary)
	}
	if wrong := e.misstep(ctx, temporary); wrong != nil {
		return wrong, nil
	}
	if e.is("success-before-visible") {
		e.publishLater(temporary)
		return e.success(recovered), nil
	}
	if e.is("replaces-foreign") {
		_ = e.at.remove(e.final())
	}
	err := e.at.rename(path.Join(e.config.Dir, temporary), e.final())
	if errors.Is(err, fs.ErrNotExist) {
		recovered, err = true, e.directory() // the other attempt was faster
	}
	if errors.Is(err, errConflict) && e.holdsOrder() {
		// A death between the two halves of a rename has left both names.
		recovered, err = true, e.at.remove(path.Join(e.config.Dir, temporary))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return e.failure(ctx, "rename the order", err)
	}
	return e.success(recovered), nil
}

func (e *export) success(recovered bool) *connectorv1.ExportResult {
	result := &connectorv1.ExportResult{
		StorageKey: e.key, DropzonePath: e.final(), ExternalRef: e.name(), Recovered: recovered,
	}
	if e.is("no-external-ref") {
		result.ExternalRef = ""
	}
	if e.is("secret-in-metadata") {
		result.Metadata = map[string]string{"token": e.config.Token}
	}
	return result
}

// resume goes on from a checkpoint.
func (e *export) resume(ctx context.Context) (*connectorv1.ExportResult, error) {
	var c checkpoint
	if err := json.Unmarshal(e.start.GetResume().GetCheckpoint(), &c); err != nil || c.Temporary == "" {
		if e.is("guesses-checkpoint") {
			return e.deliver(ctx)
		}
		return failed(fault(port.OutcomeUnknown, "the checkpoint can't be read")), nil
	}
	if c.Place != e.place() && !e.is("forgets-place") {
		return failed(fault(port.OutcomeUnknown, "an earlier attempt worked at another place")), nil
	}
	if !e.is("forgets-storage-key") {
		e.key = e.start.GetResume().GetPayload().GetStorageKey()
	}
	_, err := e.at.stat(path.Join(e.config.Dir, c.Temporary))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if e.is("lost-answer-forgotten") {
			return e.copyOut(ctx, c.Temporary)
		}
		if _, gone := e.at.stat(e.final()); gone != nil && e.is("redelivers-consumed") {
			return e.deliver(ctx)
		}
		if err := e.directory(); err != nil {
			return e.failure(ctx, "look for the directory", err)
		}
		return e.success(true), nil
	case err != nil:
		return e.failure(ctx, "look for the order", err)
	}
	return e.publish(ctx, c.Temporary, false)
}

// directory fails unless the directory is there: without it every file is gone.
func (e *export) directory() error {
	if e.is("trusts-missing-directory") {
		return nil
	}
	_, err := e.at.stat(e.config.Dir)
	return err
}

// holdsOrder says whether the final name has this very order.
func (e *export) holdsOrder() bool {
	content, err := e.at.read(e.final())
	return err == nil && bytes.Equal(content, e.data)
}
