package checks

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

// fetchSome returns at most limit acks; 0: what the connector likes.
func fetchSome(
	ctx context.Context, c *suite.Connector, connection *connectorv1.Connection, limit uint32,
) ([]*connectorv1.FetchAcksResponse, error) {
	stream, err := c.Port.FetchAcks(ctx, &connectorv1.FetchAcksRequest{Connection: connection, Limit: limit})
	if err != nil {
		return nil, err
	}
	var acks []*connectorv1.FetchAcksResponse
	for {
		ack, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return acks, nil
		}
		if err != nil {
			return acks, err
		}
		acks = append(acks, ack)
	}
}

// jsonText is a text as it looks inside JSON.
func jsonText(text string) string {
	quoted, _ := json.Marshal(text) //nolint:errchkjson // a text
	return strings.Trim(string(quoted), `"`)
}
