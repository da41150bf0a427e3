package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	const ran = `{"Action":"run","Package":"p","Test":"T"}
{"Action":"output","Package":"p","Test":"T","Output":"=== RUN   T\n"}
`
	const skipped = `{"Action":"output","Package":"p","Test":"T","Output":"    x_test.go:3: set REASON\n"}
{"Action":"skip","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}
`
	tests := map[string]struct {
		events string
		strict bool
		user   bool // not root
		ok     bool
		want   string
	}{
		"a passed test is counted and says nothing": {
			events: ran + `{"Action":"pass","Package":"p","Test":"T"}` + "\n" +
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}` + "\n",
			strict: true,
			ok:     true,
			want:   "ok  \tp\t0.1s\n1 passed, 0 failed, 0 skipped\n",
		},
		"what a passed test has measured is shown": {
			events: ran + `{"Action":"output","Package":"p","Test":"T","Output":"    x_test.go:3: measured: walk 3 s\n"}` + "\n" +
				`{"Action":"pass","Package":"p","Test":"T"}` + "\n",
			ok:   true,
			want: "measured: walk 3 s\n1 passed, 0 failed, 0 skipped\n",
		},
		"a failed test shows its output": {
			events: ran + `{"Action":"output","Package":"p","Test":"T","Output":"boom\n"}` + "\n" +
				`{"Action":"fail","Package":"p","Test":"T"}` + "\n",
			want: "boom\n0 passed, 1 failed, 0 skipped\n",
		},
		"a skip is shown with its reason": {
			events: ran + skipped,
			ok:     true,
			want:   "skipped: p T: x_test.go:3: set REASON\n0 passed, 0 failed, 1 skipped\n",
		},
		"a skip fails a strict run": {
			events: ran + skipped,
			strict: true,
			want:   "skipped, but must run: p T: x_test.go:3: set REASON\n0 passed, 0 failed, 1 skipped\n",
		},
		"a skip for want of real orders does not fail a strict run": {
			events: ran + strings.Replace(skipped, "REASON", "ORDERPORT_TEST_ORDERS", 1),
			strict: true,
			ok:     true,
			want:   "skipped: p T: x_test.go:3: set ORDERPORT_TEST_ORDERS\n0 passed, 0 failed, 1 skipped\n",
		},
		"a test that needs root may be skipped by a user": {
			events: ran + strings.Replace(skipped, "REASON", "mounting needs root", 1),
			strict: true,
			user:   true,
			ok:     true,
			want:   "skipped: p T: x_test.go:3: set mounting needs root\n0 passed, 0 failed, 1 skipped\n",
		},
		"a test that needs root may not be skipped by root": {
			events: ran + strings.Replace(skipped, "REASON", "mounting needs root", 1),
			strict: true,
			want:   "skipped, but must run: p T: x_test.go:3: set mounting needs root\n0 passed, 0 failed, 1 skipped\n",
		},
		"a test that a panic cut off counts as failed": {
			events: ran + `{"Action":"output","Package":"p","Test":"T","Output":"half a\n"}` + "\n" +
				`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n",
			want: "FAIL\tp\t0.1s\nhalf a\n0 passed, 1 failed, 0 skipped\n",
		},
		"a compiler's complaint is passed on": {
			events: `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: no\n"}` + "\n",
			ok:     true, // runModule fails for it
			want:   "x.go:1: no\n0 passed, 0 failed, 0 skipped\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			r := newReport(&out, !test.user)
			if err := r.read(strings.NewReader(test.events)); err != nil {
				t.Fatal(err)
			}
			if ok := r.close(test.strict); ok != test.ok {
				t.Errorf("ok is %v, want %v", ok, test.ok)
			}
			if got := out.String(); got != test.want {
				t.Errorf("printed %q, want %q", got, test.want)
			}
		})
	}
}
