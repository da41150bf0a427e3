package sabotage

func acks() []Sabotage {
	return []Sabotage{
		{
			Name: "no-acks-is-an-error", Check: "acks/none",
			What: "fails when there are no acks", Words: "no acks: 0 acks and",
		},
		{
			Name: "ack-place-required", Check: "acks/none",
			What: "fails when no place for acks is configured", Words: "no place for acks",
		},
		{
			Name: "negative-as-positive", Check: "acks/answers",
			What: "takes every ack for a positive one", Words: "the negative ack came as",
		},
		{
			Name: "ack-without-number", Check: "acks/answers",
			What: "loses the ERP's order number", Words: "the positive ack came as",
		},
		{
			Name: "no-external-ref", Check: "acks/answers",
			What: "does not say what acks will name", Words: "no ack can be matched",
		},
		{
			Name: "fetch-moves-acks", Check: "acks/unchanged",
			What: "moves acks when they are fetched", Words: "fetching changed",
		},
		{
			Name: "random-handles", Check: "acks/unchanged",
			What: "has new handles in each fetch", Words: "the handles were",
		},
		{
			Name: "ignores-ack-limit", Check: "acks/limit",
			What: "sends more acks than it was asked for", Words: "with limit",
		},
		{
			Name: "waits-for-acks", Check: "acks/limit",
			What: "waits for more acks until the call ends", Words: "did not end by itself",
		},
	}
}

func badAcks() []Sabotage {
	return []Sabotage{
		{
			Name: "reads-unfinished-acks", Check: "acks/being-written",
			What: "reports an ack as malformed while it is being written", Words: "bytes are written came as",
		},
		{
			Name: "drops-malformed-acks", Check: "acks/malformed",
			What: "says nothing about unreadable acks", Words: "unreadable acks are reported",
		},
		{
			Name: "stops-at-bad-ack", Check: "acks/malformed",
			What: "stops at the first unreadable ack", Words: "of 2 good acks came",
		},
		{
			Name: "fetch-fails-plainly", Check: "acks/failure",
			What: "fails without an Error in the status's details", Words: "want a gRPC status with an Error",
		},
		{
			Name: "missing-acks-are-silence", Check: "acks/failure",
			What: "says nothing when the place for acks is missing", Words: "want a gRPC status with an Error",
		},
		{
			Name: "wrong-fetch-status", Check: "acks/failure",
			What: "fails with UNAVAILABLE", Words: "the status is Unavailable",
		},
	}
}

func settlements() []Sabotage {
	return []Sabotage{
		{
			Name: "settles-out-of-order", Check: "acks/settle",
			What: "answers settlements in another order", Words: "is about",
		},
		{
			Name: "forgets-to-settle", Check: "acks/settle",
			What: "says that an ack is settled and leaves it", Words: "were settled come",
		},
		{
			Name: "deletes-acks", Check: "acks/kept",
			What: "deletes settled acks", Words: "are kept",
		},
		{
			Name: "settles-into-one-folder", Check: "acks/kept",
			What: "keeps processed and rejected acks together", Words: "are kept in one place",
		},
		{
			Name: "settles-once-only", Check: "acks/settle-again",
			What: "fails to settle what is gone", Words: "settled already",
		},
		{
			Name: "settles-any-verdict", Check: "acks/verdict",
			What: "takes an unknown verdict for a good one", Words: "is settled without an error",
		},
		{
			Name: "repeats-acks", Check: "acks/many",
			What: "sends some acks twice", Words: "want once",
		},
		{
			Name: "newest-acks-first", Check: "acks/oldest-first",
			What: "sends the newest acks first", Words: "want the oldest first",
		},
		{
			Name: "overlooks-old-acks", Check: "acks/oldest-first",
			What: "overlooks acks whose file is older than a day", Words: "with odd times",
		},
		{
			Name: "trusts-handles", Check: "acks/handles",
			What: "moves whatever a handle names", Words: "moved a foreign file",
		},
	}
}
