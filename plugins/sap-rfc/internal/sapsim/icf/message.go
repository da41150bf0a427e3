package icf

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
)

const (
	namespace = "urn:sap-com:document:sap:rfc:functions"
	envelope  = "http://schemas.xmlsoap.org/soap/envelope/"
)

// node is an element of a request.
type node struct {
	XMLName  xml.Name
	Text     string `xml:",chardata"`
	Children []node `xml:",any"`
}

// function returns the name of the function in a request, and its element.
func function(body []byte) (string, *node, error) {
	var root node
	if err := xml.Unmarshal(body, &root); err != nil {
		return "", nil, errors.New("the request is not well-formed")
	}
	if root.XMLName != (xml.Name{Space: envelope, Local: "Envelope"}) {
		return "", nil, errors.New("the request is no SOAP envelope")
	}
	for i := range root.Children {
		child := &root.Children[i]
		switch {
		case child.XMLName != (xml.Name{Space: envelope, Local: "Body"}):
		case len(child.Children) != 1:
			return "", nil, errors.New("the body holds not one element")
		case child.Children[0].XMLName.Space != namespace:
			return "", nil, errors.New("the function is not in the namespace of RFC functions")
		default:
			f := &child.Children[0]
			return strings.ReplaceAll(f.XMLName.Local, "_-", "/"), f, nil
		}
	}
	return "", nil, errors.New("the envelope has no body")
}

// decode reads the parameters of a call, each by its type.
func decode(element *node, f *sapsim.Function, dashed bool) (sapsim.Parameters, error) {
	in := sapsim.Parameters{Values: map[string]string{}, Structures: map[string]sapsim.Row{}, Tables: map[string][]sapsim.Row{}}
	r := reader{dashed: dashed}
	for i := range element.Children {
		n := &element.Children[i]
		name := r.name(n)
		p, ok := f.Parameter(name)
		switch {
		case !ok:
			r.refuse("%s has no parameter %s", f.Name, name)
		case p.Direction == sapsim.Tables:
			in.Tables[name] = r.rows(n, p.Structure)
		case p.Structure != nil:
			in.Structures[name] = r.row(n, p.Structure)
		default:
			in.Values[name] = r.value(n, p.Field)
		}
	}
	return in, r.err
}

// reader keeps the first thing that is wrong with a request.
type reader struct {
	dashed bool
	err    error
}

func (r *reader) refuse(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) name(n *node) string {
	if n.XMLName.Space != "" {
		r.refuse("%s is in a namespace", n.XMLName.Local)
	}
	return strings.ReplaceAll(n.XMLName.Local, "_-", "/")
}

func (r *reader) rows(n *node, s *sapsim.Structure) []sapsim.Row {
	rows := []sapsim.Row{}
	for i := range n.Children {
		if n.Children[i].XMLName.Local != "item" {
			r.refuse("%s is not an item", n.Children[i].XMLName.Local)
			continue
		}
		rows = append(rows, r.row(&n.Children[i], s))
	}
	return rows
}

func (r *reader) row(n *node, s *sapsim.Structure) sapsim.Row {
	row := sapsim.Row{}
	for i := range n.Children {
		name := r.name(&n.Children[i])
		f, ok := s.Field(name)
		if !ok {
			r.refuse("%s has no field %s", s.Name, name)
			continue
		}
		row[name] = r.value(&n.Children[i], f)
	}
	return row
}

// value brings a value into the form of ABAP.
func (r *reader) value(n *node, f sapsim.Field) string {
	if len(n.Children) > 0 {
		r.refuse("%s is a single value", f.Name)
	}
	switch f.Kind {
	case 'D':
		return r.date(n.Text, f)
	case 'T':
		return strings.ReplaceAll(n.Text, ":", "")
	case 'X':
		raw, err := base64.StdEncoding.DecodeString(n.Text)
		if err != nil {
			r.refuse("%s is not base64", f.Name)
		}
		return string(raw)
	default:
		return n.Text
	}
}

func (r *reader) date(text string, f sapsim.Field) string {
	if text == "" {
		return ""
	}
	dashes := len(text) == len("2006-01-02") && text[4] == '-' && text[7] == '-'
	if dashes != r.dashed {
		r.refuse("%s: %q is not a date here", f.Name, text)
	}
	return strings.ReplaceAll(text, "-", "")
}

// response writes what a function returned.
func (s *Server) response(f *sapsim.Function, out sapsim.Parameters) string {
	var w strings.Builder
	name := s.options.Prefix + ":" + strings.ReplaceAll(f.Name, "/", "_-") + ".Response"
	w.WriteString("<" + name + " xmlns:" + s.options.Prefix + `="` + namespace + `">`)
	for i := range f.Parameters {
		p := &f.Parameters[i]
		value, hasValue := out.Values[p.Name]
		row, hasRow := out.Structures[p.Name]
		rows, hasRows := out.Tables[p.Name]
		switch {
		case hasValue:
			element(&w, p.Name, text(p.Field, value))
		case hasRow:
			element(&w, p.Name, fields(p.Structure, row))
		case hasRows:
			var items strings.Builder
			for _, row := range rows {
				element(&items, "item", fields(p.Structure, row))
			}
			element(&w, p.Name, items.String())
		}
	}
	w.WriteString("</" + name + ">")
	return w.String()
}

func element(w *strings.Builder, name, inner string) {
	name = strings.ReplaceAll(name, "/", "_-")
	w.WriteString("<" + name + ">" + inner + "</" + name + ">")
}

func fields(s *sapsim.Structure, row sapsim.Row) string {
	var w strings.Builder
	for _, f := range s.Fields {
		element(&w, f.Name, text(f, row[f.Name]))
	}
	return w.String()
}

// text is a value as the service writes it.
func text(f sapsim.Field, value string) string {
	switch {
	case f.Kind == 'D' && strings.Trim(value, " ") == "":
		return "0000-00-00"
	case f.Kind == 'D' && len(value) == 8:
		return value[:4] + "-" + value[4:6] + "-" + value[6:]
	case f.Kind == 'T' && len(value) == 6:
		return value[:2] + ":" + value[2:4] + ":" + value[4:]
	case f.Kind == 'X':
		return base64.StdEncoding.EncodeToString([]byte(value))
	case f.Name == "WA" && f.Kind == 'C' && len(value) < f.Length:
		// The rows of RFC_READ_TABLE are the one place that keeps its blanks.
		return escape(value + strings.Repeat(" ", f.Length-len(value)))
	default:
		return escape(value)
	}
}

// escape writes an ampersand as a numeric reference, as the service does.
func escape(value string) string {
	var w bytes.Buffer
	_ = xml.EscapeText(&w, []byte(value)) // a buffer takes everything
	return strings.ReplaceAll(w.String(), "&amp;", "&#38;")
}
