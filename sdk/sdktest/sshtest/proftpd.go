package sshtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
)

// The virtual user. The hash is SHA-512 crypt of the password.
const (
	virtualUser         = "dropzone"
	virtualPassword     = "correct horse battery"
	virtualPasswordHash = "$6$orderport$CHxoc0XTDD3A2KR6Z8O1Nngo6i.D0Js21slVMWmZMECwZkW8cALkqbVXb3M9X2ZiewcXvRipc8HGOz.hI/KYI."
)

// prepareProFTPD makes the virtual user, who acts with the ids of the current
// user, so that the server needs no privileges.
func (s *Server) prepareProFTPD(ctx context.Context, me *user.User) error {
	s.User, s.Password = virtualUser, virtualPassword
	entry := fmt.Sprintf("%s:%s:%s:%s::%s:/bin/sh\n", virtualUser, virtualPasswordHash, me.Uid, me.Gid, s.Root)
	if err := os.WriteFile(s.file("passwd"), []byte(entry), 0o600); err != nil {
		return err
	}
	// mod_sftp reads keys in the format of RFC 4716.
	public, err := exec.CommandContext(ctx, "ssh-keygen", "-e", "-f", s.file("user_key.pub")).Output()
	if err != nil {
		return fmt.Errorf("convert the user's key: %w", err)
	}
	return os.WriteFile(s.file("authorized_keys"), public, 0o600)
}

func (s *Server) configureProFTPD(hostKeyTypes []string) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "DefaultAddress %s\nPort %d\nUser %s\nGroup %s\n", s.Host, s.Port, me.Username, group.Name)
	fmt.Fprintf(&b, "AuthUserFile %s\nPidFile %s\nScoreboardFile %s\nSystemLog %s\nSFTPLog %s\n",
		s.file("passwd"), s.file("pid"), s.file("scoreboard"), s.file("server.log"), s.file("sftp.log"))
	fmt.Fprintf(&b, "SFTPAuthorizedUserKeys file:%s\n", s.file("authorized_keys"))
	for _, typ := range hostKeyTypes {
		fmt.Fprintf(&b, "SFTPHostKey %s\n", s.hostKeyFile(typ))
	}
	config := `<IfModule !mod_sftp.c>
LoadModule mod_sftp.c
</IfModule>
ServerName sshtest
ServerType standalone
SocketBindTight on
UseIPv6 off
UseReverseDNS off
RootLogin on
RequireValidShell off
AuthPAM off
AuthOrder mod_auth_file.c
DelayEngine off
WtmpLog off
MaxInstances none
MaxLoginAttempts 20
TimeoutIdle 36000
TimeoutLogin 60
Umask 022
AllowOverwrite on
SFTPEngine on
SFTPAuthMethods publickey password
` + b.String()
	s.args = []string{"-n", "-c", s.file("proftpd.conf")}
	return os.WriteFile(s.file("proftpd.conf"), []byte(config), 0o600)
}
