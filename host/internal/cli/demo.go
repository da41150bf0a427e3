package cli

import (
	"fmt"
	"os"

	"github.com/orderport/orderport/host/internal/demo"
)

type demoCommand struct {
	Dir string `help:"Directory for everything. Default: a new temporary one." placeholder:"DIR"`
}

// Run plays the demo with this very binary.
func (c *demoCommand) Run(s *session) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return demo.Run(s.ctx, demo.Options{Executable: executable, PluginDir: set.PluginDir, Dir: c.Dir, Out: s.env.Stdout})
}
