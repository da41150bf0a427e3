package sapsim

// Extent is how far a structure goes, in bytes, without and with Unicode.
type Extent struct{ NUC, UC int }

// Place is where a field is in its structure, and how long.
type Place struct{ NUC, NUCOffset, UC, UCOffset int }

// Add puts a field behind those before it, aligned as its type wants.
func (e *Extent) Add(f Field) Place {
	align, alignUC := 1, 1
	p := Place{NUC: f.Length, UC: f.Length}
	switch f.Kind {
	case 'C', 'N', 'D', 'T':
		p.UC, alignUC = 2*f.Length, 2
	case 'S':
		p.NUC, p.UC, align, alignUC = 8, 8, 8, 8
	case 'I':
		p.NUC, p.UC, align, alignUC = 4, 4, 4, 4
	}
	p.NUCOffset = (e.NUC + align - 1) / align * align
	p.UCOffset = (e.UC + alignUC - 1) / alignUC * alignUC
	e.NUC, e.UC = p.NUCOffset+p.NUC, p.UCOffset+p.UC
	return p
}

// Extent returns how long a structure is.
func (s *Structure) Extent() Extent {
	var e Extent
	for _, f := range s.Fields {
		e.Add(f)
	}
	return e
}

// lengths are those of structures as a whole, without Unicode, in S/4HANA and
// before: they have more fields than are of use here. 0 is not known.
var lengths = map[string][2]int{
	"BAPISDHD1": {1105, 918}, "BAPISDHD1X": {126, 120}, "BAPISDITM": {2108, 0}, "BAPISDITMX": {225, 0},
	"BAPISCHDL": {198, 198}, "BAPISCHDLX": {109, 109}, "BAPIPARNR": {736, 664}, "BAPICOND": {344, 336}, "BAPICONDX": {49, 49},
	"BAPISDTEXT": {160, 160}, "BAPIPAREX": {990, 990}, "BAPISDKEY": {192, 189}, "BAPIADDR1": {1674, 1574},
	"BAPIRET2": {548, 548}, "BAPIRETURN": {452, 452},
}

// rest is the name of what stands for the fields that are of no use.
const rest = "SIM_REST"

// pad gives a structure its whole length.
func (s *Structure) pad(s4 bool) {
	want := lengths[s.Name][1]
	if s4 {
		want = lengths[s.Name][0]
	}
	if missing := want - s.Extent().NUC; missing > 0 {
		s.Fields = append(s.Fields, Field{Name: rest, Kind: 'C', Length: missing})
	}
}
