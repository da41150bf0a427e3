package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
	"github.com/orderport/orderport/sdk/conformance"
	"github.com/orderport/orderport/sdk/conformance/profile"
)

// served is a simulated SAP system in a process of its own, since the
// connector's binary is one, too.
type served struct {
	Control, Library, Host, URL, CA string

	program string
}

// serveSystem builds and starts command sapsim.
func serveSystem(t *testing.T) *served {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sapsim")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./internal/sapsim/cmd/sapsim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build sapsim: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "serve", sdk.Library(t, sdk.Variant{}))
	cmd.Stderr = os.Stderr
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("sapsim: %v", err)
		}
	})
	s := &served{program: program}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// conform runs the checks of the Port's contract on the binary as it is
// shipped.
func conform(t *testing.T, s *served, config fields, upstream string) {
	conformance.Test(t, conformance.Target{
		Binary:         conformance.Build(t, "."),
		Config:         config.with(fields{"timeout_seconds": 3, "settle_seconds": 0, "test_customer": "4711", "sso_ticket": "${canary}"}),
		Target:         profile.Target{Kind: profile.Script, Command: []string{s.program, "at", s.Control}, Upstream: upstream},
		PreviousSchema: "config.schema.json",
		// Large orders take the simulated system longer than a call may take here.
		Sizes:  profile.Sizes{Lines: 1000},
		Limits: profile.Limits{Slack: profile.Duration(time.Second)}, // other tests run meanwhile
		Broken: []profile.Broken{
			{Name: "another client", Config: fields{"client": "200"}, Codes: []string{"AUTHENTICATION_FAILED"}},
			{Name: "a wrong password", Config: fields{"password": "wrong"}, Codes: []string{"AUTHENTICATION_FAILED"}},
			{Name: "a function that is not there", Config: fields{"create_function": "Z_NOT_THERE"}, Codes: []string{"NOT_FOUND", "INTERNAL"}},
		},
	})
}

func TestConformanceThroughTheLibrary(t *testing.T) {
	t.Parallel()
	s := serveSystem(t)
	conform(t, s, nwrfcFields().with(fields{"library_path": filepath.Dir(s.Library), "ashost": s.Host}), "")
}

func TestConformanceOverTheWeb(t *testing.T) {
	t.Parallel()
	s := serveSystem(t)
	address, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	conform(t, s, soapFields().with(fields{"url": "https://${host}:${port}", "ca_certificate": s.CA}), address.Host)
}
