package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
)

// counting delivers by counting, with a checkpoint before.
type counting struct{ delivered *int }

func (counting) Describe() sdk.Description {
	return sdk.Description{
		Type: "COUNTING", Name: "Counting", Version: "1.0.0", Resume: true, FormatVersions: []string{sdk.FormatOrderflowJSONV1},
		ConfigSchema: []byte(`{"type":"object","additionalProperties":false}`),
	}
}

func (counting) TestConnection(context.Context, sdk.TestRequest) (sdk.TestResult, error) {
	return sdk.TestResult{}, nil
}

func (c counting) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	if req.Resume.Checkpoint != nil && *c.delivered > 0 {
		return sdk.ExportResult{Recovered: true}, nil
	}
	if _, err := req.StorePayload(ctx, "order.json", []byte(req.Order.ID)); err != nil {
		return sdk.ExportResult{}, err
	}
	if err := req.SaveCheckpoint(ctx, []byte("about to count"), "ref"); err != nil {
		return sdk.ExportResult{}, err
	}
	*c.delivered++
	return sdk.ExportResult{ExternalRef: "ref"}, nil
}

// A host that dies between storing a checkpoint and saying so is the hardest
// case for a connector. Here the next attempt delivers, and only once.
func ExampleNew() {
	test(func(t testing.TB) {
		delivered := 0
		export := sdktest.New(t, counting{&delivered}).NewExport(`{}`, sdktest.SampleOrder())

		export.OnCheckpoint = func(int) sdktest.Fault { return sdktest.CutAfter }
		_, err := export.Run(context.Background())
		fmt.Println("first attempt:", err != nil, delivered, string(export.Checkpoint))

		export.OnCheckpoint = nil
		for range 2 {
			result, err := export.Run(context.Background())
			fmt.Println("later attempt:", result.GetSuccess(), result.GetRecovered(), err, delivered)
		}
	})
	// Output:
	// first attempt: true 0 about to count
	// later attempt: true false <nil> 1
	// later attempt: true true <nil> 1
}

// recorder is a testing.TB that collects failures.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Error(args ...any) { r.failures = append(r.failures, fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// test runs f like a test and returns what failed.
func test(f func(testing.TB)) []string {
	r := &recorder{}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		f(r)
	}()
	for _, cleanup := range r.cleanups {
		cleanup()
	}
	return r.failures
}

// sloppy stores its payload under a name of the test's choice.
type sloppy struct {
	counting
	fileName string
}

func (s sloppy) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	_, err := req.StorePayload(ctx, s.fileName, []byte("x"))
	return sdk.ExportResult{}, err
}

func TestABrokenContractFailsTheTest(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]bool{
		"order.json": false, "a": false, "": true, ".hidden": true, "../up": true, "a/b": true, "ü": true,
		strings.Repeat("x", 200): false, strings.Repeat("x", 201): true,
	} {
		failures := test(func(tb testing.TB) {
			_, _ = sdktest.New(tb, sloppy{fileName: name}).NewExport(`{}`, sdktest.SampleOrder()).Run(t.Context())
		})
		if (len(failures) > 0) != bad {
			t.Errorf("file name %q: failures %q", name, failures)
		}
	}
}

type unservable struct{ counting }

func (unservable) Describe() sdk.Description { return sdk.Description{} }

func TestAConnectorThatCannotBeServedFailsTheTest(t *testing.T) {
	t.Parallel()
	if failures := test(func(tb testing.TB) { sdktest.New(tb, unservable{}) }); len(failures) != 1 {
		t.Errorf("failures %q", failures)
	}
}

func TestEachSampleOrderIsItsOwn(t *testing.T) {
	t.Parallel()
	one, other := sdktest.SampleOrder(), sdktest.SampleOrder()
	one.Lines[0].Qty = "7"
	*one.OrderDate = "2030-01-01"
	if other.GetLines()[0].GetQty() != "10.50" || !proto.Equal(other, sdktest.SampleOrder()) {
		t.Error("a change shows in another sample")
	}
	if n := len(sdktest.OrderWithLines(10_000, 1).GetLines()); n != 10_000 {
		t.Errorf("%d lines", n)
	}
}

// slow delivers when the test says so, and counts safely.
type slow struct {
	counting
	export func(context.Context, *sdk.ExportRequest) (sdk.ExportResult, error)
}

func (s slow) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	return s.export(ctx, req)
}

func TestManyExportsRunAtOneTime(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, slow{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		if req.Resume.Checkpoint != nil {
			return sdk.ExportResult{Recovered: true}, nil
		}
		return sdk.ExportResult{}, req.SaveCheckpoint(ctx, []byte(req.ExportID), "")
	}})
	var exports sync.WaitGroup
	for i := range 200 {
		exports.Go(func() {
			export := host.NewExport(`{}`, sdktest.SampleOrder())
			export.ID = fmt.Sprintf("%08d-9f0e-4c0f-8a53-6d2a7f1f9b11", i)
			faults := []sdktest.Fault{{}, sdktest.CutBefore, sdktest.CutAfter}
			export.OnCheckpoint = func(int) sdktest.Fault { return faults[i%len(faults)] }
			_, _ = export.Run(t.Context())
			export.OnCheckpoint = nil
			result, err := export.Run(t.Context())
			if err != nil || !result.GetSuccess() || string(export.Checkpoint) != export.ID || result.GetRecovered() != (i%3 != 1) {
				t.Errorf("export %d: %v, %v", i, result, err)
			}
		})
	}
	exports.Wait()
}

func TestAnAttemptThatIsCancelledEnds(t *testing.T) {
	t.Parallel()
	var heard error
	host := sdktest.New(t, slow{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		heard = req.SaveCheckpoint(ctx, nil, "")
		return sdk.ExportResult{}, heard
	}})
	export := host.NewExport(`{}`, sdktest.SampleOrder())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	export.OnCheckpoint = func(int) sdktest.Fault {
		cancel()
		return sdktest.Stall
	}
	if _, err := export.Run(ctx); status.Code(err) != codes.Canceled || export.Checkpoint != nil {
		t.Errorf("got %v and checkpoint %q", err, export.Checkpoint)
	}
	if !errors.Is(heard, context.Canceled) {
		t.Errorf("the connector heard %v", heard)
	}
}

func TestAConnectorThatGoesOnFailsTheTest(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	failures := test(func(tb testing.TB) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		host := sdktest.New(tb, slow{export: func(context.Context, *sdk.ExportRequest) (sdk.ExportResult, error) {
			cancel()
			<-release
			return sdk.ExportResult{}, nil
		}})
		_, _ = host.NewExport(`{}`, sdktest.SampleOrder()).Run(ctx)
	})
	if len(failures) != 1 || !strings.Contains(failures[0], "goes on") {
		t.Errorf("failures %q", failures)
	}
}
