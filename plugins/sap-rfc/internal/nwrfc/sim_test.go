package nwrfc

import (
	"fmt"
	"maps"
	"os"
	"sync/atomic"
	"testing"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/gateway"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// libraries is shared: a library stays in the process.
var libraries Libraries

var builds sdk.Builds

func TestMain(m *testing.M) {
	if folder := os.Getenv(onlyLoad); folder != "" {
		os.Exit(loadOnly(folder))
	}
	code := m.Run()
	builds.Remove()
	os.Exit(code)
}

// lab is a simulated system behind a build of the library.
type lab struct {
	system  *sapsim.System
	folder  string
	host    string
	gateway *gateway.Gateway
}

var labs atomic.Int32 // names hosts

func newLab(t *testing.T, o sapsim.Options, v sdk.Variant) *lab {
	t.Helper()
	l := &lab{folder: builds.Folder(t, v), host: fmt.Sprintf("sap%d", labs.Add(1)), system: sapsim.New(o)}
	t.Cleanup(l.system.Close)
	var err error
	if l.gateway, err = gateway.Listen(l.system, l.folder, l.host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.gateway.Close)
	t.Cleanup(l.system.Close)
	return l
}

// sim is a lab with a library of today.
func sim(t *testing.T, o sapsim.Options) *lab {
	t.Helper()
	return newLab(t, o, sdk.Variant{})
}

// transport returns one with the logon parameters that are right, changed. An
// empty value takes a parameter away.
func (l *lab) transport(changes map[string]string) *Transport {
	parameters := map[string]string{
		"ASHOST": l.host, "SYSNR": "00", "CLIENT": "100", "USER": "ORDERPORT", "PASSWD": "Sesame-9", "LANG": "EN", "TRACE": "0",
	}
	maps.Copy(parameters, changes)
	maps.DeleteFunc(parameters, func(_, value string) bool { return value == "" })
	return New(&libraries, l.folder, parameters)
}

func (l *lab) open(t *testing.T) rfc.Session {
	t.Helper()
	s, err := l.transport(nil).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

const create = "BAPI_SALESORDER_CREATEFROMDAT2"

// order is a call that the system takes.
func order() rfc.Call {
	return rfc.Call{
		Function: create,
		Structures: map[string]rfc.Structure{"ORDER_HEADER_IN": {
			"DOC_TYPE": "TA", "SALES_ORG": "1000", "DISTR_CHAN": "10", "DIVISION": "00", "PURCH_NO_C": "OP1", "CURRENCY": "EUR",
		}},
		Tables: map[string][]rfc.Structure{
			"ORDER_PARTNERS": {{"PARTN_ROLE": "AG", "PARTN_NUMB": "0000004711"}},
			"ORDER_ITEMS_IN": {{"ITM_NUMBER": "10", "MATERIAL": "NWP-0011", "TARGET_QTY": "12.5", "T_UNIT_ISO": "PCE"}},
			"RETURN":         {},
		},
	}
}

// echo is a function that returns what it is given, of every type.
func echo() sapsim.Own {
	return sapsim.Own{
		Name: "ECHO", Interface: "c C C10; c N N6; c D D; c T T; c P P7.3; c I I4; c S S; c STR ROWTYPE; t TAB ROWTYPE; t TAB2 ROWTYPE",
		Structures: map[string]string{"ROWTYPE": "TEXT:C20 ROW:I4 AMOUNT:P7.3 DAY:D RAW:X16"},
		Body:       func(_ *sapsim.Session, in sapsim.Parameters) (sapsim.Parameters, error) { return in, nil },
	}
}
