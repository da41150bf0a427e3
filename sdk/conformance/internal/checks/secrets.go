package checks

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/canary"
	"github.com/orderport/orderport/sdk/conformance/internal/procfs"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
)

func secrets() []suite.Check {
	needs := []suite.Need{suite.Secrets}
	return []suite.Check{
		{
			ID: "secrets/output", Level: suite.Must, Clauses: []string{"SEC-01"}, Needs: needs, Run: secretsInOutput,
			Title: "no secret is in what it prints, on success and on every failure",
		},
		{
			ID: "secrets/answers", Level: suite.Must, Clauses: []string{"SEC-01", "CHK-01"}, Needs: needs, Run: secretsInAnswers,
			Title: "no secret is in any answer: errors, steps, results, checkpoints, payloads",
		},
		{
			ID: "secrets/process", Level: suite.Must, Clauses: []string{"SEC-01"}, Needs: append(needs, suite.Proc),
			Run:   secretsInProcess,
			Title: "no secret is in environment, command line or thread names of it or its children",
		},
		{
			ID: "secrets/files", Level: suite.Must, Clauses: []string{"SEC-01", "SEC-04"}, Needs: needs, Run: secretsInFiles,
			Title: "no secret is in a file, at the target or on this machine",
		},
		{
			ID: "secrets/crash", Level: suite.Must, Clauses: []string{"SEC-03"}, Needs: needs, Run: secretsInCrash,
			Title: "a crash in the middle of an export prints no secret",
		},
		{
			ID: "secrets/rotation", Level: suite.Must, Clauses: []string{"EXP-16"}, Needs: []suite.Need{suite.Secrets, suite.SFTPServer},
			Run:   rotation,
			Title: "after a change of the config the old secret is not presented any more",
		},
	}
}

// exercise makes a connector do everything that it can do well and badly with
// secrets in the config, and returns what it has made of one order.
func exercise(t *suite.T, c *suite.Connector) {
	c.TestConnection(t.Config(nil))
	c.TestConnection(invalidConfig(t))
	t.NewExport().Deliver(c)
	misfits(t, c)
	bad := t.NewExport()
	bad.Order.Lines = nil
	run(t, c, bad)
	if _, err := fetch(t, c, t.Connection()); err == nil {
		leaveAck(t)
		_, _ = fetch(t, c, t.Connection())
	}
	for _, failure := range cases(t) {
		if failure.Silent || sameConfig(t, failure) {
			continue
		}
		config, mend := broken(t, failure)
		c.TestConnection(config)
		run(t, c, t.NewExportOf(suite.SampleOrder(), suite.Connection(config)))
		_, _ = fetch(t, c, suite.Connection(config))
		mend()
	}
}

// misfits tries configs in which a secret has a value that does not fit.
func misfits(t *suite.T, c *suite.Connector) {
	for name, property := range properties(t) {
		if property["writeOnly"] != true || strings.Contains(name, ".") {
			continue
		}
		values := sample(t)
		secret, _ := values[name].(string)
		if secret == "" {
			continue
		}
		// Still a secret to everybody who mistyped it.
		values[name] = []any{secret}
		c.TestConnection(encode(t, values))
		values[name] = strings.Repeat(secret, 6000)
		c.TestConnection(encode(t, values))
		values[name] = "-----BEGIN PRIVATE KEY-----\n" + secret
		c.TestConnection(encode(t, values))
	}
}

// run makes an attempt whose outcome does not matter.
func run(t *suite.T, c *suite.Connector, e *suite.Export) *suite.Attempt {
	ctx, cancel := t.Call()
	defer cancel()
	return e.Run(ctx, c)
}

// fetch returns the acks that there are; the error is a gRPC status.
func fetch(t *suite.T, c *suite.Connector, connection *connectorv1.Connection) ([]*connectorv1.FetchAcksResponse, error) {
	ctx, cancel := t.Call()
	defer cancel()
	return fetchSome(ctx, c, connection, 0)
}

func leaveAck(t *suite.T) {
	ack := target.Ack{ExternalRef: "conformance-foreign", ErrorCode: "E1", Message: "no"}
	_ = t.Target().LeaveAck(t.Context(), ack)
}

// report fails for each secret that is in a text.
func report(t *suite.T, where string, text []byte) {
	for _, found := range canary.Find(text, t.Canaries()) {
		t.Errorf("a secret is in %s, %s", where, found)
	}
}

func secretsInOutput(t *suite.T) {
	c := t.Start()
	exercise(t, c)
	stop(t, c)
	report(t, "standard output", c.Stdout.Bytes())
	report(t, "standard error", c.Stderr.Bytes())
}

func secretsInAnswers(t *suite.T) {
	c := t.Start()
	exercise(t, c)
	heard := c.Heard.Bytes()
	if len(heard) == 0 {
		t.Fatalf("nothing was heard of the connector")
	}
	report(t, "an answer", heard)
}

func secretsInProcess(t *suite.T) {
	c := t.Start()
	e := t.NewExport()
	looked := 0
	look := func() {
		for _, pid := range append([]int{c.Pid}, procfs.Descendants(c.Pid)...) {
			for where, text := range procfs.Texts(pid) {
				looked++
				report(t, where+" of a process", text)
			}
		}
	}
	e.OnMessage = func(suite.Kind, int) suite.Answer {
		look()
		return suite.Answer{}
	}
	e.Deliver(c)
	c.TestConnection(t.Config(nil))
	look()
	if looked == 0 {
		t.Errorf("the process could not be looked at")
	}
}

func secretsInFiles(t *suite.T) {
	started := time.Now().Add(-time.Second)
	c := t.Start()
	exercise(t, c)
	for _, a := range everything(t) {
		report(t, "a file's name at the target", []byte(a.Name))
		report(t, "the file "+a.Name+" at the target", a.Data)
	}
	places := []string{c.WorkDir, c.SocketDir, os.TempDir(), "/tmp", "/var/tmp", "/dev/shm"}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, home)
	}
	for _, place := range places {
		scan(t, place, started)
	}
}

// scan looks at what was changed below a folder since the connector started.
func scan(t *suite.T, place string, since time.Time) {
	const deepest, largest, most = 3, 1 << 20, 20_000
	seen := 0
	_ = filepath.WalkDir(place, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || seen > most {
			return fs.SkipDir
		}
		seen++
		relative, _ := filepath.Rel(place, file)
		if entry.IsDir() {
			ours := strings.HasPrefix(entry.Name(), "opc-target") || strings.HasPrefix(entry.Name(), "sshtest-")
			if ours || strings.Count(relative, "/") >= deepest || entry.Name() == "proc" {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(since) || info.Size() > largest {
			return nil //nolint:nilerr // it has gone, or is none of the connector's
		}
		if data, err := os.ReadFile(file); err == nil { //nolint:gosec // read only
			report(t, "the file "+file, data)
		}
		return nil
	})
}

// secretsInCrash ends the connector with a signal that makes runtimes print
// where they are.
func secretsInCrash(t *suite.T) {
	for _, s := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT} {
		c := t.Start()
		e := t.NewExport()
		e.OnMessage = func(suite.Kind, int) suite.Answer {
			c.Ending()
			_ = c.Signal(s)
			_, _ = c.Wait(t.Limits().Stop.D())
			return suite.Answer{Silent: true}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*t.Limits().Stop.D())
		e.Run(ctx, c)
		cancel()
		c.Kill()
		report(t, "what it prints on "+s.String(), append(c.Stdout.Bytes(), c.Stderr.Bytes()...))
	}
}

func rotation(t *suite.T) {
	server := t.Target().(target.Server).SFTP() // the need says so
	old := t.Config(nil)
	if !strings.Contains(string(old), jsonText(server.Password)) {
		t.Skipf("the sample config does not use ${password}")
	}
	c := t.Start()
	t.NewExportOf(suite.SampleOrder(), suite.Connection(old)).Deliver(c)
	server.SetPassword(target.Canary())
	before := len(server.Logins())
	config := t.Config(nil)
	if r := c.TestConnection(config); !r.GetSuccess() {
		t.Errorf("with the new secret the test fails: %s", r.GetErrorMessage())
	}
	server.Disconnect()
	for range 3 {
		t.NewExportOf(suite.SampleOrder(), suite.Connection(config)).Deliver(c)
	}
	t.WantOrders(4)
	for _, login := range server.Logins()[before:] {
		if !login.Good {
			t.Errorf("a secret that is no longer in the config was presented to the target")
		}
	}
}
