package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadReadsAProfile(t *testing.T) {
	t.Parallel()
	file := write(t, `
binary: bin/connector
config: {port: "${port}", nested: {path: "${dir}"}}
target: {kind: script, command: [./erp.sh, --fast], upstream: "127.0.0.1:80"}
broken: [{name: wrong, config: {a: null}, codes: [NOT_FOUND]}]
limits: {call: 1m30s}
previous_schema: old.json
`)
	p, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(file)
	if p.Binary != folder+"/bin/connector" || p.PreviousSchema != folder+"/old.json" || p.Target.Command[0] != folder+"/erp.sh" {
		t.Errorf("relative paths must start at the file's folder: %+v", p)
	}
	if p.Limits.Call.D() != 90*time.Second || p.Broken[0].Codes[0] != "NOT_FOUND" || p.Config["port"] != "${port}" {
		t.Errorf("got %+v", p)
	}
}

func TestLoadRefusesUnknownFields(t *testing.T) {
	t.Parallel()
	if _, err := Load(write(t, "targt: {}\n")); err == nil || !strings.Contains(err.Error(), "targt") {
		t.Errorf("got %v", err)
	}
}

func TestCompleteNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Profile{Target: Target{Kind: "ftp", Orders: "["}, Acks: &Acks{}}.Complete()
	for _, want := range []string{"no connector binary", "no sample config", `"ftp" is none of`, "target.orders", "acks.positive.name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it must say %q, got: %v", want, err)
		}
	}
}

func TestCompleteFillsInTheContractsLimits(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Profile{
		Binary: self, Config: map[string]any{"a": 1}, Target: Target{Kind: Directory}, Limits: Limits{Stop: Duration(time.Minute)},
	}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if p.Limits.Stop.D() != time.Minute || p.Limits.Cancel.D() != time.Second || p.Sizes.Repeats != Quick().Repeats {
		t.Errorf("got %+v, %+v", p.Limits, p.Sizes)
	}
}
