package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/semaphore"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/ndjson"
	"github.com/orderport/orderport/host/internal/view"
)

const (
	ndjsonType = "application/x-ndjson"
	// batchMemory bounds the lines of one batch that are in memory, in bytes.
	// A single line always fits.
	batchMemory = 2 * MaxBody
	// stallTimeout is how long a batch may make no progress.
	stallTimeout = 60 * time.Second
)

// batchBounds are what one batch may cost. Zero values mean the defaults.
type batchBounds struct {
	spool int64         // bytes of answers that wait for a client: spoolLimit
	stall time.Duration // without progress: stallTimeout
}

func (b batchBounds) orDefaults() batchBounds {
	if b.spool == 0 {
		b.spool = spoolLimit
	}
	if b.stall == 0 {
		b.stall = stallTimeout
	}
	return b
}

func (s *server) registerBatch(api huma.API) {
	o := operation{
		method: http.MethodPost, path: "/exports:batch", id: "createExports", tag: "Exports",
		summary: "Hand in many orders", action: app.CreateExport,
		text: "One order a line (NDJSON), of any number: either the order itself or `{\"draft_order\": …, \"connector_type\": …, \"idempotency_key\": …}`. " +
			"Each line is accepted or refused by itself and is durable once its answer is there. " +
			"The answers, one a line in the order of the lines, are sent while the batch is still read. " +
			"A client may send all of it before it takes the first answer, as long as no more than 256 MiB of them wait, some 300,000 lines: " +
			"then the host reads no further, and after a minute in which none is taken it breaks off. " +
			"A line has at most 16 MiB. If the answer breaks off, send the batch again: what was accepted is not delivered twice.",
		ok: map[int]string{http.StatusOK: "One answer a line."},
	}
	register(api, o, s.createExports)
	doc := api.OpenAPI()
	registry := doc.Components.Schemas
	o.setBody(api, ndjsonType, registry.Schema(reflect.TypeFor[draftOrder](), true, "DraftOrder"))
	doc.Paths[Base+o.path].Post.Responses["200"].Content = map[string]*huma.MediaType{
		ndjsonType: {Schema: registry.Schema(reflect.TypeFor[view.BatchLine](), true, "BatchLine")},
	}
}

type createExportsInput struct {
	ConnectorType string `query:"connector_type" maxLength:"63" doc:"For the lines that do not name one."`
	withBody
}

// createExports runs a batch: one goroutine reads lines, this one accepts them
// in groups and spools the answers, a third one sends those.
func (s *server) createExports(ctx context.Context, in *createExportsInput) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(huma.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		control := http.NewResponseController(in.writer)
		// Without these the server would swallow the body before it answers,
		// and give up a long batch. Errors mean that they are not supported,
		// as in tests with a recorder.
		_ = control.EnableFullDuplex()
		_ = control.SetWriteDeadline(time.Time{})
		in.writer.Header().Set("Content-Type", ndjsonType)
		in.writer.WriteHeader(http.StatusOK)
		_ = control.Flush() // some clients send the first line only now

		bounds := s.batches.orDefaults()
		answers := newSpool(s.TempDir, bounds.spool, bounds.stall)
		defer answers.Release()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			defer answers.Close()
			if err := send(in.writer, control, answers, bounds.stall); err != nil {
				cancel() // nobody listens any more
			}
		}()
		b := &batch{
			intake: s.intake, actor: actor(ctx), connectorType: in.ConnectorType,
			memory: semaphore.NewWeighted(batchMemory), lines: make(chan batchLine, app.GroupLimit),
		}
		readDone := make(chan struct{})
		go func() {
			defer close(readDone)
			b.read(ctx, &patientReader{src: in.request.Body, control: control, patience: bounds.stall})
		}()
		err := b.run(ctx, answers)
		answers.Close()
		_ = control.SetWriteDeadline(time.Now().Add(bounds.stall))
		if err != nil {
			cancel()
			_ = control.SetReadDeadline(time.Now()) // wakes the reader
		}
		if errors.Is(err, errUnread) {
			_ = control.SetWriteDeadline(time.Now()) // it has had its time
		}
		<-readDone
		<-sent
		if err != nil {
			if !errors.Is(err, context.Canceled) { // a client that left is no fault
				noteCause(ctx, err)
			}
			panic(http.ErrAbortHandler) // the client must not take this for a whole answer
		}
	}}, nil
}

// send copies answers to the client as they come. While the client sends it
// may take them when it likes, and afterwards each piece within patience.
func send(w http.ResponseWriter, control *http.ResponseController, answers *spool, patience time.Duration) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := answers.Read(buf)
		if n > 0 {
			if answers.isClosed() {
				_ = control.SetWriteDeadline(time.Now().Add(patience))
			}
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			_ = control.Flush()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// patientReader gives each read of the body its own deadline.
type patientReader struct {
	src      io.Reader
	control  *http.ResponseController
	patience time.Duration
}

// Read implements io.Reader.
func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(p.patience))
	return p.src.Read(b)
}

// batch is one call of createExports.
type batch struct {
	intake        *app.Intake
	actor         app.Actor
	connectorType string
	memory        *semaphore.Weighted // held by the lines in memory
	lines         chan batchLine      // closed by read
}

// batchLine is a line that was read, or why it was not.
type batchLine struct {
	number int
	size   int64 // what it holds of memory
	hand   app.HandIn
	err    error
}

// read turns the body into lines until it ends, breaks, or ctx ends.
func (b *batch) read(ctx context.Context, body io.Reader) {
	defer close(b.lines)
	reader := ndjson.NewReader(body, MaxBody)
	for {
		raw, number, err := reader.Next()
		line := batchLine{number: number, size: int64(len(raw))}
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, ndjson.ErrTooLong):
			line.err = tooLarge("the line")
		case err != nil:
			line.number++
			line.err = malformed("the batch broke off here; what was answered is accepted").Because(err)
		default:
			line.hand, line.err = b.handIn(raw)
		}
		if b.memory.Acquire(ctx, line.size) != nil {
			return
		}
		select {
		case b.lines <- line:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, ndjson.ErrTooLong) {
			return
		}
	}
}

// handIn reads a line: an order, or an order with what goes with it.
func (b *batch) handIn(raw []byte) (app.HandIn, error) {
	hand := app.HandIn{Order: raw, ConnectorType: b.connectorType}
	if !bytes.Contains(raw, []byte(`"draft_order"`)) {
		return hand, nil
	}
	members, err := parseObject(raw)
	if err != nil {
		return hand, nil // the order's own parser says it better
	}
	order, wrapped := members["draft_order"]
	if !wrapped {
		return hand, nil
	}
	hand.Order = order
	return hand, gather(
		refuseUnknown(members, []string{"draft_order", "connector_type", "idempotency_key"}),
		member(members, "connector_type", "a text", &hand.ConnectorType),
		member(members, "idempotency_key", "a text", &hand.IdempotencyKey),
	)
}

// run accepts lines in groups and writes their answers, until there are no
// more. Its error means that answers are missing.
func (b *batch) run(ctx context.Context, answers io.Writer) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for {
		group := b.next()
		if len(group) == 0 {
			return ctx.Err()
		}
		text.Reset()
		for _, line := range b.accept(ctx, group) {
			if err := encoder.Encode(line); err != nil {
				return err
			}
		}
		for _, line := range group {
			b.memory.Release(line.size)
		}
		if _, err := answers.Write(text.Bytes()); err != nil {
			return err
		}
	}
}

// next waits for a line and takes what else is there already.
func (b *batch) next() []batchLine {
	line, ok := <-b.lines
	if !ok {
		return nil
	}
	group := []batchLine{line}
	for len(group) < app.GroupLimit {
		select {
		case line, ok := <-b.lines:
			if !ok {
				return group
			}
			group = append(group, line)
		default:
			return group
		}
	}
	return group
}

// accept answers every line of a group.
func (b *batch) accept(ctx context.Context, group []batchLine) []view.BatchLine {
	answers := make([]view.BatchLine, len(group))
	var hands []app.HandIn
	var places []int
	for i, line := range group {
		answers[i].Line = line.number
		if line.err != nil {
			refuseLine(ctx, &answers[i], line.err)
			continue
		}
		hands, places = append(hands, line.hand), append(places, i)
	}
	for i, outcome := range b.intake.AcceptGroup(ctx, b.actor, hands) {
		place := places[i]
		if outcome.Err != nil {
			refuseLine(ctx, &answers[place], outcome.Err)
			continue
		}
		shown := view.NewExport(outcome.Export)
		answers[place].Status, answers[place].Export = statusOf(outcome), &shown
	}
	return answers
}

func refuseLine(ctx context.Context, answer *view.BatchLine, err error) {
	p := newProblem(ctx, err).Problem
	answer.Status, answer.Error = p.Status, &p
}
