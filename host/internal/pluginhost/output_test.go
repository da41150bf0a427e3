package pluginhost_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHostileLogLinesDoNotHurtTheHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{Serve: "bad json"})
	w.start()
	eventually(t, 5*time.Second, "the last of them is logged", func() bool { return strings.Contains(w.log.String(), `"msg":"null"`) })
	if _, err := export(w.port("NOOP"), "deliver", nil); err != nil {
		t.Error(err)
	}
}

func TestLongLinesDoNotBlockTheConnector(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := filepath.Join(t.TempDir(), "written")
	install(t, w.dir, "noop", behavior{Serve: "long lines", State: state})
	w.start()
	eventually(t, 10*time.Second, "the connector has written all of it", exists(state))
	eventually(t, 5*time.Second, "the cut is told", func() bool { return strings.Contains(w.log.String(), `"cut_bytes":`) })
	if n := len(w.log.String()); n > 1<<20 {
		t.Errorf("the host logged %d bytes", n)
	}
}

func TestFloodIsCutOffAndCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := filepath.Join(t.TempDir(), "written")
	install(t, w.dir, "noop", behavior{Serve: "flood", State: state})
	w.start()
	eventually(t, 20*time.Second, "the connector has written all of it", exists(state))
	_, err := export(w.port("NOOP"), "raise kill", nil)
	if crash := asCrash(err); crash == nil || !strings.Contains(crash.Reason, "last output: the last word") {
		t.Errorf("the last line is not known although it was dropped: %v", err)
	}
	logged, dropped := 0, 0
	for line := range strings.Lines(w.log.String()) {
		var rec struct {
			Msg     string
			Dropped int
		}
		json.Unmarshal([]byte(line), &rec)
		dropped += rec.Dropped
		if strings.HasPrefix(rec.Msg, "line ") {
			logged++
		}
	}
	if logged < 500 || logged > 20_000 || logged+dropped < 199_000 {
		t.Errorf("%d lines logged, %d counted as dropped", logged, dropped)
	}
}

func TestSecretsAreRedactedWhereverAConnectorPutsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{})
	w.start()
	p := w.port("NOOP")
	sink := &memorySink{}
	r, err := export(p, "say", sink)
	if err != nil {
		t.Fatal(err)
	}
	_, statusErr := export(p, "say status", nil)
	_, crashErr := export(p, "say crash", nil)
	if asCrash(crashErr) == nil || statusErr == nil {
		t.Fatalf("%v, %v", statusErr, crashErr)
	}
	eventually(t, 5*time.Second, "late prints are logged", func() bool {
		return strings.Contains(w.log.String(), "late stdout") && strings.Contains(w.log.String(), "late stderr") &&
			strings.Contains(w.log.String(), "login with [redacted]")
	})
	all := w.log.String() + r.String() + fmt.Sprint(sink.progress, statusErr, crashErr, w.host.Status())
	inJSON, _ := json.Marshal(secret)
	for _, form := range []string{
		secret, strings.Trim(string(inJSON), `"`), url.QueryEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
	} {
		if i := strings.Index(all, form); i >= 0 {
			t.Errorf("%q leaks: …%s…", form, all[max(0, i-100):min(len(all), i+100)])
		}
	}
	if n := strings.Count(all, "[redacted]"); n < 10 {
		t.Errorf("only %d marks", n)
	}
}

func TestConnectorCanNotPassItsFieldsForTheHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{})
	w.start()
	export(w.port("NOOP"), "say", nil)
	var line string
	eventually(t, 5*time.Second, "the line", func() bool {
		for l := range strings.Lines(w.log.String()) {
			if strings.Contains(l, "login with") {
				line = l
			}
		}
		return line != ""
	})
	var rec struct {
		Level     string            `json:"level"`
		Connector string            `json:"connector"`
		Stream    string            `json:"stream"`
		Fields    map[string]string `json:"fields"`
	}
	if err := json.Unmarshal([]byte(line), &rec); err != nil {
		t.Fatal(err)
	}
	if rec.Level != "WARN" || rec.Connector != "orderport-connector-noop" || rec.Stream != "stderr" || strings.Count(line, `"connector":`) != 2 {
		t.Errorf("host's fields: %s", line)
	}
	if rec.Fields["connector"] != "spoofed" || rec.Fields["nested"] != `{"deep":["[redacted]"]}` {
		t.Errorf("fields: %v", rec.Fields)
	}
}
