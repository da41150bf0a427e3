package checks

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/launch"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

func handshake() []suite.Check {
	return []suite.Check{
		{
			ID: "handshake/without-cookie", Level: suite.Must, Clauses: []string{"HND-01"}, Run: withoutCookie,
			Title: "without the cookie it exits with a status other than 0 and serves nothing",
		},
		{
			ID: "handshake/hint", Level: suite.Should, Clauses: []string{"HND-01"}, Run: hint,
			Title: "without the cookie it says on standard error what it is",
		},
		{
			ID: "handshake/one-line", Level: suite.Must, Clauses: []string{"HND-02", "HND-03"}, Run: oneLine,
			Title: "it prints the handshake line in time, and nothing else to standard output",
		},
		{
			ID: "handshake/protocol-versions", Level: suite.Must, Clauses: []string{"HND-04", "FWD-04"}, Run: protocolVersions,
			Title: "it picks the highest common protocol version, and exits if there is none",
		},
		{
			ID: "handshake/mutual-tls", Level: suite.Must, Clauses: []string{"HND-05"}, Run: mutualTLS,
			Title: "it has a new certificate at each start and answers nobody but the host",
		},
		{
			ID: "handshake/bare-environment", Level: suite.Must, Clauses: []string{"HND-06"}, Run: bareEnvironment,
			Title: "it starts with nothing but the documented environment, many times at once",
		},
		{
			ID: "handshake/moved", Level: suite.Must, Clauses: []string{"HND-08"}, Run: moved,
			Title: "it starts from another folder and under another name",
		},
		{
			ID: "handshake/socket", Level: suite.Must, Clauses: []string{"HND-02", "HND-07"}, Run: socketInside,
			Title: "its socket is a Unix socket inside PLUGIN_UNIX_SOCKET_DIR",
		},
		{
			ID: "services/health", Level: suite.Must, Clauses: []string{"SVC-02"}, Run: healthServing,
			Title: "the health service says that plugin is SERVING",
		},
	}
}

func withoutCookie(t *suite.T) {
	p := t.Spawn(launch.Options{WithoutCookie: true})
	status, ended := p.Wait(t.Limits().Start.D() / 2)
	switch {
	case !ended:
		t.Errorf("it still runs %v after a start without the cookie", t.Limits().Start.D()/2)
	case status == 0:
		t.Errorf("it ended with status 0")
	}
	if printed := p.Stdout.Bytes(); bytes.ContainsRune(printed, '|') {
		t.Errorf("it printed a handshake line: %q", printed)
	}
	if left, _ := os.ReadDir(p.SocketDir); len(left) > 0 && ended {
		t.Errorf("it made %q in the socket directory", left[0].Name())
	}
}

func hint(t *suite.T) {
	p := t.Spawn(launch.Options{WithoutCookie: true})
	_, _ = p.Wait(t.Limits().Start.D() / 2)
	if len(bytes.TrimSpace(p.Stderr.Bytes())) == 0 {
		t.Errorf("there is nothing on standard error: say that the program is started by Orderport")
	}
}

func oneLine(t *suite.T) {
	c := t.Start()
	t.Within("the handshake line", c.Started, t.Limits().Start.D())
	ctx, cancel := t.Call()
	defer cancel()
	if _, err := c.Port.Describe(ctx, &connectorv1.DescribeRequest{}); err != nil {
		t.Errorf("describe: %v", err)
	}
	c.TestConnection(t.Config(nil))
	t.NewExport().Deliver(c)
	_ = c.Shutdown(ctx)
	_, _ = c.Wait(t.Limits().Stop.D() + t.Limits().Slack.D())
	if printed := string(c.Stdout.Bytes()); printed != c.Handshake.Line+"\n" {
		t.Errorf("besides the handshake line, standard output has: %.300q", strings.Replace(printed, c.Handshake.Line+"\n", "", 1))
	}
}

func protocolVersions(t *suite.T) {
	for _, offered := range []string{"1", "0,1", "1,2", "3,2,1"} {
		c := t.StartWith(launch.Options{Versions: offered})
		if c.Handshake.Protocol != "1" {
			t.Errorf("to a host with versions %s it says %q, want 1", offered, c.Handshake.Protocol)
		}
	}
	p := t.Spawn(launch.Options{Versions: "998,999"})
	status, ended := p.Wait(t.Limits().Start.D() / 2)
	if !ended || status == 0 {
		t.Errorf("with no version in common it must exit with a status other than 0; it ended: %v, status %d", ended, status)
	}
}

func mutualTLS(t *suite.T) {
	c, other := t.Start(), t.Start()
	checkCertificate(t, c.Handshake)
	if c.Handshake.Certificate == other.Handshake.Certificate {
		t.Errorf("two starts have the same certificate")
	}
	for caller, what := range map[launch.Caller]string{
		launch.Nobody: "without a certificate", launch.Stranger: "with a certificate that is not the host's",
	} {
		conn, err := c.Dial(c.Handshake, caller)
		if err != nil {
			t.Fatalf("%v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err = connectorv1.NewConnectorServiceClient(conn).Describe(ctx, &connectorv1.DescribeRequest{})
		cancel()
		_ = conn.Close()
		if err == nil {
			t.Errorf("it answered a client %s", what)
		}
	}
}

func checkCertificate(t *suite.T, h launch.Handshake) {
	certificate, err := h.ServerCertificate()
	if err != nil {
		t.Fatalf("%v", err)
	}
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		t.Errorf("the certificate's key is a %T, want an EC key", certificate.PublicKey)
	} else if size := key.Params().BitSize; size != 256 && size != 384 && size != 521 {
		t.Errorf("the certificate's key is on %s, want P-256, P-384 or P-521", key.Params().Name)
	}
	if !certificate.IsCA {
		t.Errorf("the certificate is not a CA certificate")
	}
	if err := certificate.VerifyHostname("localhost"); err != nil {
		t.Errorf("the certificate is not valid for localhost: %v", err)
	}
	usages := map[x509.ExtKeyUsage]bool{}
	for _, usage := range certificate.ExtKeyUsage {
		usages[usage] = true
	}
	if !usages[x509.ExtKeyUsageServerAuth] || !usages[x509.ExtKeyUsageClientAuth] {
		t.Errorf("the certificate is not meant for server and client authentication")
	}
}

func bareEnvironment(t *suite.T) {
	var group sync.WaitGroup
	processes := make([]*launch.Process, t.Sizes().Starts)
	for i := range processes {
		processes[i] = t.Spawn(launch.Options{})
	}
	// They share the processors, so together they may take longer.
	within := t.Limits().Start.D() * 3
	for i, p := range processes {
		group.Go(func() {
			if _, err := p.Handshake(t.Context(), within); err != nil {
				t.Errorf("start %d of %d at one time: %v", i+1, len(processes), err)
			}
		})
	}
	group.Wait()
	for _, p := range processes {
		if left, _ := os.ReadDir(p.WorkDir); len(left) > 0 {
			t.Errorf("it wrote %q into its working directory", left[0].Name())
		}
	}
}

// moved copies the file alone, as the host does before it starts it.
func moved(t *suite.T) {
	folder, err := os.MkdirTemp("", "opc")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	// The end of the name stays: by it the checks know their own mutants. Another
	// process copies, since a file that this one has written is busy for as long
	// as a child that it forks meanwhile has it open.
	elsewhere := filepath.Join(folder, "moved-"+filepath.Base(t.Profile.Binary))
	if out, err := exec.CommandContext(t.Context(), "cp", t.Profile.Binary, elsewhere).CombinedOutput(); err != nil { //nolint:gosec // the profile names it
		t.Fatalf("copy the connector: %v: %s", err, out)
	}
	c := t.StartWith(launch.Options{Binary: elsewhere})
	t.NewExport().Deliver(c)
	t.WantOrders(1)
}

func socketInside(t *suite.T) {
	c := t.Start()
	if !filepath.IsAbs(c.Handshake.Socket) {
		t.Errorf("the socket's path %q is not absolute", c.Handshake.Socket)
	}
	if !strings.HasPrefix(filepath.Clean(c.Handshake.Socket), c.SocketDir+"/") {
		t.Errorf("the socket %q lies outside of PLUGIN_UNIX_SOCKET_DIR (%s)", c.Handshake.Socket, c.SocketDir)
		t.Cleanup(func() { _ = os.Remove(c.Handshake.Socket) })
	}
	info, err := os.Lstat(c.Handshake.Socket)
	if err != nil {
		t.Fatalf("the socket of the handshake line: %v", err)
	}
	if info.Mode().Type() != os.ModeSocket {
		t.Errorf("%q is no socket but %v", c.Handshake.Socket, info.Mode())
	}
}

func healthServing(t *suite.T) {
	c := t.Start()
	ctx, cancel := t.Call()
	defer cancel()
	answer, err := healthv1.NewHealthClient(c.Conn).Check(ctx, &healthv1.HealthCheckRequest{Service: "plugin"})
	if err != nil {
		t.Fatalf("the health service: %v", err)
	}
	if answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("the health of plugin is %v, want SERVING", answer.GetStatus())
	}
}
