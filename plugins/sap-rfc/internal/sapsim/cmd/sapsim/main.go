// Command sapsim runs a simulated SAP system as a process of its own, for tests
// that start the connector as a process, too.
//
//	sapsim serve FOLDER
//
// compiles the library into the folder, serves the system to it and over HTTPS,
// and writes one line of JSON that says how to reach all of it (see addresses).
// It ends when its standard input does.
//
//	sapsim at URL list | reset | plant | vars
//
// looks at a system that is served, as the conformance checks want it: list
// prints its orders, one JSON object a line; reset leaves none of them to list;
// plant saves an order of somebody else's.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

// noVars is the status that says that there are no placeholders.
const noVars = 64

func main() {
	args := os.Args[1:]
	var err error
	switch {
	case len(args) == 2 && args[0] == "serve":
		err = serve(args[1], os.Stdin, os.Stdout)
	case len(args) == 3 && args[0] == "at" && args[2] == "list":
		err = list(args[1], os.Stdout)
	case len(args) == 3 && args[0] == "at" && (args[2] == "reset" || args[2] == "plant"):
		_, err = request(http.MethodPost, args[1]+"/"+args[2])
	case len(args) == 3 && args[0] == "at" && args[2] == "vars":
		os.Exit(noVars)
	default:
		err = fmt.Errorf("usage: sapsim serve FOLDER | sapsim at URL list|reset|plant|vars")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// list prints the orders for the conformance checks.
func list(control string, out io.Writer) error {
	data, err := request(http.MethodGet, control+"/documents")
	if err != nil {
		return err
	}
	var documents []struct{ Number string }
	if err := json.Unmarshal(data, &documents); err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	for _, d := range documents {
		// What is in a sales order is not the bytes of the call that has made it.
		if err := lines.Encode(map[string]any{"name": d.Number}); err != nil {
			return err
		}
	}
	return nil
}

// request returns the answer of the system's control.
func request(method, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s %s", url, resp.Status, data)
	}
	return data, err
}
