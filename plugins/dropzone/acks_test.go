package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

const (
	processed = connectorv1.Verdict_VERDICT_PROCESSED
	rejected  = connectorv1.Verdict_VERDICT_REJECTED
)

func TestAcksAreReadAndSettled(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		dir, f := ackDirectory(t, cfg, root)
		host := sdktest.New(t, newConnector())
		writeFile(t, dir+"/ack_a.json", `{"status":"ACKED","erp_order_id":"SO-2025-000123","processed_at":"2025-12-27T08:00:00Z"}`)
		writeFile(t, dir+"/error_b.json", `{"status":"FAILED","error_code":"E42","message":"unknown article","processed_at":"2025-12-27T08:00:01Z"}`)
		writeFile(t, dir+"/notes.txt", "not ours")
		writeFile(t, dir+"/ack_c.json.tmp", `{"status":`)

		acks := fetch(t, host, f, 0)
		if len(acks) != 2 || acks[0].GetPositive().GetErpOrderId() != "SO-2025-000123" || acks[0].GetExternalRef() != "a.json" ||
			acks[1].GetNegative().GetErrorCode() != "E42" || acks[1].GetNegative().GetMessage() != "unknown article" ||
			!acks[0].GetProcessedAt().AsTime().Equal(time.Date(2025, 12, 27, 8, 0, 0, 0, time.UTC)) {
			t.Fatalf("fetched %v", acks)
		}
		wantNames(t, dir, "ack_a.json", "ack_c.json.tmp", "error_b.json", "notes.txt")
		if again := fetch(t, host, f, 0); len(again) != 2 {
			t.Errorf("%d acks when fetched again, want the same 2", len(again))
		}
		for range 2 { // the second time the files are gone
			settle(t, host, f, processed, "ack_a.json", "error_b.json")
		}
		wantNames(t, dir, "ack_c.json.tmp", "notes.txt", "processed")
		wantNames(t, dir+"/processed", "ack_a.json", "error_b.json")
		if left := fetch(t, host, f, 0); len(left) != 0 {
			t.Errorf("fetched %v after all were settled", left)
		}
	})
}

func TestRejectedAckIsSetAside(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		dir, f := ackDirectory(t, cfg, root)
		writeFile(t, dir+"/ack_x.json", `{"status":"ACKED","erp_order_id":"1"}`)
		settle(t, sdktest.New(t, newConnector()), f, rejected, "ack_x.json")
		wantNames(t, dir, "error")
		wantNames(t, dir+"/error", "ack_x.json")
	})
}

func TestSettlingReplacesNoEarlierFile(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		dir, f := ackDirectory(t, cfg, root)
		host := sdktest.New(t, newConnector())
		for _, content := range []string{"first", "second", "second", "third"} {
			writeFile(t, dir+"/ack_x.json", content)
			settle(t, host, f, processed, "ack_x.json")
		}
		wantNames(t, dir, "processed")
		var kept []string
		for _, name := range names(t, dir+"/processed") {
			content, err := os.ReadFile(filepath.Join(dir, "processed", name))
			noErr(t, err)
			kept = append(kept, string(content))
		}
		slices.Sort(kept)
		if !slices.Equal(kept, []string{"first", "second", "third"}) {
			t.Errorf("kept %q, want each content once", kept)
		}
	})
}

func TestHandlesCannotLeaveTheDirectory(t *testing.T) {
	t.Parallel()
	dir, f := ackDirectory(t, config{Mode: modeFilesystem}, t.TempDir())
	outside := filepath.Join(filepath.Dir(dir), "ack_secret.json")
	writeFile(t, outside, "theirs")
	host := sdktest.New(t, newConnector())
	for _, handle := range []string{
		"../ack_secret.json", "ack_/../../ack_secret.json", "/etc/passwd", "notes.txt", "ack_\x00",
		"hex:2e2e2f61636b5f7365637265742e6a736f6e", "hex:zz", "..", "ack_a/b",
	} {
		failed, err := host.SettleAcks(t.Context(), f.json(), processed, handle)
		noErr(t, err)
		if failed[handle] == nil {
			t.Errorf("handle %q was settled", handle)
		}
	}
	wantFile(t, outside, []byte("theirs"))
	wantNames(t, dir)
}

func TestAckFileWhoseNameIsNoTextIsSettled(t *testing.T) {
	t.Parallel()
	dir, f := ackDirectory(t, config{Mode: modeFilesystem}, t.TempDir())
	host := sdktest.New(t, newConnector())
	writeFile(t, dir+"/ack_M\xfcller.json", `{"status":"ACKED","erp_order_id":"1"}`)
	acks := fetch(t, host, f, 0)
	if len(acks) != 1 {
		t.Fatalf("fetched %v", acks)
	}
	settle(t, host, f, rejected, acks[0].GetHandle())
	wantNames(t, dir+"/error", "ack_M\xfcller.json")
}

func TestUnfinishedAckIsLeftAloneAndAMalformedOneReported(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		dir, f := ackDirectory(t, cfg, root)
		now := time.Now()
		c := newConnector()
		c.now = func() time.Time { return now }
		host := sdktest.New(t, c)
		writeFile(t, dir+"/ack_x.json", `{"status":"ACKED","erp_`)
		if acks := fetch(t, host, f, 0); len(acks) != 0 {
			t.Fatalf("an unfinished file was fetched: %v", acks)
		}
		now = now.Add(quietAfter + time.Second)
		if acks := fetch(t, host, f, 0); len(acks) != 1 || acks[0].GetMalformed() == nil || acks[0].GetExternalRef() != "x.json" {
			t.Fatalf("fetched %v, want it as malformed now", acks)
		}
		writeFile(t, dir+"/ack_x.json", `{"status":"ACKED","erp_order_id":"7"}`)
		if acks := fetch(t, host, f, 0); len(acks) != 1 || acks[0].GetPositive().GetErpOrderId() != "7" {
			t.Fatalf("fetched %v, want the finished ack", acks)
		}
	})
}

// TestServerWithAWrongClockLosesNoAck dates files a day back and ahead: a file
// that is being written must not look old.
func TestServerWithAWrongClockLosesNoAck(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	for name, skew := range map[string]time.Duration{"behind": -24 * time.Hour, "ahead": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			dir, f := ackDirectory(t, sftpConfig(srv), srv.Root)
			now := time.Now()
			c := newConnector()
			c.now = func() time.Time { return now }
			host := sdktest.New(t, c)
			write := func(name, content string) {
				writeFile(t, filepath.Join(dir, name), content)
				noErr(t, os.Chtimes(filepath.Join(dir, name), now.Add(skew), now.Add(skew)))
			}
			write("ack_whole.json", `{"status":"ACKED","erp_order_id":"1"}`)
			write("ack_half.json", `{"status":`)
			if acks := fetch(t, host, f, 0); len(acks) != 1 || acks[0].GetExternalRef() != "whole.json" {
				t.Errorf("fetched %v, want the whole one", acks)
			}
			now = now.Add(quietAfter + time.Second)
			if acks := fetch(t, host, f, 0); len(acks) != 2 {
				t.Errorf("fetched %v, want the malformed one, too", acks)
			}
		})
	}
}

func TestOldestAcksComeFirstUpToTheLimit(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		dir, f := ackDirectory(t, cfg, root)
		now := time.Now().Truncate(time.Second)
		for i := range 40 {
			name := fmt.Sprintf("%s/ack_%02d.json", dir, i)
			writeFile(t, name, fmt.Sprintf(`{"status":"ACKED","erp_order_id":"%d"}`, i))
			at := now.Add(-time.Duration(i/2) * time.Minute) // two and two are equal
			noErr(t, os.Chtimes(name, at, at))
		}
		var got []string
		for _, ack := range fetch(t, sdktest.New(t, newConnector()), f, 5) {
			got = append(got, ack.GetPositive().GetErpOrderId())
		}
		if want := []string{"38", "39", "36", "37", "34"}; !slices.Equal(got, want) {
			t.Errorf("fetched %v, want %v", got, want)
		}
	})
}

func TestTenThousandAcksAreFast(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		dir, f := ackDirectory(t, cfg, root)
		for i := range 10_000 {
			writeFile(t, fmt.Sprintf("%s/ack_%05d.json", dir, i), `{"status":"ACKED","erp_order_id":"1"}`)
		}
		c := newConnector()
		read := 0
		c.open = func(conn sdk.Connection, cfg config) (target, error) {
			inner, err := c.target(conn, cfg)
			return &counting{target: inner, lists: &read}, err
		}
		start := time.Now()
		acks := fetch(t, sdktest.New(t, c), f, 200)
		took := time.Since(start)
		if len(acks) != 200 || read != 1 {
			t.Errorf("fetched %d acks with %d listings, want 200 with one", len(acks), read)
		}
		t.Logf("200 of 10,000 acks in %v", took)
		if took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestALongListMayTakeAsLongAsTheServerLives lists a directory that takes many
// answers, over a slow line: each comes in time, and all of them don't.
func TestALongListMayTakeAsLongAsTheServerLives(t *testing.T) {
	t.Parallel()
	srv := sshtest.Run(t, sshtest.Options{})
	proxy := sshtest.RunProxy(t, srv.Addr)
	dir := filepath.Join(srv.Root, "acks")
	noErr(t, os.Mkdir(dir, 0o755))
	f := sftpFields(srv).with("port", proxy.Port).with("timeout_seconds", 1).with("ack_path", dir)
	host := sdktest.New(t, newConnector())
	fetch(t, host, f, 1) // logs in
	for i := range 4000 {
		writeFile(t, fmt.Sprintf("%s/ack_%05d.json", dir, i), `{"status":"ACKED","erp_order_id":"1"}`)
	}
	proxy.Delay(50 * time.Millisecond)
	start := time.Now()
	if acks := fetch(t, host, f, 1); len(acks) != 1 {
		t.Errorf("fetched %d acks, want one", len(acks))
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("it took %v, within the timeout, so this shows nothing", took)
	}
}

func TestMissingAckDirectoryIsSaid(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		f := fieldsOf(t, cfg).with("ack_path", root+"/nowhere")
		_, err := sdktest.New(t, newConnector()).FetchAcks(t.Context(), f.json(), 0)
		if err == nil || !strings.Contains(err.Error(), "ack_path") || !strings.Contains(err.Error(), root+"/nowhere") {
			t.Errorf("got %v, want an error that names field and path", err)
		}
	})
}

func TestConnectionWithoutAckPathHasNoAcks(t *testing.T) {
	t.Parallel()
	if acks := fetch(t, sdktest.New(t, newConnector()), filesystemFields(t.TempDir()), 0); len(acks) != 0 {
		t.Errorf("fetched %v", acks)
	}
}

func TestParseAck(t *testing.T) {
	t.Parallel()
	utf16le := func(s string) string {
		out := "\xff\xfe"
		for _, u := range utf16.Encode([]rune(s)) {
			out += string([]byte{byte(u), byte(u >> 8)})
		}
		return out
	}
	const good = `{"status":"ACKED","erp_order_id":"SO-1"}`
	cases := map[string]struct {
		name, content string
		want          sdk.Answer // nil: malformed
	}{
		"an ack":                             {"ack_x", good, sdk.Accepted{ERPOrderID: "SO-1"}},
		"an ack with a byte order mark":      {"ack_x", "\xEF\xBB\xBF" + good, sdk.Accepted{ERPOrderID: "SO-1"}},
		"an ack in UTF-16":                   {"ack_x", utf16le(good), sdk.Accepted{ERPOrderID: "SO-1"}},
		"a number as order id":               {"ack_x", `{"status":"ACKED","erp_order_id":4500012345678901234}`, sdk.Accepted{ERPOrderID: "4500012345678901234"}},
		"unknown fields":                     {"ack_x", `{"status":"ACKED","erp_order_id":"1","more":[1]}`, sdk.Accepted{ERPOrderID: "1"}},
		"a time that is none":                {"ack_x", `{"status":"ACKED","erp_order_id":"1","processed_at":"yesterday"}`, sdk.Accepted{ERPOrderID: "1"}},
		"a refusal":                          {"error_x", `{"status":"FAILED","error_code":"E1","message":"no"}`, sdk.Declined{Code: "E1", Message: "no"}},
		"a refusal without a reason":         {"error_x", `{"status":"FAILED"}`, sdk.Declined{}},
		"an ack without an order id":         {"ack_x", `{"status":"ACKED"}`, nil},
		"an ack with an empty order id":      {"ack_x", `{"status":"ACKED","erp_order_id":" "}`, nil},
		"an ack whose order id is an object": {"ack_x", `{"status":"ACKED","erp_order_id":{}}`, nil},
		"a refusal under the name of an ack": {"ack_x", `{"status":"FAILED"}`, nil},
		"an ack under the name of a refusal": {"error_x", good, nil},
		"an empty file":                      {"ack_x", ``, nil},
		"half a file":                        {"ack_x", good[:20], nil},
		"two documents":                      {"ack_x", good + good, nil},
		"an array":                           {"ack_x", `[]`, nil},
		"text in Latin-1":                    {"error_x", "{\"status\":\"FAILED\",\"message\":\"M\xfcll\"}", nil},
		"half a UTF-16 character":            {"ack_x", "\xff\xfe{", nil},
		"a file that is too large":           {"ack_x", strings.Repeat(" ", maxAck+1), nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ack, err := parseAck(tc.name, []byte(tc.content))
			if ack.Handle != tc.name || ack.ExternalRef != "x" {
				t.Errorf("handle %q, reference %q", ack.Handle, ack.ExternalRef)
			}
			if (err == nil) != (tc.want != nil) || ack.Answer != tc.want {
				t.Errorf("got %#v, %v; want %#v", ack.Answer, err, tc.want)
			}
		})
	}
}

func FuzzParseAck(f *testing.F) {
	f.Add("ack_x.json", []byte(`{"status":"ACKED","erp_order_id":"SO-1","processed_at":"2025-12-27T08:00:00Z"}`))
	f.Add("error_x.json", []byte(`{"status":"FAILED","error_code":"E","message":"m"}`))
	f.Add("ack_\xff", []byte("\xff\xfe{\x00}\x00"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if !isAckName(name) {
			return
		}
		ack, err := parseAck(name, content)
		if (err == nil) != (ack.Answer != nil) {
			t.Errorf("answer %v with error %v", ack.Answer, err)
		}
		back, err := nameOf(ack.Handle)
		if err != nil || back != name {
			t.Errorf("the handle %q leads to %q, %v; want %q", ack.Handle, back, err, name)
		}
	})
}

// counting counts how often a directory is listed.
type counting struct {
	target
	lists *int
}

func (c *counting) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	*c.lists++
	return c.target.List(ctx, dir)
}

func ackDirectory(t *testing.T, cfg config, root string) (string, fields) {
	t.Helper()
	dir, err := os.MkdirTemp(root, "acks-")
	noErr(t, err)
	cfg.ExportPath = root
	return dir, fieldsOf(t, cfg).with("ack_path", dir)
}

func fetch(t *testing.T, host *sdktest.Host, f fields, limit uint32) []*connectorv1.FetchAcksResponse {
	t.Helper()
	acks, err := host.FetchAcks(t.Context(), f.json(), limit)
	noErr(t, err)
	return acks
}

func settle(t *testing.T, host *sdktest.Host, f fields, verdict connectorv1.Verdict, handles ...string) {
	t.Helper()
	failed, err := host.SettleAcks(t.Context(), f.json(), verdict, handles...)
	noErr(t, err)
	if len(failed) > 0 {
		t.Fatalf("not settled: %v", failed)
	}
}
