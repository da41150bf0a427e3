package sabotage

func handshake() []Sabotage {
	return []Sabotage{
		{
			Name: "serves-without-cookie", Check: "handshake/without-cookie",
			What: "starts without the cookie", Words: "still runs",
		},
		{
			Name: "no-hint-without-cookie", Check: "handshake/hint",
			What: "says nothing when it is started by hand", Words: "nothing on standard error",
		},
		{
			Name: "prints-to-stdout", Check: "handshake/one-line",
			What: "prints to standard output during a call", Words: "besides the handshake line",
		},
		{
			Name: "fixed-protocol", Check: "handshake/protocol-versions",
			What: "starts although the host speaks none of its protocol versions", Words: "no version in common",
		},
		{
			Name: "lets-strangers-in", Check: "handshake/mutual-tls",
			What: "does not ask for a client certificate", Words: "answered a client",
		},
		{
			Name: "needs-home", Check: "handshake/bare-environment",
			What: "needs HOME", Words: "HOME is not set",
		},
		{
			Name: "needs-its-name", Check: "handshake/moved",
			What: "looks for what it needs by its own file name", Words: "not where it was installed",
		},
		{
			Name: "socket-elsewhere", Check: "handshake/socket",
			What: "puts its socket into the machine's temporary directory", Words: "outside",
		},
		{
			Name: "no-health", Check: "services/health",
			What: "serves no health service", Words: "health",
		},
	}
}
