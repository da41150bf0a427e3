package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

// Check describes one check.
type Check struct {
	// ID is "group/name" and never changes.
	ID string `json:"id"`
	// Title is a sentence that is true of a connector that passes.
	Title string `json:"title"`
	// Level is "MUST" or "SHOULD".
	Level string `json:"level"`
	// Clauses are the ids in CONTRACT.md that are tested.
	Clauses []string `json:"clauses"`
}

// Result is how one run of a check came out.
type Result struct {
	Check
	// Outcome is "passed", "failed" or "skipped".
	Outcome string `json:"outcome"`
	// Problems say why it failed.
	Problems []string `json:"problems,omitempty"`
	// Reason says why it was skipped.
	Reason string `json:"reason,omitempty"`
	// Notes are worth knowing whatever the outcome.
	Notes []string `json:"notes,omitempty"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
	// Run counts from 1 where checks are repeated.
	Run int `json:"run"`
}

// Report is the outcome of all checks of one connector.
type Report struct {
	ConnectorType string `json:"connector_type"`
	Name          string `json:"name"`
	Version       string `json:"version"`
	// Binary is the path of the file that was tested, SHA256 its checksum.
	Binary string `json:"binary"`
	SHA256 string `json:"sha256"`
	// Target is the kind of target.
	Target string `json:"target"`
	// Conforms says that no check that is a MUST has failed, and that at least
	// one has passed.
	Conforms bool `json:"conforms"`
	// Counts are by outcome, those of failures by level.
	Passed         int      `json:"passed"`
	FailedMust     int      `json:"failed_must"`
	FailedShould   int      `json:"failed_should"`
	Skipped        int      `json:"skipped"`
	Results        []Result `json:"results"`
	passedMustOnce bool
}

func newReport(s *suite.Suite) Report {
	d := s.Description
	return Report{
		ConnectorType: d.GetConnectorType(), Name: d.GetName(), Version: d.GetVersion(),
		Binary: s.Profile.Binary, SHA256: checksum(s.Profile.Binary), Target: string(s.Profile.Target.Kind),
	}
}

func (r *Report) add(result Result) {
	r.Results = append(r.Results, result)
	must := result.Level == string(suite.Must)
	switch suite.Outcome(result.Outcome) {
	case suite.Passed:
		r.Passed++
		r.passedMustOnce = r.passedMustOnce || must
	case suite.Skipped:
		r.Skipped++
	case suite.Failed:
		if must {
			r.FailedMust++
		} else {
			r.FailedShould++
		}
	}
	r.Conforms = r.FailedMust == 0 && r.passedMustOnce
}

func describeCheck(c suite.Check) Check {
	return Check{ID: c.ID, Title: c.Title, Level: string(c.Level), Clauses: c.Clauses}
}

func describeResult(r suite.Result) Result {
	return Result{
		Check: describeCheck(r.Check), Outcome: string(r.Outcome), Problems: r.Problems, Reason: r.Reason,
		Notes: r.Notes, Seconds: r.Duration.Seconds(), Run: r.Run,
	}
}

func checksum(file string) string {
	f, err := os.Open(file) //nolint:gosec // the caller names it
	if err != nil {
		return ""
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
}
