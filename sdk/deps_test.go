package sdk_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports keeps a connector author's binary, and what the host shares with
// it, free of what they have no use for.
func TestImports(t *testing.T) {
	t.Parallel()
	const ours = "github.com/orderport/orderport/"
	for pkg, forbidden := range map[string]map[string]string{
		"./": {
			ours + "host":             "a connector knows nothing of the host's inside",
			ours + "migrations":       "a connector has no database of ours",
			ours + "sdk/sdktest":      "test code must not end up in a connector binary",
			ours + "sdk/conformance":  "test code must not end up in a connector binary",
			"github.com/pkg/sftp":     "only the conformance checks bring a server",
			"golang.org/x/crypto/ssh": "only the conformance checks bring a server",
			"go.yaml.in/":             "only the conformance checks read YAML",
		},
		"./port": {
			"github.com/hashicorp/": "the host brings its own runner",
			ours + "sdk/config":     "the Port's facts need no schema",
		},
		"./configschema": {
			"github.com/hashicorp/":  "the host validates configs without a plugin runtime",
			"google.golang.org/grpc": "a schema has nothing to do with the wire",
			ours + "proto":           "a schema has nothing to do with the wire",
		},
	} {
		out, err := exec.Command("go", "list", "-deps", pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		for dep := range strings.Lines(string(out)) {
			for prefix, why := range forbidden {
				if dep = strings.TrimSpace(dep); strings.HasPrefix(dep, prefix) {
					t.Errorf("%s imports %s: %s", pkg, dep, why)
				}
			}
		}
	}
}
