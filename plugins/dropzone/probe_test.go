package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
)

func TestTestConnectionGoesAllStepsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		dir, f := subdirectory(t, cfg, root)
		noErr(t, os.Mkdir(dir+"/acks", 0o777))
		writeFile(t, dir+"/theirs.json", "theirs")
		host := sdktest.New(t, newConnector())
		together(3, func(int) {
			response, err := sdktest.New(t, newConnector()).TestConnection(t.Context(), f.with("ack_path", dir+"/acks").json())
			if err != nil || !response.GetSuccess() {
				t.Errorf("%v, %v", err, response)
			}
		})
		response, err := host.TestConnection(t.Context(), f.with("ack_path", dir+"/acks").json())
		noErr(t, err)
		want := []string{"config", "directory", "write", "rename", "read_back", "delete", "ack_directory"}
		if cfg.Mode == modeSFTP {
			want = slices.Insert(want, 1, "connect", "host_key", "authenticate")
		}
		if got := stepNames(response); !slices.Equal(got, want) {
			t.Errorf("steps %q, want %q", got, want)
		}
		for _, step := range response.GetSteps() {
			if !step.GetSuccess() || step.GetMessage() == "" {
				t.Errorf("step %v", step)
			}
		}
		wantNames(t, dir, "acks", "theirs.json")
		wantNames(t, dir+"/acks")
	})
}

func TestTestConnectionSaysWhichStepFailed(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		writeFile(t, root+"/file", "x")
		good := fieldsOf(t, cfg)
		cases := map[string]struct {
			f    fields
			step string
			code connectorv1.ErrorCode
			says string
		}{
			"a missing directory": {
				good.with("export_path", root+"/nowhere"), "directory",
				connectorv1.ErrorCode_ERROR_CODE_NOT_FOUND, `export_path "` + root + `/nowhere" does not exist`,
			},
			"a file as directory": {
				good.with("export_path", root+"/file"), "directory",
				connectorv1.ErrorCode_ERROR_CODE_NOT_FOUND, "export_path",
			},
			"a missing ack directory": {
				good.with("ack_path", root+"/nowhere"), "ack_directory",
				connectorv1.ErrorCode_ERROR_CODE_NOT_FOUND, `ack_path "` + root + `/nowhere" does not exist`,
			},
		}
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				response, err := sdktest.New(t, newConnector()).TestConnection(t.Context(), tc.f.json())
				noErr(t, err)
				wantCode(t, response.GetError(), tc.code, true)
				if !strings.Contains(response.GetErrorMessage(), tc.says) {
					t.Errorf("message %q, want it to say %q", response.GetErrorMessage(), tc.says)
				}
				last := response.GetSteps()[len(response.GetSteps())-1]
				if last.GetName() != tc.step || last.GetSuccess() {
					t.Errorf("last step %v, want %s to fail", last, tc.step)
				}
			})
		}
		wantNames(t, root, "file")
	})
}

func TestTestConnectionCleansUpAfterAFailedStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"create", "flush", "rename"} {
		for name, done := range map[string]bool{"not done": false, "done": true} {
			t.Run(step+" "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				p := &probe{connector: newConnector(), steps: sdk.NewSteps(t.Context())}
				p.cfg, p.dir = config{AtomicWrite: true}, place{"export_path", dir}
				p.target = failing(step, done)(newFilesystem(config{}, &rounds{}))
				p.files()
				if p.steps.Err() == nil {
					t.Fatal("no step failed")
				}
				wantNames(t, dir)
			})
		}
	}
}

func TestTestConnectionRemovesWhatKilledTestsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := time.Now().UTC()
	old, recent := at.Add(-probeAbandoned-time.Minute).Format(probeTime), at.Add(-time.Minute).Format(probeTime)
	kept := []string{
		"test_connection_" + recent + ".json.tmp", "test_connection_last_week.json.tmp",
		"sales_order_" + old + ".json.1.tmp",
	}
	for _, name := range append([]string{"test_connection_" + old + ".json", "test_connection_" + old + ".json.tmp"}, kept...) {
		noErr(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	response, err := sdktest.New(t, newConnector()).TestConnection(t.Context(), filesystemFields(dir).json())
	noErr(t, err)
	if !response.GetSuccess() {
		t.Fatal(response.GetError())
	}
	slices.Sort(kept)
	wantNames(t, dir, kept...)
}

func TestDirectoryThatMayNotBeWrittenIsPermissionDenied(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "closed")
	noErr(t, os.Mkdir(dir, 0o555))
	if os.Geteuid() == 0 {
		dir = "/sys" // refuses root, too
	}
	host := sdktest.New(t, newConnector())
	result, err := host.NewExport(filesystemFields(dir).json(), sdktest.SampleOrder()).Run(t.Context())
	noErr(t, err)
	wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, true)
	response, err := host.TestConnection(t.Context(), filesystemFields(dir).json())
	noErr(t, err)
	wantCode(t, response.GetError(), connectorv1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, true)
}

func stepNames(response *connectorv1.TestConnectionResponse) []string {
	var list []string
	for _, step := range response.GetSteps() {
		list = append(list, step.GetName())
	}
	return list
}
