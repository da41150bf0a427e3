package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
)

type place struct {
	File string `json:"file"`
	Size int    `json:"size,omitempty"`
}

var (
	placesV1 = sdk.Checkpoints[place]{Version: 1}
	placesV2 = sdk.Checkpoints[place]{Version: 2, Upgrade: func(version int, data []byte) (place, error) {
		if version == 0 {
			return place{File: string(data)}, nil
		}
		return place{}, fmt.Errorf("version %d was never released", version)
	}}
)

func TestACheckpointIsReadAsWhatItWasSavedAs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		saved []byte
		by    sdk.Checkpoints[place]
		want  place
		found bool
		code  port.Code
	}{
		"none":                               {nil, placesV1, place{}, false, ""},
		"its own version":                    {[]byte(`{"version":1,"data":{"file":"a","size":3}}`), placesV1, place{"a", 3}, true, ""},
		"fields of a later build":            {[]byte(`{"version":1,"data":{"file":"a","new":true}}`), placesV1, place{"a", 0}, true, ""},
		"a later version":                    {[]byte(`{"version":2,"data":{"file":"a"}}`), placesV1, place{}, true, port.OutcomeUnknown},
		"an earlier version":                 {[]byte(`{"version":1,"data":{"file":"a"}}`), placesV2, place{}, true, port.OutcomeUnknown},
		"one of before, with an upgrade":     {[]byte("a.tmp"), placesV2, place{"a.tmp", 0}, true, ""},
		"JSON of before, with an upgrade":    {[]byte(`{"version":1}`), placesV2, place{`{"version":1}`, 0}, true, ""},
		"one of before, without an upgrade":  {[]byte("a.tmp"), placesV1, place{}, true, port.OutcomeUnknown},
		"an empty one":                       {[]byte{}, placesV1, place{}, true, port.OutcomeUnknown},
		"data of another form":               {[]byte(`{"version":1,"data":[]}`), placesV1, place{}, true, port.OutcomeUnknown},
		"something after it, so not our own": {[]byte(`{"version":1,"data":{}} x`), placesV1, place{}, true, port.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, found, err := c.by.Load(&sdk.ExportRequest{Resume: sdk.Resume{Checkpoint: c.saved}})
			if got != c.want || found != c.found {
				t.Errorf("got %+v, %v", got, found)
			}
			var e *sdk.Error
			if (err != nil) != (c.code != "") || (err != nil && (!errors.As(err, &e) || e.Code != c.code || e.Retryable)) {
				t.Errorf("error %v, want %q", err, c.code)
			}
		})
	}
}

func TestACheckpointWithoutAVersionIsNotSaved(t *testing.T) {
	t.Parallel()
	result, err := run(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		return sdk.ExportResult{}, sdk.Checkpoints[place]{}.Save(ctx, req, place{}, "")
	}})
	wantStatus(t, err, codes.OK)
	wantCode(t, result.GetError(), port.Internal)
}

// twofold keeps first attempts and later ones apart.
type twofold struct{ scripted }

func (c twofold) ResumeExport(_ context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	staged, _, err := placesV1.Load(req)
	return sdk.ExportResult{Recovered: true, ExternalRef: staged.File}, err
}

func TestAResumerIsAskedWhenACheckpointIsThere(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, twofold{scripted{
		describe: func(d *sdk.Description) { d.Resume = false },
		export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
			return sdk.ExportResult{}, placesV1.Save(ctx, req, place{File: "a"}, "a")
		},
	}})
	if c := host.Describe().GetCapabilities(); len(c) != 1 || c[0].String() != "CAPABILITY_RESUME" {
		t.Errorf("capabilities %v", c)
	}
	export := host.NewExport(`{"host":"x","password":"y"}`, sdktest.SampleOrder())
	export.OnCheckpoint = func(int) sdktest.Fault { return sdktest.CutBefore }
	for range 2 { // nothing was saved, so the second one is like the first
		if _, err := export.Run(t.Context()); err == nil {
			t.Fatal("an attempt whose host has gone has no result")
		}
	}
	export.OnCheckpoint = nil
	for i, recovered := range []bool{false, true} {
		result, err := export.Run(t.Context())
		if err != nil || !result.GetSuccess() || result.GetRecovered() != recovered {
			t.Errorf("attempt %d: %v, %v", i+3, result, err)
		}
	}
}

func TestWhatARefusalMeansForWhatWasStaged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"superseded":               {&sdk.RefusedError{Reason: sdk.RefusedSuperseded}, false},
		"too large":                {&sdk.RefusedError{Reason: sdk.RefusedTooLarge}, false},
		"invalid":                  {fmt.Errorf("save: %w", &sdk.RefusedError{Reason: sdk.RefusedInvalid}), false},
		"storage":                  {fmt.Errorf("save: %w", &sdk.RefusedError{Reason: sdk.RefusedStorage}), true},
		"a reason of a later host": {&sdk.RefusedError{Reason: sdk.RefusedUnspecified}, true},
		"the call is over":         {context.Canceled, true},
		"none: it was saved":       {nil, true},
	} {
		if got := sdk.MayBeSaved(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
