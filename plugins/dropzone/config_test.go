package main

import (
	"slices"
	"testing"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/configschema"
)

func TestConfigSchemaKeepsTheRules(t *testing.T) {
	t.Parallel()
	if err := configschema.CheckSchema(configSchema); err != nil {
		t.Error(err)
	}
}

func TestConfigs(t *testing.T) {
	t.Parallel()
	directory := fields{"mode": "filesystem", "export_path": "/in"}
	server := fields{
		"mode": "sftp", "host": "erp.example", "username": "u", "password": "p", "host_key": "SHA256:x", "export_path": "in",
	}
	const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----"
	cases := map[string]struct {
		f     fields
		wrong []string
	}{
		"a directory":                       {directory, nil},
		"a server":                          {server, nil},
		"a server with a key":               {server.with("password", nil).with("private_key", key), nil},
		"a server with both":                {server.with("private_key", key).with("passphrase", "x"), nil},
		"a server whose key is ignored":     {server.with("host_key", nil).with("insecure_ignore_host_key", true), nil},
		"all that is optional":              {server.with("ack_path", "acks").with("ack_poll_seconds", 5).with("file_mode", "0640").with("port", 2222), nil},
		"nothing":                           {fields{}, []string{"mode", "export_path"}},
		"no mode":                           {directory.with("mode", nil), []string{"mode"}},
		"an unknown mode":                   {directory.with("mode", "ftp"), []string{"mode"}},
		"a server without a host and user":  {server.with("host", nil).with("username", nil), []string{"host", "username"}},
		"a server without credentials":      {server.with("password", nil), []string{"password"}},
		"a server without a host key":       {server.with("host_key", nil), []string{"host_key"}},
		"a server whose key is not ignored": {server.with("host_key", nil).with("insecure_ignore_host_key", false), []string{"host_key"}},
		"a passphrase without a key":        {server.with("passphrase", "x"), []string{"private_key"}},
		"a relative directory":              {directory.with("export_path", "in"), []string{"export_path"}},
		"a relative ack directory":          {directory.with("ack_path", "acks"), []string{"ack_path"}},
		"an unknown field":                  {directory.with("pasword", "x"), []string{"pasword"}},
		"a port that is none":               {server.with("port", 70000), []string{"port"}},
		"a port as text":                    {server.with("port", "22"), []string{"port"}},
		"an empty host":                     {server.with("host", ""), []string{"host"}},
		"a host with a user":                {server.with("host", "u@erp.example"), []string{"host"}},
		"a path of spaces":                  {server.with("export_path", "  "), []string{"export_path"}},
		"a path with a NUL":                 {server.with("export_path", "a\x00b"), []string{"export_path"}},
		"a mode that is not octal":          {directory.with("file_mode", "rw-r--"), []string{"file_mode"}},
		"no timeout":                        {server.with("timeout_seconds", 0), []string{"timeout_seconds"}},
		"a key that is none":                {server.with("private_key", "ssh-ed25519 AAAA"), []string{"private_key"}},
		"two wrong fields at once":          {server.with("port", 0).with("max_sessions", 0), []string{"max_sessions", "port"}},
	}
	schema, err := configschema.Compile(configSchema)
	noErr(t, err)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, violation := range schema.Validate([]byte(tc.f.json())) {
				got = append(got, violation.Path)
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tc.wrong))
			if !slices.Equal(slices.Compact(got), want) {
				t.Errorf("wrong fields %q, want %q", got, want)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	conn, err := sdk.NewConnection("id", "acme", configSchema, []byte(`{"mode":"filesystem","export_path":"/in/"}`))
	noErr(t, err)
	got, err := decodeConfig(conn)
	noErr(t, err)
	want := config{
		Mode: "filesystem", ExportPath: "/in", Port: 22, AtomicWrite: true,
		TimeoutSeconds: 30, MaxSessions: 4, AckPollSeconds: 60,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
