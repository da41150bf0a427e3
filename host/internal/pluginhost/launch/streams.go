package launch

import "os"

// streams are the standard streams of a process, both ends.
type streams struct {
	null              *os.File
	outRead, outWrite *os.File
	errRead, errWrite *os.File
}

func openStreams() (_ *streams, err error) {
	s := &streams{}
	defer func() {
		if err != nil {
			s.closeChildSide()
			s.closeHostSide()
		}
	}()
	if s.null, err = os.Open(os.DevNull); err != nil {
		return nil, err
	}
	if s.outRead, s.outWrite, err = os.Pipe(); err != nil {
		return nil, err
	}
	s.errRead, s.errWrite, err = os.Pipe()
	return s, err
}

func (s *streams) closeChildSide() {
	s.null.Close()
	s.outWrite.Close()
	s.errWrite.Close()
}

func (s *streams) closeHostSide() {
	s.outRead.Close()
	s.errRead.Close()
}
