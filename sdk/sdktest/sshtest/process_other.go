//go:build !linux

package sshtest

import "syscall"

// ownGroup makes a process group. Only Linux can end it with this program.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
