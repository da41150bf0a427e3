// Package profile describes one run of the conformance checks: which connector
// binary, with which config, against which target, within which limits. It is
// written as Go values by a connector's own test, and as YAML for the command
// orderport-conformance.
package profile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Profile says what is tested. Binary, Config and Target are required.
type Profile struct {
	// Binary is the connector's executable file, exactly as it is shipped.
	Binary string `yaml:"binary"`

	// Config is a valid config for the connector. Texts may hold placeholders
	// that the target fills in, such as "${dir}"; a text that is nothing but
	// one placeholder becomes a number where the value is one. Every target
	// knows ${canary}, a new random text for a secret that it does not check;
	// the kinds list theirs. The values of writeOnly properties are the secrets
	// that must not show up anywhere.
	Config map[string]any `yaml:"config"`

	// Target is what the connector delivers to.
	Target Target `yaml:"target"`

	// Acks says what the ERP's answers look like. Without it the checks of a
	// connector that declares acks fail.
	Acks *Acks `yaml:"acks"`

	// Broken are configs that must not work, beyond those that the target
	// knows by itself.
	Broken []Broken `yaml:"broken"`

	// PreviousSchema is the file with the config schema of the version before
	// this one: what it accepted must still be accepted. Empty: there is none.
	PreviousSchema string `yaml:"previous_schema"`

	// Manifest is the JSON file that is published with the binary, with the
	// members "version", and "sha256" of the binary. Empty: there is none.
	Manifest string `yaml:"manifest"`

	// Lacks names values of an order that the target has no place for (EXP-17),
	// out of Omissible. A check that needs one of them to arrive is skipped if
	// it has no other.
	Lacks []string `yaml:"lacks"`

	// Limits are the durations that the connector must keep.
	Limits Limits `yaml:"limits"`

	// Sizes say how much work the larger checks do.
	Sizes Sizes `yaml:"sizes"`
}

// Omissible lists what Lacks may name.
func Omissible() []string {
	return []string{"notes", "lines[].description", "order_date", "requested_delivery_date"}
}

// Kind is a kind of target.
type Kind string

// The kinds of target.
const (
	// Directory is a directory that the harness makes. Placeholders: ${dir},
	// ${ack_dir}.
	Directory Kind = "directory"
	// SFTP is a server inside the harness. Placeholders: ${host}, ${port},
	// ${user}, ${password}, ${host_key} (a known_hosts line), ${fingerprint}
	// (SHA256:…), ${dir}, ${ack_dir}.
	SFTP Kind = "sftp"
	// OpenSSH is an sshd that the harness starts. Placeholders: as SFTP, with
	// ${private_key} instead of ${password}.
	OpenSSH Kind = "openssh"
	// Script is a program of the connector's author that knows what has arrived
	// at a target of theirs, see Target.Command. Placeholders: those that the
	// program names, and ${host} and ${port} of the fault proxy where Upstream
	// is set.
	Script Kind = "script"
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{Directory, SFTP, OpenSSH, Script} }

// Target says what the connector delivers to, and how to see what arrived.
type Target struct {
	Kind Kind `yaml:"kind"`

	// Orders is the pattern (as in path.Match) of the file names that the ERP
	// takes for orders. Every other file is a temporary one, which a finished
	// export leaves none of. Empty: all files are orders. Not for Script.
	Orders string `yaml:"orders"`

	// Command is the Script's program and its first arguments. It is run in
	// the folder of the profile with one more argument:
	//
	//	list    prints what the ERP has, one JSON object a line: "name" tells
	//	        things apart and stays the same; "data" (text) or "data_base64"
	//	        holds the content, if it can be had; "temporary": true marks what
	//	        the ERP does not act on
	//	reset   removes everything
	//	plant   puts something of its own there, which list then shows
	//	vars    prints a JSON object with placeholders for the config (optional:
	//	        status 64 says that there are none)
	//	ack     leaves an answer of the ERP; a JSON object on standard input says
	//	        which: "external_ref", and "erp_order_id" or "error_code" and "message"
	//
	// The harness does not believe a program that shows no difference between
	// an empty target and one with something planted.
	Command []string `yaml:"command"`

	// Upstream is the address (host:port) that a Script's target listens on.
	// The harness puts a proxy in front of it that can cut, stall and swallow.
	Upstream string `yaml:"upstream"`

	// Sshd is the path of the OpenSSH server for kind OpenSSH. Empty: what
	// ORDERPORT_TEST_SSHD says, or /usr/sbin/sshd.
	Sshd string `yaml:"sshd"`
}

// Acks says what the ERP's answers look like as files. Placeholders in names
// and texts: ${external_ref}, ${erp_order_id}, ${error_code}, ${message}. For
// kind Script, the program is asked instead and both are left empty.
type Acks struct {
	Positive AckFile `yaml:"positive"`
	Negative AckFile `yaml:"negative"`
	// Settle is how old an unreadable ack must be before the connector says
	// that it is malformed.
	Settle Duration `yaml:"settle"`
}

// AckFile is the form of one kind of ack.
type AckFile struct {
	Name string `yaml:"name"`
	Data string `yaml:"data"`
}

// Broken is a change to the config that must make TestConnection fail.
type Broken struct {
	Name string `yaml:"name"`
	// Config is laid over the profile's config; a null removes a property.
	Config map[string]any `yaml:"config"`
	// Codes are the error codes that say rightly what is wrong, such as
	// "AUTHENTICATION_FAILED".
	Codes []string `yaml:"codes"`
}

// Limits are the durations that a connector must keep. Zero values are those
// of the contract.
type Limits struct {
	// Start bounds the time until the handshake line.
	Start Duration `yaml:"start"`
	// Describe bounds one Describe.
	Describe Duration `yaml:"describe"`
	// Stop bounds the end of an idle connector after Shutdown.
	Stop Duration `yaml:"stop"`
	// Orphan bounds the end after the host has died.
	Orphan Duration `yaml:"orphan"`
	// Cancel bounds the end of a call after it was cancelled.
	Cancel Duration `yaml:"cancel"`
	// Call bounds a call to a target that works.
	Call Duration `yaml:"call"`
	// Slack is added to each bound, for a machine that is busy.
	Slack Duration `yaml:"slack"`
}

// Sizes say how much work the larger checks do.
type Sizes struct {
	Repeats     int      `yaml:"repeats"`      // of things that must come out the same
	Starts      int      `yaml:"starts"`       // processes at one time
	Parallel    int      `yaml:"parallel"`     // exports at one time
	Leaks       int      `yaml:"leaks"`        // calls before resources are compared
	Fuzz        int      `yaml:"fuzz"`         // malformed requests
	Acks        int      `yaml:"acks"`         // acks that wait at one time
	Lines       int      `yaml:"lines"`        // of a large order
	Configs     int      `yaml:"configs"`      // generated configs
	IdleFor     Duration `yaml:"idle_for"`     // measured without work
	Watch       Duration `yaml:"watch"`        // how long a thing must not happen
	StalledCall Duration `yaml:"stalled_call"` // deadline of calls to a target that does not answer
}

// Quick are the sizes that are used unless the profile or Thorough says more.
func Quick() Sizes {
	return Sizes{
		Repeats: 10, Starts: 10, Parallel: 16, Leaks: 60, Fuzz: 500, Acks: 500, Lines: 10_000, Configs: 100,
		IdleFor: Duration(time.Second), Watch: Duration(500 * time.Millisecond), StalledCall: Duration(1500 * time.Millisecond),
	}
}

// Thorough are the sizes of a run before a release.
func Thorough() Sizes {
	return Sizes{
		Repeats: 10, Starts: 50, Parallel: 64, Leaks: 1000, Fuzz: 10_000, Acks: 10_000, Lines: 10_000, Configs: 1000,
		IdleFor: Duration(time.Minute), Watch: Duration(2 * time.Second), StalledCall: Duration(5 * time.Second),
	}
}

// Duration is a time.Duration that is written as "1.5s" in YAML.
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText writes the form of time.Duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the form of time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// D returns the time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Complete returns p with defaults in place, or says what is wrong with it,
// all at once.
func (p Profile) Complete() (Profile, error) {
	p.Limits = p.Limits.or(Limits{
		Start: Duration(10 * time.Second), Describe: Duration(time.Second), Stop: Duration(2 * time.Second),
		Orphan: Duration(5 * time.Second), Cancel: Duration(time.Second), Call: Duration(30 * time.Second),
		Slack: Duration(250 * time.Millisecond),
	})
	p.Sizes = p.Sizes.Or(Quick())
	p.Config = maps.Clone(p.Config)
	return p, errors.Join(p.checkBinary(), p.checkTarget(), p.checkLacks())
}

func (p Profile) checkLacks() error {
	for _, name := range p.Lacks {
		if !slices.Contains(Omissible(), name) {
			return fmt.Errorf("lacks: %q is not one of %s", name, strings.Join(Omissible(), ", "))
		}
	}
	return nil
}

func (p Profile) checkBinary() error {
	switch info, err := os.Stat(p.Binary); {
	case p.Binary == "":
		return errors.New("no connector binary is named")
	case err != nil:
		return fmt.Errorf("the connector binary: %w", err)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("the connector binary %s is not an executable file", p.Binary)
	}
	return nil
}

func (p Profile) checkTarget() error {
	var problems []error
	if len(p.Config) == 0 {
		problems = append(problems, errors.New("no sample config is given"))
	}
	t := p.Target
	if !slices.Contains(Kinds(), t.Kind) {
		problems = append(problems, fmt.Errorf("target.kind %q is none of %v: without a target nothing can be checked", t.Kind, Kinds()))
	}
	if (t.Kind == Script) != (len(t.Command) > 0) {
		problems = append(problems, errors.New("target.command belongs to kind script, and only there"))
	}
	if _, err := filepath.Match(t.Orders, "x"); err != nil {
		problems = append(problems, fmt.Errorf("target.orders: %w", err))
	}
	if p.Acks != nil && t.Kind != Script &&
		(!strings.Contains(p.Acks.Positive.Name, "${external_ref}") || !strings.Contains(p.Acks.Negative.Name, "${external_ref}")) {
		problems = append(problems, errors.New("acks.positive.name and acks.negative.name must hold ${external_ref}"))
	}
	return errors.Join(problems...)
}

func (l Limits) or(d Limits) Limits {
	return Limits{
		Start: cmp.Or(l.Start, d.Start), Describe: cmp.Or(l.Describe, d.Describe), Stop: cmp.Or(l.Stop, d.Stop),
		Orphan: cmp.Or(l.Orphan, d.Orphan), Cancel: cmp.Or(l.Cancel, d.Cancel), Call: cmp.Or(l.Call, d.Call),
		Slack: cmp.Or(l.Slack, d.Slack),
	}
}

// Or returns s with d where s is zero.
func (s Sizes) Or(d Sizes) Sizes {
	return Sizes{
		Repeats: cmp.Or(s.Repeats, d.Repeats), Starts: cmp.Or(s.Starts, d.Starts), Parallel: cmp.Or(s.Parallel, d.Parallel),
		Leaks: cmp.Or(s.Leaks, d.Leaks), Fuzz: cmp.Or(s.Fuzz, d.Fuzz), Acks: cmp.Or(s.Acks, d.Acks),
		Lines: cmp.Or(s.Lines, d.Lines), Configs: cmp.Or(s.Configs, d.Configs),
		IdleFor: cmp.Or(s.IdleFor, d.IdleFor), Watch: cmp.Or(s.Watch, d.Watch), StalledCall: cmp.Or(s.StalledCall, d.StalledCall),
	}
}
