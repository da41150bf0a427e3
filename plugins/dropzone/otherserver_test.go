package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"path/filepath"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/sdktest"
)

// otherServer is the config of a server that is neither OpenSSH nor ProFTPD:
// its rename replaces what is there, as that of some servers does.
func otherServer(t *testing.T) (config, string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	noErr(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	noErr(t, err)
	hostKey, err := ssh.NewPublicKey(public)
	noErr(t, err)
	server := &ssh.ServerConfig{
		ServerVersion:    "SSH-2.0-other",
		PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil },
	}
	server.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	noErr(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSFTP(conn, server)
		}
	}()
	dir := t.TempDir()
	return config{
		Mode: modeSFTP, Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Username: "u",
		Password: secret("any password"), HostKey: ssh.FingerprintSHA256(hostKey),
		ExportPath: dir, AtomicWrite: true, TimeoutSeconds: 30, MaxSessions: 4,
	}, dir
}

// serveSFTP ends with the connection.
func serveSFTP(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for request := range requests {
				_ = request.Reply(request.Type == "subsystem", nil)
			}
		}()
		server, err := sftp.NewServer(channel)
		if err != nil {
			return
		}
		go func() { _ = server.Serve() }()
	}
}

func TestServerWhoseRenameReplacesReplacesNothing(t *testing.T) {
	t.Parallel()
	cfg, dir := otherServer(t)

	writeFile(t, dir+"/a", "ours")
	writeFile(t, dir+"/b", "theirs")
	d, err := newDialer(cfg)
	noErr(t, err)
	s, err := d.dial(t.Context())
	noErr(t, err)
	defer s.close()
	if err := s.files.Rename(dir+"/a", dir+"/b"); err != nil {
		t.Fatalf("this server refuses by itself (%v), so the test shows nothing", err)
	}
	noErr(t, s.files.Remove(dir+"/b"))

	writeFile(t, filepath.Join(dir, sampleFinal), "theirs")
	export := sdktest.New(t, newConnector()).NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder())
	result, err := export.Run(t.Context())
	noErr(t, err)
	wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_CONFLICT, false)
	wantFile(t, filepath.Join(dir, sampleFinal), []byte("theirs"))
	wantNames(t, dir, sampleFinal)
}
