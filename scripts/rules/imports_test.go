package rules

import (
	"fmt"
	"strings"
	"testing"
)

// importRule forbids imports outside of tests. Packages and imports are named
// exactly, or with "/..." at the end for a whole tree; ours start with "./".
type importRule struct {
	in     []string // the packages that it is about
	except []string // of those, not these
	deny   []string // what they must not import; anyModule is a pattern, too
	allow  []string // of that, these may be imported
	why    string
}

// anyModule stands for every import that is not of the standard library.
const anyModule = "any module"

// adapters connect the host to one thing outside each. The composition root
// (host/cmd, host/internal/cli and what it starts) picks and wires them.
var adapters = []string{
	"./host/internal/httpapi",
	"./host/internal/metrics",
	"./host/internal/pluginhost",
	"./host/internal/queue",
	"./host/internal/store/postgres",
	"./host/internal/store/sqlite",
}

var wiring = []string{"./host/cmd/...", "./host/internal/cli/...", "./host/internal/demo/..."}

var databases = []string{"database/sql", "github.com/jackc/pgx/...", "modernc.org/sqlite/...", "github.com/pressly/goose/..."}

func rules() []importRule {
	all := []importRule{
		{
			in:   []string{"./proto/..."},
			deny: []string{"./..."}, allow: []string{"./proto/..."},
			why: "the contract stands alone: whoever speaks the Port needs nothing else of ours",
		},
		{
			in:   []string{"./migrations/..."},
			deny: []string{anyModule},
			why:  "migrations are SQL files that any tool may embed; they bring no dependency",
		},
		{
			in:   []string{"./sdk/..."},
			deny: []string{"./..."}, allow: []string{"./sdk/...", "./proto/..."},
			why: "a connector author must never pull in the host",
		},
		{
			in:     []string{"./sdk/..."},
			except: []string{"./sdk/sdktest/...", "./sdk/conformance/...", "./sdk/cmd/..."},
			deny:   []string{anyModule},
			allow: []string{
				"./...", "google.golang.org/grpc/...", "google.golang.org/protobuf/...",
				"github.com/hashicorp/go-plugin/...", "github.com/hashicorp/go-hclog/...",
				"github.com/santhosh-tekuri/jsonschema/v6/...", "golang.org/x/sys/...",
			},
			why: "every connector inherits what the SDK needs, so it needs next to nothing",
		},
		{
			in:   []string{"./host/..."},
			deny: []string{"./..."},
			allow: []string{
				"./host/...", "./proto/...", "./migrations/...", "./sdk/port", "./sdk/configschema", "./sdk/recording", "./sdk/tunnel", "./sdk/hands",
			},
			why: "the host knows connectors by the Port only; of the SDK it shares the words, the config schema, the form of recordings, and the tunnel with its goroutines",
		},
		{
			in: []string{
				"./host/internal/domain", "./host/internal/store", "./host/internal/connector",
				"./host/internal/draftorder", "./host/internal/seal", "./host/internal/app",
				"./host/internal/delivery/...", "./host/internal/view",
			},
			deny: append([]string{"net/http", "google.golang.org/grpc/...", "github.com/riverqueue/...", "github.com/hashicorp/..."}, databases...),
			why:  "words, states and decisions know no SQL, HTTP or gRPC; adapters do",
		},
		{
			in:   []string{"./host/..."},
			deny: adapters, except: append(wiring, adapters...),
			why: "only the composition root wires adapters; everything else takes an interface",
		},
		{
			in: []string{"./..."}, except: append([]string{"./scripts/...", "./sdk/conformance/..."}, testKits...),
			deny: append([]string{"testing/..."}, testKits...),
			why:  "what only tests need must not end up in a shipped binary",
		},
	}
	for _, adapter := range adapters {
		all = append(all, importRule{
			in: []string{adapter}, deny: adapters, allow: []string{adapter},
			why: "adapters do not know each other; what two share belongs to the domain",
		})
	}
	return append(all, owners()...)
}

// testKits are packages of ours that only tests import.
var testKits = []string{
	"./host/internal/pluginhost/hosttest/...",
	"./host/internal/store/storetest",
	"./plugins/sap-rfc/internal/sapsim/...",
	"./sdk/sdktest/...",
}

// owners names, for each library with a wide surface, the packages that wrap it.
func owners() []importRule {
	owned := []struct {
		library string
		by      []string
		why     string
	}{
		{"github.com/danielgtaylor/huma/...", []string{"./host/internal/httpapi"}, "the API's framework stays in the API"},
		{"github.com/alecthomas/kong", []string{"./host/internal/cli/...", "./host/cmd/...", "./sdk/...", "./scripts/..."}, "only command lines parse flags"},
		{"github.com/hashicorp/...", []string{"./host/internal/pluginhost/...", "./sdk/..."}, "go-plugin can be swapped at one place"},
		{"github.com/riverqueue/...", []string{"./host/internal/queue/...", "./host/internal/store/schema", "./host/internal/store/storetest"}, "the queue only says when, behind an interface of ours"},
		{"github.com/jackc/pgx/...", []string{"./host/internal/store/...", "./host/internal/queue/...", "./host/internal/cli/...", "./scripts/..."}, "SQL belongs to the store"},
		{"modernc.org/sqlite/...", []string{"./host/internal/store/...", "./host/internal/queue/...", "./host/internal/cli/...", "./scripts/..."}, "SQL belongs to the store"},
		{"gocloud.dev/...", []string{"./host/internal/payload/..."}, "object storage belongs to the payload store"},
		{"github.com/prometheus/...", []string{"./host/internal/metrics/...", "./scripts/..."}, "others count through an interface"},
		{"github.com/pkg/sftp", []string{"./plugins/dropzone/...", "./sdk/sdktest/...", "./sdk/conformance/...", "./scripts/..."}, "the host speaks no ERP's protocol"},
	}
	var all []importRule
	for _, o := range owned {
		all = append(all, importRule{in: []string{"./..."}, except: o.by, deny: []string{o.library}, why: o.why})
	}
	return all
}

func TestImports(t *testing.T) {
	t.Parallel()
	all := rules()
	for _, plugin := range modules(t, "plugins") {
		all = append(all, importRule{
			in: []string{"./" + plugin + "/..."}, deny: []string{"./..."}, allow: []string{"./sdk/...", "./" + plugin + "/..."},
			why: "our connectors use what every author has: the SDK",
		})
	}
	for _, complaint := range check(packages(t), all) {
		t.Error(complaint)
	}
}

// check returns a sentence for each forbidden import, and for each rule that
// is about no package, because it has become void.
func check(packages []pkg, rules []importRule) []string {
	var complaints []string
	for _, r := range rules {
		about := 0
		for _, p := range packages {
			if !matches(p.ImportPath, r.in) || matches(p.ImportPath, r.except) {
				continue
			}
			about++
			for _, imported := range p.Imports {
				if matches(imported, r.deny) && !matches(imported, r.allow) {
					complaints = append(complaints, fmt.Sprintf("%s imports %s: %s", p.ImportPath, imported, r.why))
				}
			}
		}
		if about == 0 {
			complaints = append(complaints, fmt.Sprintf("the rule for %v is about no package: %s", r.in, r.why))
		}
	}
	return complaints
}

func matches(path string, patterns []string) bool {
	for _, pattern := range patterns {
		tree, isTree := strings.CutSuffix(pattern, "/...")
		switch {
		case pattern == anyModule && !standard(path), path == pattern:
			return true
		case isTree && (path == tree || strings.HasPrefix(path, tree+"/")):
			return true
		}
	}
	return false
}

// standard: the standard library's paths have no dot before the first slash.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func TestCheckSeesForbiddenImports(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		pkg  pkg
		want string
	}{
		"the proto module importing the sdk": {
			pkg{ImportPath: "./proto/x", Imports: []string{"./sdk/port"}}, "./proto/x imports ./sdk/port",
		},
		"migrations importing a driver": {
			pkg{ImportPath: "./migrations", Imports: []string{"github.com/jackc/pgx/v5"}}, "./migrations imports github.com/jackc/pgx/v5",
		},
		"the sdk importing the host": {
			pkg{ImportPath: "./sdk", Imports: []string{"./host/internal/domain"}}, "./sdk imports ./host/internal/domain",
		},
		"the host importing an author's helper": {
			pkg{ImportPath: "./host/internal/app", Imports: []string{"./sdk/sdktest"}}, "./host/internal/app imports ./sdk/sdktest",
		},
		"the domain importing SQL": {
			pkg{ImportPath: "./host/internal/domain", Imports: []string{"database/sql"}}, "./host/internal/domain imports database/sql",
		},
		"one adapter importing another": {
			pkg{ImportPath: "./host/internal/httpapi", Imports: []string{"./host/internal/store/postgres"}}, "./host/internal/httpapi imports ./host/internal/store/postgres",
		},
		"a use case importing an adapter": {
			pkg{ImportPath: "./host/internal/app", Imports: []string{"./host/internal/queue"}}, "./host/internal/app imports ./host/internal/queue",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if all := strings.Join(check([]pkg{test.pkg}, rules()), "\n"); !strings.Contains(all, test.want+": ") {
				t.Errorf("want a complaint that %s, have:\n%s", test.want, all)
			}
		})
	}
}
