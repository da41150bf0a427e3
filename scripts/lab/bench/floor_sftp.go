package main

import (
	"context"
	"os"
	"path"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// sftpFloor uploads, flushes and renames files; each worker has a connection of
// its own, and nothing is committed anywhere.
type sftpFloor struct {
	server  *sshtest.Server
	clients []*sftp.Client
}

func (b *bench) openSFTPFloor(ctx context.Context, workers int) (floor, error) {
	dir, err := b.folder("floor-sftp")
	if err != nil {
		return nil, err
	}
	server, err := sshtest.Start(ctx, sshtest.Options{Root: dir})
	if err != nil {
		return nil, err
	}
	f := &sftpFloor{server: server}
	for range workers {
		client, err := dial(server)
		if err != nil {
			f.close()
			return nil, err
		}
		f.clients = append(f.clients, client)
	}
	return f, nil
}

// dial trusts the server that we have just started ourselves.
func dial(server *sshtest.Server) (*sftp.Client, error) {
	key, err := ssh.ParsePrivateKey([]byte(server.PrivateKey))
	if err != nil {
		return nil, err
	}
	connection, err := ssh.Dial("tcp", server.Addr, &ssh.ClientConfig{
		User: server.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return nil, err
	}
	return sftp.NewClient(connection)
}

func (f *sftpFloor) order(_ context.Context, worker int, id string, content []byte) error {
	client, name := f.clients[worker], path.Join(f.server.Root, id+".json")
	file, err := client.OpenFile(name+".tmp", os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return client.Rename(name+".tmp", name)
}

func (f *sftpFloor) close() {
	for _, client := range f.clients {
		_ = client.Close() // the server is stopped next
	}
	_ = f.server.Close()
}
