// Package launch runs one connector process: it starts a sealed image, shakes
// hands through go-plugin, hands out the gRPC connection, and ends the process
// whatever it does.
//
// go-plugin negotiates, makes the certificates of the mutual TLS and speaks to
// a Go connector's stdio service. Everything that touches the process is done
// here, behind go-plugin's runner seam, since its own way has gaps that a
// daemon can't live with: it feeds a connector's log lines to a parser that
// panics, accepts any address out of a handshake, and its Kill waits for ever
// for a stopped process or for grandchildren that hold the pipes.
//
// The life of a process:
//
//  1. A goroutine that keeps its operating system thread forks it (Launcher),
//     so that the kernel's parent-death signal means the death of the host and
//     not of some thread. It gets an environment of allowed variables only,
//     the null device as stdin, a process group of its own, the image as
//     descriptor 3 and the read end of the lifeline pipe as descriptor 4.
//  2. Its stdout is searched for the handshake line; everything else on stdout
//     and stderr goes to a connlog.Sink. go-plugin sees the handshake line and
//     nothing more.
//  3. The address in the handshake must be a socket in the process's own
//     private folder.
//  4. When the process ends, what is left of its group is killed before it is
//     reaped, while its number can't belong to anybody else. Then Done closes.
//  5. Stop asks by RPC, then with SIGTERM, then with SIGKILL, each with a
//     bound. The folder is removed.
package launch
