package refpage_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/host/internal/refpage"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

func describe(schema []byte) *connectorv1.DescribeResponse {
	return &connectorv1.DescribeResponse{
		ConnectorType: "SMALL", Name: "Small", Vendor: "Orderport", Summary: "Delivers | little.", Version: "1.2.3",
		DocumentationUrl: "https://docs.example/small", ConfigSchema: schema, ExportFormatVersions: []string{"one", "two"},
		Capabilities: []connectorv1.Capability{connectorv1.Capability_CAPABILITY_ACKS, 99},
		Limits:       &connectorv1.Limits{MaxInFlight: 3},
	}
}

func TestThePageIsMadeOfTheSchema(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile(filepath.Join("testdata", "small.in"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := refpage.Write(describe(schema))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "small.out")
	if *update {
		if err := os.WriteFile(golden, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page); diff != "" {
		t.Errorf("run go test -update and look at what changed:\n%s", diff)
	}
	if strings.Contains(page, "1.2.3") {
		t.Error("the page changes with every version")
	}
}

func TestASchemaThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{"", "[]", `{"a":`, `{"a" 1}`} {
		if page, err := refpage.Write(describe([]byte(schema))); err == nil {
			t.Errorf("%q: %s", schema, page)
		}
	}
}

func FuzzWrite(f *testing.F) {
	f.Add([]byte(`{"properties":{"a":{"type":["string","null"]}},"allOf":[{"if":{},"then":{"allOf":[{"if":true}]}}]}`))
	f.Fuzz(func(_ *testing.T, schema []byte) {
		_, _ = refpage.Write(describe(schema)) // it must not panic
	})
}
