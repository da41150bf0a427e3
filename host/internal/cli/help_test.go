package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryCommandExplainsItself asks each command of the tree for its help.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&tree{}, kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 29 {
		t.Fatalf("%d commands; is one missing?", len(leaves))
	}
	for _, leaf := range leaves {
		path := strings.Fields(leaf.Path())
		var out, errs bytes.Buffer
		code := Main(context.Background(), Environment{
			Args: append(path, "--help"), Stdout: &out, Stderr: &errs, LookupEnv: func(string) (string, bool) { return "", false },
		})
		name := strings.Join(path, " ")
		if code != 0 || errs.Len() > 0 {
			t.Errorf("%s --help: exit code %d, %s", name, code, errs.String())
		}
		if !strings.HasPrefix(out.String(), "Usage: orderport "+name) || leaf.Help == "" {
			t.Errorf("%s --help: %s", name, out.String())
		}
		for _, flag := range leaf.Flags {
			if flag.Help == "" {
				t.Errorf("%s: the flag --%s is not explained", name, flag.Name)
			}
		}
		for _, arg := range leaf.Positional {
			if arg.Help == "" {
				t.Errorf("%s: the argument %s is not explained", name, arg.Name)
			}
		}
		if shown := strings.Contains(out.String(), "--workers"); shown != (name == "serve") {
			t.Errorf("%s --help shows the host's settings: %v", name, shown)
		}
	}
}
