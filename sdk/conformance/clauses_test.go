package conformance

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/orderport/orderport/sdk/conformance/internal/checks"
)

// unseen lists the clauses that no check of a connector from outside can test,
// each with the reason.
func unseen() map[string]string {
	return map[string]string{
		"SVC-05": "says what is optional",
		"LIF-07": "is about the host; kill/… shows that a connector survives it",
		"DSC-09": "is about the host",
		"SCH-07": "is about the host",
		"EXP-01": "is about the host",
		"PAY-04": "a connector that stores nothing breaks no promise; the host's reports are poorer",
		"CHK-02": "says when the host has made a checkpoint durable",
		"CHK-03": "says what the host hands over",
		"SEC-02": "what a target's protocol wants is the target's to say; secrets/… covers all other places",
	}
}

var (
	clauseHead = regexp.MustCompile(`(?m)^- \*\*([A-Z]{3}-[0-9]{2})\*\* (.*(?:\n  .*|\n\n  .*)*)`)
	clauseID   = regexp.MustCompile(`\b(HND|SVC|LOG|LIF|DSC|SCH|TST|EXP|PAY|CHK|ACK|ERR|SEC|LIM|FWD)-[0-9]{2}\b`)
)

// clauses returns the contract's clauses by id.
func clauses(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../proto/CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, match := range clauseHead.FindAllStringSubmatch(string(text), -1) {
		if all[match[1]] != "" {
			t.Errorf("%s is there twice", match[1])
		}
		all[match[1]] = match[2]
	}
	if len(all) < 80 {
		t.Fatalf("only %d clauses found", len(all))
	}
	for _, id := range clauseID.FindAllString(string(text), -1) {
		if all[id] == "" {
			t.Errorf("CONTRACT.md refers to %s, which is not there", id)
		}
	}
	return all
}

func TestEachClauseHasACheck(t *testing.T) {
	t.Parallel()
	contract, reasons := clauses(t), unseen()
	checked := map[string][]string{}
	for _, check := range checks.All() {
		for _, id := range check.Clauses {
			checked[id] = append(checked[id], check.ID)
		}
	}
	for id, text := range contract {
		optional := !strings.Contains(text, "MUST") && (strings.Contains(text, "SHOULD") || strings.Contains(text, "MAY"))
		switch {
		case checked[id] == nil && reasons[id] == "" && !optional:
			t.Errorf("%s has neither a check nor a reason why it can't be seen: %s", id, text)
		case checked[id] != nil && reasons[id] != "":
			t.Errorf("%s is checked by %v: take it off the list of what can't be seen", id, checked[id])
		}
	}
	for id := range reasons {
		if contract[id] == "" {
			t.Errorf("the list of what can't be seen names %s, which is not in the contract", id)
		}
	}
}

func TestChecksNameClausesOfTheContract(t *testing.T) {
	t.Parallel()
	contract := clauses(t)
	form := regexp.MustCompile(`^[a-z]+/[a-z0-9-]+$`)
	var ids []string
	for _, check := range checks.All() {
		if !form.MatchString(check.ID) || check.Title == "" || check.Run == nil || len(check.Clauses) == 0 {
			t.Errorf("%s: it needs an id of the form group/name, a title, clauses and a function", check.ID)
		}
		if slices.Contains(ids, check.ID) {
			t.Errorf("%s is there twice", check.ID)
		}
		ids = append(ids, check.ID)
		for _, id := range check.Clauses {
			text, ok := contract[id]
			if !ok {
				t.Errorf("%s names %s, which is not in the contract", check.ID, id)
			}
			if check.Level == "MUST" && !binds(text) {
				t.Errorf("%s is a MUST, but %s only says: %s", check.ID, id, text)
			}
		}
	}
}

// binds says whether a clause is more than a SHOULD or MAY. One without any
// such word states a fact that holds.
func binds(clause string) bool {
	return strings.Contains(clause, "MUST") || (!strings.Contains(clause, "SHOULD") && !strings.Contains(clause, "MAY"))
}

// TestCommentsNameClausesOfTheContract reads the doc comments of the Port and
// of what authors use.
func TestCommentsNameClausesOfTheContract(t *testing.T) {
	t.Parallel()
	contract := clauses(t)
	named := map[string]bool{}
	look := func(file, text string) {
		for _, id := range clauseID.FindAllString(text, -1) {
			named[id] = true
			if contract[id] == "" {
				t.Errorf("%s names %s, which is not in the contract", file, id)
			}
		}
	}
	text, err := os.ReadFile("../../proto/orderport/connector/v1/connector.proto")
	if err != nil {
		t.Fatal(err)
	}
	look("connector.proto", string(text))
	err = filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, group := range parsed.Comments {
			look(file, group.Text())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Each part of the contract that a message carries is named beside it.
	for _, part := range []string{"DSC", "SCH", "TST", "EXP", "PAY", "CHK", "ACK", "ERR", "SEC"} {
		found := false
		for id := range named {
			found = found || strings.HasPrefix(id, part)
		}
		if !found {
			t.Errorf("no doc comment names a clause of %s", part)
		}
	}
}

// TestTheListOfPracticesIsWhole keeps the page that says what is checked, and
// what is not, free of checks that are not there and of rows without an answer.
func TestTheListOfPracticesIsWhole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/connectors/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| ([0-9]+) \| [^|]+ \| ([^|]+) \| ([^|]*) ?\|$`)
	rows := row.FindAllStringSubmatch(string(text), -1)
	if len(rows) != 76 {
		t.Errorf("the list has %d rows, want 76", len(rows))
	}
	mentioned := map[string]bool{}
	for i, match := range rows {
		if match[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d has the number %s", i+1, match[1])
		}
		ids := regexp.MustCompile("`([a-z]+/[a-z0-9-]+)`").FindAllStringSubmatch(match[2], -1)
		if len(ids) == 0 && strings.TrimSpace(match[3]) == "" {
			t.Errorf("row %s names no check and no reason", match[1])
		}
		for _, id := range ids {
			mentioned[id[1]] = true
			find(t, id[1])
		}
	}
	for _, check := range checks.All() {
		if !mentioned[check.ID] {
			t.Errorf("%s is in no row", check.ID)
		}
	}
}
