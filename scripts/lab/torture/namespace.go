package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

const inNamespace = "ORDERPORT_TORTURE_NAMESPACE"

// ownMounts runs this program again in a mount namespace of its own, so that
// what it mounts goes with it however it ends. It returns false where that
// can't be had, and we run as we are.
func ownMounts() (code int, done bool) {
	if os.Geteuid() != 0 || os.Getenv(inNamespace) != "" {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // the child gets them, too, and ends the run
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit):
		return exit.ExitCode(), true
	default:
		signal.Reset()
		return 0, false
	}
}
