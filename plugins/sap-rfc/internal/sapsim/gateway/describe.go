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
			d.measure(p.Field, &sapsim.Extent{})
		case p.Direction == sapsim.Tables || p.Table:
			d.whole(typeTable, p.Structure)
		default:
			d.whole(typeStructure, p.Structure)
		}
		d.encode(w)
	}
}

func encodeStructure(w *writer, s *sapsim.Structure) {
	w.text(s.Name)
	w.number(len(s.Fields))
	var at sapsim.Extent
	for _, f := range s.Fields {
		d := described{name: f.Name}
		d.measure(f, &at)
		d.encode(w)
	}
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

// whole takes the length of a structure.
func (d *described) whole(typ int, s *sapsim.Structure) {
	e := s.Extent()
	d.typ, d.nuc, d.uc = typ, e.NUC, e.UC
}

// measure places a field behind those before it.
func (d *described) measure(f sapsim.Field, at *sapsim.Extent) {
	d.typ, d.decimals = types[f.Kind], f.Decimals
	p := at.Add(f)
	d.nuc, d.nucOffset, d.uc, d.ucOffset = p.NUC, p.NUCOffset, p.UC, p.UCOffset
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
