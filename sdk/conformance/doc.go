// Package conformance checks whether a connector binary keeps the contract of
// the Port (CONTRACT.md). It starts the shipped file as the host does, in any
// language, calls it in good and bad ways, kills it, and looks with its own
// eyes at the process and at the target that the connector delivers to.
//
// The command orderport-conformance runs it from a shell. A connector in Go
// runs it as a test of its own:
//
//	func TestConformance(t *testing.T) {
//		conformance.Test(t, conformance.Target{
//			Binary: conformance.Build(t, "."),
//			Config: map[string]any{"path": "${dir}", "token": "${canary}"},
//			Target: profile.Target{Kind: profile.Directory, Orders: "*.json"},
//		})
//	}
//
// # How a check is added
//
//  1. Write a function of a *suite.T in the file of its group in
//     internal/checks, and list it in that group with a title that is true of
//     a good connector, its level, the clauses that it tests and what it
//     needs. t.Start starts a connector, t.NewExport().Deliver delivers an
//     order, t.WantOrders looks at the target. Times come from t.Limits, and
//     how much work to do from t.Sizes, so that tests can make them small.
//  2. Add at least one sabotage to the file of the group in internal/sabotage:
//     what is broken, the check that must notice, and words of what it says.
//  3. Break internal/mutant in that way where m.is("the-name") is true.
//  4. go test -run TestMutants ./conformance proves that the check catches the
//     mutant, and that the sound one passes all checks. With -update it also
//     writes the table in docs/connectors/conformance-mutants.md.
//
// A check without a mutant fails the test. A clause of the contract that says
// MUST needs a check, or an entry with a reason in the list of what can't be
// seen from outside (clauses_test.go).
package conformance
