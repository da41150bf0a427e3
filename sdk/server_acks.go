package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

func (s *server) noAcks() error {
	return status.Errorf(codes.Unimplemented, "connector type %s has no acks", s.description.Type)
}

// FetchAcks implements the Port.
func (s *server) FetchAcks(
	p *connectorv1.FetchAcksRequest, stream grpc.ServerStreamingServer[connectorv1.FetchAcksResponse],
) error {
	if s.acks == nil {
		return s.noAcks()
	}
	if err := s.calls.begin(); err != nil {
		return err
	}
	defer s.calls.end()
	conn := s.configs.connection(p.GetConnection())
	ctx := withLogAttrs(stream.Context(), slog.String("connection_id", conn.ID))
	req := FetchAcksRequest{Connection: conn, Limit: int(p.GetLimit())}
	err := conn.config.check()
	if err == nil {
		err = s.calls.run(ctx, "FetchAcks", func() error {
			return s.acks.FetchAcks(ctx, req, sendAcks(ctx, stream, req.Limit))
		})
	}
	switch {
	case err == nil || errors.Is(err, ErrEnough):
		return nil
	case isBroken(err):
		return err
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	default:
		return port.StatusError(errorProto(classify(err), conn))
	}
}

// sendAcks returns the yield of one FetchAcks.
func sendAcks(
	ctx context.Context, stream grpc.ServerStreamingServer[connectorv1.FetchAcksResponse], limit int,
) func(Ack) error {
	sent := 0
	return func(ack Ack) error {
		if limit > 0 && sent >= limit {
			return ErrEnough
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := stream.Send(ack.proto()); err != nil {
			return fmt.Errorf("send ack: %w", err)
		}
		sent++
		return nil
	}
}

func (a Ack) proto() *connectorv1.FetchAcksResponse {
	p := &connectorv1.FetchAcksResponse{Handle: clean(a.Handle), ExternalRef: clean(a.ExternalRef)}
	if !a.ProcessedAt.IsZero() {
		p.ProcessedAt = timestamppb.New(a.ProcessedAt)
	}
	switch answer := a.Answer.(type) {
	case Accepted:
		p.Answer = &connectorv1.FetchAcksResponse_Positive{
			Positive: &connectorv1.PositiveAck{ErpOrderId: clean(answer.ERPOrderID)},
		}
	case Declined:
		p.Answer = &connectorv1.FetchAcksResponse_Negative{
			Negative: &connectorv1.NegativeAck{ErrorCode: clean(answer.Code), Message: clean(answer.Message)},
		}
	case Malformed:
		p.Answer = &connectorv1.FetchAcksResponse_Malformed{
			Malformed: &connectorv1.MalformedAck{Reason: clean(answer.Reason)},
		}
	}
	return p
}

// SettleAcks implements the Port.
func (s *server) SettleAcks(
	ctx context.Context, p *connectorv1.SettleAcksRequest,
) (*connectorv1.SettleAcksResponse, error) {
	if s.acks == nil {
		return nil, s.noAcks()
	}
	if err := s.calls.begin(); err != nil {
		return nil, err
	}
	defer s.calls.end()
	conn := s.configs.connection(p.GetConnection())
	ctx = withLogAttrs(ctx, slog.String("connection_id", conn.ID))
	req, result := SettleAcksRequest{Connection: conn, Settlements: settlementsFromProto(p)}, SettleAcksResult{}
	err := conn.config.check()
	if err == nil && len(req.Settlements) > 0 {
		err = s.calls.run(ctx, "SettleAcks", func() (err error) {
			result, err = s.acks.SettleAcks(ctx, req)
			return err
		})
	}
	if isBroken(err) {
		return nil, err
	}
	response := &connectorv1.SettleAcksResponse{}
	for _, settlement := range p.GetSettlements() {
		response.Results = append(response.Results, &connectorv1.SettleResult{
			Handle: settlement.GetHandle(), Error: settleError(settlement, result, err, conn),
		})
	}
	return response, nil
}

// settlementsFromProto leaves out verdicts that this SDK does not know.
func settlementsFromProto(p *connectorv1.SettleAcksRequest) []Settlement {
	settlements := make([]Settlement, 0, len(p.GetSettlements()))
	for _, settlement := range p.GetSettlements() {
		if verdict := verdictFromProto(settlement.GetVerdict()); verdict != 0 {
			settlements = append(settlements, Settlement{
				Handle: settlement.GetHandle(), Verdict: verdict, Reason: settlement.GetReason(),
			})
		}
	}
	return settlements
}

func verdictFromProto(v connectorv1.Verdict) Verdict {
	switch v {
	case connectorv1.Verdict_VERDICT_PROCESSED:
		return Processed
	case connectorv1.Verdict_VERDICT_REJECTED:
		return Rejected
	default:
		return 0
	}
}

func settleError(
	settlement *connectorv1.Settlement, result SettleAcksResult, whole error, conn Connection,
) *connectorv1.Error {
	err := whole
	if verdictFromProto(settlement.GetVerdict()) == 0 {
		err = Errorf(Unimplemented, "the connector does not know this verdict")
	} else if own := result.Failed[settlement.GetHandle()]; own != nil {
		err = own
	}
	if err == nil {
		return nil
	}
	return errorProto(classify(err), conn)
}
