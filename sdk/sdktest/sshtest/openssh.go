package sshtest

import (
	"fmt"
	"os"
	"strings"
)

// prepareOpenSSH lets the user's key in. An sshd that runs as root insists on
// its privilege separation directory, which a machine without the service
// running lacks.
func (s *Server) prepareOpenSSH() error {
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	public, err := os.ReadFile(s.file("user_key.pub"))
	if err != nil {
		return err
	}
	return os.WriteFile(s.file("authorized_keys"), public, 0o600)
}

func (s *Server) configureOpenSSH(opts Options) error {
	sftp := "internal-sftp"
	if opts.ReadOnly {
		sftp += " -R"
	}
	umask := opts.Umask
	if umask == "" {
		umask = "022"
	}
	sftp += " -u " + umask
	var b strings.Builder
	fmt.Fprintf(&b, "ListenAddress %s\nPort %d\n", s.Host, s.Port)
	for _, typ := range opts.HostKeyTypes {
		fmt.Fprintf(&b, "HostKey %s\n", s.hostKeyFile(typ))
	}
	fmt.Fprintf(&b, "AuthorizedKeysFile %s\n", s.file("authorized_keys"))
	fmt.Fprintf(&b, "Subsystem sftp %s\n", sftp)
	methods := "AuthenticationMethods publickey\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
	if opts.AsksForPasswords {
		methods = "PasswordAuthentication yes\nKbdInteractiveAuthentication yes\n"
	}
	b.WriteString(methods)
	b.WriteString(`PubkeyAuthentication yes
PermitRootLogin yes
StrictModes no
UsePAM no
UseDNS no
PidFile none
PrintMotd no
MaxStartups 1000
MaxAuthTries 20
LogLevel VERBOSE
`)
	s.args = []string{"-D", "-e", "-f", s.file("sshd_config")}
	return os.WriteFile(s.file("sshd_config"), []byte(b.String()), 0o600)
}
