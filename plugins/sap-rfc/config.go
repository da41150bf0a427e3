package main

import (
	"cmp"
	_ "embed"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/orderport/orderport/sdk"
)

//go:embed config.schema.json
var configSchema []byte

// The transports of a config.
const (
	transportNWRFC = "nwrfc"
	transportSOAP  = "soap"
)

// The ways to look an order up.
const (
	lookupGetlist   = "getlist"
	lookupReadTable = "read_table"
	lookupFunction  = "function"
)

// none is the value of a field that switches a part of the mapping off.
const none = "none"

// config is a connection's config, complete with the schema's defaults.
type config struct {
	Transport          string            `json:"transport"`
	Client             string            `json:"client"`
	User               string            `json:"user"`
	Password           sdk.Secret        `json:"password"`
	Language           string            `json:"language"`
	TimeoutSeconds     int               `json:"timeout_seconds"`
	MaxSessions        int               `json:"max_sessions"`
	MaxInFlight        int               `json:"max_in_flight"`  // the host's business
	MaxPerMinute       int               `json:"max_per_minute"` // the host's business
	LibraryPath        string            `json:"library_path"`
	Ashost             string            `json:"ashost"`
	Sysnr              string            `json:"sysnr"`
	Mshost             string            `json:"mshost"`
	Msserv             string            `json:"msserv"`
	R3name             string            `json:"r3name"`
	Group              string            `json:"group"`
	Saprouter          string            `json:"saprouter"`
	Gwhost             string            `json:"gwhost"`
	Gwserv             string            `json:"gwserv"`
	Wshost             string            `json:"wshost"`
	Wsport             string            `json:"wsport"`
	TLSClientPse       string            `json:"tls_client_pse"`
	TLSSapcryptolib    string            `json:"tls_sapcryptolib"`
	AliasUser          string            `json:"alias_user"`
	X509Certificate    sdk.Secret        `json:"x509_certificate"`
	SSOTicket          sdk.Secret        `json:"sso_ticket"`
	SNCMode            bool              `json:"snc_mode"`
	SNCQop             string            `json:"snc_qop"`
	SNCPartnername     string            `json:"snc_partnername"`
	SNCMyname          string            `json:"snc_myname"`
	SNCLib             string            `json:"snc_lib"`
	SNCSSO             string            `json:"snc_sso"`
	URL                string            `json:"url"`
	CACertificate      string            `json:"ca_certificate"`
	ClientCertificate  string            `json:"client_certificate"`
	ClientKey          sdk.Secret        `json:"client_key"`
	AllowHTTP          bool              `json:"allow_http"`
	SOAPDateFormat     string            `json:"soap_date_format"`
	CreateFunction     string            `json:"create_function"`
	BehaveWhenError    string            `json:"behave_when_error"`
	Convert            bool              `json:"convert"`
	XStructures        bool              `json:"x_structures"`
	DocType            string            `json:"doc_type"`
	SalesOrg           string            `json:"sales_org"`
	DistrChan          string            `json:"distr_chan"`
	Division           string            `json:"division"`
	SalesOff           string            `json:"sales_off"`
	SalesGrp           string            `json:"sales_grp"`
	POMethod           string            `json:"po_method"`
	OrderNumberField   string            `json:"order_number_field"`
	SoldToRole         string            `json:"sold_to_role"`
	ShipToRole         string            `json:"ship_to_role"`
	BillToRole         string            `json:"bill_to_role"`
	Addresses          string            `json:"addresses"`
	Countries          map[string]string `json:"countries"`
	CustomerNumberForm string            `json:"customer_number_form"`
	DefaultCustomer    string            `json:"default_customer"`
	MaterialNumberForm string            `json:"material_number_form"`
	ItemNumbers        string            `json:"item_numbers"`
	Plant              string            `json:"plant"`
	StoreLoc           string            `json:"store_loc"`
	ItemCategory       string            `json:"item_category"`
	ShortText          bool              `json:"short_text"`
	UnitForm           string            `json:"unit_form"`
	Units              map[string]string `json:"units"`
	CurrencyForm       string            `json:"currency_form"`
	PriceCondition     string            `json:"price_condition"`
	HeaderTextID       string            `json:"header_text_id"`
	ItemTextID         string            `json:"item_text_id"`
	TextLanguage       string            `json:"text_language"`
	Overlong           string            `json:"overlong"`
	ReferenceField     string            `json:"reference_field"`
	Lookup             string            `json:"lookup"`
	LookupFunction     string            `json:"lookup_function"`
	LookupTable        string            `json:"lookup_table"`
	LookupColumn       string            `json:"lookup_column"`
	NotFoundCodes      []string          `json:"not_found_codes"`
	TestCustomer       string            `json:"test_customer"`
	SettleSeconds      int               `json:"settle_seconds"`
	RetryableMessages  []string          `json:"retryable_messages"`
}

func decodeConfig(conn sdk.Connection) (config, error) {
	cfg, err := sdk.DecodeConfig[config](conn)
	if err != nil {
		return config{}, err
	}
	if cfg.LibraryPath != "" {
		cfg.LibraryPath = filepath.Clean(cfg.LibraryPath)
	}
	cfg.LookupTable = cmp.Or(cfg.LookupTable, map[string]string{"PURCH_NO_C": "VBAK", "PURCH_NO_S": "VBKD"}[cfg.ReferenceField])
	cfg.LookupColumn = cmp.Or(cfg.LookupColumn, map[string]string{"PURCH_NO_C": "BSTNK", "PURCH_NO_S": "BSTKD_E"}[cfg.ReferenceField])
	return cfg, nil
}

func (c config) timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }

func (c config) settle() time.Duration { return time.Duration(c.SettleSeconds) * time.Second }

// address names the system for a person, without secrets.
func (c config) address() string {
	switch {
	case c.Transport == transportSOAP:
		return c.URL
	case c.Ashost != "":
		return c.Ashost + " system " + c.Sysnr
	case c.Mshost != "":
		return c.Mshost + " group " + c.Group
	default:
		return net.JoinHostPort(c.Wshost, c.Wsport)
	}
}

// serviceURL is the address of the RFC service.
func (c config) serviceURL() string {
	address := strings.TrimSuffix(c.URL, "/")
	const service = "/sap/bc/soap/rfc"
	if u, err := url.Parse(address); err == nil && !strings.HasSuffix(u.Path, service) {
		address += service
	}
	return address
}

// endpoint names the system that orders go to if the system itself does not
// say its id.
func (c config) endpoint() string { return c.Transport + " " + c.address() + " client " + c.Client }
