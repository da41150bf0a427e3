package sabotage

import "github.com/orderport/orderport/sdk/conformance/profile"

func tunnels() []Sabotage {
	return []Sabotage{
		{
			Name: "tunnel-opens-silently", Check: "tunnel/exports",
			What: "sends no message when a tunnel is opened", Words: "no message has come",
		},
		{
			Name: "tunnel-mixes-up-calls", Check: "tunnel/exports",
			What: "sends a result to another call of the tunnel", Words: "the result is about",
		},
		{
			Name: "tunnel-without-end", Check: "tunnel/exports",
			What: "does not say in the tunnel that a call has ended", Words: "has sent its result, and no end",
		},
		{
			Name: "tunnel-speaks-after-end", Check: "tunnel/exports",
			What: "sends a message of a call after its end", Words: "after its end",
		},
		{
			Name: "tunnel-one-at-a-time", Check: "tunnel/waiting-neighbour",
			What: "serves the calls of a tunnel one after the other", Words: "another one in its tunnel failed",
		},
		{
			Name: "tunnel-ignores-cancel", Check: "tunnel/cancel",
			What: "goes on with a call that the tunnel has cancelled", Words: "after its cancel a call has not ended",
		},
		{
			Name: "tunnel-ignores-timeout", Check: "tunnel/cancel",
			What: "does not look at the timeout of a call in the tunnel", Words: "after its timeout a call has not ended",
		},
		{
			Name: "tunnel-cancels-all", Check: "tunnel/cancel",
			What: "cancels all calls of a tunnel with one", Words: "beside calls that were cancelled",
		},
		{
			Name: "tunnel-outlives-stream", Check: "tunnel/broken", Target: profile.SFTP,
			What: "goes on with the calls of a tunnel that broke", Words: "after the tunnel broke it still has",
		},
		{
			Name: "tunnel-ends-at-stray-frame", Check: "tunnel/unknown",
			What: "ends the tunnel when a frame has no call", Words: "after a frame of no call",
		},
		{
			Name: "tunnel-answers-stray-frame", Check: "tunnel/unknown",
			What: "answers a frame that has no call", Words: "a frame came for",
		},
		{
			Name: "tunnel-stays-open", Check: "tunnel/end",
			What: "keeps a tunnel open that the host has closed", Words: "the tunnel is still open",
		},
		{
			Name: "tunnel-drops-calls", Check: "tunnel/end",
			What: "ends a tunnel that the host has closed before its calls have ended", Words: "the tunnel ended before",
		},
		{
			Name: "tunnel-holds-up-stop", Check: "tunnel/stop",
			What: "waits at its stop for the host to close its tunnels", Words: "it still runs",
		},
	}
}
