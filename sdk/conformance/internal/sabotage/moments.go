package sabotage

import "github.com/orderport/orderport/sdk/conformance/profile"

// calls lists what is wrong with calls that are cancelled, or made at one time.
func calls() []Sabotage {
	return []Sabotage{
		{
			Name: "stall-blocks-others", Check: "concurrency/stalled-connection", Target: profile.SFTP,
			What: "lets a target that does not answer hold up all connections", Words: "while another target does not answer",
		},
		{
			Name: "sticks-after-cancel", Check: "cancel/any-time",
			What: "delivers nothing any more once a call was cancelled", Words: "stuck since a call",
		},
		{
			Name: "outlives-cancel", Check: "cancel/target-hangs", Target: profile.SFTP,
			What: "goes on with a cancelled export once the target answers", Words: "it went on when the target did",
		},
		{
			Name: "export-outlives-deadline", Check: "cancel/stalled-target", Target: profile.SFTP,
			What: "goes on connecting after the deadline of an export", Words: "after the deadline it still has",
		},
		{
			Name: "quotes-decimals", Check: "text/document",
			What: "writes quantities as texts", Words: "lines[0].qty is",
		},
		{
			Name: "leaves-nulls-out", Check: "text/document",
			What: "leaves out members without a value", Words: "has the members",
		},
	}
}

// moments lists what shows when something dies at the wrong moment.
func moments() []Sabotage {
	return []Sabotage{
		{
			Name: "two-visible-steps", Check: "kill/target-step", Target: profile.SFTP,
			What: "copies the order to its name instead of renaming it", Words: "is not whole",
		},
		{
			Name: "lost-answer-is-final", Check: "kill/answer-lost", Target: profile.SFTP,
			What: "takes a lost answer to its visible step for a failure", Words: "ended with a final error",
		},
		{
			Name: "lost-answer-forgotten", Check: "kill/answer-lost", Target: profile.SFTP,
			What: "delivers again under another name when an answer was lost", Words: "orders, want 1",
		},
		{
			Name: "slow-copy", Check: "kill/any-time",
			What: "writes orders slowly under their final name", Words: "is not whole",
		},
		{
			Name: "trusts-missing-directory", Check: "kill/directory-away",
			What: "takes a missing directory for a consumed order", Words: "it says that it has delivered",
		},
	}
}
