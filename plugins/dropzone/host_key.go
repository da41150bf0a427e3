package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/orderport/orderport/sdk"
)

// hostKeys is the set of host keys that a config pins.
type hostKeys struct {
	any          bool // the config ignores the host key
	keys         []ssh.PublicKey
	fingerprints []string // "SHA256:…" without padding
}

// parseHostKeys reads the config's host_key: known_hosts lines, with or
// without the host part, or fingerprints. The host part is not compared: the
// config says itself which server the key belongs to.
func parseHostKeys(cfg config) (hostKeys, error) {
	if cfg.HostKey == "" && cfg.InsecureIgnoreHostKey {
		return hostKeys{any: true}, nil
	}
	var pinned hostKeys
	for line := range strings.Lines(cfg.HostKey) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := pinned.add(line); err != nil {
			e := sdk.Errorf(sdk.InvalidConfig, "host_key %w", err)
			e.Violations = []sdk.Violation{{Path: "host_key", Message: err.Error()}}
			return hostKeys{}, e
		}
	}
	if len(pinned.keys)+len(pinned.fingerprints) == 0 {
		e := sdk.Errorf(sdk.InvalidConfig, "host_key holds no key")
		e.Violations = []sdk.Violation{{Path: "host_key", Message: "holds no key"}}
		return hostKeys{}, e
	}
	return pinned, nil
}

func (h *hostKeys) add(line string) error {
	if encoded, ok := strings.CutPrefix(line, "SHA256:"); ok {
		sum, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil || len(sum) != 32 {
			return errors.New("is not a fingerprint: SHA256: is followed by 43 characters of base64")
		}
		h.fingerprints = append(h.fingerprints, "SHA256:"+base64.RawStdEncoding.EncodeToString(sum))
		return nil
	}
	if strings.HasPrefix(line, "@") {
		return errors.New("must not have a marker such as @cert-authority: give the server's own key")
	}
	fields := strings.Fields(line)
	for _, from := range []int{0, 1} { // without and with the host part
		if len(fields) < from+2 {
			break
		}
		raw, err := base64.StdEncoding.DecodeString(fields[from+1])
		if err != nil {
			continue
		}
		key, err := ssh.ParsePublicKey(raw)
		if err != nil || key.Type() != fields[from] {
			continue
		}
		h.keys = append(h.keys, key)
		return nil
	}
	return errors.New("is neither a known_hosts line nor a SHA256: fingerprint")
}

// accepts says whether the key is one of the pinned ones.
func (h hostKeys) accepts(key ssh.PublicKey) bool {
	if h.any || slices.Contains(h.fingerprints, ssh.FingerprintSHA256(key)) {
		return true
	}
	return slices.ContainsFunc(h.keys, func(k ssh.PublicKey) bool {
		return slices.Equal(k.Marshal(), key.Marshal())
	})
}

// expected lists the pinned fingerprints for a message.
func (h hostKeys) expected() string {
	list := slices.Clone(h.fingerprints)
	for _, key := range h.keys {
		list = append(list, ssh.FingerprintSHA256(key))
	}
	return strings.Join(list, " or ")
}

// algorithms lists what to negotiate so that the server offers a pinned key
// and not another one that it has. nil: the library's own list. A fingerprint
// does not tell its key's type, see hostKeyCheck.
func (h hostKeys) algorithms() []string {
	if h.any || len(h.fingerprints) > 0 {
		return nil
	}
	var list []string
	for _, key := range h.keys {
		for _, algorithm := range signatureAlgorithms(key.Type()) {
			if !slices.Contains(list, algorithm) {
				list = append(list, algorithm)
			}
		}
	}
	return list
}

// signatureAlgorithms lists how a server may prove that it has a key of the
// type. SHA-1 is not among them.
func signatureAlgorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// hostKeyCheck checks what a server offers in the handshakes of one dial. A
// server has several keys and shows one in a handshake; with only a
// fingerprint pinned, the others are asked for before the server is refused.
type hostKeyCheck struct {
	pinned  hostKeys
	offered []ssh.PublicKey // that were refused
}

// next returns the algorithms of the next handshake, or false if there is
// nothing left to ask for.
func (c *hostKeyCheck) next() ([]string, bool) {
	if len(c.offered) == 0 {
		return c.pinned.algorithms(), true
	}
	if len(c.pinned.fingerprints) == 0 {
		return nil, false
	}
	var rest []string
	for _, algorithm := range ssh.SupportedAlgorithms().HostKeys {
		certificate := strings.Contains(algorithm, "-cert-v01@")
		shown := slices.ContainsFunc(c.offered, func(key ssh.PublicKey) bool {
			return slices.Contains(signatureAlgorithms(key.Type()), algorithm)
		})
		if !certificate && !shown {
			rest = append(rest, algorithm)
		}
	}
	return rest, len(rest) > 0
}

var errHostKey = errors.New("the host key is not the pinned one")

// check is the ssh.HostKeyCallback.
func (c *hostKeyCheck) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	if c.pinned.accepts(key) {
		return nil
	}
	c.offered = append(c.offered, key)
	return errHostKey
}

// mismatch is the error for the host.
func (c *hostKeyCheck) mismatch(address string) error {
	var offered []string
	for _, key := range c.offered {
		offered = append(offered, fmt.Sprintf("%s (%s)", ssh.FingerprintSHA256(key), key.Type()))
	}
	shown := strings.Join(offered, " and ")
	if shown == "" {
		shown = "no key of that type"
	}
	e := sdk.Errorf(sdk.HostKeyMismatch,
		"the server at %s is not the one that host_key names: expected %s, offered %s; no credentials were sent. "+
			"Ask the server's operator which is right, and correct host_key only if it was changed on purpose",
		address, c.pinned.expected(), shown)
	e.Details = map[string]string{"expected": c.pinned.expected(), "offered": shown}
	return e
}
