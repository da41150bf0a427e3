package sabotage

import "github.com/orderport/orderport/sdk/conformance/profile"

func describe() []Sabotage {
	return []Sabotage{
		{
			Name: "describes-differently", Check: "describe/same-answer",
			What: "puts the time into its description", Words: "two answers differ",
		},
		{
			Name: "slow-describe", Check: "describe/same-answer",
			What: "takes seconds for Describe", Words: "Describe took",
		},
		{
			Name: "lower-case-type", Check: "describe/identity",
			What: "has a type in lower case", Words: "connector_type",
		},
		{
			Name: "untrimmed-name", Check: "describe/identity",
			What: "has spaces around its name", Words: "spaces around it",
		},
		{
			Name: "no-vendor", Check: "describe/identity",
			What: "names no vendor", Words: "vendor",
		},
		{
			Name: "no-semantic-version", Check: "describe/identity",
			What: "has the version v1", Words: "semantic version",
		},
		{
			Name: "no-formats", Check: "describe/formats",
			What: "names no export format", Words: "lacks orderflow_export_json_v1",
		},
		{
			Name: "unclaimed-acks", Check: "describe/unclaimed-acks",
			What: "answers calls about acks without the capability", Words: "want UNIMPLEMENTED",
		},
		{
			Name: "other-version", Check: "describe/manifest",
			What: "says another version than it is published under", Words: "the connector says",
		},
	}
}

func schema() []Sabotage {
	return []Sabotage{
		{
			Name: "open-schema", Check: "schema/valid",
			What: "allows any property in its config", Words: "additionalProperties",
		},
		{
			Name: "refers-elsewhere", Check: "schema/valid",
			What: "has a schema that refers to another document", Words: "can't be checked",
		},
		{
			Name: "no-description", Check: "schema/described",
			What: "does not describe a property", Words: "dir has no description",
		},
		{
			Name: "wrong-default", Check: "schema/defaults",
			What: "has a text as the default of a number", Words: "the default of retries",
		},
		{
			Name: "secret-with-default", Check: "schema/secrets",
			What: "has a default for a secret", Words: "must have no",
		},
		{
			Name: "unmarked-secret", Check: "schema/secrets",
			What: "does not mark a secret", Words: "looks like a secret",
		},
		{
			Name: "looks-around", Check: "schema/patterns",
			What: "has a pattern that only some libraries know", Words: "does not mean the same everywhere",
		},
		{
			Name: "trusts-config", Check: "schema/required",
			What: "does not check configs", Words: "the code is UNREACHABLE, want INVALID_CONFIG",
		},
		{
			Name: "first-violation-only", Check: "schema/required",
			What: "names one wrong field at a time", Words: "no violation names",
		},
		{
			Name: "ignores-unknown-fields", Check: "schema/wrong-values",
			What: "accepts unknown fields", Words: "an unknown field: it was accepted",
		},
		{
			Name: "shows-wrong-value", Check: "schema/wrong-values",
			What: "shows the wrong value in its error", Words: "shows the value",
		},
		{
			Name: "acks-trust-config", Check: "schema/every-call",
			What: "does not check the config in FetchAcks", Words: "FetchAcks: it was accepted",
		},
		{
			Name: "connects-before-checking", Check: "schema/before-network", Target: profile.SFTP,
			What: "connects before it checks the config", Words: "for a config that is wrong",
		},
		{
			Name: "narrower-schema", Check: "schema/compatible",
			What: "refuses what its previous version accepted", Words: "retries must be",
		},
	}
}

func testConnection() []Sabotage {
	return []Sabotage{
		{
			Name: "test-leaves-file", Check: "testconnection/works",
			What: "does not remove what a test writes", Words: "was left behind",
		},
		{
			Name: "test-always-succeeds", Check: "testconnection/failures",
			What: "says success whatever the target does", Words: "the test succeeded",
		},
		{
			Name: "test-status", Check: "testconnection/failures",
			What: "answers a failed test with a gRPC status", Words: "a gRPC status instead of an answer",
		},
		{
			Name: "unclassified", Check: "testconnection/failures",
			What: "calls every failure INTERNAL", Words: "the code is INTERNAL",
		},
		{
			Name: "step-after-failure", Check: "testconnection/failures",
			What: "goes on after a failed step", Words: "is not the last one",
		},
		{
			Name: "makes-missing-directory", Check: "testconnection/no-residue",
			What: "makes a missing directory and leaves a file in it", Words: "was left at the target",
		},
		{
			Name: "tries-login-twice", Check: "testconnection/one-login", Target: profile.SFTP,
			What: "tries refused credentials again", Words: "2 times, want once",
		},
		{
			Name: "ignores-deadline", Check: "testconnection/deadline", Target: profile.SFTP,
			What: "waits for a silent target beyond the deadline", Words: "after the deadline it still has",
		},
		{
			Name: "test-removes-temporaries", Check: "testconnection/repeatable",
			What: "removes the temporary files of running exports in a test", Words: "has 0 orders, want 1",
		},
	}
}
