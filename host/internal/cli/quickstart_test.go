package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTheQuickstartIsTrue runs the commands of docs/connectors/quickstart.md
// in one shell, as somebody does who follows the page: from nothing to a
// connector that conforms and has delivered an order, which the ERP has
// acknowledged. It measures the way.
func TestTheQuickstartIsTrue(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs", "connectors", "quickstart.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(repository, filepath.Join(dir, "orderport")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", followed(string(page)))
	shell.Dir, shell.WaitDelay = dir, 5*time.Second
	shell.Env = append(walkEnvironment(t), "ORDERPORT_LISTEN="+freeAddress(t))
	begun := time.Now()
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`(?m)^ACME_ERP 0\.1\.0 conforms to the contract$`,
		`(?m)^orderport-connector-acme-erp is trusted: ACME_ERP 0\.1\.0`,
		`(?m)^\s*ok +rename`,
		`(?m)^SENT 1$`,
		`(?m)^order_[0-9a-f-]{36}\.json$`,
		`ACKED.*SO-2025-000123|SO-2025-000123.*ACKED`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("the output does not show %s:\n%s", want, out)
		}
	}
	var steps []string
	for _, step := range regexp.MustCompile(`(?m)^walked (.*)$`).FindAllStringSubmatch(string(out), -1) {
		steps = append(steps, step[1])
	}
	t.Logf("measured: quickstart: %s; in all %.1f s", strings.Join(steps, ", "), time.Since(begun).Seconds())
}

// followed is the page's commands as one script: the blocks that are marked as
// sh. After each of them it says how long it took.
func followed(page string) string {
	script := "trap 'jobs -p | xargs -r kill' EXIT\nat=$(date +%s%N)\n" +
		"walked() { now=$(date +%s%N); echo \"walked $1 $(((now - at) / 1000000)) ms\"; at=$now; }\n"
	section := ""
	parts := regexp.MustCompile("(?ms)^## ([^\n]*)$|^```sh\n(.*?)^```$").FindAllStringSubmatch(page, -1)
	for i, part := range parts {
		if part[1] != "" {
			section = part[1]
			continue
		}
		script += part[2]
		if i == len(parts)-1 || parts[i+1][1] != "" {
			script += fmt.Sprintf("walked %q\n", section)
		}
	}
	return script
}

// walkEnvironment lets the commands find Go, with what is on this machine
// already, and orderport, which is this very program.
func walkEnvironment(t *testing.T) []string {
	t.Helper()
	vars := []string{"GOWORK=off", "GOPROXY=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOTOOLCHAIN"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatalf("go env: %v", err)
		}
		vars = append(vars, name+"="+strings.TrimSpace(string(out)))
	}
	return vars
}
