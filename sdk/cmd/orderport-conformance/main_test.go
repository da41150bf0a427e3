package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orderport/orderport/sdk/conformance"
)

// world is a folder with a sound connector, a broken one, and a profile.
type world struct{ dir, sound, broken, profile string }

func newWorld(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	w := world{
		dir: dir, sound: filepath.Join(dir, "orderport-connector-mutant-sound"),
		broken: filepath.Join(dir, "orderport-connector-mutant-no-health"), profile: filepath.Join(dir, "p.yaml"),
	}
	build := exec.Command("go", "build", "-o", w.sound, "../../conformance/internal/mutant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the connector: %v\n%s", err, out)
	}
	if err := os.Link(w.sound, w.broken); err != nil {
		t.Fatal(err)
	}
	w.write(t, "p.yaml", `
config: {mode: directory, dir: "${dir}", token: "${canary}"}
target: {kind: directory, orders: "order_*.json"}
limits: {slack: 500ms}
`, 0o600)
	return w
}

func (w world) write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

// call runs the command.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	status = run(t.Context(), args, &out, &complaints)
	return status, out.String(), complaints.String()
}

func TestExitStatusTellsWhatHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blind := w.write(t, "blind.sh", "#!/bin/sh\nexit 0\n", 0o700)
	unset := w.write(t, "unset.yaml", "config: {mode: directory, dir: \"${nowhere}\"}\ntarget: {kind: directory}\n", 0o600)
	typo := w.write(t, "typo.yaml", "confg: {}\n", 0o600)
	for name, test := range map[string]struct {
		args []string
		want int
		says string // on either stream
	}{
		"a connector that conforms":          {[]string{"--profile", w.profile, "--run", "services/", w.sound}, conforms, "conforms to the contract"},
		"a connector that does not":          {[]string{"--profile", w.profile, "--run", "services/", w.broken}, failed, "does not conform"},
		"no connector":                       {[]string{"--profile", w.profile}, usage, "no connector binary"},
		"two connectors":                     {[]string{"--profile", w.profile, w.sound, w.broken}, usage, "one binary at a time"},
		"a file that is no program":          {[]string{"--profile", w.profile, w.profile}, usage, "not an executable"},
		"no target":                          {[]string{"--config", `{"a":1}`, w.sound}, usage, "without a target nothing can be checked"},
		"no config":                          {[]string{"--target", "directory", w.sound}, usage, "no sample config"},
		"an unknown flag":                    {[]string{"--frobnicate"}, usage, "frobnicate"},
		"an unknown field in the profile":    {[]string{"--profile", typo, w.sound}, usage, "confg"},
		"a wrong pattern":                    {[]string{"--run", "(", w.sound}, usage, "--run"},
		"a pattern that matches nothing":     {[]string{"--profile", w.profile, "--run", "nothing-like-it", w.sound}, usage, "matches no check"},
		"a placeholder that nobody fills":    {[]string{"--profile", unset, w.sound}, cannotRun, "${nowhere}"},
		"a script that sees nothing":         {[]string{"--profile", w.profile, "--target", "script", "--script", blind, w.sound}, cannotRun, "does not see its target"},
		"a script that is not there":         {[]string{"--profile", w.profile, "--target", "script", "--script", w.dir + "/none", w.sound}, cannotRun, "no such file"},
		"a selection that does not apply":    {[]string{"--profile", w.profile, "--run", "schema/before-network", w.sound}, cannotRun, "no check applies"},
		"help":                               {[]string{"--help"}, conforms, "Exit status"},
		"version":                            {[]string{"--version"}, conforms, "orderport-conformance "},
		"the list of checks, with no target": {[]string{"--list", "--run", "handshake/"}, conforms, "handshake/mutual-tls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := call(t, test.args...)
			if status != test.want {
				t.Errorf("status %d, want %d\n%s%s", status, test.want, stdout, stderr)
			}
			if !strings.Contains(stdout+stderr, test.says) {
				t.Errorf("it does not say %q:\n%s%s", test.says, stdout, stderr)
			}
		})
	}
}

func TestReportsForPrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	junit := filepath.Join(w.dir, "junit.xml")
	status, stdout, _ := call(t, "--profile", w.profile, "--run", "services/|describe/(un|id)", "--repeat", "2",
		"--json", "--junit", junit, w.broken)
	if status != failed {
		t.Errorf("status %d", status)
	}
	var report conformance.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("standard output is not one JSON document: %v\n%s", err, stdout)
	}
	if report.Conforms || report.FailedMust != 2 || report.Passed != 2 || report.Skipped != 2 || len(report.SHA256) != 64 {
		t.Errorf("got %+v", report)
	}
	data, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name string `xml:"name,attr"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(data, &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 6 || suite.Failures != 2 || suite.Skipped != 2 || len(suite.Cases) != 6 {
		t.Errorf("got %+v\n%s", suite, data)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args := []string{"--profile", w.profile, "--run", "services/", w.sound}
	if _, plain, _ := call(t, args...); strings.Contains(plain, "\x1b") {
		t.Errorf("no terminal, but there are escape sequences: %q", plain)
	}
	if _, painted, _ := call(t, append([]string{"--color", "always"}, args...)...); !strings.Contains(painted, "\x1b[32m") {
		t.Errorf("no colours: %q", painted)
	}
}

// TestAScriptShowsTheTarget uses a program as an author would write it, which
// keeps its "ERP" in a folder.
func TestAScriptShowsTheTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	erp := filepath.Join(w.dir, "erp")
	if err := os.Mkdir(erp, 0o700); err != nil {
		t.Fatal(err)
	}
	script := w.write(t, "erp.sh", `#!/bin/sh
cd "`+erp+`" || exit 1
case $1 in
vars) echo '{"place":"`+erp+`"}' ;;
reset) rm -f ./* ;;
plant) echo foreign >foreign ;;
list)
  for f in *; do
    [ -e "$f" ] || continue
    case $f in *.tmp) t=true ;; *) t=false ;; esac
    printf '{"name":"%s","temporary":%s,"data_base64":"%s"}\n' "$f" $t "$(base64 -w0 "$f")"
  done ;;
*) exit 64 ;;
esac
`, 0o700)
	profile := w.write(t, "script.yaml", `
config: {mode: directory, dir: "${place}", token: "${canary}"}
target: {kind: script, command: ["`+script+`"]}
limits: {slack: 500ms}
`, 0o600)
	status, stdout, stderr := call(t, "--profile", profile, "--run", "testconnection/(works|repeat)|large/payload", w.sound)
	if status != conforms || !strings.Contains(stdout, "3 passed") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}
