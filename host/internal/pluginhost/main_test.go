package pluginhost_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/pluginhost"
)

// hostDirEnv makes the test binary run as a host on a plugin directory, for
// tests that kill hosts.
const (
	hostDirEnv = "PLUGINHOST_TEST_DIR"
	hostRunEnv = "PLUGINHOST_TEST_RUN"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(hostDirEnv); dir != "" {
		runHost(dir, os.Getenv(hostRunEnv))
		return
	}
	runAs(m)
}

// runHost runs a host until it is killed.
func runHost(dir, run string) {
	h, err := pluginhost.Open(pluginhost.Options{
		Dir: dir, RunDir: run, Dev: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err == nil {
		err = h.Start(context.Background())
	}
	if err != nil {
		panic(err)
	}
	for _, s := range h.Status() {
		fmt.Fprintln(os.Stdout, s.Type, s.PID)
	}
	fmt.Fprintln(os.Stdout, "started")
	pause(time.Hour)
}
