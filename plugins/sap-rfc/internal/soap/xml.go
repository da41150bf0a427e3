package soap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
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

// node is an element of an answer.
type node struct {
	XMLName  xml.Name
	Text     string `xml:",chardata"`
	Children []node `xml:",any"`
}

func (n *node) child(name string) (*node, bool) {
	for i := range n.Children {
		if n.Children[i].XMLName.Local == name {
			return &n.Children[i], true
		}
	}
	return nil, false
}

// all is the text of an element with everything below it.
func (n *node) all() string {
	text := n.Text
	for i := range n.Children {
		text += " " + n.Children[i].all()
	}
	return strings.Join(strings.Fields(text), " ")
}

// decode reads an answer. Elements are told by local name and namespace; their
// prefixes differ from release to release. What can't be read leaves it open
// whether the function has run.
func decode(answer []byte, call rfc.Call) (rfc.Reply, error) {
	var root node
	dec := xml.NewDecoder(bytes.NewReader(answer))
	dec.CharsetReader = utf8Only
	if err := dec.Decode(&root); err != nil {
		return rfc.Reply{}, unreadable("it is not well-formed")
	}
	body, ok := root.child("Body")
	if !ok || root.XMLName.Local != "Envelope" {
		return rfc.Reply{}, unreadable("it is no SOAP message")
	}
	name := escaped(call.Function)
	for i := range body.Children {
		n := &body.Children[i]
		switch {
		case n.XMLName.Local == "Fault":
			return rfc.Reply{}, fault(n)
		case n.XMLName.Local == name+".Exception":
			return rfc.Reply{}, exception(n)
		case n.XMLName.Space == namespace && n.XMLName.Local == name+".Response":
			return reply(n, call), nil
		}
	}
	return rfc.Reply{}, unreadable("it holds no response of " + call.Function)
}

func utf8Only(charset string, input io.Reader) (io.Reader, error) {
	if strings.EqualFold(charset, "utf-8") {
		return input, nil
	}
	return nil, errors.New("not UTF-8")
}

func unreadable(why string) error {
	return &rfc.Error{Class: rfc.Other, Sent: true, Message: "SAP's answer can't be read: " + why}
}

// reply sorts the parameters by what the call has asked for: a table that is
// empty looks like an empty value.
func reply(n *node, call rfc.Call) rfc.Reply {
	r := rfc.Reply{Values: map[string]string{}, Structures: map[string]rfc.Structure{}, Tables: map[string][]rfc.Structure{}}
	for i := range n.Children {
		c := &n.Children[i]
		name := unescaped(c.XMLName.Local)
		_, asked := call.Tables[name]
		switch {
		case asked:
			rows := make([]rfc.Structure, 0, len(c.Children))
			for j := range c.Children {
				if c.Children[j].XMLName.Local == "item" {
					rows = append(rows, structure(&c.Children[j]))
				}
			}
			r.Tables[name] = rows
		case len(c.Children) > 0:
			r.Structures[name] = structure(c)
		default:
			r.Values[name] = value(c)
		}
	}
	return r
}

func structure(n *node) rfc.Structure {
	s := make(rfc.Structure, len(n.Children))
	for i := range n.Children {
		s[unescaped(n.Children[i].XMLName.Local)] = value(&n.Children[i])
	}
	return s
}

var dashedDate = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// value brings a date back to SAP's own form, and cuts off trailing blanks.
func value(n *node) string {
	text := strings.TrimRight(n.Text, " \n\r\t")
	if strings.Contains(n.XMLName.Local, "DATE") && dashedDate.MatchString(text) {
		return strings.ReplaceAll(text, "-", "")
	}
	return text
}

// exception is an ABAP exception. Its name is the element's text; how it is
// nested is not documented.
func exception(n *node) error {
	key := n.all()
	if i := strings.LastIndexByte(key, ' '); i >= 0 {
		key = key[i+1:]
	}
	return &rfc.Error{Class: rfc.Raised, Sent: true, Key: key, Message: "the function raised an exception"}
}

// fault is what SAP could not run, or not to its end; which of the two can't
// be told. The useful text is in detail/Error/message on most releases.
func fault(n *node) error {
	message := ""
	if detail, ok := n.child("detail"); ok {
		message = detail.all()
		if inner, ok := detail.child("Error"); ok {
			if m, ok := inner.child("message"); ok {
				message = m.all()
			}
		}
	}
	if message == "" {
		if text, ok := n.child("faultstring"); ok {
			message = text.all()
		}
	}
	const longest = 300
	if runes := []rune(message); len(runes) > longest {
		message = string(runes[:longest])
	}
	return &rfc.Error{Class: rfc.Dumped, Sent: true, Key: "FAULT", Message: fmt.Sprintf("SAP could not run the function: %s", message)}
}
