package rules

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWorkspaceAndScriptsKnowTheSameModules(t *testing.T) {
	t.Parallel()
	var work struct{ Use []struct{ DiskPath string } }
	read(t, "go", &work, "work", "edit", "-json")
	var used []string
	for _, u := range work.Use {
		used = append(used, filepath.Clean(u.DiskPath))
	}
	known := modules(t, "all")
	slices.Sort(used)
	slices.Sort(known)
	if !slices.Equal(used, known) {
		t.Errorf("go.work has %v, scripts/modules %v", used, known)
	}
}

// TestModulesBuildAlone reads go.mod files: of our modules each uses the copy
// beside it, no other module is replaced, and all ask for one Go version.
func TestModulesBuildAlone(t *testing.T) {
	t.Parallel()
	versions := map[string][]string{}
	for _, folder := range modules(t, "all") {
		var mod struct {
			Go      string
			Require []struct{ Path string }
			Replace []struct{ Old, New struct{ Path string } }
		}
		read(t, "go", &mod, "mod", "edit", "-json", filepath.Join(root(t), folder, "go.mod"))
		versions[mod.Go] = append(versions[mod.Go], folder)

		replaced := map[string]bool{}
		for _, r := range mod.Replace {
			replaced[r.Old.Path] = true
			ours, ok := strings.CutPrefix(r.Old.Path, module)
			if !ok {
				t.Errorf("%s replaces %s: whoever imports the module would get another one", folder, r.Old.Path)
			} else if beside, _ := filepath.Rel(folder, ours); filepath.Clean(r.New.Path) != beside {
				t.Errorf("%s replaces %s by %s, want %s", folder, r.Old.Path, r.New.Path, beside)
			}
		}
		for _, r := range mod.Require {
			if strings.HasPrefix(r.Path, module) && !replaced[r.Path] {
				t.Errorf("%s needs %s and has no replace for it: it does not build without the workspace", folder, r.Path)
			}
		}
	}
	if len(versions) > 1 {
		t.Errorf("modules ask for different Go versions: %v", versions)
	}
}

// read runs a command in the repository and decodes the JSON that it prints.
func read(t *testing.T, command string, into any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v", command, args, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatal(err)
	}
}
