// Package suite runs checks: it knows what a check is, gives each one a target
// and connector processes of its own, and records what it found.
package suite

import (
	"regexp"
	"slices"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/conformance/profile"
)

// Level says how binding a check is.
type Level string

// The levels. A connector conforms if it passes every check that is a Must.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
)

// Need is something without which a check can't be run.
type Need int

// The needs. What the connector does not declare, or the target can't do, is
// the only reason to skip a check.
const (
	// Acks, Resume and Fenced are the connector's capabilities.
	Acks Need = iota + 1
	Resume
	Fenced
	// NoAcks, NoResume: the connector does not declare the capability.
	NoAcks
	NoResume
	// MaxPayload: the connector declares limits.max_payload_bytes.
	MaxPayload
	// Secrets: the config has at least one secret.
	Secrets
	// Files: the target keeps files on this machine.
	Files
	// Network: the target is reached through the harness's proxy.
	Network
	// SFTPServer: the target is the harness's own SFTP server.
	SFTPServer
	// Proc: this system has a /proc.
	Proc
	// PreviousSchema and Manifest: the profile names such a file.
	PreviousSchema
	Manifest
)

// Check is one thing that a connector must or should do.
type Check struct {
	// ID is "group/name", in lower case with dashes. It never changes.
	ID string
	// Title is a sentence that is true of a connector that passes.
	Title string
	Level Level
	// Clauses are the ids in CONTRACT.md that are tested.
	Clauses []string
	Needs   []Need
	// Alone says that nothing else may run on the machine meanwhile, because
	// time or resources are measured.
	Alone bool
	Run   func(t *T)
}

// Select returns the checks whose id matches pattern somewhere. Nil: all.
func Select(checks []Check, pattern *regexp.Regexp) []Check {
	if pattern == nil {
		return checks
	}
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !pattern.MatchString(c.ID) })
}

// missing returns why a check can't be run, or nothing.
func missing(needs []Need, d *connectorv1.DescribeResponse, t target.Target, p profile.Profile, secrets int) string {
	for _, need := range needs {
		if reason := unmet(need, d, t, p, secrets); reason != "" {
			return reason
		}
	}
	return ""
}

func unmet(need Need, d *connectorv1.DescribeResponse, t target.Target, p profile.Profile, secrets int) string {
	if met, reason := declared(need, d); !met {
		return reason
	}
	met, reason := true, ""
	switch need {
	case Files:
		_, met = t.(target.Files)
		reason = "the target keeps no files on this machine"
	case Network:
		n, ok := t.(target.Network)
		met = ok && n.Proxy() != nil
		reason = "the target is not reached through a network"
	case SFTPServer:
		_, met = t.(target.Server)
		reason = "the target is not the harness's own SFTP server"
	case Secrets:
		met, reason = secrets > 0, "the sample config has no secret"
	case Proc:
		met, reason = hasProc(), "this system has no /proc"
	case PreviousSchema:
		met, reason = p.PreviousSchema != "", "the profile names no previous schema"
	case Manifest:
		met, reason = p.Manifest != "", "the profile names no release manifest"
	default:
	}
	if met {
		return ""
	}
	return reason
}

// declared answers for what the connector says of itself.
func declared(need Need, d *connectorv1.DescribeResponse) (met bool, reason string) {
	has := func(c connectorv1.Capability) bool { return slices.Contains(d.GetCapabilities(), c) }
	acks := has(connectorv1.Capability_CAPABILITY_ACKS)
	resume := has(connectorv1.Capability_CAPABILITY_RESUME)
	switch need {
	case Acks:
		return acks, "the connector does not declare ACKS"
	case Resume:
		return resume, "the connector does not declare RESUME"
	case Fenced:
		return has(connectorv1.Capability_CAPABILITY_FENCED), "the connector does not declare FENCED"
	case NoAcks:
		return !acks, "the connector declares ACKS"
	case NoResume:
		return !resume, "the connector declares RESUME"
	case MaxPayload:
		return d.GetLimits().GetMaxPayloadBytes() > 0, "the connector declares no max_payload_bytes"
	default:
		return true, ""
	}
}
