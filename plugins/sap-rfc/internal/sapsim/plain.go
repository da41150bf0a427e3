package sapsim

import (
	"strconv"
	"time"
)

func ping(*Session, Parameters) (Parameters, error) { return Parameters{}, nil }

// pingAndWait keeps its work process busy, whoever is still waiting for it.
func pingAndWait(s *Session, in Parameters) (Parameters, error) {
	seconds, _ := strconv.Atoi(in.Values["SECONDS"])
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.system.stop:
	}
	return Parameters{}, nil
}

func connection(s *Session, in Parameters) (Parameters, error) {
	id := s.system.Identity()
	return Parameters{Values: map[string]string{
		"ECHOTEXT": in.Values["REQUTEXT"],
		"RESPTEXT": "SAP R/3 Rel. " + id.Release + "   Sysid: " + id.SystemID + "      Logon_Data: " + id.Client + "/" + s.user.Name + "/" + s.language,
	}}, nil
}

func systemInfo(s *Session, _ Parameters) (Parameters, error) {
	id := s.system.Identity()
	return Parameters{Structures: map[string]Row{"RFCSI_EXPORT": {
		"RFCPROTO": "011", "RFCCHARTYP": "4103", "RFCINTTYP": "LIT", "RFCFLOTYP": "IE3", "RFCHOST": id.Host, "RFCHOST2": id.Host,
		"RFCDEST": id.Host + "_" + id.SystemID + "_00", "RFCSYSID": id.SystemID, "RFCDATABS": id.SystemID, "RFCDBSYS": "HDB",
		"RFCSAPRL": id.Release, "RFCMACH": "390", "RFCOPSYS": "Linux", "RFCTZONE": "0", "RFCIPADDR": "127.0.0.1", "RFCKERNRL": "793",
	}}}, nil
}
