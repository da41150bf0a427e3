package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// stage says how far an export had come when its checkpoint was saved.
type stage string

const (
	// staged: Tmp is complete and flushed. The next step, and the only one
	// that the ERP sees, is its rename to Final.
	staged stage = "staged"
	// writing: Final is about to be created under its own name, for a target
	// that can't rename.
	writing stage = "writing"
	// withdrawn: what an earlier checkpoint announced did not happen and can't
	// happen any more. The next attempt starts afresh.
	withdrawn stage = "withdrawn"
)

// checkpoint is what the host keeps between attempts. Later versions of the
// connector must be able to read it.
type checkpoint struct {
	Version int    `json:"v"`
	Stage   stage  `json:"stage"`
	Tmp     string `json:"tmp,omitempty"`
	Final   string `json:"final"`
	// Target and Dir name the place, see config.identity and target.Identity.
	Target string `json:"target"`
	Dir    string `json:"dir,omitempty"`
	// DirMade is a part of the identity. Checkpoints of older connectors lack it.
	DirMade string `json:"dir_made,omitempty"`
}

const checkpointVersion = 1

func (c checkpoint) encode() []byte {
	c.Version = checkpointVersion
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of strings and an int always marshals
	}
	return data
}

// decodeCheckpoint refuses what it can't be sure to understand: to guess here
// is to lose an order or to deliver it twice.
func decodeCheckpoint(data []byte) (checkpoint, error) {
	var c checkpoint
	if err := json.Unmarshal(data, &c); err != nil {
		return checkpoint{}, fmt.Errorf("the checkpoint can't be read: %w", err)
	}
	if c.Version != checkpointVersion {
		return checkpoint{}, fmt.Errorf("the checkpoint has version %d; this connector knows %d", c.Version, checkpointVersion)
	}
	switch c.Stage {
	case staged:
		if !plainName(c.Tmp) || !plainName(c.Final) {
			return checkpoint{}, errors.New("the checkpoint names no file")
		}
	case writing, withdrawn:
		if !plainName(c.Final) {
			return checkpoint{}, errors.New("the checkpoint names no file")
		}
	default:
		return checkpoint{}, fmt.Errorf("the checkpoint has the unknown stage %q", c.Stage)
	}
	return c, nil
}

// plainName says whether name stays within its directory.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00")
}

// in notes the identity of the directory.
func (c *checkpoint) in(identity string) {
	c.Dir, c.DirMade, _ = strings.Cut(identity, madeMark)
}

// isIn says whether a directory is the one that was noted.
func (c *checkpoint) isIn(identity string) bool {
	dir, made, _ := strings.Cut(identity, madeMark)
	return c.Dir == dir && (c.DirMade == "" || c.DirMade == made)
}
