package port

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// DebugEnv names the environment variable that makes a connector serve without
// having been started by a host, for a session in a debugger: it holds the path
// of the file to write an Attach to. It is ignored where the cookie is set.
const DebugEnv = "ORDERPORT_DEBUG_ATTACH"

// Attach says how a host in development mode reaches a connector that it has
// not started. There is no TLS between the two: the socket is in a folder that
// only the user may enter.
type Attach struct {
	Form            int    `json:"orderport_attach"` // 1
	PID             int    `json:"pid"`
	Socket          string `json:"socket"` // absolute path
	ProtocolVersion int    `json:"protocol_version"`
}

const attachForm = 1

// ReadAttach reads what WriteAttach wrote.
func ReadAttach(path string) (Attach, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Attach{}, err
	}
	var a Attach
	if err := json.Unmarshal(data, &a); err != nil || a.Form != attachForm {
		return Attach{}, fmt.Errorf("%s was not written by a connector under a debugger", path)
	}
	if a.PID <= 0 || !filepath.IsAbs(a.Socket) {
		return Attach{}, fmt.Errorf("%s names no process and socket", path)
	}
	return a, nil
}

// WriteAttach replaces the file in one step, for nobody but the user.
func WriteAttach(path string, a Attach) error {
	a.Form = attachForm
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".attach-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
