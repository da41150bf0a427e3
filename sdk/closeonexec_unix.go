//go:build unix

package sdk

import "syscall"

func closeOnExec(fd uintptr) { syscall.CloseOnExec(int(fd)) }
