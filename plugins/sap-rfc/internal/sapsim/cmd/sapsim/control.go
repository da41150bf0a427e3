package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/icf"
)

// control lets another process see the system and break it.
type control struct {
	*http.ServeMux
	system *sapsim.System
	web    *icf.Server

	mu     sync.Mutex
	faults []*sapsim.Planned // guarded by mu
	since  string            // guarded by mu; the last order before a reset
}

func newControl(system *sapsim.System, web *icf.Server) *control {
	c := &control{ServeMux: http.NewServeMux(), system: system, web: web}
	c.HandleFunc("GET /documents", c.documents)
	c.HandleFunc("GET /state", c.state)
	c.HandleFunc("POST /faults", c.inject)
	c.HandleFunc("GET /faults/{id}", c.hits)
	c.HandleFunc("DELETE /faults/{id}", c.release)
	c.HandleFunc("POST /kill", func(w http.ResponseWriter, _ *http.Request) { write(w, system.KillSessions()) })
	c.HandleFunc("PUT /quirks", c.quirks)
	c.HandleFunc("POST /lock", c.lock)
	c.HandleFunc("POST /reset", c.reset)
	c.HandleFunc("POST /plant", c.plant)
	return c
}

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // whoever has gone needs no answer
}

// documents writes the orders since the last reset, without the calls that
// have created them.
func (c *control) documents(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	since := c.since
	c.mu.Unlock()
	list := []sapsim.Document{}
	for _, d := range c.system.Documents() {
		if d.Number > since {
			d.Given = sapsim.Parameters{}
			list = append(list, d)
		}
	}
	write(w, list)
}

func (c *control) state(w http.ResponseWriter, r *http.Request) {
	calls := map[string]int{}
	for _, function := range r.URL.Query()["function"] {
		calls[function] = c.system.Calls(function)
	}
	write(w, map[string]any{
		"numbers_used": c.system.NumbersUsed(), "sessions": c.system.Sessions(), "logons": c.system.Logons(),
		"security_sessions": c.web.SecuritySessions(), "calls": calls,
	})
}

// planned is a fault as another process asks for it.
type planned struct {
	Function string `json:"function"`
	Nth      int    `json:"nth"`
	After    bool   `json:"after"`
	// Trouble is drop, hang, kill (the sessions) or watch.
	Trouble string `json:"trouble"`
}

func (c *control) inject(w http.ResponseWriter, r *http.Request) {
	var p planned
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f := sapsim.Fault{Function: p.Function, Nth: p.Nth}
	if p.After {
		f.Moment = sapsim.After
	}
	switch p.Trouble {
	case "drop":
		f.Trouble = sapsim.Drop
	case "hang":
		f.Trouble = sapsim.Hang
	case "kill":
		f.Trouble, f.Run = sapsim.Watch, func() { c.system.KillSessions() }
	case "watch":
		f.Trouble = sapsim.Watch
	default:
		http.Error(w, fmt.Sprintf("unknown trouble %q", p.Trouble), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, c.system.Inject(f))
	write(w, len(c.faults)-1)
}

func (c *control) fault(r *http.Request) (*sapsim.Planned, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 0 || id >= len(c.faults) {
		return nil, errors.New("there is no such fault")
	}
	return c.faults[id], nil
}

func (c *control) hits(w http.ResponseWriter, r *http.Request) {
	f, err := c.fault(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	write(w, f.Hits())
}

func (c *control) release(w http.ResponseWriter, r *http.Request) {
	f, err := c.fault(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	f.Release()
}

func (c *control) quirks(w http.ResponseWriter, r *http.Request) {
	var q sapsim.Quirks
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.system.SetQuirks(q)
}

// lock makes somebody at a screen hold a customer until the connection that
// asks for it is closed.
func (c *control) lock(w http.ResponseWriter, r *http.Request) {
	unlock := c.system.LockCustomer(r.URL.Query().Get("customer"), "MILLER")
	defer unlock()
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // whoever has gone shows below
	<-r.Context().Done()
}

func (c *control) reset(http.ResponseWriter, *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if list := c.system.Documents(); len(list) > 0 {
		c.since = list[len(list)-1].Number
	}
}

// plant saves an order as somebody at a screen does.
func (c *control) plant(w http.ResponseWriter, r *http.Request) {
	if err := c.save(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (c *control) save(ctx context.Context) error {
	s, err := c.system.Logon(ctx, sapsim.Logon{Client: "100", User: "ORDERPORT", Password: "Sesame-9"})
	if err != nil {
		return err
	}
	defer s.Close()
	out, err := s.Call(ctx, "Z_ORDERPORT_ORDER_CREATE", sapsim.Parameters{
		Structures: map[string]sapsim.Row{"ORDER_HEADER_IN": {
			"DOC_TYPE": "TA", "SALES_ORG": "1000", "DISTR_CHAN": "10", "DIVISION": "00", "PURCH_NO_C": "BY HAND",
		}},
		Tables: map[string][]sapsim.Row{
			"ORDER_PARTNERS": {{"PARTN_ROLE": "AG", "PARTN_NUMB": "0000000001"}},
			"ORDER_ITEMS_IN": {{"ITM_NUMBER": "000010", "MATERIAL": "BY-HAND", "TARGET_QTY": "1"}},
			"RETURN":         {},
		},
	})
	if err == nil && out.Values["SALESDOCUMENT"] == "" {
		err = fmt.Errorf("SAP refused the order: %v", out.Tables["RETURN"])
	}
	return err
}
