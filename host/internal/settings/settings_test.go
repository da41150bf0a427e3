package settings_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/seal"
	"github.com/orderport/orderport/host/internal/settings"
)

// env makes a LookupEnv of a map.
func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func load(t *testing.T, src settings.Sources) settings.Settings {
	t.Helper()
	if src.LookupEnv == nil {
		src.LookupEnv = env(nil)
	}
	s, err := settings.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// loadFile loads a YAML file with that text and nothing else.
func loadFile(t *testing.T, text string, vars map[string]string) (settings.Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orderport.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.Load(settings.Sources{ConfigFile: path, LookupEnv: env(vars)})
}

// violations returns what is wrong as "path message".
func violations(t *testing.T, err error) []string {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != "invalid_settings" || e.Kind != fault.Invalid {
		t.Fatalf("error %v", err)
	}
	var all []string
	for _, v := range e.Violations {
		all = append(all, v.Path+" "+v.Message)
		if !strings.Contains(e.Message, v.Path+" "+v.Message) {
			t.Errorf("the message does not have %s", v.Path)
		}
	}
	return all
}

func TestDefaultsFollowTheDataDirectory(t *testing.T) {
	t.Parallel()
	s := load(t, settings.Sources{Flags: map[string]string{"data_dir": "/srv/op"}})
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"database_url": "sqlite:/srv/op/orderport.db", "data_dir": "/srv/op", "plugin_dir": "/srv/op/connectors",
		"payload_url": "/srv/op/payloads", "listen": "127.0.0.1:8080", "host_name": host,
		"connector_env": "", "encryption_master_key": "", "encryption_previous_keys": "", "log_level": "INFO", "log_format": "text",
		"workers": "1024", "max_in_flight": "512", "poll_interval": "1s", "attempt_timeout": "1m0s", "max_failures": "10",
		"retry_min": "2s", "retry_max": "5m0s", "test_timeout": "30s", "ack_poll_interval": "0s",
		"heartbeat_interval": "1s", "host_dead_after": "5s", "drain_grace": "10s",
	}
	got := make(map[string]string)
	for _, setting := range s.List() {
		got[setting.Key] = setting.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsWinOverVariablesOverTheFileOverDefaults(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "op.yaml")
	text := "listen: 0.0.0.0:1\nlog_format: json\nworkers: 11\nlog_level: debug\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := load(t, settings.Sources{
		Flags: map[string]string{"listen": "0.0.0.0:3"},
		LookupEnv: env(map[string]string{
			"ORDERPORT_CONFIG": file, "ORDERPORT_LISTEN": "0.0.0.0:2", "ORDERPORT_WORKERS": "12", "ORDERPORT_LOG_LEVEL": "",
		}),
	})
	if s.Listen != "0.0.0.0:3" || s.Workers != 12 || s.LogFormat != "json" || s.LogLevel != slog.LevelDebug || s.MaxFailures != 10 {
		t.Errorf("%v", s)
	}
	for key, want := range map[string]string{
		"listen": "--listen", "workers": "ORDERPORT_WORKERS", "log_format": "op.yaml:2", "log_level": "op.yaml:4", "max_failures": "default",
	} {
		if got := s.Origin(key); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
}

func TestTheVariablesOfTheDesignAreRead(t *testing.T) {
	t.Parallel()
	key, old, older := seal.GenerateKey(), seal.GenerateKey(), seal.GenerateKey()
	s := load(t, settings.Sources{LookupEnv: env(map[string]string{
		"DATABASE_URL": "postgres://u:p@h/db", "ENCRYPTION_MASTER_KEY": key.Reveal(),
		"ENCRYPTION_PREVIOUS_KEYS": old.Reveal() + ", " + older.Reveal(),
		"ORDERPORT_DATA_DIR":       "/d", "ORDERPORT_PLUGIN_DIR": "/p", "ORDERPORT_PAYLOAD_URL": "s3://b?region=r", "ORDERPORT_LISTEN": ":0",
		"ORDERPORT_ATTEMPT_TIMEOUT": "90s",
	})})
	if s.DatabaseURL != "postgres://u:p@h/db" || s.DataDir != "/d" || s.PluginDir != "/p" || s.PayloadURL != "s3://b?region=r" ||
		s.Listen != ":0" || s.AttemptTimeout != 90*time.Second {
		t.Errorf("%v", s)
	}
	ring, err := s.Keyring()
	if err != nil || ring.CurrentID() != key.ID() || !ring.Has(old.ID()) || !ring.Has(older.ID()) {
		t.Errorf("%v, %v", ring, err)
	}
}

func TestWithoutAMasterKeyThereIsNoKeyring(t *testing.T) {
	t.Parallel()
	_, err := load(t, settings.Sources{}).Keyring()
	if e := fault.From(err); e == nil || e.Code != "invalid_master_key" || !strings.Contains(e.Hint, "orderport key generate") {
		t.Errorf("%v", err)
	}
}

func TestEverythingThatIsWrongIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := settings.Load(settings.Sources{
		Flags: map[string]string{"log_format": "xml"},
		LookupEnv: env(map[string]string{
			"ORDERPORT_WORKERS": "many", "ORDERPORT_MAX_IN_FLIGHT": "0", "ORDERPORT_RETRY_MIN": "30",
			"ORDERPORT_DRAIN_GRACE": "2h", "ORDERPORT_LOG_LEVEL": "loud", "ENCRYPTION_MASTER_KEY": "abc123",
		}),
	})
	want := []string{
		"encryption_master_key is no key: the master key has 6 characters instead of 64; `orderport key generate` makes one (set by ENCRYPTION_MASTER_KEY)",
		"log_level must be debug, info, warn or error (set by ORDERPORT_LOG_LEVEL)",
		"log_format must be one of: text, json (set by --log-format)",
		"workers must be a whole number (set by ORDERPORT_WORKERS)",
		"max_in_flight must be from 1 to 4096 (set by ORDERPORT_MAX_IN_FLIGHT)",
		`retry_min must be a duration with its unit, such as "30s" or "5m" (set by ORDERPORT_RETRY_MIN)`,
		"drain_grace must be from 100ms to 1h (set by ORDERPORT_DRAIN_GRACE)",
	}
	if diff := cmp.Diff(want, violations(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsThatDoNotFitTogetherAreNamed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		vars map[string]string
		want string
	}{
		"other database":         {map[string]string{"DATABASE_URL": "mysql://h/db"}, "database_url must start with postgres:// or sqlite: (set by DATABASE_URL)"},
		"database without file":  {map[string]string{"DATABASE_URL": "sqlite:"}, "database_url must start"},
		"other payload store":    {map[string]string{"ORDERPORT_PAYLOAD_URL": "gs://b"}, "payload_url must be a directory"},
		"payload credentials":    {map[string]string{"ORDERPORT_PAYLOAD_URL": "s3://k:s@b"}, "payload_url must be a directory"},
		"address without a port": {map[string]string{"ORDERPORT_LISTEN": "localhost"}, "listen must be HOST:PORT"},
		"address with a service": {map[string]string{"ORDERPORT_LISTEN": ":http"}, "listen must be HOST:PORT"},
		"port beyond 16 bits":    {map[string]string{"ORDERPORT_LISTEN": ":65536"}, "listen must be HOST:PORT"},
		"pauses upside down":     {map[string]string{"ORDERPORT_RETRY_MIN": "10m"}, "retry_max must not be less than retry_min (10m0s)"},
		"few heartbeats":         {map[string]string{"ORDERPORT_HEARTBEAT_INTERVAL": "2s"}, "host_dead_after must be at least three times heartbeat_interval (2s)"},
		"previous keys alone":    {map[string]string{"ENCRYPTION_PREVIOUS_KEYS": strings.Repeat("ab", 32)}, "encryption_previous_keys are set, but encryption_master_key is not"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := settings.Load(settings.Sources{LookupEnv: env(tt.vars)})
			if got := violations(t, err); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAWrongFileIsReportedWithItsLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"unknown settings": {
			"listen: :1\n\nlisten_addres: x\nDATA_DIR: y\n",
			[]string{`orderport.yaml:3 "listen_addres" is not a setting`, `orderport.yaml:4 "DATA_DIR" is not a setting`},
		},
		"set twice":          {"workers: 1\nworkers: 2\n", []string{"orderport.yaml:2 workers is set twice"}},
		"no value":           {"workers:\nlisten: ''\n", []string{"orderport.yaml:1 workers has no value", "orderport.yaml:2 listen has no value"}},
		"a list":             {"listen: [a]\n", []string{"orderport.yaml:1 listen must be a plain value"}},
		"an alias":           {"data_dir: &a x\nplugin_dir: *a\n", []string{"orderport.yaml:2 plugin_dir must be a plain value"}},
		"no mapping":         {"- a\n", []string{"orderport.yaml:1 must be a mapping of settings to values"}},
		"two documents":      {"workers: 1\n---\nworkers: 2\n", []string{"orderport.yaml has more than one document"}},
		"wrong value":        {"\nworkers: lots\n", []string{"workers must be a whole number (set by orderport.yaml:2)"}},
		"variable not set":   {"encryption_master_key: env:NO_SUCH\n", []string{"encryption_master_key refers to the variable NO_SUCH, which is not set (set by orderport.yaml:1)"}},
		"open key":           {"encryption_master_key: " + strings.Repeat("ab", 32) + "\n", []string{`encryption_master_key must be "file:PATH" or "env:NAME" in the YAML file, because it is secret (set by orderport.yaml:1)`}},
		"open previous key":  {"encryption_previous_keys: ['env:KEY', " + strings.Repeat("ab", 32) + "]\n", []string{`encryption_previous_keys must be "file:PATH" or "env:NAME" in the YAML file, because it is secret (set by orderport.yaml:1)`}},
		"open password":      {"database_url: postgres://u:hunter2@h/db\n", []string{`database_url must be "file:PATH" or "env:NAME" in the YAML file, because it is secret (set by orderport.yaml:1)`}},
		"password parameter": {"database_url: postgres://h/db?password=hunter2\n", []string{`database_url must be "file:PATH" or "env:NAME" in the YAML file, because it is secret (set by orderport.yaml:1)`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadFile(t, tt.text, map[string]string{"KEY": strings.Repeat("cd", 32)})
			if diff := cmp.Diff(tt.want, violations(t, err)); diff != "" {
				t.Error(diff)
			}
			for _, secret := range []string{"hunter2", "abab"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows %q: %v", secret, err)
				}
			}
		})
	}
}

func TestAFileThatIsNoYAMLOrIsMissingIsReported(t *testing.T) {
	t.Parallel()
	_, err := loadFile(t, "workers: 1\nlisten: b: c\n", nil)
	if got := violations(t, err); len(got) != 1 || !strings.Contains(got[0], "orderport.yaml is not YAML: ") || !strings.Contains(got[0], "line 2") {
		t.Errorf("%q", got)
	}
	_, err = settings.Load(settings.Sources{ConfigFile: "/no/such/file", LookupEnv: env(nil)})
	if got := violations(t, err); len(got) != 1 || !strings.HasPrefix(got[0], "config can't be read") {
		t.Errorf("%q", got)
	}
}

func TestAnEmptyFileIsAllDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "{}\n"} {
		if s, err := loadFile(t, text, nil); err != nil || s.Workers != 1024 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretsInTheFileAreReferences(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, old, older := seal.GenerateKey(), seal.GenerateKey(), seal.GenerateKey()
	for name, text := range map[string]string{
		"key": key.Reveal() + "\n", "database": "postgres://u:hunter2@h/db\n",
		"op.yaml": "encryption_master_key: file:key\nencryption_previous_keys:\n  - env:OLD\n  - file:" + dir + "/older\ndatabase_url: file:database\n",
		"older":   older.Reveal(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := load(t, settings.Sources{ConfigFile: filepath.Join(dir, "op.yaml"), LookupEnv: env(map[string]string{"OLD": old.Reveal()})})
	ring, err := s.Keyring()
	if err != nil || ring.CurrentID() != key.ID() || !ring.Has(old.ID()) || !ring.Has(older.ID()) || s.DatabaseURL != "postgres://u:hunter2@h/db" {
		t.Errorf("%v, %v", s, err)
	}
	s = load(t, settings.Sources{LookupEnv: env(map[string]string{"ENCRYPTION_MASTER_KEY": "file:" + dir + "/key"})})
	if s.MasterKey.ID() != key.ID() {
		t.Errorf("key %v from a variable that names a file", s.MasterKey)
	}
}

func TestADatabaseURLWithoutAPasswordMayStandInTheFile(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"sqlite:/var/lib/x.db", "postgres://user@h/db?sslmode=verify-full"} {
		if s, err := loadFile(t, "database_url: "+url+"\n", nil); err != nil || s.DatabaseURL != url {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestSettingsAreShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	key, old := seal.GenerateKey(), seal.GenerateKey()
	s := load(t, settings.Sources{LookupEnv: env(map[string]string{
		"DATABASE_URL": "postgres://u:hunter2@h/db?sslpassword=hunter2", "ENCRYPTION_MASTER_KEY": key.Reveal(), "ENCRYPTION_PREVIOUS_KEYS": old.Reveal(),
	})})
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&shown, verb+"\n"+verb+"\n", s, &s)
	}
	slog.New(slog.NewJSONHandler(&shown, nil)).Info("settings", "settings", s)
	fmt.Fprintf(&shown, "%+v", s.List())
	for _, secret := range []string{"hunter2", key.Reveal(), old.Reveal()} {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("shows %s:\n%s", secret, shown.String())
		}
	}
	for _, public := range []string{key.ID(), old.ID(), "postgres://u:xxxxx@h/db"} {
		if !strings.Contains(shown.String(), public) {
			t.Errorf("does not show %s", public)
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, f := range settings.Fields() {
		if f.Help == "" || f.Env == "" || slices.Contains(keys, f.Key) {
			t.Errorf("%+v", f)
		}
		if (f.Flag == "") != f.Secret {
			t.Errorf("%s: a secret has no flag, everything else has one", f.Key)
		}
		keys = append(keys, f.Key)
	}
	exported := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[settings.Settings]()) {
		if f.IsExported() {
			exported++
		}
	}
	if exported != len(keys) {
		t.Errorf("%d exported fields, %d settings", exported, len(keys))
	}
}

func TestFlagsGiveWhatWasSet(t *testing.T) {
	t.Parallel()
	target, given := settings.Flags()
	if got := given(); len(got) != 0 {
		t.Fatalf("given %v before anything was", got)
	}
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("name") == "data-dir" {
			dir := "/x"
			v.Field(i).Set(reflect.ValueOf(&dir))
		}
	}
	if diff := cmp.Diff(map[string]string{"data_dir": "/x"}, given()); diff != "" {
		t.Error(diff)
	}
}
