package checks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/port"
)

func acks() []suite.Check {
	needs := []suite.Need{suite.Acks}
	files := append(slices.Clone(needs), suite.Files)
	return []suite.Check{
		{
			ID: "acks/none", Level: suite.Must, Clauses: []string{"ACK-03"}, Needs: needs, Run: noAcks,
			Title: "without acks, or without a place for them, the stream is empty and no error",
		},
		{
			ID: "acks/answers", Level: suite.Must, Clauses: []string{"DSC-05", "EXP-08"}, Needs: needs, Run: ackAnswers,
			Title: "positive acks bring the ERP's order number, negative ones its code and text, under the external_ref",
		},
		{
			ID: "acks/unchanged", Level: suite.Must, Clauses: []string{"ACK-01", "ACK-06"}, Needs: needs, Run: acksUnchanged,
			Title: "fetching changes nothing: the same acks come again with the same handles, also after a restart",
		},
		{
			ID: "acks/limit", Level: suite.Must, Clauses: []string{"ACK-02"}, Needs: needs, Run: ackLimit,
			Title: "the stream ends by itself when all are sent, or as many as were asked for",
		},
		{
			ID: "acks/being-written", Level: suite.Must, Clauses: []string{"ACK-04"}, Needs: files, Run: ackBeingWritten,
			Title: "an ack that is being written is left out until it is whole",
		},
		{
			ID: "acks/malformed", Level: suite.Must, Clauses: []string{"ACK-04", "ACK-05"}, Needs: files, Run: malformedAcks,
			Title: "what stays unreadable is reported as malformed and stops no other ack",
		},
		{
			ID: "acks/failure", Level: suite.Must, Clauses: []string{"ACK-10"}, Needs: files, Run: fetchFails,
			Title: "a place for acks that is not there is an ABORTED or FAILED_PRECONDITION with an Error in its details",
		},
		{
			ID: "acks/many", Level: suite.Must, Clauses: []string{"ACK-09", "ACK-02"}, Needs: needs, Run: manyAcks,
			Title: "many acks come in bounded time, page by page, none twice and none lost",
		},
		{
			ID: "acks/oldest-first", Level: suite.Must, Clauses: []string{"ACK-09"}, Needs: files, Run: oldestFirst,
			Title: "the oldest come first, and no time of a file makes an ack disappear",
		},
	}
}

// fetchAll returns what is there, and fails on an error.
func fetchAll(t *suite.T, c *suite.Connector) []*connectorv1.FetchAcksResponse {
	found, err := fetch(t, c, t.Connection())
	if err != nil {
		t.Fatalf("FetchAcks: %v", err)
	}
	return found
}

// leave puts n positive acks there and returns their references.
func leave(t *suite.T, n int) []string {
	var refs []string
	for i := range n {
		ref := fmt.Sprintf("conformance-%04d", i)
		if err := t.Target().LeaveAck(t.Context(), target.Ack{ExternalRef: ref, ERPOrderID: "SO-" + ref}); err != nil {
			t.Fatalf("leave an ack: %v", err)
		}
		refs = append(refs, ref)
	}
	return refs
}

func handles(acks []*connectorv1.FetchAcksResponse) []string {
	var all []string
	for _, ack := range acks {
		all = append(all, ack.GetHandle())
	}
	return all
}

func noAcks(t *suite.T) {
	c := t.Start()
	if found, err := fetch(t, c, t.Connection()); err != nil || len(found) > 0 {
		t.Errorf("no acks: %d acks and %v, want none of either", len(found), err)
	}
	changes := map[string]any{}
	for name, value := range t.Profile.Config {
		if text, ok := value.(string); ok && strings.Contains(text, "${ack_dir}") {
			changes[name] = nil
		}
	}
	config := t.Config(changes)
	if len(changes) == 0 || t.Schema == nil || len(t.Schema.Validate(config)) > 0 {
		return // it must have a place
	}
	if found, err := fetch(t, c, suite.Connection(config)); err != nil || len(found) > 0 {
		t.Errorf("no place for acks: %d acks and %v, want none of either", len(found), err)
	}
}

func ackAnswers(t *suite.T) {
	c := t.Start()
	e, refused := t.NewExport(), t.NewExport()
	good, bad := e.Deliver(c).Result.GetExternalRef(), refused.Deliver(c).Result.GetExternalRef()
	if good == "" || good == bad {
		t.Fatalf("the results carry the external_ref %q and %q: no ack can be matched", good, bad)
	}
	for _, ack := range []target.Ack{
		{ExternalRef: good, ERPOrderID: "SO-2025-000123"},
		{ExternalRef: bad, ErrorCode: "E042", Message: "customer 4711 is blocked, größer als erlaubt"},
	} {
		if err := t.Target().LeaveAck(t.Context(), ack); err != nil {
			t.Fatalf("leave an ack: %v", err)
		}
	}
	found := fetchAll(t, c)
	if len(found) != 2 {
		t.Fatalf("%d acks came, want 2", len(found))
	}
	for _, ack := range found {
		switch ack.GetExternalRef() {
		case good:
			if id := ack.GetPositive().GetErpOrderId(); id != "SO-2025-000123" {
				t.Errorf("the positive ack came as %v", ack)
			}
		case bad:
			if n := ack.GetNegative(); n.GetErrorCode() != "E042" || n.GetMessage() != "customer 4711 is blocked, größer als erlaubt" {
				t.Errorf("the negative ack came as %v", ack)
			}
		default:
			t.Errorf("an ack names %q, which no export has", ack.GetExternalRef())
		}
	}
}

func acksUnchanged(t *suite.T) {
	c := t.Start()
	leave(t, 3)
	before := snapshot(t)
	first := handles(fetchAll(t, c))
	for _, again := range [][]string{handles(fetchAll(t, c)), handles(fetchAll(t, t.Start()))} {
		if !slices.Equal(first, again) {
			t.Errorf("the handles were %q, and then %q", first, again)
		}
	}
	unique := slices.Clone(first)
	slices.Sort(unique)
	if len(slices.Compact(unique)) != 3 || slices.Contains(first, "") {
		t.Errorf("three acks came with the handles %q", first)
	}
	if after := snapshot(t); !slices.Equal(before, after) {
		t.Errorf("fetching changed what lies there from %q to %q", before, after)
	}
}

// snapshot lists the files below the ack directory with their contents.
func snapshot(t *suite.T) []string {
	files, ok := t.Target().(target.Files)
	if !ok {
		return nil
	}
	var all []string
	_ = filepath.WalkDir(files.AckDir(), func(file string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			data, _ := os.ReadFile(file) //nolint:gosec // our own directory
			relative, _ := filepath.Rel(files.AckDir(), file)
			all = append(all, relative+" "+string(data))
		}
		return nil
	})
	return all
}

func ackLimit(t *suite.T) {
	c := t.Start()
	leave(t, 5)
	// A stream that waits for more is cut by this deadline.
	ctx, cancel := context.WithTimeout(t.Context(), t.Limits().Call.D()/3)
	defer cancel()
	for limit, want := range map[uint32]int{1: 1, 3: 3, 5: 5, 100: 5, 0: 5} {
		found, err := fetchSome(ctx, c, t.Connection(), limit)
		if err != nil {
			t.Fatalf("with limit %d the stream did not end by itself: %v", limit, err)
		}
		if len(found) != want {
			t.Errorf("with limit %d came %d acks of 5, want %d", limit, len(found), want)
		}
	}
}

// form returns an ack as a file of the target.
func form(t *suite.T, ack target.Ack) (file string, data []byte) {
	files := t.Target().(target.Files) // the need says so
	writer, ok := t.Target().(interface {
		AckFile(target.Ack) (string, []byte, error)
	})
	if !ok {
		t.Skipf("the target does not write acks as files")
	}
	name, data, err := writer.AckFile(ack)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return filepath.Join(files.AckDir(), name), data
}

func writeFile(t *suite.T, file string, data []byte) {
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatalf("%v", err)
	}
}

func ackBeingWritten(t *suite.T) {
	c := t.Start()
	leave(t, 1)
	file, data := form(t, target.Ack{ExternalRef: "unfinished", ERPOrderID: "SO-1"})
	for _, n := range []int{0, 1, len(data) / 2, len(data) - 1} {
		writeFile(t, file, data[:n])
		for _, ack := range fetchAll(t, c) {
			if ack.GetExternalRef() == "unfinished" {
				t.Errorf("an ack of which %d of %d bytes are written came as %v", n, len(data), ack)
			}
		}
	}
	writeFile(t, file, data)
	whole := false
	t.Eventually(t.Profile.Acks.Settle.D()+t.Limits().Call.D()/3, func() bool {
		for _, ack := range fetchAll(t, c) {
			whole = whole || ack.GetPositive().GetErpOrderId() == "SO-1"
		}
		return whole
	})
	if !whole {
		t.Errorf("an ack that has become whole does not come")
	}
}

// malformedAcks mixes what can't be read with what can.
func malformedAcks(t *suite.T) {
	c := t.Start()
	bad := map[string][]byte{
		"garbage": []byte("this is no ack"), "empty": {}, "binary": {0xff, 0xfe, 0x00, 0x01, 0x80}, "cut": []byte(`{"status":`),
	}
	for name, data := range bad {
		file, _ := form(t, target.Ack{ExternalRef: name, ERPOrderID: "x"})
		writeFile(t, file, data)
	}
	file, _ := form(t, target.Ack{ExternalRef: "a-directory", ERPOrderID: "x"})
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	leave(t, 2)
	good, malformed := 0, map[string]bool{}
	done := func() bool {
		good = 0
		for _, ack := range fetchAll(t, c) {
			switch {
			case ack.GetMalformed() != nil:
				malformed[ack.GetHandle()] = true
				if ack.GetMalformed().GetReason() == "" {
					t.Errorf("the malformed ack %q comes without a reason", ack.GetHandle())
				}
			case ack.GetPositive() != nil && strings.HasPrefix(ack.GetExternalRef(), "conformance-"):
				good++
			default:
				t.Errorf("came as an answer: %v", ack)
			}
		}
		return len(malformed) >= len(bad) || t.Failed()
	}
	done()
	if good != 2 {
		t.Errorf("beside unreadable ones, %d of 2 good acks came", good)
	}
	// Twice, since a server's clock may be another one.
	within := 2*t.Profile.Acks.Settle.D() + 5*time.Second
	for deadline := time.Now().Add(within); !done() && time.Now().Before(deadline); {
		t.Pause(100 * time.Millisecond)
	}
	if len(malformed) < len(bad) {
		t.Errorf("after %v only %d of %d unreadable acks are reported as malformed", within, len(malformed), len(bad))
	}
	wantSettled(t, "malformed acks", settle(t, c, rejected, keys(malformed)...), keys(malformed))
}

func keys(set map[string]bool) []string {
	var all []string
	for key := range set {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

func fetchFails(t *suite.T) {
	c := t.Start()
	files := t.Target().(target.Files) // the need says so
	config := t.ConfigFor(t.Target(), map[string]any{"ack_dir": files.AckDir() + "-missing"}, nil)
	_, err := fetch(t, c, suite.Connection(config))
	e := port.ErrorFrom(err)
	if err == nil || e == nil {
		t.Fatalf("an ack directory that is missing: %v, want a gRPC status with an Error in its details", err)
	}
	suite.CheckError(t, e)
	if code := port.CodeOf(e.GetCode()); code != port.NotFound && code != port.PermissionDenied && code != port.InvalidConfig {
		t.Errorf("an ack directory that is missing has the code %s", code)
	}
	want := codes.FailedPrecondition
	if e.GetRetryable() {
		want = codes.Aborted
	}
	if status.Code(err) != want {
		t.Errorf("the status is %v, want %v for an error with retryable %v", status.Code(err), want, e.GetRetryable())
	}
}

func manyAcks(t *suite.T) {
	c := t.Start()
	refs := leave(t, t.Sizes().Acks)
	seen := map[string]int{}
	page := uint32(max(10, len(refs)/4)) //nolint:gosec // small
	started := time.Now()
	for range len(refs) {
		ctx, cancel := t.Call()
		found, err := fetchSome(ctx, c, t.Connection(), page)
		cancel()
		if err != nil {
			t.Fatalf("FetchAcks: %v", err)
		}
		if len(found) == 0 {
			break
		}
		for _, ack := range found {
			seen[ack.GetExternalRef()]++
		}
		wantSettled(t, "a page", settle(t, c, processed, handles(found)...), handles(found))
	}
	t.Notef("%d acks took %v", len(refs), time.Since(started).Round(time.Millisecond))
	for _, ref := range refs {
		if seen[ref] != 1 {
			t.Errorf("the ack of %s came %d times, want once", ref, seen[ref])
		}
	}
}

// oldestFirst gives files times of all sorts, as clocks of other machines do.
func oldestFirst(t *suite.T) {
	c := t.Start()
	refs := leave(t, 6)
	now := time.Now()
	ages := []time.Duration{-24 * time.Hour, 3 * time.Hour, 48 * time.Hour, time.Hour, time.Hour, 400 * 24 * time.Hour}
	for i, ref := range refs {
		file, _ := form(t, target.Ack{ExternalRef: ref, ERPOrderID: "x"})
		if err := os.Chtimes(file, now, now.Add(-ages[i])); err != nil {
			t.Fatalf("%v", err)
		}
	}
	var got []string
	for _, ack := range fetchAll(t, c) {
		got = append(got, ack.GetExternalRef())
	}
	if len(got) != len(refs) {
		t.Fatalf("of 6 acks with odd times %d came: %q", len(got), got)
	}
	age := map[string]time.Duration{}
	for i, ref := range refs {
		age[ref] = ages[i]
	}
	if !slices.IsSortedFunc(got, func(a, b string) int { return int((age[b] - age[a]) / time.Second) }) {
		t.Errorf("they come as %q, want the oldest first", got)
	}
}
