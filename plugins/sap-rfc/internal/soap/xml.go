package soap

import (
	"bytes"
	"encoding/xml"
	"maps"
	"slices"
	"strings"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

const (
	namespace = "urn:sap-com:document:sap:rfc:functions"
	envelope  = "http://schemas.xmlsoap.org/soap/envelope/"
)

// encode writes a call as the service wants it: the function's element in its
// namespace, everything below without one.
func encode(call rfc.Call, dashed bool) ([]byte, error) {
	w := &writer{dashed: dashed}
	w.WriteString(xml.Header)
	w.WriteString(`<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + envelope + `"><SOAP-ENV:Body>`)
	name := escaped(call.Function)
	w.WriteString("<rfc:" + name + ` xmlns:rfc="` + namespace + `">`)
	for _, key := range slices.Sorted(maps.Keys(call.Values)) {
		w.value(key, call.Values[key])
	}
	for _, key := range slices.Sorted(maps.Keys(call.Structures)) {
		w.fields(key, call.Structures[key])
	}
	for _, key := range slices.Sorted(maps.Keys(call.Tables)) {
		w.WriteString("<" + escaped(key) + ">")
		for _, row := range call.Tables[key] {
			w.fields("item", row)
		}
		w.WriteString("</" + escaped(key) + ">")
	}
	w.WriteString("</rfc:" + name + "></SOAP-ENV:Body></SOAP-ENV:Envelope>")
	if w.err != nil {
		return nil, w.err
	}
	return w.Bytes(), nil
}

// escaped writes a name as the service wants it in XML.
func escaped(name string) string { return strings.ReplaceAll(name, "/", "_-") }

func unescaped(name string) string { return strings.ReplaceAll(name, "_-", "/") }

type writer struct {
	bytes.Buffer
	dashed bool
	err    error
}

func (w *writer) fields(name string, fields rfc.Structure) {
	w.WriteString("<" + escaped(name) + ">")
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		w.value(key, fields[key])
	}
	w.WriteString("</" + escaped(name) + ">")
}

// dateFields are the dates that the connector sends.
var dateFields = map[string]bool{"PURCH_DATE": true, "REQ_DATE_H": true, "REQ_DATE": true}

func (w *writer) value(name, value string) {
	if !isXMLText(value) {
		w.err = &rfc.Error{Class: rfc.BadValue, Message: name + " holds a character that XML does not know"}
		return
	}
	if w.dashed && len(value) == 8 && dateFields[name] {
		value = value[:4] + "-" + value[4:6] + "-" + value[6:]
	}
	w.WriteString("<" + escaped(name) + ">")
	if err := xml.EscapeText(w, []byte(value)); err != nil {
		w.err = err
	}
	w.WriteString("</" + escaped(name) + ">")
}

func isXMLText(value string) bool {
	for _, r := range value {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}
