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

// settle is how old an ack must be that can't be read before it is malformed. An
// SFTP server tells times in whole seconds.
const settle = 1300 * time.Millisecond

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
		if s.is("ack-place-required") {
			return port.StatusError(fault(port.InvalidConfig, "no place for acks"))
		}
		return nil
	}
	at, err := s.open(ctx, c)
	if err != nil {
		return s.fetchFailure(classify(ctx, "connect", err))
	}
	defer at.close()
	defer context.AfterFunc(ctx, at.close)()
	infos, err := at.list(c.AckDir)
	if err != nil {
		return s.fetchFailure(classify(ctx, "list the acks", err))
	}
	if len(infos) == 0 && s.is("no-acks-is-an-error") {
		return port.StatusError(fault(port.NotFound, "no acks"))
	}
	if err := s.sendAcks(at, c.AckDir, s.sorted(infos), request.GetLimit(), stream); err != nil {
		return err
	}
	if s.is("waits-for-acks") {
		<-ctx.Done()
	}
	return nil
}

// fetchFailure makes the status that FetchAcks ends with.
func (s *service) fetchFailure(e *connectorv1.Error) error {
	switch s.broken {
	case "fetch-fails-plainly":
		return status.Error(codes.Aborted, e.GetMessage())
	case "missing-acks-are-silence":
		return nil
	case "wrong-fetch-status":
		plain := status.New(codes.Unavailable, e.GetMessage())
		if detailed, err := plain.WithDetails(e); err == nil {
			return detailed.Err()
		}
	}
	return port.StatusError(e)
}

// sorted returns the oldest first.
func (s *service) sorted(infos []fs.FileInfo) []fs.FileInfo {
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	switch s.broken {
	case "newest-acks-first":
		slices.Reverse(infos)
	case "overlooks-old-acks":
		infos = slices.DeleteFunc(infos, func(info fs.FileInfo) bool { return time.Since(info.ModTime()) > 24*time.Hour })
	}
	return infos
}

func (s *service) sendAcks(
	at place, dir string, infos []fs.FileInfo, limit uint32, stream connectorv1.ConnectorService_FetchAcksServer,
) error {
	sent := uint32(0)
	for _, info := range infos {
		if limit > 0 && sent == limit && !s.is("ignores-ack-limit") {
			return nil
		}
		ack := s.readAck(at, dir, info)
		if ack.GetMalformed() != nil && s.is("stops-at-bad-ack") {
			return nil
		}
		if ack == nil || ack.GetMalformed() != nil && s.is("drops-malformed-acks") {
			continue
		}
		s.spoilAck(ack)
		for range s.copies() {
			if err := stream.Send(ack); err != nil {
				return err
			}
		}
		if s.is("fetch-moves-acks") {
			_ = at.mkdir(path.Join(dir, "seen"))
			_ = at.rename(path.Join(dir, info.Name()), path.Join(dir, "seen", info.Name()))
		}
		sent++
	}
	return nil
}

func (s *service) copies() int {
	if s.is("repeats-acks") {
		return 2
	}
	return 1
}

// spoilAck makes an ack wrong.
func (s *service) spoilAck(ack *connectorv1.FetchAcksResponse) {
	switch s.broken {
	case "negative-as-positive":
		ack.Answer = &connectorv1.FetchAcksResponse_Positive{Positive: &connectorv1.PositiveAck{ErpOrderId: "SO-2025-000123"}}
	case "ack-without-number":
		if p := ack.GetPositive(); p != nil {
			p.ErpOrderId = ""
		}
	case "random-handles":
		ack.Handle += fmt.Sprint("?", time.Now().UnixNano())
	}
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
	case time.Since(info.ModTime()) < settle && !s.is("reads-unfinished-acks") && !s.is("stops-at-bad-ack"):
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
	if s.is("settles-out-of-order") {
		slices.Reverse(response.Results)
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
		if s.is("settles-any-verdict") {
			return nil
		}
		return fault(port.Internal, "no verdict")
	}
	handle := settlement.GetHandle()
	switch s.broken {
	case "forgets-to-settle":
		return nil
	case "deletes-acks":
		_ = at.remove(path.Join(dir, path.Base(handle)))
		return nil
	case "settles-into-one-folder":
		folder = "settled"
	case "settles-once-only":
		if _, err := at.stat(path.Join(dir, handle)); err != nil {
			return classify(ctx, "settle", err)
		}
	case "trusts-handles":
		_ = at.mkdir(path.Join(dir, folder))
		_ = at.rename(path.Join(dir, handle), path.Join(dir, folder, path.Base(handle)))
		return nil
	}
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
