package sabotage

import "github.com/orderport/orderport/sdk/conformance/profile"

func export() []Sabotage {
	return []Sabotage{
		{
			Name: "success-before-visible", Check: "export/delivers",
			What: "says success before the order is visible", Words: "has 0 orders, want 1",
		},
		{
			Name: "stores-other-bytes", Check: "export/delivers",
			What: "stores other bytes than it delivers", Words: "is not what arrived",
		},
		{
			Name: "wrong-export-id", Check: "export/delivers",
			What: "echoes another export id", Words: "the result is about",
		},
		{
			Name: "success-with-error", Check: "export/delivers",
			What: "sends success with an error", Words: "but the error is",
		},
		{
			Name: "result-twice", Check: "export/delivers",
			What: "sends its result twice", Words: "after the result",
		},
		{
			Name: "bad-file-name", Check: "export/delivers",
			What: "names its payload with a space", Words: "is not allowed",
		},
		{
			Name: "does-not-wait", Check: "export/waits",
			What: "delivers before its checkpoint is saved", Words: "visible before its checkpoint is saved",
		},
		{
			Name: "no-checkpoint", Check: "export/waits",
			What: "is FENCED and saves no checkpoint", Words: "delivers without a checkpoint",
		},
		{
			Name: "ignores-refusal", Check: "export/refused",
			What: "delivers what the host refuses to store", Words: "it says that it has delivered",
		},
		{
			Name: "refusal-is-final", Check: "export/refused",
			What: "gives up when the host has refused", Words: "the error is final",
		},
	}
}

func places() []Sabotage {
	return []Sabotage{
		{
			Name: "writes-in-place", Check: "export/atomic",
			What: "writes orders where readers see them", Words: "was seen with",
		},
		{
			Name: "cleans-directory", Check: "export/neighbours",
			What: "removes all temporary files, those of others too", Words: "was changed or has gone",
		},
		{
			Name: "replaces-foreign", Check: "export/foreign",
			What: "replaces a foreign file that has the order's name", Words: "the foreign file was replaced",
		},
		{
			Name: "path-from-order", Check: "export/values",
			What: "makes paths out of the order's values", Words: "are said to be delivered",
		},
		{
			Name: "export-unclassified", Check: "export/failures",
			What: "calls every failure of an export INTERNAL", Words: "the code is INTERNAL",
		},
		{
			Name: "export-status", Check: "export/failures",
			What: "ends a failed export with a gRPC status", Words: "a gRPC status instead of a result",
		},
		{
			Name: "export-failure-final", Check: "export/failures",
			What: "gives up when the target is not there", Words: "the error is final",
		},
	}
}

func concurrency() []Sabotage {
	return []Sabotage{
		{
			Name: "fails-when-busy", Check: "concurrency/exports",
			What: "fails when it is busy with another export", Words: "exports at one time failed",
		},
		{
			Name: "one-export-at-a-time", Check: "concurrency/waiting-neighbour",
			What: "runs one export at a time", Words: "another one failed",
		},
		{
			Name: "shares-config", Check: "concurrency/connections",
			What: "uses the config that it saw first for all connections", Words: "of two connections",
		},
		{
			Name: "names-by-order", Check: "concurrency/same-order",
			What: "names files by the order and not by the export", Words: "has 1 orders, want 2",
		},
	}
}

func cancellation() []Sabotage {
	return []Sabotage{
		{
			Name: "goes-on-after-cancel", Check: "cancel/export",
			What: "delivers after its call was cancelled", Words: "the order of a cancelled call has appeared",
		},
		{
			Name: "sticks-after-stall", Check: "cancel/stalled-target", Target: profile.SFTP,
			What: "delivers nothing any more once a call has timed out", Words: "after the target has come back the export fails",
		},
	}
}

func kill() []Sabotage {
	return []Sabotage{
		{
			Name: "new-name-each-attempt", Check: "kill/each-step",
			What: "delivers each attempt under another name", Words: "external_ref was",
		},
		{
			Name: "other-ref-each-attempt", Check: "kill/each-step",
			What: "has another external_ref in each attempt", Words: "external_ref was",
		},
		{
			Name: "leaves-temporaries", Check: "kill/each-step",
			What: "leaves the temporary files of killed attempts", Words: "was left behind",
		},
		{
			Name: "forgets-storage-key", Check: "kill/each-step",
			What: "forgets the storage key in the next attempt", Words: "in the next attempt, want that of the stored payload",
		},
		{
			Name: "recovered-unset", Check: "kill/result-lost",
			What: "does not say that it has recovered", Words: "does not say recovered",
		},
		{
			Name: "redelivers-consumed", Check: "kill/consumed",
			What: "delivers again what the ERP has consumed", Words: "was delivered again",
		},
		{
			Name: "guesses-checkpoint", Check: "kill/unreadable-checkpoint",
			What: "begins anew when it can't read its checkpoint", Words: "it says that it has delivered",
		},
		{
			Name: "forgets-place", Check: "kill/another-place",
			What: "does not remember at which place an attempt worked", Words: "the order is nowhere",
		},
		{
			Name: "copies-late", Check: "kill/late-attempt",
			What: "makes its visible step however late it comes", Words: "has 2 orders, want 1",
		},
		{
			Name: "copies-on-resume", Check: "kill/many-attempts",
			What: "makes the visible step once for each attempt that goes on", Words: "orders, want 1",
		},
		{
			Name: "cut-is-final", Check: "kill/target-cut", Target: profile.SFTP,
			What: "gives up when the connection is cut", Words: "ended with a final error",
		},
	}
}

func text() []Sabotage {
	return []Sabotage{
		{
			Name: "composes-text", Check: "text/unicode",
			What: "normalizes text", Words: "did not arrive unchanged",
		},
		{
			Name: "Latin-text", Check: "text/unicode",
			What: "replaces what Latin-1 does not have", Words: "did not arrive unchanged",
		},
		{
			Name: "float-decimals", Check: "text/decimals",
			What: "calculates decimals as floats", Words: "did not arrive",
		},
		{
			Name: "needs-optional-fields", Check: "text/optional",
			What: "refuses orders without an optional field", Words: "want INVALID_ORDER naming the field",
		},
		{
			Name: "shifts-dates", Check: "text/dates",
			What: "moves dates by a day", Words: "did not arrive",
		},
	}
}

func malformed() []Sabotage {
	return []Sabotage{
		{
			Name: "panics-on-nonsense", Check: "malformed/bytes",
			What: "dies of a config that is no JSON", Words: "ended the process",
		},
		{
			Name: "hangs-without-start", Check: "malformed/missing-parts",
			What: "waits for ever when a stream has no start", Words: "did not end",
		},
		{
			Name: "delivers-nonsense", Check: "malformed/orders",
			What: "delivers an order that it refuses", Words: "are said to be delivered",
		},
		{
			Name: "refuses-unknown", Check: "malformed/unknown",
			What: "refuses messages that it does not know", Words: "with unknown fields and messages failed",
		},
	}
}
