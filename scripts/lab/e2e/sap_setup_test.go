package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

const sapType = "SAP_RFC"

// sapTransports are the ways to a SAP system.
var sapTransports = []string{"nwrfc", "soap"}

// sapSystem is a simulated SAP system in a process of its own, with its own
// copy of a library to reach it.
type sapSystem struct {
	Control string `json:"control"`
	Library string `json:"library"`
	Host    string `json:"host"`
	URL     string `json:"url"`
	CA      string `json:"ca"`
}

// simulator is the program, built by the first test that asks.
var simulator struct {
	once sync.Once
	dir  string
	file string
	err  error
}

func simulatorFile(t *testing.T) string {
	t.Helper()
	simulator.once.Do(func() {
		if simulator.dir, simulator.err = os.MkdirTemp("", "orderport-sap-"); simulator.err != nil {
			return
		}
		simulator.file = filepath.Join(simulator.dir, "sapsim")
		build := exec.Command("go", "build", "-buildvcs=false", "-o", simulator.file, "./internal/sapsim/cmd/sapsim")
		build.Dir = filepath.Join("..", "..", "..", "plugins", "sap-rfc")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			simulator.err = fmt.Errorf("build sapsim: %w\n%s", err, out)
		}
	})
	if simulator.err != nil {
		t.Fatal(simulator.err)
	}
	return simulator.file
}

// startSAP starts a system that ends with the test, and with its process.
func startSAP(t *testing.T) *sapSystem {
	t.Helper()
	file := simulatorFile(t)
	folder, err := os.MkdirTemp("", "sap") // a short name: a socket lives there
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, "serve", folder)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("sapsim: %v\n%s", err, complaints.String())
		}
		_ = os.RemoveAll(folder)
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		sap := &sapSystem{}
		if err = json.Unmarshal(line, sap); err == nil {
			return sap
		}
	}
	_ = in.Close()
	err = errors.Join(err, cmd.Wait())
	if strings.Contains(complaints.String(), "C compiler") {
		skip(t, strings.TrimSpace(complaints.String()))
	}
	t.Fatalf("start sapsim: %v\n%s", err, complaints.String())
	return nil
}

// config leads to the system over a transport.
func (s *sapSystem) config(transport string) map[string]any {
	c := map[string]any{
		"transport": transport, "client": "100", "user": "ORDERPORT", "password": "Sesame-9", "language": "EN",
		"sales_org": "1000", "distr_chan": "10", "division": "00", "countries": countryCodes,
	}
	if transport == "nwrfc" {
		c["library_path"], c["ashost"], c["sysnr"] = filepath.Dir(s.Library), s.Host, "00"
		return c
	}
	c["url"], c["ca_certificate"], c["create_function"] = s.URL, s.CA, "Z_ORDERPORT_ORDER_CREATE"
	return c
}

// countryCodes are those of the real orders.
var countryCodes = map[string]string{
	"Argentina": "AR", "Austria": "AT", "Belgium": "BE", "Brazil": "BR", "Canada": "CA", "Denmark": "DK", "Finland": "FI",
	"France": "FR", "Germany": "DE", "Ireland": "IE", "Italy": "IT", "Mexico": "MX", "Norway": "NO", "Poland": "PL",
	"Portugal": "PT", "Spain": "ES", "Sweden": "SE", "Switzerland": "CH", "UK": "GB", "USA": "US", "Venezuela": "VE",
}

// sapDocument is a sales order as the system has it.
type sapDocument struct {
	Number                                        string
	Incomplete                                    bool
	Header                                        map[string]string
	Items, Schedules, Partners, Conditions, Texts []map[string]string
}

func (s *sapSystem) documents(ctx context.Context) ([]sapDocument, error) {
	var list []sapDocument
	return list, s.call(ctx, http.MethodGet, "/documents", nil, &list)
}

// sapState is what the system counts.
type sapState struct {
	NumbersUsed int            `json:"numbers_used"`
	Calls       map[string]int `json:"calls"`
}

func (s *sapSystem) state(ctx context.Context, t *testing.T, functions ...string) sapState {
	t.Helper()
	var state sapState
	if err := s.call(ctx, http.MethodGet, "/state?"+url.Values{"function": functions}.Encode(), nil, &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// sapFault is something that goes wrong in the system.
type sapFault struct {
	Function string `json:"function"`
	Nth      int    `json:"nth"`
	After    bool   `json:"after"`
	Trouble  string `json:"trouble"` // drop, hang or kill
}

func (f sapFault) String() string {
	moment := "before"
	if f.After {
		moment = "after"
	}
	return f.Trouble + " " + moment + " " + f.Function
}

// inject plans a fault and returns a function that waits until it has struck,
// and one that takes it away and lets go on what hangs.
func (s *sapSystem) inject(ctx context.Context, t *testing.T, f sapFault) (struck, release func()) {
	t.Helper()
	var id int
	if err := s.call(ctx, http.MethodPost, "/faults", f, &id); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/faults/%d", id)
	struck = func() {
		eventually(ctx, t, f.String(), func() error {
			var hits int
			err := s.call(ctx, http.MethodGet, path, nil, &hits)
			if err == nil && hits == 0 {
				err = errors.New("it was never met")
			}
			return err
		})
	}
	return struck, func() {
		if err := s.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
			t.Error(err)
		}
	}
}

// killSessions ends every session, as an administrator does.
func (s *sapSystem) killSessions(ctx context.Context) error {
	return s.call(ctx, http.MethodPost, "/kill", nil, nil)
}

// lock makes somebody at a screen hold a customer until the function that it
// returns is called.
func (s *sapSystem) lock(ctx context.Context, customer string) (unlock func(), err error) {
	ctx, unlock = context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Control+"/lock?customer="+customer, nil)
	if err != nil {
		return unlock, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		go func() {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}()
	}
	return unlock, err
}

func (s *sapSystem) call(ctx context.Context, method, path string, body, out any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Control+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("sapsim %s %s: %s %s", method, path, resp.Status, raw)
	case out == nil:
		return nil
	}
	return json.Unmarshal(raw, out)
}

// serveSAP starts a host with a connection to a system, which works.
func serveSAP(ctx context.Context, t *testing.T, db string, config map[string]any) (*world.Host, *world.Client) {
	t.Helper()
	host := serve(ctx, t, install(ctx, t, db), "data")
	client := host.Client()
	id := connect(ctx, t, client, sapType, config)
	var test struct {
		Success bool
		Error   *world.ErrorBody
	}
	if _, err := client.Call(ctx, http.MethodPost, "/api/v1/connections/"+id+"/test", nil, &test); err != nil || !test.Success {
		t.Fatalf("test the connection: %+v, %v", test, err)
	}
	return host, client
}

// seconds says how long something took.
func seconds(since time.Time) float64 { return time.Since(since).Seconds() }
