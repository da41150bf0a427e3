package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/sabotage"
	"github.com/orderport/orderport/sdk/port"
)

// serve prints the handshake line and returns when the connector has stopped.
func (m *mutant) serve() error {
	m.log = &logger{out: os.Stderr}
	if err := m.negotiate(); err != nil {
		return err
	}
	if m.is("needs-home") && os.Getenv("HOME") == "" {
		return errors.New("HOME is not set")
	}
	if m.is("needs-its-name") && sabotage.Moved(os.Args[0]) {
		return errors.New("this program is not where it was installed")
	}
	config, certificate, err := m.tls()
	if err != nil {
		return err
	}
	dir := os.Getenv("PLUGIN_UNIX_SOCKET_DIR")
	if m.is("socket-elsewhere") {
		dir = os.TempDir()
	}
	socket := filepath.Join(dir, "mutant"+strconv.Itoa(os.Getpid()))
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)),
		grpc.MaxRecvMsgSize(m.maxMessage()), grpc.MaxSendMsgSize(port.MaxMessage))
	calls := &service{mutant: m}
	connectorv1.RegisterConnectorServiceServer(server, calls)
	if m.broken != sabotage.Plain {
		connectorv1.RegisterExportTunnelServiceServer(server, &tunnels{service: calls})
	}
	stop := make(chan struct{}, 10)
	m.registerOthers(server, stop)
	m.watch(stop)
	m.misbehave()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(os.Stdout, "1|%d|unix|%s|grpc|%s\n", port.ProtocolVersion, socket, certificate)
	select {
	case err = <-served:
		return err
	case <-stop:
	}
	m.stopping.Store(true)
	if m.is("second-stop-fails") {
		select {
		case <-stop:
			os.Exit(3) //nolint:forbidigo // a broken connector
		case <-time.After(time.Second):
		}
	}
	m.end(server, socket)
	if m.is("stop-status") {
		return errors.New("stopped")
	}
	return nil
}

// registerOthers adds the services beside the Port.
func (m *mutant) registerOthers(server *grpc.Server, stop chan<- struct{}) {
	if !m.is("no-health") {
		healthy := health.NewServer()
		healthy.SetServingStatus("plugin", healthv1.HealthCheckResponse_SERVING)
		healthv1.RegisterHealthServer(server, healthy)
	}
	if !m.is("no-shutdown-call") {
		server.RegisterService(m.controller(stop), m)
	}
}

func (m *mutant) negotiate() error {
	offered := strings.Split(os.Getenv("PLUGIN_PROTOCOL_VERSIONS"), ",")
	if !slices.Contains(offered, strconv.Itoa(port.ProtocolVersion)) && !m.is("fixed-protocol") {
		return fmt.Errorf("the host speaks %v, this connector %d", offered, port.ProtocolVersion)
	}
	return nil
}

func (m *mutant) maxMessage() int {
	if m.is("small-messages") {
		return 4 << 20
	}
	return port.MaxMessage
}

// tls makes a certificate and accepts nobody but the host.
func (m *mutant) tls() (*tls.Config, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, "", err
	}
	hosts := x509.NewCertPool()
	if !hosts.AppendCertsFromPEM([]byte(os.Getenv("PLUGIN_CLIENT_CERT"))) && !m.is("serves-without-cookie") {
		return nil, "", errors.New("PLUGIN_CLIENT_CERT holds no certificate")
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: hosts, MinVersion: tls.VersionTLS12,
	}
	if m.is("lets-strangers-in") {
		config.ClientAuth = tls.NoClientCert
	}
	return config, base64.RawStdEncoding.EncodeToString(der), nil
}

// controller is the service plugin.GRPCController.
func (m *mutant) controller(stop chan<- struct{}) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "plugin.GRPCController",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Shutdown",
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				if err := decode(&emptypb.Empty{}); err != nil {
					return nil, err
				}
				stop <- struct{}{}
				return &emptypb.Empty{}, nil
			},
		}},
	}
}

// watch stops the connector on SIGTERM and when the host has died.
func (m *mutant) watch(stop chan<- struct{}) {
	signal.Ignore(syscall.SIGPIPE)
	if !m.is("dies-of-sigint") {
		signal.Ignore(syscall.SIGINT)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		for range signals {
			if !m.is("ignores-sigterm") {
				stop <- struct{}{}
			}
		}
	}()
	fd, err := strconv.Atoi(os.Getenv(port.LifelineEnv))
	if err != nil || m.is("outlives-host") {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(uintptr(fd), "lifeline")) //nolint:gosec // a small number
		stop <- struct{}{}
	}()
}

// end lets calls finish for a second.
func (m *mutant) end(server *grpc.Server, socket string) {
	done := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(done)
	}()
	patience := time.After(time.Second)
	if m.is("tunnel-holds-up-stop") {
		patience = nil
	}
	select {
	case <-done:
	case <-patience:
		server.Stop()
	}
	if m.is("slow-stop") {
		time.Sleep(4 * time.Second)
	}
	if !m.is("leaves-socket") {
		_ = os.Remove(socket)
	}
}
