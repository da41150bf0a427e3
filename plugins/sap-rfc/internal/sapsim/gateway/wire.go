package gateway

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"
	"unicode/utf16"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
)

// A frame is four bytes of length, then bytes, numbers of four bytes, and texts
// of a number and UTF-16 units, all little-endian.

const maxFrame = 256 << 20

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxFrame {
		return nil, errors.New("the frame is too long")
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}

func writeFrame(w io.Writer, body []byte) error {
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, len(body)+4), uint32(len(body)))
	_, err := w.Write(append(frame, body...))
	return err
}

type writer struct{ data []byte }

func (w *writer) byte(b byte)      { w.data = append(w.data, b) }
func (w *writer) number(n int)     { w.data = binary.LittleEndian.AppendUint32(w.data, uint32(n)) }
func (w *writer) text(text string) { w.units(utf16.Encode([]rune(text))) }

func (w *writer) units(units []uint16) {
	w.number(len(units))
	for _, unit := range units {
		w.data = binary.LittleEndian.AppendUint16(w.data, unit)
	}
}

// reader reads a request; bad says that it was too short.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.data) {
		r.bad = true
		return make([]byte, 4)
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

func (r *reader) byte() byte { return r.take(1)[0] }

// number is a count: no more than there is still to read.
func (r *reader) number() int {
	n := int(binary.LittleEndian.Uint32(r.take(4)))
	if n > len(r.data) {
		r.bad = true
		return 0
	}
	return n
}

func (r *reader) text() string {
	n := r.number()
	raw := r.take(2 * n)
	if r.bad {
		return ""
	}
	units := make([]uint16, n)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return string(utf16.Decode(units))
}

// Shapes of a parameter.
const (
	shapeValue, shapeStructure, shapeTable = 0, 1, 2
)

func decodeParameters(r *reader) sapsim.Parameters {
	p := sapsim.Parameters{Values: map[string]string{}, Structures: map[string]sapsim.Row{}, Tables: map[string][]sapsim.Row{}}
	for range r.number() {
		name := r.text()
		switch r.byte() {
		case shapeValue:
			p.Values[name] = r.text()
		case shapeStructure:
			p.Structures[name] = decodeRow(r)
		case shapeTable:
			rows := []sapsim.Row{}
			for range r.number() {
				rows = append(rows, decodeRow(r))
			}
			p.Tables[name] = rows
		default:
			r.bad = true
		}
	}
	return p
}

func decodeRow(r *reader) sapsim.Row {
	row := sapsim.Row{}
	for range r.number() {
		name := r.text()
		row[name] = r.text()
	}
	return row
}

func encodeParameters(w *writer, p sapsim.Parameters) {
	w.number(len(p.Values) + len(p.Structures) + len(p.Tables))
	for _, name := range slices.Sorted(maps.Keys(p.Values)) {
		w.text(name)
		w.byte(shapeValue)
		w.text(p.Values[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.Structures)) {
		w.text(name)
		w.byte(shapeStructure)
		encodeRow(w, p.Structures[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.Tables)) {
		w.text(name)
		w.byte(shapeTable)
		w.number(len(p.Tables[name]))
		for _, row := range p.Tables[name] {
			encodeRow(w, row)
		}
	}
}

// encodeRow leaves out empty texts: the library fills fields up by itself.
func encodeRow(w *writer, row sapsim.Row) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(row)), func(name string) bool { return row[name] == "" })
	w.number(len(names))
	for _, name := range names {
		w.text(name)
		w.text(row[name])
	}
}

// Values of RFC_RC and RFC_ERROR_GROUP, by the kind of a failure.
var codes = map[sapsim.Kind][2]int{
	sapsim.Exception: {5, 1}, sapsim.Message: {4, 2}, sapsim.Dump: {3, 2}, sapsim.LogonRefused: {2, 3},
	sapsim.Communication: {1, 4}, sapsim.Authority: {29, 7},
}

func encodeFailure(f *sapsim.Failure, q sapsim.LibraryQuirks) []byte {
	code := codes[f.Kind]
	if f.Kind == sapsim.Dump && q.DumpsAreMessages {
		code = codes[sapsim.Message]
	}
	w := &writer{}
	w.byte(1)
	w.number(code[0])
	w.number(code[1])
	for _, text := range []string{f.Key, f.Message, f.ID, f.Type, f.Number, f.Variables[0], f.Variables[1], f.Variables[2], f.Variables[3]} {
		w.text(text)
	}
	var ends byte
	if f.Ends() {
		ends = 1
	}
	w.byte(ends)
	return w.data
}
