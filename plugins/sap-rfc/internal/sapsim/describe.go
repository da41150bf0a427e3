package sapsim

// Describe returns a function module as the dictionary has it, for a server
// that must know the types of what it passes on. It asks for no right, other
// than [Session.Function].
func (s *System) Describe(name string) (*Function, bool) {
	f := s.function(name)
	return f, f != nil
}
