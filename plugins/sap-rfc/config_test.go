package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/configschema"
)

func connection(t *testing.T, f fields) sdk.Connection {
	t.Helper()
	conn, err := sdk.NewConnection("c", "acme", configSchema, []byte(f.json()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestTheSchemaKeepsTheRulesOfThePort(t *testing.T) {
	t.Parallel()
	if wrong := configschema.CheckSchema(configSchema); len(wrong) > 0 {
		t.Error(wrong)
	}
	schema, err := configschema.Compile(configSchema)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(schema.SecretPaths()); got != "[client_key password sso_ticket x509_certificate]" {
		t.Errorf("secrets: %s", got)
	}
}

func TestConfigsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base, change fields
		path         string // "": valid
	}{
		"nwrfc as it should be":                    {nwrfcFields(), nil, ""},
		"soap as it should be":                     {soapFields(), nil, ""},
		"a message server instead":                 {nwrfcFields(), fields{"ashost": nil, "mshost": "ms", "group": "PUBLIC"}, ""},
		"no server":                                {nwrfcFields(), fields{"ashost": nil, "sysnr": nil}, "any"},
		"an application server without a number":   {nwrfcFields(), fields{"sysnr": nil}, "any"},
		"two servers":                              {nwrfcFields(), fields{"mshost": "ms", "group": "PUBLIC"}, "any"},
		"no logon":                                 {nwrfcFields(), fields{"password": nil}, "any"},
		"SNC without a partner":                    {nwrfcFields(), fields{"snc_mode": true}, "any"},
		"SNC instead of a password":                {nwrfcFields(), fields{"password": nil, "snc_mode": true, "snc_partnername": "p:CN=S4H"}, ""},
		"a client of two digits":                   {nwrfcFields(), fields{"client": "10"}, "client"},
		"an unknown field":                         {nwrfcFields(), fields{"pasword": "x"}, "any"},
		"soap without TLS":                         {soapFields(), fields{"url": "http://sap.example:8000"}, "url"},
		"soap without TLS where it is allowed":     {soapFields(), fields{"url": "http://sap.example:8000", "allow_http": true}, ""},
		"soap without a url":                       {soapFields(), fields{"url": nil}, "url"},
		"a list that can't find the field":         {nwrfcFields(), fields{"reference_field": "REF_1"}, "any"},
		"a table for a field without a default":    {nwrfcFields(), fields{"reference_field": "REF_1", "lookup": "read_table"}, "any"},
		"the reference over the customer's number": {nwrfcFields(), fields{"order_number_field": "PURCH_NO_C"}, "order_number_field"},
		"a read function without a name":           {nwrfcFields(), fields{"lookup": "function"}, "lookup_function"},
		"both numbers swapped":                     {nwrfcFields(), fields{"reference_field": "PURCH_NO_S", "order_number_field": "PURCH_NO_C", "lookup": "read_table"}, ""},
		"the second field for both":                {nwrfcFields(), fields{"reference_field": "PURCH_NO_S", "lookup": "read_table"}, "any"},
		"a certificate without its key":            {soapFields(), fields{"client_certificate": "-----BEGIN CERTIFICATE-----"}, "any"},
		"a message that is no class and number":    {nwrfcFields(), fields{"retryable_messages": []string{"V1311"}}, "any"},
		"no language":                              {nwrfcFields(), fields{"language": ""}, "language"},
		"a price condition that is switched off":   {nwrfcFields(), fields{"price_condition": "none"}, ""},
		"a price condition in lower case":          {nwrfcFields(), fields{"price_condition": "pr00"}, "price_condition"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decodeConfig(connection(t, c.base.with(c.change)))
			if (err == nil) != (c.path == "") {
				t.Fatalf("got %v", err)
			}
			if c.path != "" && c.path != "any" && !strings.Contains(err.Error(), c.path) {
				t.Errorf("got %v, want it about %s", err, c.path)
			}
		})
	}
}

func TestTheDefaultsAreThoseOfTheDocs(t *testing.T) {
	t.Parallel()
	cfg, err := decodeConfig(connection(t, nwrfcFields()))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(cfg.DocType, cfg.SoldToRole, cfg.ShipToRole, cfg.BillToRole, cfg.PriceCondition, cfg.ReferenceField,
		cfg.OrderNumberField, cfg.Lookup, cfg.LookupTable, cfg.LookupColumn, cfg.SettleSeconds, cfg.TimeoutSeconds, cfg.MaxSessions,
		cfg.UnitForm, cfg.CurrencyForm, cfg.HeaderTextID, cfg.ItemTextID, cfg.XStructures, cfg.Language)
	const want = "TA AG WE RE PR00 PURCH_NO_C PURCH_NO_S getlist VBAK BSTNK 600 60 4 iso sap 0001 none true EN"
	if got != want+"\n" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLogonParametersAreThoseOfTheConfig(t *testing.T) {
	t.Parallel()
	cfg, err := decodeConfig(connection(t, nwrfcFields().with(fields{
		"snc_mode": true, "snc_partnername": "p:CN=S4H", "snc_qop": "3", "x509_certificate": "MIIB", "sso_ticket": "AjEx", "saprouter": "/H/r/S/3299/H/",
	})))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(logonParameters(cfg))
	const want = "map[ASHOST:sap.example CLIENT:100 LANG:EN MYSAPSSO2:AjEx PASSWD:Sesame-9 SAPROUTER:/H/r/S/3299/H/ SNC_MODE:1 SNC_PARTNERNAME:p:CN=S4H SNC_QOP:3 SYSNR:00 TRACE:0 USER:ORDERPORT X509CERT:MIIB]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if printed := fmt.Sprintf("%v %+v", cfg, cfg); strings.Contains(printed, "Sesame") || strings.Contains(printed, "AjEx") || strings.Contains(printed, "MIIB") {
		t.Errorf("the config prints its secrets")
	}
}
