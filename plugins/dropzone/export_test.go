package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/hands"
	"github.com/orderport/orderport/sdk/sdktest"
)

// sampleFinal is the file name of sdktest's first export of its sample order.
const sampleFinal = "sales_order_32c282e3-b563-56da-bf52-0f4bd7ffe80d_20260102T030405Z_0b54b0a5.json"

func TestExportDeliversOneFile(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		for name, atomic := range map[string]bool{"renamed": true, "written directly": false} {
			t.Run(name, func(t *testing.T) {
				dir, f := subdirectory(t, cfg, dir)
				export := sdktest.New(t, newConnector()).NewExport(f.with("atomic_write", atomic).json(), sdktest.SampleOrder())
				result := run(t, export)
				wantDelivered(t, export, dir, result)
				if result.GetRecovered() {
					t.Error("a first attempt says that it recovered")
				}
				if export.ExternalRef != sampleFinal {
					t.Errorf("the checkpoint came with the reference %q", export.ExternalRef)
				}
			})
		}
	})
}

func TestExportSetsTheFileMode(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		run(t, sdktest.New(t, newConnector()).NewExport(fieldsOf(t, cfg).with("file_mode", "0604").json(), sdktest.SampleOrder()))
		info, err := os.Stat(filepath.Join(dir, sampleFinal))
		noErr(t, err)
		if info.Mode().Perm() != 0o604 {
			t.Errorf("the file has mode %o, want 604", info.Mode().Perm())
		}
	})
}

func TestSameExportRunAgainLeavesOneFile(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		host := sdktest.New(t, newConnector())
		for i := range 10 {
			// A host that has forgotten everything but the id.
			export := host.NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder())
			result := run(t, export)
			wantDelivered(t, export, dir, result)
			if result.GetRecovered() != (i > 0) {
				t.Errorf("run %d: recovered is %v", i+1, result.GetRecovered())
			}
		}
	})
}

func TestSameExportRunByManyAtOnceLeavesOneFile(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		connectors := []*connector{newConnector(), newConnector()} // as two processes
		together(8, func(i int) {
			export := sdktest.New(t, connectors[i%2]).NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder())
			export.Attempt = uint32(i)
			if result, err := export.Run(t.Context()); err != nil || !result.GetSuccess() {
				// One attempt's cleaning up takes the file of one before it,
				// which then says so and is tried again.
				if !result.GetError().GetRetryable() {
					t.Errorf("attempt %d: %v, %v", i, err, result)
				}
			}
		})
		export := sdktest.New(t, connectors[0]).NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder())
		export.Attempt = 8
		wantDelivered(t, export, dir, run(t, export))
	})
}

func TestForeignFileOfThatNameIsAConflict(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		for name, atomic := range map[string]bool{"renamed": true, "written directly": false} {
			t.Run(name, func(t *testing.T) {
				dir, f := subdirectory(t, cfg, dir)
				writeFile(t, filepath.Join(dir, sampleFinal), "theirs")
				writeFile(t, filepath.Join(dir, "neighbour.json.1.tmp"), "theirs, too")
				export := sdktest.New(t, newConnector()).NewExport(f.with("atomic_write", atomic).json(), sdktest.SampleOrder())
				result, err := export.Run(t.Context())
				noErr(t, err)
				wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_CONFLICT, false)
				wantNames(t, dir, sampleFinal, "neighbour.json.1.tmp")
				wantFile(t, filepath.Join(dir, sampleFinal), []byte("theirs"))

				// A host that did not hear of the conflict asks again: what
				// the first attempt took back must not pass for delivered.
				again, err := export.Run(t.Context())
				noErr(t, err)
				wantCode(t, again.GetError(), connectorv1.ErrorCode_ERROR_CODE_CONFLICT, false)
				noErr(t, os.Remove(filepath.Join(dir, sampleFinal)))
				noErr(t, os.Remove(filepath.Join(dir, "neighbour.json.1.tmp")))
				wantDelivered(t, export, dir, run(t, export))
			})
		}
	})
}

func TestLeftoversOfEarlierAttemptsAreRemoved(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		for n := 1; n <= 3; n++ {
			writeFile(t, filepath.Join(dir, tmpName(sampleFinal, n)), "{\"half")
		}
		export := sdktest.New(t, newConnector()).NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder())
		export.Attempt = 2 // the next one is the third
		wantDelivered(t, export, dir, run(t, export))
	})
}

// instant is a moment at which an attempt is cut off.
type instant struct {
	name string
	// fault is put between the export and its target; nil: the host fails.
	fault func(target) target
	// host is put into the host.
	payload, checkpoint sdktest.Fault
	// visible says that the order was delivered at this instant.
	visible bool
}

// instants lists each write of an export twice: failed and not done, and done
// although it failed.
func instants() []instant {
	return []instant{
		{name: "the payload is not stored", payload: sdktest.CutBefore},
		{name: "the payload is stored, its answer lost", payload: sdktest.CutAfter},
		{name: "the file is not written", fault: failing("create", false)},
		{name: "the file is written, its answer lost", fault: failing("create", true)},
		{name: "the file's name is not flushed", fault: failing("flush", false)},
		{name: "the checkpoint is not saved", checkpoint: sdktest.CutBefore},
		{
			name:       "the host can't say that the checkpoint is saved",
			checkpoint: sdktest.RefuseAfter(connectorv1.RefusalReason_REFUSAL_REASON_STORAGE),
		},
		{name: "the rename is not done", fault: failing("rename", false)},
		{name: "the rename is done, its answer lost", fault: failing("rename", true), visible: true},
		{name: "the rename is not flushed", fault: failing("last flush", false), visible: true},
		{name: "the rename is flushed, its answer lost", fault: failing("last flush", true), visible: true},
	}
}

// stepInstants are those of the two steps that include a flush.
func stepInstants() []instant {
	return []instant{
		{name: "nothing is staged", fault: failingStep("stage", false)},
		{name: "the file is staged, its answer lost", fault: failingStep("stage", true)},
		{name: "it is not published", fault: failingStep("publish", false)},
		{name: "it is published, its answer lost", fault: failingStep("publish", true), visible: true},
	}
}

// roundInstants are those at which the flush of a directory of this machine fails.
func roundInstants() []instant {
	return []instant{
		{name: "the directory is not flushed after the files", fault: unflushed(1)},
		{name: "the directory is not flushed after the renames", fault: unflushed(2), visible: true},
	}
}

func TestAttemptCutOffAtAnyInstantIsCompletedByTheNext(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		all := append(instants(), stepInstants()...)
		if cfg.Mode == modeFilesystem {
			all = append(all, roundInstants()...)
		}
		for _, at := range all {
			for _, consumed := range []bool{false, true} {
				if consumed && !at.visible {
					continue
				}
				name := at.name
				if consumed {
					name += ", and the ERP took the file"
				}
				t.Run(name, func(t *testing.T) {
					dir, f := subdirectory(t, cfg, root)
					export, c := cutOff(t, f.json(), at)
					if _, err := os.Stat(filepath.Join(dir, sampleFinal)); (err == nil) != at.visible {
						t.Fatalf("after the cut the file is visible: %v, want %v", err == nil, at.visible)
					}
					if consumed {
						noErr(t, os.Remove(filepath.Join(dir, sampleFinal)))
					}
					c.open = c.target
					result := run(t, export)
					if result.GetRecovered() != at.visible {
						t.Errorf("recovered is %v, want %v", result.GetRecovered(), at.visible)
					}
					if consumed {
						wantNames(t, dir)
						return
					}
					wantDelivered(t, export, dir, result)
				})
			}
		}
	})
}

// TestDirectWriteCutOff is the same without a rename: an order is never
// delivered twice, and where nobody can tell, that is said.
func TestDirectWriteCutOff(t *testing.T) {
	t.Parallel()
	cases := []struct {
		at      instant
		leave   string // what the cut-off attempt left under the final name
		unknown bool
	}{
		{at: instant{name: "before the checkpoint", checkpoint: sdktest.CutBefore}},
		{at: instant{name: "after the checkpoint", checkpoint: sdktest.CutAfter}, unknown: true},
		{at: instant{name: "with the file created and empty", checkpoint: sdktest.CutAfter}, leave: ""},
		{at: instant{name: "with half of the file written", checkpoint: sdktest.CutAfter}, leave: `{"export_version":"orderflow_`},
		{at: instant{name: "with another file there", checkpoint: sdktest.CutAfter}, leave: "theirs", unknown: true},
		{at: instant{name: "with the file written, its answer lost", fault: failing("create", true)}},
	}
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		for i, tc := range cases {
			t.Run(tc.at.name, func(t *testing.T) {
				dir, f := subdirectory(t, cfg, root)
				export, c := cutOff(t, f.with("atomic_write", false).json(), tc.at)
				if i >= 2 && i <= 4 {
					writeFile(t, filepath.Join(dir, sampleFinal), tc.leave)
				}
				c.open = c.target
				result, err := export.Run(t.Context())
				noErr(t, err)
				if tc.unknown {
					wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN, false)
					return
				}
				wantDelivered(t, export, dir, result)
			})
		}
	})
}

func TestDirectWriteThatNeverBeganStartsAfresh(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		c := newConnector()
		c.openFaulty(func(op string) error {
			if op == "create" {
				return fs.ErrPermission
			}
			return nil
		})
		export := sdktest.New(t, c).NewExport(fieldsOf(t, cfg).with("atomic_write", false).json(), sdktest.SampleOrder())
		result, err := export.Run(t.Context())
		noErr(t, err)
		wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, true)
		c.open = c.target
		wantDelivered(t, export, dir, run(t, export))
	})
}

func TestRefusedAttemptPublishesNothingAndCleansUp(t *testing.T) {
	t.Parallel()
	superseded := sdktest.Refuse(connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED)
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		for name, at := range map[string]instant{
			"at the payload":    {payload: superseded},
			"at the checkpoint": {checkpoint: superseded},
		} {
			t.Run(name, func(t *testing.T) {
				dir, f := subdirectory(t, cfg, dir)
				cutOff(t, f.json(), at)
				wantNames(t, dir)
			})
		}
	})
}

// TestStaleAttemptCannotDeliverTwice lets a first attempt fall asleep between
// its checkpoint and its rename, and wake after another one has delivered and
// the ERP has taken the file.
func TestStaleAttemptCannotDeliverTwice(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		c := newConnector()
		asleep, wake := make(chan struct{}), make(chan struct{})
		first := true
		c.open = func(conn sdk.Connection, cfg config) (target, error) {
			inner, err := c.target(conn, cfg)
			if !first {
				return inner, err
			}
			first = false
			return &faulty{target: inner, fail: func(op string, _ func() error) error {
				if op == "rename" {
					close(asleep)
					<-wake
				}
				return nil
			}}, err
		}
		stale := sdktest.New(t, c).NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = stale.Run(t.Context())
		}()
		<-asleep
		next := sdktest.New(t, c).NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder())
		next.Attempt, next.Checkpoint, next.Payload = 1, stale.Checkpoint, stale.Payload
		wantDelivered(t, next, dir, run(t, next))
		noErr(t, os.Remove(filepath.Join(dir, sampleFinal)))
		close(wake)
		<-done
		wantNames(t, dir)
	})
}

func TestRenameCutInTheMiddleByTheServerIsRecovered(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		export, c := cutOff(t, fieldsOf(t, cfg).json(), instant{checkpoint: sdktest.CutAfter})
		tmp := filepath.Join(dir, tmpName(sampleFinal, 1))
		noErr(t, os.Link(tmp, filepath.Join(dir, sampleFinal))) // as OpenSSH renames, before it removes the old name
		c.open = c.target
		result := run(t, export)
		wantDelivered(t, export, dir, result)
		if !result.GetRecovered() {
			t.Error("the attempt does not say that it recovered")
		}
	})
}

// TestMissingFileElsewhereIsNotTakenForDelivered changes the place between two
// attempts: the temporary file is missing there because it never was there.
func TestMissingFileElsewhereIsNotTakenForDelivered(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		export, c := cutOff(t, fieldsOf(t, cfg).json(), instant{checkpoint: sdktest.CutAfter})
		c.open = c.target
		_, other := subdirectory(t, cfg, dir)
		export.Config = other.json()
		result, err := export.Run(t.Context())
		noErr(t, err)
		wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN, false)
	})
}

func TestDirectoryThatWasReplacedIsNotTakenForDelivered(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mount")
	noErr(t, os.Mkdir(dir, 0o777))
	export, c := cutOff(t, filesystemFields(dir).json(), instant{checkpoint: sdktest.CutAfter})
	c.open = c.target
	noErr(t, os.Rename(dir, dir+".away")) // as when a disk is not mounted
	result, err := export.Run(t.Context())
	noErr(t, err)
	wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_NOT_FOUND, true)
	noErr(t, os.Mkdir(dir, 0o777))
	result, err = export.Run(t.Context())
	noErr(t, err)
	wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN, false)
}

// A directory that is removed and made again often has the same inode, and the
// root of another disk always has.
func TestADirectoryThatWasMadeAgainIsAnother(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		made      string
		recovered bool
	}{
		"the same":                        {made: "same", recovered: true},
		"made at another time":            {made: "1"},
		"a checkpoint that knows no time": {made: "", recovered: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			export, c := cutOff(t, filesystemFields(dir).json(), instant{checkpoint: sdktest.CutAfter})
			c.open = c.target
			noErr(t, os.Remove(filepath.Join(dir, tmpName(sampleFinal, 1))))
			cp, err := decodeCheckpoint(export.Checkpoint)
			noErr(t, err)
			if tc.made != "same" {
				cp.DirMade = tc.made
			}
			export.Checkpoint = cp.encode()
			result, err := export.Run(t.Context())
			noErr(t, err)
			if result.GetRecovered() != tc.recovered {
				t.Errorf("recovered is %v, want %v: %v", result.GetRecovered(), tc.recovered, result.GetError())
			}
			if !tc.recovered {
				wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN, false)
			}
		})
	}
}

func TestCheckpointOfALaterVersionIsNotGuessedAt(t *testing.T) {
	t.Parallel()
	for name, checkpoint := range map[string]string{
		"a later version":             `{"v":2,"stage":"staged","tmp":"a","final":"b"}`,
		"an unknown stage":            `{"v":1,"stage":"mailed","final":"b"}`,
		"a name outside of the place": `{"v":1,"stage":"staged","tmp":"../a","final":"b"}`,
		"no JSON":                     ``,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			export := sdktest.New(t, newConnector()).NewExport(filesystemFields(dir).json(), sdktest.SampleOrder())
			export.Attempt, export.Checkpoint = 1, []byte(checkpoint)
			result, err := export.Run(t.Context())
			noErr(t, err)
			wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_OUTCOME_UNKNOWN, false)
			wantNames(t, dir)
		})
	}
}

func TestConfigThatBrokeAfterACheckpointIsNoFinalFailure(t *testing.T) {
	t.Parallel()
	export, c := cutOff(t, filesystemFields(t.TempDir()).json(), instant{fault: failing("rename", true)})
	c.open = c.target
	export.Config = fields{
		"mode": "sftp", "host": "erp.example", "username": "u", "password": "p", "host_key": "no key", "export_path": "/in",
	}.json()
	result, err := export.Run(t.Context())
	noErr(t, err)
	wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_INVALID_CONFIG, true)
}

func FuzzCheckpointNeverLeavesTheDirectory(f *testing.F) {
	f.Add([]byte(`{"v":1,"stage":"staged","tmp":"a.1.tmp","final":"a"}`))
	f.Add([]byte(`{"v":1,"stage":"writing","final":".."}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cp, err := decodeCheckpoint(data)
		if err == nil && (strings.ContainsAny(cp.Final+cp.Tmp, "/\x00") || cp.Final == ".." || cp.Final == "") {
			t.Errorf("accepted %+v", cp)
		}
	})
}

// cutOff runs a first attempt that fails at the instant, and returns the
// export for the next one.
func cutOff(t *testing.T, configJSON string, at instant) (*sdktest.Export, *connector) {
	t.Helper()
	c := newConnector()
	if at.fault != nil {
		plain := c.open
		c.open = func(conn sdk.Connection, cfg config) (target, error) {
			inner, err := plain(conn, cfg)
			if err != nil {
				return nil, err
			}
			return at.fault(inner), nil
		}
	}
	export := sdktest.New(t, c).NewExport(configJSON, sdktest.SampleOrder())
	export.OnPayload = func(int) sdktest.Fault { return at.payload }
	export.OnCheckpoint = func(int) sdktest.Fault { return at.checkpoint }
	result, err := export.Run(t.Context())
	if err == nil && result.GetSuccess() {
		t.Fatal("the attempt was not cut off")
	}
	if err == nil && !result.GetError().GetRetryable() {
		t.Fatalf("the attempt that was cut off ended for good: %v", result.GetError())
	}
	export.OnPayload, export.OnCheckpoint = nil, nil
	return export, c
}

// faulty is a target whose calls fail. fail may carry the call out by apply.
type faulty struct {
	target
	flushes int
	fail    func(op string, apply func() error) error
}

// openFaulty has the connector's targets fail where fail says so.
func (c *connector) openFaulty(fail func(op string) error) {
	c.open = func(conn sdk.Connection, cfg config) (target, error) {
		inner, err := c.target(conn, cfg)
		return &faulty{target: inner, fail: func(op string, _ func() error) error { return fail(op) }}, err
	}
}

// failing makes one kind of call lose its answer every time, done or not.
func failing(what string, done bool) func(target) target {
	return func(inner target) target {
		return &faulty{target: inner, fail: func(op string, apply func() error) error {
			if op != what {
				return nil
			}
			if done {
				if err := apply(); err != nil && !errors.Is(err, fs.ErrExist) {
					return fmt.Errorf("apply: %w", err)
				}
			}
			return errLost
		}}
	}
}

// faultyPublisher is faulty where a step includes a flush.
type faultyPublisher struct {
	publisher

	fail func(op string, apply func() error) error
}

// failingStep is failing for a publisher.
func failingStep(what string, done bool) func(target) target {
	return func(inner target) target {
		return &faultyPublisher{publisherOf(inner, &hands.Pool{}), failing(what, done)(inner).(*faulty).fail}
	}
}

func (f *faultyPublisher) Stage(ctx context.Context, dir, name string, data []byte) func() (string, error) {
	stage := func() error {
		_, err := f.publisher.Stage(ctx, dir, name, data)()
		return err
	}
	if err := f.fail("stage", stage); err != nil {
		return func() (string, error) { return "", err }
	}
	return f.publisher.Stage(ctx, dir, name, data)
}

func (f *faultyPublisher) Publish(ctx context.Context, dir, from, to string) error {
	publish := func() error { return f.publisher.Publish(ctx, dir, from, to) }
	if err := f.fail("publish", publish); err != nil {
		return err
	}
	return publish()
}

// unflushed makes the flush of a directory of this machine fail once.
func unflushed(which int) func(target) target {
	return func(inner target) target {
		flushes := 0
		return &filesystem{mode: 0o666, rounds: &rounds{flushDir: func(dir string) error {
			if flushes++; flushes == which {
				return fs.ErrPermission
			}
			return flushDirectory(dir)
		}}}
	}
}

func (f *faulty) call(op string, apply func() error) error {
	if err := f.fail(op, apply); err != nil {
		return err
	}
	return apply()
}

func (f *faulty) Create(ctx context.Context, path string, data []byte) error {
	return f.call("create", func() error { return f.target.Create(ctx, path, data) })
}

func (f *faulty) CreateVisible(ctx context.Context, path string, data []byte) error {
	return f.call("create", func() error { return f.target.CreateVisible(ctx, path, data) })
}

func (f *faulty) Rename(ctx context.Context, from, to string) error {
	return f.call("rename", func() error { return f.target.Rename(ctx, from, to) })
}

func (f *faulty) Flush(ctx context.Context, dir string) error {
	op := "flush"
	if f.flushes++; f.flushes > 1 {
		op = "last flush"
	}
	return f.call(op, func() error { return f.target.Flush(ctx, dir) })
}

// subdirectory makes a directory of its own for a subtest.
func subdirectory(t *testing.T, cfg config, root string) (string, fields) {
	t.Helper()
	dir, err := os.MkdirTemp(root, "case-")
	noErr(t, err)
	return dir, fieldsOf(t, cfg).with("export_path", dir)
}

func run(t *testing.T, export *sdktest.Export) *connectorv1.ExportResult {
	t.Helper()
	result, err := export.Run(t.Context())
	if err != nil || !result.GetSuccess() {
		t.Fatalf("export: %v, %v", err, result.GetError())
	}
	return result
}

// wantDelivered checks that the directory holds the order's one file, whole,
// and nothing else, and that the result says so.
func wantDelivered(t *testing.T, export *sdktest.Export, dir string, result *connectorv1.ExportResult) {
	t.Helper()
	if !result.GetSuccess() {
		t.Fatalf("not delivered: %v", result.GetError())
	}
	wantNames(t, dir, sampleFinal)
	content, err := os.ReadFile(filepath.Join(dir, sampleFinal))
	noErr(t, err)
	var file orderFile
	if err := json.Unmarshal(content, &file); err != nil || file.DraftOrderID != export.Order.GetId() {
		t.Errorf("the file is not the order: %v\n%s", err, content)
	}
	if result.GetExternalRef() != sampleFinal || filepath.Base(result.GetDropzonePath()) != sampleFinal {
		t.Errorf("reference %q, path %q", result.GetExternalRef(), result.GetDropzonePath())
	}
	if result.GetStorageKey() != sdktest.StorageKey(sampleFinal) {
		// A host that forgot its payload can't be told where it is.
		if export.Payload != nil {
			t.Errorf("storage key %q", result.GetStorageKey())
		}
	}
}

// deadOnce is a target whose first Remove meets a dead session.
type deadOnce struct {
	target
	met bool
}

func (d *deadOnce) Remove(ctx context.Context, path string) error {
	if !d.met {
		d.met = true
		return errLost
	}
	return d.target.Remove(ctx, path)
}

// An attempt that saved its checkpoint may have been unable to clean up after
// the one before it. The attempt that goes by the checkpoint does.
func TestWhoeverPublishesRemovesWhatAllEarlierAttemptsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"final", tmpName("final", 1), tmpName("final", 2), tmpName("other", 1)} {
		noErr(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	e := &export{
		req: &sdk.ExportRequest{Attempt: 3}, target: publisherOf(&deadOnce{target: newFilesystem(config{}, &rounds{})}, nil),
		dir: place{"export_path", dir}, final: "final",
	}
	_, err := e.published(t.Context(), checkpoint{Stage: staged, Tmp: tmpName("final", 2), Final: "final"}, true)
	noErr(t, err)
	wantNames(t, dir, "final", tmpName("other", 1))
}
