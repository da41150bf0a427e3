package gateway

import "github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"

// Values of RFCTYPE.
var types = map[byte]int{'C': 0, 'D': 1, 'P': 2, 'T': 3, 'X': 4, 'N': 6, 'I': 8, 'S': 29}

const typeTable, typeStructure = 5, 17

var directions = map[sapsim.Direction]int{sapsim.Import: 1, sapsim.Export: 2, sapsim.Changing: 3, sapsim.Tables: 7}

// encodeFunction writes the structures that a function uses, and then its
// parameters.
func encodeFunction(w *writer, f *sapsim.Function) {
	indexes := map[*sapsim.Structure]int{}
	var list []*sapsim.Structure
	for _, p := range f.Parameters {
		if p.Structure != nil && indexes[p.Structure] == 0 {
			list = append(list, p.Structure)
			indexes[p.Structure] = len(list)
		}
	}
	w.number(len(list))
	for _, s := range list {
		encodeStructure(w, s)
	}
	w.text(f.Name)
	w.number(len(f.Parameters))
	for _, p := range f.Parameters {
		d := described{name: p.Name, direction: directions[p.Direction], optional: p.Optional, initial: p.Default, index: indexes[p.Structure]}
		switch {
		case p.Structure == nil:
			d.measure(p.Field, &extent{})
		case p.Direction == sapsim.Tables || p.Table:
			d.typ = typeTable
			d.nuc, d.uc = Size(p.Structure)
		default:
			d.typ = typeStructure
			d.nuc, d.uc = Size(p.Structure)
		}
		d.encode(w)
	}
}

func encodeStructure(w *writer, s *sapsim.Structure) {
	w.text(s.Name)
	w.number(len(s.Fields))
	var at extent
	for _, f := range s.Fields {
		d := described{name: f.Name}
		d.measure(f, &at)
		d.encode(w)
	}
}

// Size returns the lengths of a structure in bytes, without and with Unicode.
func Size(s *sapsim.Structure) (nuc, uc int) {
	var at extent
	for _, f := range s.Fields {
		(&described{}).measure(f, &at)
	}
	return at.nuc, at.uc
}

// described is what is said of a parameter or a field.
type described struct {
	name                   string
	typ, direction         int
	nuc, nucOffset         int
	uc, ucOffset, decimals int
	optional               bool
	initial                string
	index                  int
}

// extent is how far a structure goes.
type extent struct{ nuc, uc int }

// measure places a field behind those before it, aligned as its type wants.
func (d *described) measure(f sapsim.Field, at *extent) {
	d.typ, d.decimals = types[f.Kind], f.Decimals
	align, alignUC := 1, 1
	switch f.Kind {
	case 'C', 'N', 'D', 'T':
		d.nuc, d.uc, alignUC = f.Length, 2*f.Length, 2
	case 'S':
		d.nuc, d.uc, align, alignUC = 8, 8, 8, 8
	case 'I':
		d.nuc, d.uc, align, alignUC = 4, 4, 4, 4
	default:
		d.nuc, d.uc = f.Length, f.Length
	}
	d.nucOffset = (at.nuc + align - 1) / align * align
	d.ucOffset = (at.uc + alignUC - 1) / alignUC * alignUC
	at.nuc, at.uc = d.nucOffset+d.nuc, d.ucOffset+d.uc
}

func (d *described) encode(w *writer) {
	w.text(d.name)
	for _, n := range []int{d.typ, d.direction, d.nuc, d.nucOffset, d.uc, d.ucOffset, d.decimals} {
		w.number(n)
	}
	var optional byte
	if d.optional {
		optional = 1
	}
	w.byte(optional)
	w.text(d.initial)
	w.number(d.index)
}
