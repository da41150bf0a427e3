package target

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orderport/orderport/sdk/conformance/profile"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// script is a target that a program of the connector's author knows.
type script struct {
	command []string
	proxy   *sshtest.Proxy // nil: no upstream was named
	vars    map[string]any
}

const (
	notOffered    = 64 // exit status of a program that lacks an action
	scriptTimeout = 30 * time.Second
)

// newScript empties the target and makes sure that the program sees what is
// there: a program that always prints the same would let everything pass.
func newScript(ctx context.Context, p profile.Profile) (*script, error) {
	s := &script{command: p.Target.Command, vars: map[string]any{"canary": Canary()}}
	if p.Target.Upstream != "" {
		proxy, err := sshtest.StartProxy(p.Target.Upstream)
		if err != nil {
			return nil, err
		}
		s.proxy = proxy
		s.vars["host"], s.vars["port"] = "127.0.0.1", proxy.Port
	}
	if err := errors.Join(s.readVars(ctx), s.prove(ctx)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *script) readVars(ctx context.Context) error {
	out, err := s.run(ctx, "vars", nil)
	switch {
	case errors.Is(err, ErrUnable):
		return nil
	case err != nil:
		return err
	}
	if err := json.Unmarshal(out, &s.vars); err != nil {
		return fmt.Errorf("the program's vars must print a JSON object: %w", err)
	}
	return nil
}

// prove wants an empty target to look empty, and something planted to show.
func (s *script) prove(ctx context.Context) error {
	if _, err := s.run(ctx, "reset", nil); err != nil {
		return err
	}
	before, err := s.List(ctx)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		return fmt.Errorf("the program still lists %q after reset", before[0].Name)
	}
	if err := s.Plant(ctx, "", nil); err != nil {
		return err
	}
	planted, err := s.List(ctx)
	if err != nil {
		return err
	}
	if len(planted) != 1 {
		return fmt.Errorf("the program lists %d things after it has planted one: it does not see its target", len(planted))
	}
	if _, err := s.run(ctx, "reset", nil); err != nil {
		return err
	}
	if left, err := s.List(ctx); err != nil || len(left) > 0 {
		return errors.Join(err, errors.New("the program lists what its reset should have removed"))
	}
	return nil
}

func (s *script) run(ctx context.Context, action string, input []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, scriptTimeout)
	defer cancel()
	args := append(slices.Clone(s.command[1:]), action)
	cmd := exec.CommandContext(ctx, s.command[0], args...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = time.Second
	if s.proxy != nil {
		cmd.Env = append(os.Environ(), "CONFORMANCE_PROXY_PORT="+strconv.Itoa(s.proxy.Port))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == notOffered {
		return nil, fmt.Errorf("%s %s: %w", s.command[0], action, ErrUnable)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", s.command[0], action, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// List implements Target.
func (s *script) List(ctx context.Context) ([]Artefact, error) {
	out, err := s.run(ctx, "list", nil)
	if err != nil {
		return nil, err
	}
	var found []Artefact
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 128<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line struct {
			Name       string  `json:"name"`
			Data       *string `json:"data"`
			DataBase64 []byte  `json:"data_base64"`
			Temporary  bool    `json:"temporary"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Name == "" {
			return nil, fmt.Errorf("the program's list must print JSON objects with a name, one a line; got %.100q", lines.Text())
		}
		data := line.DataBase64
		if line.Data != nil {
			data = []byte(*line.Data)
		}
		found = append(found, Artefact{Name: line.Name, Data: data, Temporary: line.Temporary})
	}
	slices.SortFunc(found, func(a, b Artefact) int { return cmp.Compare(a.Name, b.Name) })
	return found, lines.Err()
}

// Plant implements Target; the program chooses name and content.
func (s *script) Plant(ctx context.Context, _ string, _ []byte) error {
	_, err := s.run(ctx, "plant", nil)
	return err
}

// LeaveAck implements Target.
func (s *script) LeaveAck(ctx context.Context, ack Ack) error {
	answer := map[string]string{"external_ref": ack.ExternalRef}
	if ack.positive() {
		answer["erp_order_id"] = ack.ERPOrderID
	} else {
		answer["error_code"], answer["message"] = ack.ErrorCode, ack.Message
	}
	input, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	_, err = s.run(ctx, "ack", input)
	return err
}

// Vars implements Target.
func (s *script) Vars() map[string]any { return maps.Clone(s.vars) }

// Proxy implements Network; nil without an upstream.
func (s *script) Proxy() *sshtest.Proxy { return s.proxy }

// Cases implements Target.
func (s *script) Cases() []Case {
	if s.proxy == nil {
		return nil
	}
	return networkCases(s.proxy)
}

// Close implements Target. What is at the author's target stays there.
func (s *script) Close() error {
	if s.proxy != nil {
		s.proxy.Close()
	}
	return nil
}
