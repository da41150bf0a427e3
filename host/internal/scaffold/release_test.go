package scaffold_test

import (
	"archive/zip"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/orderport/orderport/host/internal/scaffold"
)

const release = "v1.2.3"

// TestAConnectorBuildsAgainstAReleasedSDK releases proto and sdk to a module
// proxy in a directory, the way a release does it: with the required version in
// place of the copy beside it.
func TestAConnectorBuildsAgainstAReleasedSDK(t *testing.T) {
	t.Parallel()
	proxy, cache := t.TempDir(), t.TempDir()
	for _, module := range []string{"proto", "sdk"} {
		publish(t, proxy, module)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := write(t, dir, func(s *scaffold.Spec) { s.SDK = scaffold.SDK{Version: release} }); err != nil {
		t.Fatal(err)
	}
	downloaded := strings.TrimSpace(run(t, dir, nil, "go", "env", "GOMODCACHE")) + "/cache/download"
	env := []string{
		"GOPROXY=file://" + proxy + ",file://" + downloaded, "GONOSUMDB=*", "GOWORK=off", "GOMODCACHE=" + cache,
		// Without paths in it, what others have built already is used again.
		"GOFLAGS=-mod=mod -modcacherw -buildvcs=false -trimpath", "CGO_ENABLED=0",
	}
	run(t, dir, env, "go", "build", "-o", "connector", ".")
	if mod := run(t, dir, env, "go", "list", "-m", "github.com/orderport/orderport/sdk"); !strings.HasSuffix(strings.TrimSpace(mod), release) {
		t.Errorf("built against %s", mod)
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

var (
	besides = regexp.MustCompile(`(?m)^replace .*\n`)
	local   = regexp.MustCompile(`(github.com/orderport/orderport/\S+) v0\.0\.0\b`)
)

// publish puts a module of this repository into a proxy.
func publish(t *testing.T, proxy, name string) {
	t.Helper()
	module := "github.com/orderport/orderport/" + name
	root := filepath.Join(checkout, name)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	mod = local.ReplaceAll(besides.ReplaceAll(mod, nil), []byte("$1 "+release))
	versions := filepath.Join(proxy, module, "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		"list": release + "\n", release + ".info": `{"Version":"` + release + `"}`, release + ".mod": string(mod),
	} {
		if err := os.WriteFile(filepath.Join(versions, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := os.Create(filepath.Join(versions, release+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	z := zip.NewWriter(archive)
	pack(t, z, os.DirFS(root), module+"@"+release+"/", mod)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, z *zip.Writer, files fs.FS, prefix string, mod []byte) {
	t.Helper()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !entry.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if path == "go.mod" {
			content = mod
		}
		w, err := z.Create(prefix + path)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
