package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// TestConnectionCutAtAnyByteIsCompletedByTheNextAttempt cuts the conversation
// with the server after every so many bytes, from the handshake to the end.
func TestConnectionCutAtAnyByteIsCompletedByTheNextAttempt(t *testing.T) {
	t.Parallel()
	for _, kind := range []sshtest.Kind{sshtest.OpenSSH, sshtest.ProFTPD} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			srv := sshtest.Run(t, sshtest.Options{Kind: kind})
			proxy := sshtest.RunProxy(t, srv.Addr)
			f := sftpFields(srv).with("port", proxy.Port)
			cuts := 0
			for n := int64(0); n < 4000; n += 61 {
				dir, err := os.MkdirTemp(srv.Root, "cut-")
				noErr(t, err)
				proxy.CutAfter(n)
				export := sdktest.New(t, newConnector()).NewExport(f.with("export_path", dir).json(), sdktest.SampleOrder())
				result, err := export.Run(t.Context())
				noErr(t, err)
				proxy.CutAfter(-1)
				if !result.GetSuccess() {
					cuts++
					wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE, true)
					result = run(t, export)
				}
				wantDelivered(t, export, dir, result)
			}
			if cuts < 15 {
				t.Errorf("only %d of the attempts were cut", cuts)
			}
		})
	}
}

func TestServerKilledAndRestartedLosesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []sshtest.Kind{sshtest.OpenSSH, sshtest.ProFTPD} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			srv := sshtest.Run(t, sshtest.Options{Kind: kind})
			host := sdktest.New(t, newConnector())
			run(t, host.NewExport(sftpFields(srv).json(), sdktest.SampleOrder()))
			srv.Kill()
			export := host.NewExport(sftpFields(srv).json(), sdktest.SampleOrder())
			export.ID = exportID(2)
			result, err := export.Run(t.Context())
			noErr(t, err)
			wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE, true)
			noErr(t, srv.Restart(t.Context()))
			run(t, export)
			if got := len(names(t, srv.Root)); got != 2 {
				t.Errorf("%d files, want 2: %q", got, names(t, srv.Root))
			}
		})
	}
}

func TestDeadPooledSessionIsReplacedWithinTheAttempt(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	host := sdktest.New(t, newConnector())
	run(t, host.NewExport(sftpFields(srv).json(), sdktest.SampleOrder()))
	srv.KillSessions()
	export := host.NewExport(sftpFields(srv).json(), sdktest.SampleOrder())
	export.ID = exportID(2)
	run(t, export)
}

func TestServerThatStopsAnsweringIsATimeout(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	f := sftpFields(srv).with("timeout_seconds", 1)
	host := sdktest.New(t, newConnector())
	run(t, host.NewExport(f.json(), sdktest.SampleOrder()))
	srv.Pause()
	for name, run := range map[string]func() (*connectorv1.Error, error){
		"in an open session": func() (*connectorv1.Error, error) {
			export := host.NewExport(f.json(), sdktest.SampleOrder())
			export.ID = exportID(2)
			result, err := export.Run(t.Context())
			return result.GetError(), err
		},
		"in a handshake": func() (*connectorv1.Error, error) {
			response, err := host.TestConnection(t.Context(), f.json())
			return response.GetError(), err
		},
	} {
		start := time.Now()
		got, err := run()
		noErr(t, err)
		wantCode(t, got, connectorv1.ErrorCode_ERROR_CODE_TIMEOUT, true)
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("%s: took %v with a timeout of a second", name, took)
		}
	}
	srv.Resume()
	export := host.NewExport(f.json(), sdktest.SampleOrder())
	export.ID, export.Attempt = exportID(2), 1
	run(t, export)
}

func TestCancelledCallEndsAtOnce(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	host := sdktest.New(t, newConnector())
	run(t, host.NewExport(sftpFields(srv).json(), sdktest.SampleOrder()))
	srv.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	export := host.NewExport(sftpFields(srv).json(), sdktest.SampleOrder())
	export.ID = exportID(2)
	start := time.Now()
	_, err := export.Run(ctx) // waits for the connector, too
	if err == nil || time.Since(start) > 1500*time.Millisecond {
		t.Errorf("the call ended after %v with %v", time.Since(start), err)
	}
	srv.Resume()
	run(t, export)
	// What the server does of the request that was given up may come late.
	eventually(t, "only the two orders are there", func() bool { return len(names(t, srv.Root)) == 2 })
}

func TestUnreachableServers(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, newConnector())
	base := fields{
		"mode": "sftp", "host": "127.0.0.1", "port": 1, "username": "u", "password": "hunter2-canary",
		"insecure_ignore_host_key": true, "export_path": "/in", "timeout_seconds": 1,
	}
	for name, f := range map[string]fields{
		"a port where nobody listens": base,
		"a host that does not exist":  base.with("host", "no-such-host.invalid"),
	} {
		t.Run(name, func(t *testing.T) {
			result, err := host.NewExport(f.json(), sdktest.SampleOrder()).Run(t.Context())
			noErr(t, err)
			wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE, true)
		})
	}
	t.Run("a black hole", func(t *testing.T) {
		srv := sshtest.Run(t, sshtest.Options{})
		proxy := sshtest.RunProxy(t, srv.Addr)
		proxy.Blackhole(true)
		result, err := host.NewExport(base.with("port", proxy.Port).json(), sdktest.SampleOrder()).Run(t.Context())
		noErr(t, err)
		wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_TIMEOUT, true)
	})
}

func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	openssh := sshtest.Run(t, sshtest.Options{})
	asking := sshtest.Run(t, sshtest.Options{AsksForPasswords: true})
	proftpd := sshtest.Run(t, sshtest.Options{Kind: sshtest.ProFTPD})
	const canary = "wrong-canary-password"
	for name, f := range map[string]fields{
		"a wrong password":                       sftpFields(proftpd).with("password", canary),
		"a wrong key":                            sftpFields(openssh).with("private_key", newKey(t, "")),
		"an unknown user":                        sftpFields(proftpd).with("username", "nobody-here"),
		"a password where only keys are allowed": sftpFields(openssh).with("private_key", nil).with("password", canary),
		"a password by either of two methods":    sftpFields(asking).with("private_key", nil).with("password", canary),
		"a wrong key, then a wrong password":     sftpFields(proftpd).with("private_key", newKey(t, "")).with("password", canary),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := sdktest.New(t, newConnector())
			result, err := host.NewExport(f.json(), sdktest.SampleOrder()).Run(t.Context())
			noErr(t, err)
			wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED, true)
			if strings.Contains(fmt.Sprint(result), canary) {
				t.Errorf("the answer holds the password: %v", result)
			}
		})
	}
}

func TestRefusedCredentialsAreTriedOnceByABurst(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{Kind: sshtest.ProFTPD})
	proxy := sshtest.RunProxy(t, srv.Addr)
	f := sftpFields(srv).with("port", proxy.Port).with("password", "wrong")
	c := newConnector()
	together(16, func(i int) {
		export := sdktest.New(t, c).NewExport(f.json(), sdktest.SampleOrder())
		export.ID = exportID(i)
		result, err := export.Run(t.Context())
		if err != nil || result.GetError().GetCode() != connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED {
			t.Errorf("%v, %v", err, result)
		}
	})
	if n := proxy.Accepted(); n != 1 {
		t.Errorf("%d connections for one wrong password, want 1", n)
	}
	before := proxy.Accepted()
	response, err := sdktest.New(t, c).TestConnection(t.Context(), f.json())
	noErr(t, err)
	wantCode(t, response.GetError(), connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED, true)
	if n := proxy.Accepted() - before; n != 1 {
		t.Errorf("a test made %d connections, want 1", n)
	}
}

func TestHostKeyIsChecked(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{HostKeyTypes: []string{"ed25519", "rsa", "ecdsa"}})
	other := sshtest.Run(t, sshtest.Options{HostKeyTypes: []string{"ed25519", "rsa"}})
	bare := func(line string) string { return line[strings.Index(line, " ")+1:] }
	cases := map[string]struct {
		key      string
		accepted bool
	}{
		"a known_hosts line of the first key":   {srv.HostKeys[0], true},
		"a known_hosts line of the rsa key":     {srv.HostKeys[1], true},
		"a known_hosts line of the ecdsa key":   {srv.HostKeys[2], true},
		"a key without the host part":           {bare(srv.HostKeys[0]), true},
		"a key without host part, with comment": {bare(srv.HostKeys[0]) + " root@erp", true},
		"several lines, one of them right":      {"# keys\n" + other.HostKeys[0] + "\n" + srv.HostKeys[0] + "\n", true},
		"the fingerprint of the first key":      {srv.Fingerprints[0], true},
		"the fingerprint of the rsa key":        {srv.Fingerprints[1], true},
		"the fingerprint of the ecdsa key":      {srv.Fingerprints[2], true},
		"another server's ed25519 key":          {other.HostKeys[0], false},
		"another server's rsa key":              {other.HostKeys[1], false},
		"another server's fingerprint":          {other.Fingerprints[1], false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := sdktest.New(t, newConnector())
			response, err := host.TestConnection(t.Context(), sftpFields(srv).with("host_key", tc.key).json())
			noErr(t, err)
			if tc.accepted {
				if !response.GetSuccess() {
					t.Errorf("refused: %v", response.GetError())
				}
				return
			}
			wantCode(t, response.GetError(), connectorv1.ErrorCode_ERROR_CODE_HOST_KEY_MISMATCH, true)
			pinned, err := parseHostKeys(config{HostKey: tc.key})
			noErr(t, err)
			message := response.GetErrorMessage()
			if !strings.Contains(message, pinned.expected()) || !containsAny(message, srv.Fingerprints) {
				t.Errorf("the message names not both fingerprints: %s", message)
			}
			if steps := response.GetSteps(); steps[len(steps)-1].GetName() != "host_key" {
				t.Errorf("it failed in step %q, want host_key", steps[len(steps)-1].GetName())
			}
		})
	}
}

func TestServerWithoutThePinnedKeyTypeIsAMismatch(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	rsa := sshtest.Run(t, sshtest.Options{HostKeyTypes: []string{"rsa"}})
	response, err := sdktest.New(t, newConnector()).TestConnection(t.Context(), sftpFields(srv).with("host_key", rsa.HostKey).json())
	noErr(t, err)
	wantCode(t, response.GetError(), connectorv1.ErrorCode_ERROR_CODE_HOST_KEY_MISMATCH, true)
}

func TestEncryptedKeyOpensWithItsPassphraseOnly(t *testing.T) {
	t.Parallel()
	key := newKey(t, "sesame-canary")
	for name, tc := range map[string]struct {
		passphrase any
		path       string
	}{
		"without a passphrase":      {nil, "passphrase"},
		"with a wrong passphrase":   {"wrong-canary", "passphrase"},
		"with the right passphrase": {"sesame-canary", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config{HostKey: "SHA256:" + strings.Repeat("A", 43), PrivateKey: secret(key)}
			if text, ok := tc.passphrase.(string); ok {
				cfg.Passphrase = secret(text)
			}
			_, err := newDialer(cfg)
			var typed *sdk.Error
			switch {
			case tc.path == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.path != "" && (!errors.As(err, &typed) || typed.Code != sdk.InvalidConfig || typed.Violations[0].Path != tc.path):
				t.Errorf("got %v, want INVALID_CONFIG for %s", err, tc.path)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("the error holds the passphrase: %v", err)
			}
		})
	}
}

func TestSessionsAreSharedAndBounded(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	proxy := sshtest.RunProxy(t, srv.Addr)
	f := sftpFields(srv).with("port", proxy.Port).with("max_sessions", 3)
	c := newConnector()
	together(12, func(worker int) {
		host := sdktest.New(t, c)
		for i := range 10 {
			export := host.NewExport(f.json(), sdktest.SampleOrder())
			export.ID = exportID(worker*100 + i)
			if result, err := export.Run(t.Context()); err != nil || !result.GetSuccess() {
				t.Errorf("%v, %v", err, result)
			}
		}
	})
	if n := proxy.Accepted(); n < 1 || n > 3 {
		t.Errorf("%d connections for 120 exports, want at most 3", n)
	}
	if n := len(names(t, srv.Root)); n != 120 {
		t.Errorf("%d files, want 120", n)
	}
}

func TestChangedConfigDropsTheOldSessions(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	proxy := sshtest.RunProxy(t, srv.Addr)
	f := sftpFields(srv).with("port", proxy.Port)
	host := sdktest.New(t, newConnector())
	run(t, host.NewExport(f.json(), sdktest.SampleOrder()))
	if n := proxy.Open(); n != 1 {
		t.Fatalf("%d connections after an export, want 1 that is kept", n)
	}
	export := host.NewExport(sftpFields(srv).json(), sdktest.SampleOrder()) // past the proxy
	export.ID = exportID(2)
	run(t, export)
	eventually(t, "the old session is closed", func() bool { return proxy.Open() == 0 })
}

func TestTestConnectionLeavesNoSession(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	proxy := sshtest.RunProxy(t, srv.Addr)
	host := sdktest.New(t, newConnector())
	for range 5 {
		response, err := host.TestConnection(t.Context(), sftpFields(srv).with("port", proxy.Port).json())
		if err != nil || !response.GetSuccess() {
			t.Fatalf("%v, %v", err, response)
		}
	}
	for _, wrong := range []fields{
		sftpFields(srv).with("private_key", newKey(t, "")),
		sftpFields(srv).with("host_key", "SHA256:"+strings.Repeat("A", 43)),
		sftpFields(srv).with("export_path", "/nowhere"),
	} {
		if response, err := host.TestConnection(t.Context(), wrong.with("port", proxy.Port).json()); err != nil || response.GetSuccess() {
			t.Fatalf("%v, %v", err, response)
		}
	}
	eventually(t, "all sessions are closed", func() bool { return proxy.Open() == 0 })
	wantNames(t, srv.Root)
}

func TestAbandonedTestLeavesNoSession(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	proxy := sshtest.RunProxy(t, srv.Addr)
	host := sdktest.New(t, newConnector())
	srv.Pause()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := host.TestConnection(ctx, sftpFields(srv).with("port", proxy.Port).json()); err == nil {
			t.Error("a server that does not answer passed the test")
		}
		cancel()
	}
	srv.Resume()
	eventually(t, "all sessions are closed", func() bool { return proxy.Open() == 0 })
}

func TestReadOnlyServerIsPermissionDenied(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{ReadOnly: true})
	result, err := sdktest.New(t, newConnector()).NewExport(sftpFields(srv).json(), sdktest.SampleOrder()).Run(t.Context())
	noErr(t, err)
	wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, true)
	if !strings.Contains(result.GetError().GetMessage(), srv.Root) {
		t.Errorf("the message does not name the directory: %s", result.GetError().GetMessage())
	}
}

func TestUploadMayTakeAsLongAsItProgresses(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	proxy := sshtest.RunProxy(t, srv.Addr)
	f := sftpFields(srv).with("port", proxy.Port).with("timeout_seconds", 1)
	host := sdktest.New(t, newConnector())
	run(t, host.NewExport(f.json(), sdktest.SampleOrder()))
	proxy.Delay(20 * time.Millisecond) // for each 32 KiB, so 2 MiB take longer than the timeout
	export := host.NewExport(f.json(), sdktest.OrderWithLines(10_000, 100))
	export.ID = exportID(2)
	result := run(t, export)
	info, err := os.Stat(filepath.Join(srv.Root, result.GetExternalRef()))
	noErr(t, err)
	if info.Size() < 2<<20 || info.Size() != int64(len(export.Payload.Data)) {
		t.Errorf("the file has %d bytes, the payload %d", info.Size(), len(export.Payload.Data))
	}
}

// newKey makes a private key that no server knows.
func newKey(t *testing.T, passphrase string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	noErr(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	noErr(t, err)
	return string(pem.EncodeToMemory(block))
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// eventually waits for what another process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not true after 10 s: %s", what)
		}
	}
}
