package nwrfc

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What scripts/build and README.md say of the connector's binary: purego is what
// makes it need a loader, and a build without libraries does without.
func TestAStaticConnectorKnowsNoLibraries(t *testing.T) {
	t.Parallel()
	for tags, static := range map[string]bool{"": false, "nolibrary": true} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, "../..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		packages := strings.Fields(string(out))
		if len(packages) < 50 || slices.Contains(packages, "runtime/cgo") {
			t.Fatalf("unlikely packages: %v", packages)
		}
		if slices.Contains(packages, "github.com/ebitengine/purego") == static {
			t.Errorf("tags %q: static is not %t", tags, static)
		}
	}
}
