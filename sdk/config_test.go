package sdk_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/orderport/orderport/sdk"
)

func connect(t testing.TB, schema, config string) sdk.Connection {
	t.Helper()
	conn, err := sdk.NewConnection("c", "acme", []byte(schema), []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestDecodeConfigIsStrict(t *testing.T) {
	t.Parallel()
	type narrow struct {
		Host     string     `json:"host"`
		Port     uint8      `json:"port"`
		Password sdk.Secret `json:"password"`
	}
	type forgetful struct {
		Host string `json:"host"`
	}
	for name, c := range map[string]struct {
		decode func(sdk.Connection) error
		config string
		want   string // path of the first violation; "-": none at all
	}{
		"a good config":             {decodeInto[ftpConfig], ftpConfigJSON, "-"},
		"not JSON":                  {decodeInto[ftpConfig], `{`, ""},
		"a wrong type":              {decodeInto[ftpConfig], `{"host":"h","password":["` + canary + `"]}`, "password"},
		"a number out of range":     {decodeInto[narrow], `{"host":"h","port":300,"password":"x"}`, "port"},
		"a fraction for an integer": {decodeInto[ftpConfig], `{"host":"h","port":2.5,"password":"x"}`, "port"},
		"a field without a place":   {decodeInto[forgetful], ftpConfigJSON, "password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.decode(connect(t, ftpSchema, c.config))
			if c.want == "-" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != sdk.InvalidConfig || e.Retryable || len(e.Violations) == 0 || e.Violations[0].Path != c.want {
				t.Errorf("got %+v, want a violation at %q", e, c.want)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, e), canary) {
				t.Errorf("a value is in %v", err)
			}
		})
	}
	if err := decodeInto[ftpConfig](sdk.Connection{}); !errors.Is(err, &sdk.Error{Code: sdk.InvalidConfig}) {
		t.Errorf("no config at all: %v", err)
	}
}

func decodeInto[T any](conn sdk.Connection) error {
	_, err := sdk.DecodeConfig[T](conn)
	return err
}

func TestDecodeConfigIsCheapTheSecondTime(t *testing.T) {
	conn := connect(t, ftpSchema, ftpConfigJSON)
	if err := decodeInto[ftpConfig](conn); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = decodeInto[ftpConfig](conn) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func TestAConfigKeyTellsConfigsApartAndNothingElse(t *testing.T) {
	t.Parallel()
	one, same := connect(t, ftpSchema, ftpConfigJSON), connect(t, ftpSchema, ftpConfigJSON)
	other := connect(t, ftpSchema, strings.ReplaceAll(ftpConfigJSON, "canary", "other"))
	if one.ConfigKey() != same.ConfigKey() || one.ConfigKey() == other.ConfigKey() || one.ConfigKey() == "" {
		t.Error("the key must depend on the bytes")
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	type holder struct {
		inner  ftpConfig // unexported on purpose
		secret sdk.Secret
		conn   sdk.Connection
		list   []sdk.Secret
	}
	conn := connect(t, ftpSchema, ftpConfigJSON)
	cfg, err := sdk.DecodeConfig[ftpConfig](conn)
	if err != nil || cfg.Password.Reveal() != canary {
		t.Fatalf("got %q, %v", cfg.Password.Reveal(), err)
	}
	s := cfg.Password
	h := holder{cfg, s, conn, []sdk.Secret{s}}
	var out strings.Builder
	for _, value := range []any{s, &s, cfg, &cfg, h, &h, conn, &conn, []any{s, cfg}, map[string]any{"x": s}, map[sdk.Secret]int{s: 1}, sdk.ExportRequest{Connection: conn}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s", "%p", "%T"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		var text bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&text, nil))
		logger.Info("m", "v", value)
		slog.New(slog.NewJSONHandler(&text, nil)).Info("m", "v", value)
		slog.New(sdk.NewLogHandler(&text, slog.LevelInfo)).Info("m", "v", value)
		out.Write(text.Bytes())
		if data, err := json.Marshal(value); err == nil {
			out.Write(data)
		}
	}
	text, err := encoding.TextMarshaler(s).MarshalText()
	if err != nil {
		t.Error(err)
	}
	out.Write(text)
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), "cGE1NS1jYW5hcnk"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q was printed", form)
		}
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("nothing was printed at all")
	}
}

func TestSecretsCompareAndKnowWhetherTheyAreEmpty(t *testing.T) {
	t.Parallel()
	var none sdk.Secret
	if !none.Empty() || !sdk.NewSecret("").Empty() || sdk.NewSecret("x").Empty() {
		t.Error("empty")
	}
	if !sdk.NewSecret("x").Equal(sdk.NewSecret("x")) || sdk.NewSecret("x").Equal(none) {
		t.Error("equal")
	}
}

func FuzzDecodeConfig(f *testing.F) {
	type config struct {
		Host     string     `json:"host"`
		Port     uint16     `json:"port"`
		Password sdk.Secret `json:"password"`
	}
	for _, seed := range []string{ftpConfigJSON, `{}`, `{"host":"h","password":"` + canary + `","port":1e2}`, `{"Host":"x","host":"y","password":""}`, "\xff", `[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		conn, err := sdk.NewConnection("c", "acme", []byte(ftpSchema), raw)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := sdk.DecodeConfig[config](conn)
		if err == nil {
			if cfg.Host == "" || cfg.Port == 0 {
				t.Errorf("%q decoded to %+v", raw, cfg)
			}
			return
		}
		var e *sdk.Error
		if !errors.As(err, &e) || e.Code != sdk.InvalidConfig || len(e.Violations) == 0 {
			t.Errorf("%q: %v", raw, err)
		}
	})
}
