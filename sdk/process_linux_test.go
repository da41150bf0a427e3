package sdk_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/orderport/orderport/sdk/port"
)

func TestTheProcessHasTheConnectorsName(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Args = []string{"/opt/connectors/orderport-connector-shop"}
	cmd.Env = []string{roleEnv + "=connector", port.CookieKey + "=" + port.CookieValue, plugin.EnvUnixSocketDir + "=" + t.TempDir()}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
	if err != nil || string(name) != "shop\n" {
		t.Errorf("top calls it %q (%v), want shop", name, err)
	}
}
