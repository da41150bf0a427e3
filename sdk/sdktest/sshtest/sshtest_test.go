package sshtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

var kinds = []sshtest.Kind{sshtest.OpenSSH, sshtest.ProFTPD}

func TestServerAcceptsItsUserByKey(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			srv := sshtest.Run(t, sshtest.Options{Kind: kind})
			out, err := sftp(t, srv, "pwd\n")
			if err != nil {
				t.Fatalf("sftp: %v\n%s", err, out)
			}
			if !strings.Contains(out, "Remote working directory") {
				t.Errorf("sftp pwd answered %q", out)
			}
		})
	}
}

func TestKilledServerComesBackOnTheSamePort(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			srv := sshtest.Run(t, sshtest.Options{Kind: kind})
			conn := dial(t, srv.Addr)
			srv.Kill()
			if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("a session of a killed server reads %v, want an end or a reset", err)
			}
			if c, err := net.Dial("tcp", srv.Addr); err == nil {
				c.Close()
				t.Error("a killed server accepts connections")
			}
			if err := srv.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if out, err := sftp(t, srv, "pwd\n"); err != nil {
				t.Errorf("after the restart: %v\n%s", err, out)
			}
		})
	}
}

func TestPausedServerAnswersOnlyAfterItResumes(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	srv.Pause()
	conn := dial(t, srv.Addr)
	_ = conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a paused server: %v, want a timeout", err)
	}
	srv.Resume()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Errorf("reading after it resumed: %v", err)
	}
}

func TestStartNamesTheMissingVariable(t *testing.T) {
	t.Setenv("ORDERPORT_TEST_SSHD", "")
	_, err := sshtest.Start(t.Context(), sshtest.Options{})
	if !errors.Is(err, sshtest.ErrNoBinary) || !strings.Contains(err.Error(), "ORDERPORT_TEST_SSHD") {
		t.Errorf("Start: %v, want ErrNoBinary naming the variable", err)
	}
}

func TestProxyCutsAfterTheBytesThatMayPass(t *testing.T) {
	t.Parallel()
	received := make(chan string, 1)
	p := sshtest.RunProxy(t, receiver(t, received))
	p.CutAfter(5)
	conn := dial(t, p.Addr)
	if _, err := conn.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	if got := <-received; got != "01234" {
		t.Errorf("the server received %q, want the first 5 bytes", got)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the client's side is still open")
	}
}

func TestProxyBlackholeHoldsBackAndReleases(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	p := sshtest.RunProxy(t, srv.Addr)
	p.Blackhole(true)
	conn := dial(t, p.Addr)
	_ = conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading through a black hole: %v, want a timeout", err)
	}
	p.Blackhole(false)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Errorf("reading after the black hole: %v", err)
	}
}

// sftp runs OpenSSH's client, an implementation that is not ours, in batch
// mode with strict host key checking.
func sftp(t *testing.T, srv *sshtest.Server, batch string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("sftp"); err != nil {
		t.Skip("the sftp client is not installed")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"known_hosts": srv.HostKey + "\n", "key": srv.PrivateKey} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sftp", "-F", "none", "-b", "-", "-i", dir+"/key",
		"-o", "UserKnownHostsFile="+dir+"/known_hosts", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
		"-P", strings.TrimPrefix(srv.Addr, srv.Host+":"), srv.User+"@"+srv.Host)
	cmd.Stdin = strings.NewReader(batch)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// receiver listens and reports what its first connection sent.
func receiver(t *testing.T, received chan<- string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 64)
		n := 0
		for {
			m, err := conn.Read(buf[n:])
			n += m
			if err != nil {
				break
			}
		}
		received <- string(buf[:n])
	}()
	return ln.Addr().String()
}
