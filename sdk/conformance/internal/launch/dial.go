package launch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/orderport/orderport/sdk/port"
)

// identity is the host's certificate.
type identity struct {
	pem  string
	pair tls.Certificate
}

func newIdentity() (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the host's certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost", Organization: []string{"Orderport"}},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the host's certificate: %w", err)
	}
	return &identity{
		pem:  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}, nil
}

// Caller says as whom to call a connector.
type Caller int

// The callers.
const (
	// Host presents the certificate that the connector was told of.
	Host Caller = iota
	// Stranger presents another certificate.
	Stranger
	// Nobody presents no certificate.
	Nobody
)

// ServerCertificate returns the certificate of the handshake line.
func (h Handshake) ServerCertificate() (*x509.Certificate, error) {
	der, err := base64.RawStdEncoding.Strict().DecodeString(h.Certificate)
	if err != nil {
		return nil, fmt.Errorf("the certificate in the handshake line is not base64 without padding: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate in the handshake line: %w", err)
	}
	return certificate, nil
}

// TLS returns the configuration of a client of the connector.
func (p *Process) TLS(h Handshake, caller Caller) (*tls.Config, error) {
	certificate, err := h.ServerCertificate()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	switch caller {
	case Host:
		config.Certificates = []tls.Certificate{p.identity.pair}
	case Stranger:
		other, err := newIdentity()
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{other.pair}
	case Nobody:
	}
	return config, nil
}

// Dial returns a gRPC connection to the connector. It connects with the first
// call.
func (p *Process) Dial(h Handshake, caller Caller, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	config, err := p.TLS(h, caller)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("unix:"+h.Socket, append(opts,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(port.MaxMessage), grpc.MaxCallSendMsgSize(port.MaxMessage)),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect to the connector: %w", err)
	}
	return conn, nil
}
