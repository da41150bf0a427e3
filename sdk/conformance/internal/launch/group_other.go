//go:build !linux

package launch

import "syscall"

// ownGroup makes a process group.
func ownGroup(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
