package cli

import (
	"os"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// eventually runs a command until its output matches: eventually PATTERN
// COMMAND….
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	over := time.After(20 * time.Second)
	for {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-over:
			ts.Fatalf("the output never matches %s", args[0])
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fill replaces $NAME in files by the script's variables: fill FILE….
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}
