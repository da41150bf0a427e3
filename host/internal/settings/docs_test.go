package settings_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/host/internal/settings"
)

var update = flag.Bool("update", false, "write the table of settings into the operators' page")

func TestTheOperatorsPageListsEverySetting(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "docs", "operators", "settings.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), "<!-- table -->\n")
	_, after, okAfter := strings.Cut(rest, "<!-- /table -->\n")
	if !ok || !okAfter {
		t.Fatalf("%s has no place for the table", path)
	}
	want := before + "<!-- table -->\n" + table() + "<!-- /table -->\n" + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("run this test with -update (-want +page):\n%s", diff)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| in the file | variable | default | what it is |\n| --- | --- | --- | --- |\n")
	for _, f := range settings.Fields() {
		fallback := "`" + f.Default + "`"
		if f.Default == "" {
			fallback = "none"
		}
		help := f.Help
		if f.Bounds != "" {
			help += " " + f.Bounds + "."
		}
		if f.Secret {
			help += " Secret."
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", f.Key, f.Env, fallback, help)
	}
	return b.String()
}
