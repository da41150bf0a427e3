package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/orderport/orderport/sdk/conformance"
	"github.com/orderport/orderport/sdk/conformance/profile"
)

// options are the command line.
type options struct {
	target   conformance.Target
	run      conformance.Options
	json     bool
	junit    string
	list     bool
	verbose  bool
	version  bool
	color    string
	thorough bool
}

const help = `Checks whether a connector binary keeps the contract of the Port.

  orderport-conformance [flags] BINARY

A target is needed, on which the harness looks at what arrived: a directory or
an SFTP server that it brings itself, or a program of yours. The config may
hold placeholders that the target fills in, such as ${dir}. For example:

  orderport-conformance --target directory --orders 'order_*.json' \
    --config '{"path": "${dir}", "token": "${canary}"}' ./orderport-connector-example

Exit status: 0 all checks that are a MUST have passed, 1 one has failed, 2 wrong
usage, 3 nothing could be checked.

Flags:
`

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("orderport-conformance", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("profile", "", "YAML `file` that says all that the flags say, and more")
	config := flags.String("config", "", "sample config: JSON, or @`FILE`")
	kind := flags.String("target", "", "`kind` of target: directory, sftp, openssh or script")
	orders := flags.String("orders", "", "`pattern` of the file names that the ERP takes for orders")
	script := flags.String("script", "", "`command` of a target of kind script")
	only := flags.String("run", "", "run the checks whose id matches the `regexp`")
	flags.IntVar(&o.run.Repeat, "repeat", 1, "run each check `n` times")
	flags.IntVar(&o.run.Parallel, "parallel", 1, "run `n` checks at one time, where nothing is measured")
	flags.BoolVar(&o.thorough, "thorough", false, "do as much work as before a release (many minutes)")
	flags.BoolVar(&o.json, "json", false, "print the report as JSON")
	flags.StringVar(&o.junit, "junit", "", "also write the report as JUnit XML to a `file`")
	flags.BoolVar(&o.list, "list", false, "list the checks and run none")
	flags.BoolVar(&o.verbose, "verbose", false, "print notes, too")
	flags.StringVar(&o.color, "color", "auto", "colours and progress: auto, always or never")
	flags.BoolVar(&o.version, "version", false, "print the version")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, help)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	if o.run.Only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("--run: %w", err)
	}
	if o.list || o.version {
		return o, nil
	}
	if *file != "" {
		if o.target, err = profile.Load(*file); err != nil {
			return o, err
		}
	}
	if err := o.override(*config, *kind, *orders, *script); err != nil {
		return o, err
	}
	return o, o.complete(flags.Args())
}

// override lays the flags over the profile.
func (o *options) override(config, kind, orders, script string) error {
	if config != "" {
		text := []byte(config)
		if name, isFile := strings.CutPrefix(config, "@"); isFile {
			var err error
			if text, err = os.ReadFile(name); err != nil {
				return fmt.Errorf("--config: %w", err)
			}
		}
		o.target.Config = nil
		if err := json.Unmarshal(text, &o.target.Config); err != nil {
			return fmt.Errorf("--config must be a JSON object: %w", err)
		}
	}
	if kind != "" {
		o.target.Target.Kind = profile.Kind(kind)
	}
	if orders != "" {
		o.target.Target.Orders = orders
	}
	if script != "" {
		o.target.Target.Command = strings.Fields(script)
	}
	return nil
}

func (o *options) complete(args []string) error {
	switch {
	case len(args) == 1:
		o.target.Binary = args[0]
	case len(args) > 1:
		return fmt.Errorf("one binary at a time, got %q", args)
	}
	if o.run.Repeat < 1 || o.run.Parallel < 1 {
		return errors.New("--repeat and --parallel must be 1 or more")
	}
	if o.color != "auto" && o.color != "always" && o.color != "never" {
		return fmt.Errorf("--color must be auto, always or never, not %q", o.color)
	}
	if o.thorough {
		o.target.Sizes = profile.Thorough()
	}
	_, err := o.target.Complete()
	return err
}
