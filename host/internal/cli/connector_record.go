package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/pluginhost"
	"github.com/orderport/orderport/host/internal/pluginhost/record"
	"github.com/orderport/orderport/host/internal/settings"
	"github.com/orderport/orderport/sdk/recording"
)

// recordDir is where calls are recorded.
func recordDir(set settings.Settings) string { return filepath.Join(set.DataDir, "recordings") }

type connectorRecord struct {
	Type       string        `arg:"" optional:"" help:"Connector type whose calls are recorded."`
	Connection string        `help:"Only the calls of this connection." placeholder:"ID"`
	Call       string        `help:"Only calls of one kind: ${enum}." enum:"all,Export,TestConnection,FetchAcks,SettleAcks" default:"all"`
	For        time.Duration `help:"How long to record." default:"15m"`
	Calls      int           `help:"How many calls to record at most." default:"100"`
	Stop       bool          `help:"Record no more."`
}

// recordRequest is what connector record prints with --json.
type recordRequest struct {
	Dir     string          `json:"dir"`
	Request *record.Request `json:"request"`
}

// Help implements kong.HelpProvider.
func (*connectorRecord) Help() string {
	return "A running host with this data directory begins within seconds and writes one file for each call, without the config's secrets. The files hold orders: treat them as such, and remove them."
}

const longestRecording = 24 * time.Hour

// Run leaves the request for the running host.
func (c *connectorRecord) Run(s *session) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	dir := recordDir(set)
	if c.Stop == (c.Type != "") {
		return usage("name the connector type to record, or --stop")
	}
	if c.Stop {
		if err := record.Withdraw(dir); err != nil {
			return err
		}
		return s.out.show(recordRequest{Dir: dir}, func(w io.Writer) {
			fmt.Fprintln(w, "no more calls are recorded within seconds; the files stay in "+dir)
		})
	}
	if c.For <= 0 || c.For > longestRecording || c.Calls < 1 {
		return usage("record at least one call, and for at most %s", longestRecording)
	}
	if c.Connection != "" {
		if _, err := parseID(c.Connection); err != nil {
			return err
		}
	}
	r := record.Request{
		ConnectorType: c.Type, ConnectionID: c.Connection, Until: time.Now().Add(c.For).UTC().Truncate(time.Second), Calls: c.Calls,
	}
	if c.Call != "all" {
		r.Call = c.Call
	}
	if err := record.Ask(dir, r); err != nil {
		return err
	}
	return s.out.show(recordRequest{dir, &r}, func(w io.Writer) {
		fmt.Fprintf(w, "up to %d calls of %s are recorded until %s\nin %s; a running host notices within seconds\n",
			r.Calls, r.ConnectorType, r.Until.Format(time.RFC3339), dir)
	})
}

type connectorReplay struct {
	Recording  string `arg:"" help:"File that connector record has left."`
	Binary     string `arg:"" help:"Path of the connector binary to try."`
	ConfigFile string `help:"JSON object that is laid over the recorded config: its secrets, and a target to try it on." placeholder:"FILE"`
}

// replayed is what connector replay prints with --json.
type replayed struct {
	Recording   string                 `json:"recording"`
	Call        string                 `json:"call"`
	Same        bool                   `json:"same"`
	Differences []recording.Difference `json:"differences"`
}

// Help implements kong.HelpProvider.
func (*connectorReplay) Help() string {
	return "The call is made for real, with the target that the config names: lay a target for tests over it. Exit code 1 says that something came out differently."
}

// Run makes the call again.
func (c *connectorReplay) Run(s *session) error {
	recorded, err := c.read()
	if err != nil {
		return err
	}
	var overlay []byte
	if c.ConfigFile != "" {
		if overlay, err = os.ReadFile(c.ConfigFile); err != nil {
			return usage("the config file can't be read: %s", err)
		}
	}
	// Its own folder for sockets: this works without a host and its data.
	differences, err := pluginhost.Replay(s.ctx, absolute(c.Binary), recorded, overlay, pluginhost.Options{})
	if errors.Is(err, recording.ErrNotPlayable) {
		return fault.New(fault.Malformed, "not_playable", "%s: %s", c.Recording, err)
	}
	if err != nil {
		return notUsable(c.Binary, err)
	}
	shown := replayed{Recording: c.Recording, Call: recorded.Header.Call, Same: len(differences) == 0, Differences: differences}
	if shown.Differences == nil {
		shown.Differences = []recording.Difference{}
	}
	err = s.out.show(shown, func(w io.Writer) {
		for _, d := range differences {
			fmt.Fprintln(w, oneLine(d.String()))
		}
		if shown.Same {
			fmt.Fprintf(w, "%s came out as it was recorded\n", shown.Call)
		}
	})
	if err == nil && !shown.Same {
		err = errReported
	}
	return err
}

func (c *connectorReplay) read() (*recording.Recording, error) {
	file, err := os.Open(c.Recording)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("there is no file %s", c.Recording)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	recorded, err := recording.Read(file)
	if err != nil {
		return nil, fault.New(fault.Malformed, "no_recording", "%s: %s", c.Recording, err)
	}
	return recorded, nil
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
