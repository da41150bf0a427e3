package sdk_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// debugged starts this binary as a connector under a debugger.
func debugged(t *testing.T, file string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"=connector", port.DebugEnv+"="+file)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, &stderr
}

func awaitAttach(t *testing.T, file string, pid int) port.Attach {
	t.Helper()
	for range 3000 {
		if a, err := port.ReadAttach(file); err == nil && a.PID == pid {
			return a
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatal("the connector does not say where it is")
	return port.Attach{}
}

func TestAConnectorUnderADebuggerServesWithoutAHost(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "attach.json")
	cmd, stderr := debugged(t, file)
	attach := awaitAttach(t, file, cmd.Process.Pid)
	if info, err := os.Stat(filepath.Dir(attach.Socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder: %v, %v", info, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	conn, err := grpc.NewClient("unix:"+attach.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := connectorv1.NewConnectorServiceClient(conn)
	if d, err := client.Describe(t.Context(), &connectorv1.DescribeRequest{}); err != nil || d.GetConnectorType() != "SCRIPTED" {
		t.Errorf("describe: %v, %v", d, err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v\n%s", err, stderr)
	}
	for _, path := range []string{file, attach.Socket, filepath.Dir(attach.Socket)} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	for _, want := range []string{"orderport serve --dev --attach " + file, "ConnectorService/Describe"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("standard error does not say %q:\n%s", want, stderr)
		}
	}
}

func TestAConnectorLeavesTheFileOfItsSuccessor(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "attach.json")
	first, _ := debugged(t, file)
	awaitAttach(t, file, first.Process.Pid)
	second, _ := debugged(t, file)
	awaitAttach(t, file, second.Process.Pid)
	_ = first.Process.Signal(syscall.SIGTERM)
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
	if a, err := port.ReadAttach(file); err != nil || a.PID != second.Process.Pid {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAnAttachFileThatCannotBeWrittenEndsTheConnector(t *testing.T) {
	t.Parallel()
	cmd, stderr := debugged(t, filepath.Join(t.TempDir(), "missing", "attach.json"))
	if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), port.DebugEnv) {
		t.Errorf("%v\n%s", err, stderr)
	}
}

func TestWhatIsNoAttachFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "x", "another form": `{"orderport_attach":2,"pid":1,"socket":"/x"}`,
		"no process": `{"orderport_attach":1,"socket":"/x"}`, "a relative socket": `{"orderport_attach":1,"pid":1,"socket":"x"}`,
	} {
		file := filepath.Join(t.TempDir(), "attach.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := port.ReadAttach(file); err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
