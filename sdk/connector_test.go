package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
)

// scripted is a connector whose calls are the test's own functions.
type scripted struct {
	describe func(*sdk.Description)
	test     func(context.Context, sdk.TestRequest) (sdk.TestResult, error)
	export   func(context.Context, *sdk.ExportRequest) (sdk.ExportResult, error)
}

const (
	ftpConfigJSON = `{"host":"ftp.acme.example","password":"pa55-canary"}`
	canary        = "pa55-canary"
)

func (c scripted) Describe() sdk.Description {
	d := sdk.Description{
		Type: "SCRIPTED", Name: "Scripted", Version: "1.2.3-rc.1", Vendor: "Orderport",
		ConfigSchema: []byte(ftpSchema), FormatVersions: []string{sdk.FormatOrderflowJSONV1}, Resume: true,
	}
	if c.describe != nil {
		c.describe(&d)
	}
	return d
}

func (c scripted) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	return c.test(ctx, req)
}

func (c scripted) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	return c.export(ctx, req)
}

// run makes the first attempt of a sample order.
func run(t *testing.T, c scripted) (*connectorv1.ExportResult, error) {
	t.Helper()
	return sdktest.New(t, c).NewExport(ftpConfigJSON, sdktest.SampleOrder()).Run(t.Context())
}

func wantCode(t *testing.T, e *connectorv1.Error, want port.Code) {
	t.Helper()
	if e == nil || port.CodeOf(e.GetCode()) != want {
		t.Errorf("got error %v, want %s", e, want)
	}
}

func wantStatus(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("got %v, want status %v", err, want)
	}
}

func TestDescribeTellsWhatTheConnectorSays(t *testing.T) {
	t.Parallel()
	d := sdktest.New(t, scripted{describe: func(d *sdk.Description) {
		d.Fenced = true
		d.Limits = sdk.Limits{MaxInFlightPerConnection: 4, MaxPerMinutePerConnection: 600, MaxInFlight: 64, MaxPayloadBytes: 1 << 40}
	}}).Describe()
	want := []connectorv1.Capability{
		connectorv1.Capability_CAPABILITY_RESUME, connectorv1.Capability_CAPABILITY_FENCED,
	}
	if diff := cmp.Diff(want, d.GetCapabilities()); diff != "" {
		t.Error(diff)
	}
	if d.GetConnectorType() != "SCRIPTED" || string(d.GetConfigSchema()) != ftpSchema ||
		d.GetLimits().GetMaxInFlightPerConnection() != 4 || d.GetLimits().GetMaxPerMinutePerConnection() != 600 ||
		d.GetLimits().GetMaxInFlight() != 64 || d.GetLimits().GetMaxPayloadBytes() != 1<<40 {
		t.Errorf("got %v", d)
	}
}

func TestADescriptionThatBreaksTheRulesIsNotServed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*sdk.Description){
		"type in lower case":      func(d *sdk.Description) { d.Type = "scripted" },
		"type too long":           func(d *sdk.Description) { d.Type = strings.Repeat("X", 64) },
		"version with a v":        func(d *sdk.Description) { d.Version = "v1.0.0" },
		"version with two parts":  func(d *sdk.Description) { d.Version = "1.0" },
		"no name":                 func(d *sdk.Description) { d.Name = "" },
		"no format":               func(d *sdk.Description) { d.FormatVersions = nil },
		"fenced without resume":   func(d *sdk.Description) { d.Resume, d.Fenced = false, true },
		"a negative limit":        func(d *sdk.Description) { d.Limits.MaxInFlight = -1 },
		"a negative rate":         func(d *sdk.Description) { d.Limits.MaxPerMinutePerConnection = -1 },
		"text that is not UTF-8":  func(d *sdk.Description) { d.Summary = "\xff" },
		"no schema":               func(d *sdk.Description) { d.ConfigSchema = nil },
		"an open schema":          func(d *sdk.Description) { d.ConfigSchema = []byte(`{"type":"object"}`) },
		"a schema that is broken": func(d *sdk.Description) { d.ConfigSchema = []byte(`{"type":"obj"}`) },
	} {
		if _, err := sdk.NewServer(scripted{describe: change}); err == nil {
			t.Errorf("%s: should be refused", name)
		}
	}
}

func TestTestConnectionReportsStepsAndTheFailure(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, scripted{test: func(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
		steps := sdk.NewSteps(ctx)
		steps.Run("connect", func(context.Context) (string, error) { return "as " + string(req.Connection.RawConfig()), nil })
		if steps.Run("log in", func(context.Context) (string, error) {
			return "", sdk.Errorf(sdk.AuthenticationFailed, "the server refused %s", canary)
		}) {
			t.Error("a failed step must return false")
		}
		return steps.Result()
	}})
	response, err := host.TestConnection(t.Context(), ftpConfigJSON)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, response.GetError(), port.AuthenticationFailed)
	if steps := response.GetSteps(); len(steps) != 2 || !steps[0].GetSuccess() || steps[1].GetSuccess() ||
		steps[1].GetMessage() != "the server refused [secret]" || response.GetErrorMessage() != "the server refused [secret]" {
		t.Errorf("got %v", response)
	}
	if strings.Contains(response.String(), canary) {
		t.Errorf("a secret is in %v", response)
	}
}

func TestStepsAndOutcomeOfATestAgree(t *testing.T) {
	t.Parallel()
	refused := sdk.Errorf(sdk.AuthenticationFailed, "refused")
	good, bad := sdk.TestStep{Name: "connect"}, sdk.TestStep{Name: "log in", Err: refused}
	for name, c := range map[string]struct {
		steps []sdk.TestStep
		err   error
		want  string // the names, with "!" behind what failed
	}{
		"all is well":                   {[]sdk.TestStep{good}, nil, "connect"},
		"a step failed":                 {[]sdk.TestStep{good, bad}, refused, "connect log in!"},
		"a failed step, but no error":   {[]sdk.TestStep{good, bad}, nil, "connect log in!"},
		"steps after the failed one":    {[]sdk.TestStep{bad, good}, refused, "log in!"},
		"an error, but no failed step":  {[]sdk.TestStep{good}, refused, "connect test!"},
		"an error without steps":        {nil, refused, "test!"},
		"a config that does not fit in": {nil, sdk.Errorf(sdk.InvalidConfig, "no"), "config!"},
		"nothing to test":               {nil, nil, ""},
	} {
		response, err := sdktest.New(t, scripted{test: func(context.Context, sdk.TestRequest) (sdk.TestResult, error) {
			return sdk.TestResult{Steps: c.steps}, c.err
		}}).TestConnection(t.Context(), ftpConfigJSON)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, step := range response.GetSteps() {
			if name := step.GetName(); step.GetSuccess() {
				names = append(names, name)
			} else {
				names = append(names, name+"!")
			}
		}
		if got := strings.Join(names, " "); got != c.want || response.GetSuccess() == strings.Contains(c.want, "!") {
			t.Errorf("%s: got %q, success %v", name, got, response.GetSuccess())
		}
	}
}

func TestTestConnectionRefusesABadConfigWithoutTheConnector(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, scripted{test: func(context.Context, sdk.TestRequest) (sdk.TestResult, error) {
		t.Error("must not be called")
		return sdk.TestResult{}, nil
	}})
	for _, config := range []string{``, `{}`, `[]`, `{"host":"` + canary + `"}`, `{"host":1,"password":"` + canary + `"}`, "\xff"} {
		response, err := host.TestConnection(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, response.GetError(), port.InvalidConfig)
		if response.GetError().GetRetryable() || len(response.GetError().GetViolations()) == 0 {
			t.Errorf("%s: got %v", config, response)
		}
		if strings.Contains(response.String(), canary) {
			t.Errorf("a secret is in %v", response)
		}
	}
}

func TestAnOrderArrivesAsItWasHandedIn(t *testing.T) {
	t.Parallel()
	sample := sdktest.SampleOrder()
	_, err := run(t, scripted{export: func(_ context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		o := req.Order
		if o.Notes != nil || !o.IsNull("notes") {
			t.Error("notes: want null")
		}
		if o.ApprovedBy != nil || o.IsNull("approved_by") || o.ShipTo != nil || o.IsNull("ship_to") {
			t.Error("approved_by and ship_to: want absent")
		}
		if d := o.Lines[1].Description; d == nil || *d != "" {
			t.Error("description: want empty")
		}
		if o.Lines[1].UnitPrice != nil || !o.IsNull("lines[1].unit_price") || *o.Lines[0].UnitPrice != "1.2300" {
			t.Error("unit prices: want exactly 1.2300, and null")
		}
		if o.LineCurrency(o.Lines[0]) != "EUR" || o.LineCurrency(o.Lines[1]) != "CHF" {
			t.Error("currencies: want EUR and CHF")
		}
		if req.Connection.OrgSlug != sdktest.OrgSlug || req.Attempt != 1 || req.CreatedAt.IsZero() || req.Resume.Checkpoint != nil {
			t.Errorf("got %+v", req)
		}
		text, err := json.Marshal(o)
		if err != nil || !strings.Contains(string(text), `"qty":"10.50"`) {
			t.Errorf("as JSON: %s, %v", text, err)
		}
		return sdk.ExportResult{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if sample.GetLines()[0].GetQty() != "10.50" {
		t.Error("the sample has changed")
	}
}

func TestDecimalsAreExact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"0": true, "10.50": true, "-3": true, "0.0001": true, "123456789012345.678": true,
		"": false, "-": false, ".5": false, "5.": false, "01": false, "+1": false, "1e3": false, "1.2.3": false, "٣": false, "NaN": false,
	} {
		d := sdk.Decimal(text)
		rat, ok := d.Rat()
		if d.Valid() != want || ok != want || (want && rat == nil) {
			t.Errorf("%q: valid is %v, want %v", text, d.Valid(), want)
		}
		if want && !json.Valid([]byte(d.JSON())) {
			t.Errorf("%q is no JSON number", text)
		}
	}
}

func TestDecimalsFitOrAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d        sdk.Decimal
		fits     bool // DECIMAL(6, 2)
		fixed    sdk.Decimal
		units    int64
		whole, f int
	}{
		{"0", true, "0.00", 0, 0, 0},
		{"0.00", true, "0.00", 0, 0, 0},
		{"12.5", true, "12.50", 1250, 2, 1},
		{"-12.50", true, "-12.50", -1250, 2, 1},
		{"-0.05", true, "-0.05", -5, 0, 2},
		{"12.5000", true, "12.50", 1250, 2, 1},
		{"9999.99", true, "9999.99", 999999, 4, 2},
		{"10000", false, "10000.00", 1000000, 5, 0},
		{"0.001", false, "", 0, 0, 3},
		{"99999999999999999999", false, "99999999999999999999.00", 0, 20, 0},
		{"1e3", false, "", 0, 0, 0},
	} {
		whole, fraction, ok := c.d.Digits()
		if ok != c.d.Valid() || whole != c.whole || fraction != c.f {
			t.Errorf("%s has %d and %d digits, %v", c.d, whole, fraction, ok)
		}
		if got := c.d.Fits(6, 2); got != c.fits {
			t.Errorf("%s fits: %v", c.d, got)
		}
		fixed, ok := c.d.Fixed(2)
		if fixed != c.fixed || ok != (c.fixed != "") {
			t.Errorf("%s fixed is %q, %v", c.d, fixed, ok)
		}
		units, ok := c.d.Units(2)
		if ok && units != c.units || ok != (c.fixed != "" && whole < 17) {
			t.Errorf("%s is %d units, %v", c.d, units, ok)
		}
	}
	if whole, ok := sdk.Decimal("7.00").Fixed(0); whole != "7" || !ok {
		t.Errorf("7.00 without a fraction is %q, %v", whole, ok)
	}
	if sdk.Decimal("1.50").Cmp("1.5") != 0 || sdk.Decimal("-2").Cmp("1") != -1 || sdk.Decimal("10").Cmp("9.99") != 1 {
		t.Error("values are not compared")
	}
}

func TestErrorsKeepTheirCauseAndTheirText(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	e := sdk.Errorf(sdk.Conflict, "in the way: %w", cause)
	if !errors.Is(e, cause) || e.Error() != "in the way: cause" || e.Retryable {
		t.Errorf("got %+v", e)
	}
	if !errors.Is(e, &sdk.Error{Code: sdk.Conflict}) || errors.Is(e, &sdk.Error{Code: sdk.NotFound}) {
		t.Error("errors.Is by code")
	}
	if got := (&sdk.Error{Code: sdk.NotFound}).Error(); got != "NOT_FOUND" {
		t.Errorf("got %q", got)
	}
}
