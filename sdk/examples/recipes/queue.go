package recipes

import (
	"context"

	"github.com/orderport/orderport/sdk"
)

// publisher is a message queue's client. Publish returns nil once the queue
// has confirmed that it keeps the message.
type publisher interface {
	Publish(ctx context.Context, messageID string, body []byte) error
}

// queue publishes each order as a message. The message's id is the export's,
// and whoever reads the queue takes a second message with an id for the first
// one come again: only then may Resume be declared.
type queue struct {
	dial func(ctx context.Context, cfg config) (publisher, error)
}

func (queue) Describe() sdk.Description {
	d := describe("RECIPE_QUEUE")
	d.Resume = true
	return d
}

func (q queue) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	steps := sdk.NewSteps(ctx)
	steps.Run("connect", func(ctx context.Context) (string, error) {
		_, err := q.connect(ctx, req.Connection)
		return "the queue answers", err
	})
	return steps.Result()
}

func (q queue) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	client, err := q.connect(ctx, req.Connection)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	body, err := store(ctx, req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	// Publishing again has the same outcome, so no checkpoint is needed.
	if err := client.Publish(ctx, req.ExportID, body); err != nil {
		return sdk.ExportResult{}, err
	}
	return sdk.ExportResult{ExternalRef: req.ExportID}, nil
}

func (q queue) connect(ctx context.Context, conn sdk.Connection) (publisher, error) {
	cfg, err := sdk.DecodeConfig[config](conn)
	if err != nil {
		return nil, err
	}
	return q.dial(ctx, cfg)
}
