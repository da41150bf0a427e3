package main

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http/httptest"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/gateway"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/icf"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// hostName is the system's name for the library.
const hostName = "sapsim"

// addresses say how to reach a system.
type addresses struct {
	Control string `json:"control"` // URL of what tests want to know and do
	Library string `json:"library"` // file of the library
	Host    string `json:"host"`    // for the library
	URL     string `json:"url"`     // of the web server
	CA      string `json:"ca"`      // its certificate, PEM
}

// serve runs a system until in ends.
func serve(folder string, in io.Reader, out io.Writer) error {
	library, err := sdk.Build(folder, sdk.Variant{})
	if err != nil {
		return err
	}
	system := sapsim.New(sapsim.Options{Customer: true})
	defer system.Close()
	reached, err := gateway.Listen(system, folder, hostName)
	if err != nil {
		return err
	}
	defer reached.Close()
	service := icf.New(system, icf.Options{})
	web := httptest.NewUnstartedServer(service)
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	web.StartTLS()
	defer web.CloseClientConnections()
	control := httptest.NewServer(newControl(system, service))
	defer control.CloseClientConnections()
	err = json.NewEncoder(out).Encode(addresses{
		Control: control.URL, Library: library, Host: hostName, URL: web.URL,
		CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})),
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}
