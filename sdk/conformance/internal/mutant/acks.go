package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// settle is how old an ack must be that can't be read before it is malformed.
const settle = 300 * time.Millisecond

// FetchAcks implements the Port.
func (s *service) FetchAcks(request *connectorv1.FetchAcksRequest, stream connectorv1.ConnectorService_FetchAcksServer) error {
	ctx := stream.Context()
	if len(s.capabilities()) == 0 && !s.is("unclaimed-acks") {
		return status.Error(codes.Unimplemented, "no acks")
	}
	c, invalid := s.decode(request.GetConnection())
	if invalid != nil && s.is("acks-trust-config") {
		return nil
	}
	if invalid != nil {
		return port.StatusError(invalid)
	}
	if c.AckDir == "" {
		return nil
	}
	at, err := s.open(ctx, c)
	if err != nil {
		return port.StatusError(classify(ctx, "connect", err))
	}
	defer at.close()
	defer context.AfterFunc(ctx, at.close)()
	infos, err := at.list(c.AckDir)
	if err != nil {
		return port.StatusError(classify(ctx, "list the acks", err))
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	sent := uint32(0)
	for _, info := range infos {
		if request.GetLimit() > 0 && sent == request.GetLimit() {
			return nil
		}
		ack := s.readAck(at, c.AckDir, info)
		if ack == nil {
			continue
		}
		if err := stream.Send(ack); err != nil {
			return err
		}
		sent++
	}
	return nil
}

// readAck returns nil for what is no ack, or not one yet.
func (s *service) readAck(at place, dir string, info fs.FileInfo) *connectorv1.FetchAcksResponse {
	ref, positive := strings.CutPrefix(info.Name(), "ack_")
	if !positive {
		var negative bool
		if ref, negative = strings.CutPrefix(info.Name(), "error_"); !negative {
			return nil
		}
	}
	if info.IsDir() {
		return nil
	}
	ack := &connectorv1.FetchAcksResponse{Handle: info.Name(), ExternalRef: ref}
	var content struct {
		ERPOrderID string `json:"erp_order_id"`
		Code       string `json:"error_code"`
		Message    string `json:"message"`
	}
	data, err := at.read(path.Join(dir, info.Name()))
	if err == nil {
		err = json.Unmarshal(data, &content)
	}
	switch {
	case err == nil && positive && content.ERPOrderID != "":
		ack.Answer = &connectorv1.FetchAcksResponse_Positive{Positive: &connectorv1.PositiveAck{ErpOrderId: content.ERPOrderID}}
	case err == nil && !positive && content.Code != "":
		ack.Answer = &connectorv1.FetchAcksResponse_Negative{Negative: &connectorv1.NegativeAck{
			ErrorCode: content.Code, Message: content.Message,
		}}
	case time.Since(info.ModTime()) < settle:
		return nil // still being written
	default:
		ack.Answer = &connectorv1.FetchAcksResponse_Malformed{Malformed: &connectorv1.MalformedAck{Reason: "is no ack"}}
	}
	return ack
}

// SettleAcks implements the Port.
func (s *service) SettleAcks(
	ctx context.Context, request *connectorv1.SettleAcksRequest,
) (*connectorv1.SettleAcksResponse, error) {
	if len(s.capabilities()) == 0 && !s.is("unclaimed-acks") {
		return nil, status.Error(codes.Unimplemented, "no acks")
	}
	c, invalid := s.decode(request.GetConnection())
	var at place
	if invalid == nil {
		var err error
		if at, err = s.open(ctx, c); err != nil {
			invalid = classify(ctx, "connect", err)
		} else {
			defer at.close()
		}
	}
	response := &connectorv1.SettleAcksResponse{}
	for _, settlement := range request.GetSettlements() {
		result := &connectorv1.SettleResult{Handle: settlement.GetHandle(), Error: invalid}
		if invalid == nil {
			result.Error = s.settle(ctx, at, c.AckDir, settlement)
		}
		response.Results = append(response.Results, result)
	}
	return response, nil
}

func (s *service) settle(ctx context.Context, at place, dir string, settlement *connectorv1.Settlement) *connectorv1.Error {
	folder := ""
	switch settlement.GetVerdict() {
	case connectorv1.Verdict_VERDICT_PROCESSED:
		folder = "processed"
	case connectorv1.Verdict_VERDICT_REJECTED:
		folder = "error"
	default:
		return fault(port.Internal, "no verdict")
	}
	handle := settlement.GetHandle()
	if handle != path.Base(handle) || handle == "." || handle == ".." {
		return fault(port.NotFound, "no such ack")
	}
	folder = path.Join(dir, folder)
	if err := at.mkdir(folder); err != nil {
		if _, missing := at.stat(folder); missing != nil {
			return classify(ctx, "make a folder", err)
		}
	}
	to := path.Join(folder, handle)
	for n := 1; ; n++ {
		err := at.rename(path.Join(dir, handle), to)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, errConflict):
			return classify(ctx, "set an ack aside", err)
		}
		to = path.Join(folder, fmt.Sprintf("%s.%d", handle, n))
	}
}
