package nwrfc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// onlyLoad makes this program load the library in a folder and end: what one
// process has loaded once, it has for every copy.
const onlyLoad = "ORDERPORT_TEST_LOAD"

// loadOnly is TestMain's other half.
func loadOnly(folder string) int {
	version, err := New(&libraries, folder, nil).Version()
	if err != nil {
		fmt.Println(err)
		return 3
	}
	fmt.Println(version)
	return 0
}

// The libraries that it needs are found in its own folder, although the
// system's loader does not look there.
func TestCompanionsAreFoundBesideTheLibrary(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variant sdk.Variant
		missing bool
		says    string
	}{
		"there":              {variant: sdk.Variant{Companion: true}, says: "7500.0.12"},
		"not there":          {variant: sdk.Variant{Companion: true, Copy: "alone"}, missing: true, says: "libsapucum.so"},
		"there without name": {variant: sdk.Variant{Nameless: true}, says: "ldconfig"},
	} {
		folder := builds.Folder(t, c.variant)
		if c.missing {
			if err := os.Remove(filepath.Join(folder, "libsapucum.so")); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), onlyLoad+"="+folder)
		out, _ := cmd.Output()
		if !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %q does not say %q", name, out, c.says)
		}
	}
}
