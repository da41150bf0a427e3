package cli

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/orderport/orderport/host/internal/settings"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Environment is what the process was given.
type Environment struct {
	Args      []string // without the program's name
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	LookupEnv func(name string) (string, bool)
	// Version is shown by --version and reported by the API.
	Version string
	// User is the operating system's user, for the audit log.
	User string
}

// tree is the command line.
type tree struct {
	Config  string           `help:"Settings file (YAML). Default: the one that ORDERPORT_CONFIG names." placeholder:"FILE" type:"path"`
	JSON    bool             `name:"json" help:"Print one JSON document." xor:"form"`
	NDJSON  bool             `name:"ndjson" help:"Print lists as one JSON document a line." xor:"form"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve      serveCommand      `cmd:"" help:"Run the host: API, workers and connectors."`
	Demo       demoCommand       `cmd:"" help:"Show it all in a temporary directory: orders out to a dropzone, an ERP that answers."`
	Migrate    migrateCommands   `cmd:"" help:"Bring the database's schema up to date."`
	Org        orgCommands       `cmd:"" help:"Create and list organizations."`
	Token      tokenCommands     `cmd:"" help:"Create, list and revoke API tokens."`
	Connection connectionCommand `cmd:"" help:"Manage where an organization's orders go."`
	Push       pushCommand       `cmd:"" help:"Hand in draft orders."`
	Export     exportCommands    `cmd:"" help:"See what became of orders, and decide about failed ones."`
	Connector  connectorCommands `cmd:"" help:"See and trust connector binaries."`
	Key        keyCommands       `cmd:"" help:"Make and rotate master keys."`
	Doctor     doctorCommand     `cmd:"" help:"Check everything and say what to do."`
}

// exitRequest unwinds the parser when a flag such as --help has done its work.
type exitRequest int

// Main runs one command and returns the exit code.
func Main(ctx context.Context, env Environment) (code int) {
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case exitRequest:
			code = int(caught)
		default:
			panic(caught)
		}
	}()
	return run(ctx, env)
}

func run(ctx context.Context, env Environment) int {
	commands := &tree{}
	flags, given := settings.Flags()
	parser, err := kong.New(commands,
		kong.Name("orderport"),
		kong.Description("Delivers approved orders into ERP systems, exactly once."),
		kong.Vars{"version": "orderport " + env.Version},
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(func(code int) { panic(exitRequest(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Help(printHelp),
		kong.Embed(flags, `group:"`+settingsGroup+`"`),
		kong.ExplicitGroups([]kong.Group{{
			Key: settingsGroup, Title: "Settings",
			Description: "Also variables (ORDERPORT_DATA_DIR, …) and the settings file; a flag wins over a variable, a variable over the file.",
		}}),
	)
	if err != nil {
		panic(err) // the tree itself is wrong
	}
	s := &session{ctx: ctx, env: env, out: &printer{to: env.Stdout}}
	selected, err := parser.Parse(env.Args)
	if err != nil {
		s.out.json = slices.Contains(env.Args, "--json") || slices.Contains(env.Args, "--ndjson")
		return s.fail(usage("%s", err.Error()).WithHint("%s", helpHint(err)))
	}
	s.out.json, s.out.lines = commands.JSON, commands.NDJSON
	s.sources = settings.Sources{Flags: given(), ConfigFile: commands.Config, LookupEnv: env.LookupEnv}
	defer s.close()
	if err := selected.Run(s); err != nil {
		return s.fail(err)
	}
	return exitDone
}

// helpHint names the help page that would have helped.
func helpHint(err error) string {
	command := "orderport"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		command = parse.Context.Selected().FullPath()
	}
	return "`" + command + " --help` shows how it is used"
}

const settingsGroup = "settings"

// everywhere are the settings that every command's help shows.
var everywhere = []string{"database-url", "data-dir", "plugin-dir"}

// printHelp shows all settings only where all of them matter.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	node := ctx.Selected()
	if node == nil || node.Name != "serve" {
		for _, flag := range ctx.Model.Flags {
			if flag.Group != nil && flag.Group.Key == settingsGroup {
				flag.Hidden = !slices.Contains(everywhere, flag.Name)
			}
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}
