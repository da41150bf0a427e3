package sabotage

import "github.com/orderport/orderport/sdk/conformance/profile"

func secrets() []Sabotage {
	return []Sabotage{
		{
			Name: "logs-config", Check: "secrets/output",
			What: "logs its config", Words: "a secret is in standard error",
		},
		{
			Name: "logs-secret-in-base64", Check: "secrets/output",
			What: "logs a secret in base64", Words: "in base64",
		},
		{
			Name: "secret-in-error", Check: "secrets/answers",
			What: "puts a secret into an error's message", Words: "a secret is in an answer",
		},
		{
			Name: "secret-in-metadata", Check: "secrets/answers",
			What: "puts a secret into the result's metadata", Words: "a secret is in an answer",
		},
		{
			Name: "secret-in-command-line", Check: "secrets/process",
			What: "hands a secret to a helper program in its command line", Words: "a secret is in cmdline",
		},
		{
			Name: "writes-config", Check: "secrets/files",
			What: "writes its config into a file", Words: "a secret is in the file",
		},
		{
			Name: "crash-prints-config", Check: "secrets/crash",
			What: "prints the config that it was working on when it crashes", Words: "a secret is in what it prints on",
		},
		{
			Name: "keeps-first-password", Check: "secrets/rotation", Target: profile.SFTP,
			What: "goes on with the password that it saw first", Words: "with the new secret the test fails",
		},
		{
			Name: "tries-old-password", Check: "secrets/rotation", Target: profile.SFTP,
			What: "tries the passwords that it saw before", Words: "no longer in the config was presented",
		},
	}
}

func shutdown() []Sabotage {
	return []Sabotage{
		{
			Name: "no-shutdown-call", Check: "shutdown/service",
			What: "does not serve Shutdown", Words: "Shutdown is UNIMPLEMENTED",
		},
		{
			Name: "slow-stop", Check: "shutdown/idle",
			What: "takes seconds to stop", Words: "it still runs",
		},
		{
			Name: "stop-status", Check: "shutdown/idle",
			What: "ends with another status than 0", Words: "ended with status 1",
		},
		{
			Name: "leaves-socket", Check: "shutdown/idle",
			What: "does not remove its socket", Words: "in the socket directory",
		},
		{
			Name: "ignores-sigterm", Check: "shutdown/sigterm",
			What: "ignores SIGTERM", Words: "after SIGTERM it still runs",
		},
		{
			Name: "dies-of-sigint", Check: "shutdown/sigint",
			What: "ends on SIGINT", Words: "SIGINT ended it",
		},
		{
			Name: "second-stop-fails", Check: "shutdown/twice",
			What: "fails when it is told to stop again", Words: "ended with status 3",
		},
		{
			Name: "final-error-at-stop", Check: "shutdown/under-way",
			What: "ends exports that are under way with a final error when it stops", Words: "ended with a final error",
		},
		{
			Name: "leaves-child", Check: "shutdown/no-children",
			What: "leaves a helper process behind", Words: "a process of it still runs",
		},
		{
			Name: "outlives-host", Check: "shutdown/host-dies",
			What: "does not notice that its host has died", Words: "after its host was killed it still runs",
		},
	}
}

func leaks() []Sabotage {
	return []Sabotage{
		{
			Name: "leaks-descriptors", Check: "leaks/calls",
			What: "leaves a file open in each export", Words: "descriptors grew",
		},
		{
			Name: "leaks-threads", Check: "leaks/calls",
			What: "leaves a thread in each export", Words: "threads grew",
		},
		{
			Name: "leaks-memory", Check: "leaks/calls",
			What: "keeps memory of each export", Words: "memory grew",
		},
		{
			Name: "leaks-sessions", Check: "leaks/calls", Target: profile.SFTP,
			What: "leaves a session open in each call", Words: "sessions open",
		},
		{
			Name: "abandons-connections", Check: "leaks/silent-target", Target: profile.SFTP,
			What: "leaves connections to a silent target open", Words: "against a silent target it holds",
		},
		{
			Name: "busy-idle", Check: "leaks/idle",
			What: "spins while it waits", Words: "of processor time",
		},
		{
			Name: "long-log-line", Check: "logs/lines",
			What: "logs what it was given as one line", Words: "a log line has",
		},
		{
			Name: "plain-logs", Check: "logs/form",
			What: "logs plain text", Words: "no JSON object",
		},
		{
			Name: "logs-without-export-id", Check: "logs/export-id",
			What: "logs about an export without its id", Words: "no line has its export_id",
		},
		{
			Name: "chatty", Check: "logs/volume",
			What: "logs a megabyte for each export", Words: "bytes for each export",
		},
	}
}

func large() []Sabotage {
	return []Sabotage{
		{
			Name: "small-messages", Check: "large/messages",
			What: "accepts messages of 4 MiB, as gRPC libraries do unless told otherwise", Words: "a message of 31 MiB",
		},
		{
			Name: "one-chunk", Check: "large/payload",
			What: "sends a payload in one chunk", Words: "a chunk of",
		},
		{
			Name: "delivers-beyond-limit", Check: "large/beyond-limit",
			What: "delivers more than it says that it can", Words: "says that it can deliver",
		},
		{
			Name: "hoards-memory", Check: "large/lines",
			What: "takes memory out of proportion for a long order", Words: "memory grew by",
		},
	}
}
