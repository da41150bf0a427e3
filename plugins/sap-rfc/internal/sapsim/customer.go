package sapsim

import "slices"

// createAndCommit is the wrapper of the folder abap: create and commit in one
// call.
func createAndCommit(s *Session, in Parameters) (Parameters, error) {
	out, err := createFromDat2(s, in)
	if err != nil {
		return out, err
	}
	number := out.Values["SALESDOCUMENT"]
	out.Values["SALESDOCUMENT"] = ""
	failed := number == "" || in.Values["TESTRUN"] != ""
	for _, row := range out.Tables["RETURN"] {
		kind := row["TYPE"]
		failed = failed || kind == "A" || kind == "X" || kind == "E" && in.Values["BEHAVE_WHEN_ERROR"] != "P"
	}
	if failed {
		s.rollBack()
		return out, nil
	}
	if !s.save(true) {
		out.Tables["RETURN"] = append(out.Tables["RETURN"], message("A", "S&", "101", "Error in update task"))
	}
	out.Values["SALESDOCUMENT"] = number
	return out, nil
}

// findByReference is the read function of the folder abap.
func findByReference(s *Session, in Parameters) (Parameters, error) {
	reference, field := in.Values["I_REFERENCE"], in.Values["I_FIELD"]
	known := slices.Contains([]string{"PURCH_NO_C", "PURCH_NO_S", "REF_1", "REF_1_S", "ASS_NUMBER"}, field)
	if reference == "" || !known {
		return Parameters{}, nil
	}
	var rows []Row
	for _, d := range s.system.visible() {
		if d.Header[field] == reference {
			rows = append(rows, Row{"VBELN": d.Number})
		}
	}
	return Parameters{Values: map[string]string{"E_SEARCHED": "X"}, Tables: map[string][]Row{"ORDERS": rows}}, nil
}
