package sapsim

// commit is BAPI_TRANSACTION_COMMIT: it saves the work of its own session, and
// is as content where there is none. It says something only if it was told to
// wait.
func commit(s *Session, in Parameters) (Parameters, error) {
	wait := in.Values["WAIT"] != ""
	if s.save(wait) || !wait {
		return Parameters{}, nil
	}
	return Parameters{Structures: map[string]Row{"RETURN": message("E", "S&", "101", "Error in update task")}}, nil
}

// save ends the unit of work, and says whether the update went well as far as
// the caller can know.
func (s *Session) save(wait bool) bool {
	work := s.work
	s.rollBack()
	sys := s.system
	sys.mu.Lock()
	defer sys.mu.Unlock()
	for _, d := range work {
		d.unseen = sys.quirks.ReadLag
	}
	switch {
	case len(work) == 0:
		return true
	case !wait && sys.quirks.UpdatesWait:
		sys.updates = append(sys.updates, work...)
	case sys.quirks.UpdateFails:
		return !wait
	default:
		sys.documents = append(sys.documents, work...)
	}
	return true
}

// rollback is BAPI_TRANSACTION_ROLLBACK.
func rollback(s *Session, _ Parameters) (Parameters, error) {
	s.rollBack()
	return Parameters{}, nil
}
