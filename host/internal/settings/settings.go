package settings

import (
	"log/slog"
	"time"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/seal"
)

// Settings is the configuration of one run of orderport. [Load] makes it.
//
// Tags: key is the name in the YAML file; the flag is the same with dashes
// unless the setting is secret; env is the variable, if it is not "ORDERPORT_"
// and the key in upper case; min and max are bounds; help is for operators.
type Settings struct {
	// Where things are.

	// DatabaseURL may hold a password: String and LogValue leave it out.
	DatabaseURL string `key:"database_url" env:"DATABASE_URL" default:"sqlite:<data dir>/orderport.db" help:"Database: postgres://USER:PASSWORD@HOST/NAME, or sqlite:FILE."`
	// DataDir is where the host keeps what it keeps in files.
	DataDir string `key:"data_dir" default:"./data" help:"Directory for the SQLite database and for payloads, unless they are set to be elsewhere."`
	// PluginDir is where connectors are.
	PluginDir string `key:"plugin_dir" default:"<data dir>/connectors" help:"Directory of the connectors (orderport-connector-*) and of connectors.lock.json."`
	// ConnectorEnv names variables that connectors get, separated by commas.
	ConnectorEnv string `key:"connector_env" default:"" help:"Names of environment variables that connectors get from the host, separated by commas, such as LD_LIBRARY_PATH. TZ, LANG, LC_* and SSL_CERT_* they always get."`
	// PayloadURL is a location for payload.Open.
	PayloadURL string `key:"payload_url" default:"<data dir>/payloads" help:"Where delivered payloads are kept: a directory, file:///DIRECTORY, or s3://BUCKET with the parameters region, endpoint, use_path_style and prefix."`
	// Listen is the address of the API.
	Listen string `key:"listen" default:"127.0.0.1:8080" help:"Address of the HTTP API, HOST:PORT. Port 0 takes a free one."`
	// HostName names this host in attempts, the audit log and metrics.
	HostName string `key:"host_name" default:"<name of the machine>" help:"Name of this host in attempts, the audit log and metrics."`

	// Keys. See Keyring.

	// MasterKey seals configs. The zero Key: none is set.
	MasterKey seal.Key `key:"encryption_master_key" env:"ENCRYPTION_MASTER_KEY" secret:"yes" default:"" help:"Key that seals connection configs, 64 hexadecimal characters. Make one with orderport key generate."`
	// PreviousKeys still open configs.
	PreviousKeys []seal.Key `key:"encryption_previous_keys" env:"ENCRYPTION_PREVIOUS_KEYS" secret:"yes" default:"" help:"Keys that still open configs but seal none, separated by commas; a list in the YAML file."`

	// Logs.

	// LogLevel is the least level that is logged.
	LogLevel slog.Level `key:"log_level" default:"info" help:"Least level that is logged: debug, info, warn or error."`
	// LogFormat is how log lines look.
	LogFormat string `key:"log_format" default:"text" oneof:"text json" help:"Form of log lines: text or json."`

	// The engine.

	// Workers bounds the attempts of this host.
	Workers int `key:"workers" default:"1024" min:"1" max:"4096" help:"Exports that run at one time on this host."`
	// MaxInFlight bounds the attempts of one connection on this host.
	MaxInFlight int `key:"max_in_flight" default:"512" min:"1" max:"4096" help:"Exports that run at one time for one connection on this host, if its connector does not ask for fewer."`
	// PollInterval is how long a lost wake-up goes unnoticed.
	PollInterval time.Duration `key:"poll_interval" default:"1s" min:"50ms" max:"1m" help:"How often the host looks for due exports that nothing woke it for."`
	// AttemptTimeout is the deadline of an attempt.
	AttemptTimeout time.Duration `key:"attempt_timeout" default:"1m" min:"1s" max:"1h" help:"Longest time that one attempt may take."`
	// MaxFailures ends an export.
	MaxFailures int `key:"max_failures" default:"10" min:"1" max:"1000" help:"Failed attempts after which an export ends as FAILED. Outages of the whole connection do not count."`
	// RetryMin is the first pause after a failed attempt; it grows from there.
	RetryMin time.Duration `key:"retry_min" default:"2s" min:"10ms" max:"1h" help:"Pause after the first failed attempt of an export. Further ones are longer."`
	// RetryMax is the longest pause between attempts.
	RetryMax time.Duration `key:"retry_max" default:"5m" min:"10ms" max:"24h" help:"Longest pause between attempts of an export."`
	// TestTimeout is the deadline of a TestConnection.
	TestTimeout time.Duration `key:"test_timeout" default:"30s" min:"1s" max:"10m" help:"Longest time that a connection test or probe may take."`
	// AckPollInterval is how often acks are fetched. 0: as configs say.
	AckPollInterval time.Duration `key:"ack_poll_interval" default:"0s" min:"0s" max:"24h" help:"How often the acks of every connection are fetched. 0s: as each connection's config says, or every 60 seconds."`
	// HeartbeatInterval is how often a host says that it lives.
	HeartbeatInterval time.Duration `key:"heartbeat_interval" default:"1s" min:"100ms" max:"1m" help:"How often this host says in the database that it is alive."`
	// HostDeadAfter is when other hosts take over.
	HostDeadAfter time.Duration `key:"host_dead_after" default:"5s" min:"1s" max:"10m" help:"Silence after which a host counts as dead and others take its exports over. At least three times heartbeat_interval, and the same on all hosts."`
	// DrainGrace is how long a stop waits for attempts.
	DrainGrace time.Duration `key:"drain_grace" default:"10s" min:"100ms" max:"1h" help:"How long a stop waits for attempts under way before it cancels them."`

	origins map[string]string // by key: where the value comes from
}

// Keyring returns the keys as a keyring. Its error is a *fault.Error that says
// how to make a key if none is set.
func (s Settings) Keyring() (*seal.Keyring, error) {
	if s.MasterKey.IsZero() {
		_, err := seal.ParseKey("")
		return nil, err
	}
	return seal.NewKeyring(s.MasterKey, s.PreviousKeys...), nil
}

// Origin says where the value of a setting comes from, such as
// "ORDERPORT_LISTEN", "--listen", "orderport.yaml:3" or "default".
func (s Settings) Origin(key string) string {
	if origin, ok := s.origins[key]; ok {
		return origin
	}
	return originDefault
}

const originDefault = "default"

// problems collects everything that is wrong.
type problems []fault.Violation

// fault returns nil if there are none.
func (p problems) fault() error {
	if len(p) == 0 {
		return nil
	}
	e := fault.New(fault.Invalid, "invalid_settings", "settings are not valid")
	separator := ": "
	for _, problem := range p {
		e.Message += separator + problem.Path + " " + problem.Message
		separator = "; "
	}
	e.Violations = p
	return e
}
