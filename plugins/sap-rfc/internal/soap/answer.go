package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// decode reads an answer as it comes: SAP sends back every table with all of
// its fields, which is many times what was sent. Elements are told by local name
// and namespace; their prefixes differ from release to release. What can't be
// read leaves it open whether the function has run.
func decode(in io.Reader, call rfc.Call) (rfc.Reply, error) {
	r := &reader{Decoder: xml.NewDecoder(in), call: call}
	r.CharsetReader = utf8Only
	if err := r.message(); err != nil {
		return rfc.Reply{}, unreadable("it is not well-formed")
	}
	return r.reply, r.err
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

// reader reads the answer to a call. Its methods return an error only if the XML
// can't be read on.
type reader struct {
	*xml.Decoder
	call  rfc.Call
	reply rfc.Reply
	err   error // what SAP says instead of a reply
}

// message reads the whole answer.
func (r *reader) message() error {
	root, err := r.root()
	if err != nil {
		return err
	}
	r.err = unreadable("it is no SOAP message")
	if root.Name.Local != "Envelope" {
		return r.Skip()
	}
	found := false
	return r.children(func(child xml.StartElement) error {
		if found || child.Name.Local != "Body" {
			return r.Skip()
		}
		found = true
		return r.body()
	})
}

// root returns the outermost element.
func (r *reader) root() (xml.StartElement, error) {
	for {
		token, err := r.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		if root, ok := token.(xml.StartElement); ok {
			return root, nil
		}
	}
}

// children reads an element to its end; each has to do so with a child.
func (r *reader) children(each func(xml.StartElement) error) error {
	_, err := r.content(each)
	return err
}

// content is children for an element whose own text counts.
func (r *reader) content(each func(xml.StartElement) error) (string, error) {
	var text []byte
	for {
		token, err := r.Token()
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if err := each(token); err != nil {
				return "", err
			}
		case xml.CharData:
			text = append(text, token...)
		case xml.EndElement:
			return string(text), nil
		}
	}
}

// body reads what the message is about: the first response, or the first reason
// why there is none.
func (r *reader) body() error {
	r.err = unreadable("it holds no response of " + r.call.Function)
	name, found := escaped(r.call.Function), false
	return r.children(func(child xml.StartElement) error {
		local := child.Name.Local
		switch {
		case found:
		case local == "Fault":
			found = true
			return r.refusal(child, fault)
		case local == name+".Exception":
			found = true
			return r.refusal(child, exception)
		case local == name+".Response" && child.Name.Space == namespace:
			found = true
			return r.response()
		}
		return r.Skip()
	})
}

// refusal reads why there is no response.
func (r *reader) refusal(start xml.StartElement, reason func(*node) error) error {
	var n node
	err := r.DecodeElement(&n, &start)
	r.err = reason(&n)
	return err
}

// response sorts the parameters by what the call has asked for: a table that is
// empty looks like an empty value.
func (r *reader) response() error {
	r.reply = rfc.Reply{Values: map[string]string{}, Structures: map[string]rfc.Structure{}, Tables: map[string][]rfc.Structure{}}
	r.err = nil
	return r.children(func(child xml.StartElement) error {
		name := unescaped(child.Name.Local)
		if _, asked := r.call.Tables[name]; asked {
			return r.table(name)
		}
		fields := rfc.Structure{}
		text, err := r.content(r.fieldOf(fields))
		if len(fields) > 0 {
			r.reply.Structures[name] = fields
		} else {
			r.reply.Values[name] = value(name, text)
		}
		return err
	})
}

// table reads the rows of a table, if the caller reads them.
func (r *reader) table(name string) error {
	if !r.call.Reads(name) {
		return r.Skip()
	}
	rows := []rfc.Structure{}
	err := r.children(func(child xml.StartElement) error {
		if child.Name.Local != "item" {
			return r.Skip()
		}
		row := rfc.Structure{}
		rows = append(rows, row)
		return r.children(r.fieldOf(row))
	})
	r.reply.Tables[name] = rows
	return err
}

// fieldOf reads a child as a field of a structure or row.
func (r *reader) fieldOf(fields rfc.Structure) func(xml.StartElement) error {
	return func(child xml.StartElement) error {
		name := unescaped(child.Name.Local)
		text, err := r.content(func(xml.StartElement) error { return r.Skip() })
		fields[name] = value(name, text)
		return err
	}
}

var dashedDate = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// value brings a date back to SAP's own form, and cuts off trailing blanks.
func value(name, text string) string {
	text = strings.TrimRight(text, " \n\r\t")
	if strings.Contains(name, "DATE") && dashedDate.MatchString(text) {
		return strings.ReplaceAll(text, "-", "")
	}
	return text
}

// node is an element of a refusal, which is small.
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
