package nwrfc

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// What scripts/build and README.md say of the connector's binary.
func TestTheConnectorIsStaticWithoutLibraries(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("binaries are told apart on Linux only")
	}
	for tags, static := range map[string]bool{"": false, "nolibrary": true} {
		file := filepath.Join(t.TempDir(), "connector")
		cmd := exec.Command("go", "build", "-tags", tags, "-o", file, "../..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		binary, err := elf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer binary.Close()
		loader := slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
		if loader == static {
			t.Errorf("tags %q: needs a loader: %t", tags, loader)
		}
	}
}
