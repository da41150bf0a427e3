package checks

import (
	"bytes"
	"encoding/csv"
	"testing"
)

func TestATextIsFoundInTheCellsOfATable(t *testing.T) {
	t.Parallel()
	for name, separator := range map[string]rune{"comma": ',', "semicolon": ';', "tab": '\t', "bar": '|'} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, whole := range texts() {
				if what == "line breaks" { // found as plain text: a table's reader takes \r\n for \n
					continue
				}
				var b bytes.Buffer
				table := csv.NewWriter(&b)
				table.Comma = separator
				if err := table.WriteAll([][]string{{"order", "text"}, {"PO-1", whole}}); err != nil {
					t.Fatal(err)
				}
				if !inCells(b.Bytes(), whole) {
					t.Errorf("%s: not found in %q", what, b.String())
				}
			}
			if inCells([]byte("order,text\nPO-1,it's a\n"), `it"s a`) {
				t.Error("another text is taken for it")
			}
		})
	}
}
