package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/orderport/orderport/sdk/conformance"
)

type testSuite struct {
	XMLName  xml.Name   `xml:"testsuite"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Time     string     `xml:"time,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *failure `xml:"failure"`
	Skipped *skipped `xml:"skipped"`
	Out     string   `xml:"system-out,omitempty"`
}

type failure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type skipped struct {
	Message string `xml:"message,attr"`
}

// JUnit writes the report as JUnit XML. A SHOULD that failed counts as skipped
// there, since it does not break a build.
func JUnit(w io.Writer, r conformance.Report) error {
	suite := testSuite{
		Name: "orderport-conformance " + r.ConnectorType, Tests: len(r.Results),
		Failures: r.FailedMust, Skipped: r.Skipped + r.FailedShould,
	}
	seconds := 0.0
	for _, result := range r.Results {
		seconds += result.Seconds
		group, name, _ := strings.Cut(result.ID, "/")
		c := testCase{
			Class: "conformance." + group, Name: name, Time: fmt.Sprintf("%.3f", result.Seconds),
			Out: strings.Join(result.Notes, "\n"),
		}
		text := result.Title + " (" + strings.Join(result.Clauses, ", ") + ")"
		problems := strings.Join(result.Problems, "\n")
		switch {
		case result.Outcome == "skipped":
			c.Skipped = &skipped{Message: result.Reason}
		case result.Outcome == "failed" && result.Level == "MUST":
			c.Failure = &failure{Message: text, Text: problems}
		case result.Outcome == "failed":
			c.Skipped = &skipped{Message: "SHOULD: " + text + ": " + problems}
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Time = fmt.Sprintf("%.3f", seconds)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// JSON writes the report as one JSON document.
func JSON(w io.Writer, r conformance.Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
