package checks

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/launch"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

func describe() []suite.Check {
	return []suite.Check{
		{
			ID: "describe/same-answer", Level: suite.Must, Clauses: []string{"DSC-01"}, Run: sameAnswer,
			Title: "Describe gives the same bytes in each call and after a restart, in time",
		},
		{
			ID: "describe/identity", Level: suite.Must, Clauses: []string{"DSC-02", "DSC-03", "SVC-01"}, Run: identity,
			Title: "type, name, version, vendor and summary have their form",
		},
		{
			ID: "describe/formats", Level: suite.Must, Clauses: []string{"DSC-04", "DSC-08"}, Run: formats,
			Title: "it names the export format that the host asks for",
		},
		{
			ID: "describe/unclaimed-acks", Level: suite.Must, Clauses: []string{"DSC-05"}, Needs: []suite.Need{suite.NoAcks},
			Run:   unclaimedAcks,
			Title: "without the capability ACKS the calls about acks answer UNIMPLEMENTED",
		},
		{
			ID: "describe/manifest", Level: suite.Should, Clauses: []string{"DSC-07"}, Needs: []suite.Need{suite.Manifest},
			Run:   manifest,
			Title: "version and checksum are those of the release manifest",
		},
	}
}

// describeRaw returns the answer as it came.
func describeRaw(t *suite.T, c *suite.Connector) []byte {
	ctx, cancel := t.Call()
	defer cancel()
	var answer launch.Bytes
	started := time.Now()
	err := c.Conn.Invoke(ctx, connectorv1.ConnectorService_Describe_FullMethodName, &launch.Bytes{}, &answer,
		grpc.ForceCodec(launch.RawCodec{}))
	t.Within("Describe", started, t.Limits().Describe.D())
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	return answer
}

func sameAnswer(t *suite.T) {
	var first []byte
	for range 2 {
		c := t.Start()
		for range t.Sizes().Repeats {
			answer := describeRaw(t, c)
			if first == nil {
				first = answer
			}
			if !bytes.Equal(answer, first) {
				t.Fatalf("two answers differ")
			}
		}
	}
}

var (
	typePattern    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)
	versionPattern = regexp.MustCompile(
		`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
)

func identity(t *suite.T) {
	d := t.Description
	if !typePattern.MatchString(d.GetConnectorType()) {
		t.Errorf("connector_type %q does not match %s", d.GetConnectorType(), typePattern)
	}
	if !versionPattern.MatchString(d.GetVersion()) {
		t.Errorf("version %q is no semantic version", d.GetVersion())
	}
	if n := len([]rune(d.GetName())); n > 63 {
		t.Errorf("name has %d characters, more than 63", n)
	}
	for field, text := range map[string]string{
		"name": d.GetName(), "version": d.GetVersion(), "vendor": d.GetVendor(), "summary": d.GetSummary(),
	} {
		if text == "" || strings.TrimSpace(text) != text {
			t.Errorf("%s %q is empty or has spaces around it", field, text)
		}
	}
}

func formats(t *suite.T) {
	if !slices.Contains(t.Description.GetExportFormatVersions(), "orderflow_export_json_v1") {
		t.Errorf("export_format_versions %q lacks orderflow_export_json_v1, so nothing can be exported",
			t.Description.GetExportFormatVersions())
	}
	for _, format := range t.Description.GetExportFormatVersions() {
		if strings.TrimSpace(format) == "" {
			t.Errorf("export_format_versions has an empty entry")
		}
	}
}

func unclaimedAcks(t *suite.T) {
	c := t.Start()
	ctx, cancel := t.Call()
	defer cancel()
	stream, err := c.Port.FetchAcks(ctx, &connectorv1.FetchAcksRequest{Connection: t.Connection()})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("FetchAcks answered %v, want UNIMPLEMENTED", err)
	}
	_, err = c.Port.SettleAcks(ctx, &connectorv1.SettleAcksRequest{Connection: t.Connection()})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("SettleAcks answered %v, want UNIMPLEMENTED", err)
	}
}

func manifest(t *suite.T) {
	data, err := os.ReadFile(t.Profile.Manifest)
	if err != nil {
		t.Fatalf("read the manifest: %v", err)
	}
	var published struct {
		Version string `json:"version"`
		SHA256  string `json:"sha256"`
	}
	if err := json.Unmarshal(data, &published); err != nil {
		t.Fatalf("read the manifest: %v", err)
	}
	if published.Version != t.Description.GetVersion() {
		t.Errorf("the manifest is of version %q, the connector says %q", published.Version, t.Description.GetVersion())
	}
	if sum := checksum(t.Profile.Binary); !strings.EqualFold(published.SHA256, sum) {
		t.Errorf("the manifest's sha256 is %q, the binary's is %q", published.SHA256, sum)
	}
}
