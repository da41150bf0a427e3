package launch

import "syscall"

// ownGroup makes a process group, which ends with this program unless the
// connector has another parent that is to die.
func ownGroup(dieWithUs bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if dieWithUs {
		attr.Pdeathsig = syscall.SIGKILL
	}
	return attr
}
