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
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, false
	}
	go func() {
		for sig := range signals {
			_ = cmd.Process.Signal(sig) // it ends the run, and has nothing to say if it has ended
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit):
		return exit.ExitCode(), true
	default:
		return 3, true
	}
}
