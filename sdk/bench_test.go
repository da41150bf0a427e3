package sdk_test

import (
	"context"
	"testing"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
)

// BenchmarkExport measures what the SDK adds to an export with one payload and
// one checkpoint, host side included.
func BenchmarkExport(b *testing.B) {
	host := sdktest.New(b, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		if _, err := sdk.DecodeConfig[ftpConfig](req.Connection); err != nil {
			return sdk.ExportResult{}, err
		}
		if _, err := req.StorePayload(ctx, "o.json", []byte("order")); err != nil {
			return sdk.ExportResult{}, err
		}
		return sdk.ExportResult{}, req.SaveCheckpoint(ctx, []byte("staged"), "ref")
	}})
	order := sdktest.SampleOrder()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		export := host.NewExport(ftpConfigJSON, order)
		for pb.Next() {
			if _, err := export.Run(b.Context()); err != nil {
				b.Error(err)
			}
		}
	})
}
