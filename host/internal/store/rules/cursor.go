package rules

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/fault"
)

// Position is a place in a list that runs from new to old: the row with this
// time and id is the last one that has been shown.
type Position struct {
	At time.Time
	ID uuid.UUID
}

const cursorSize = 8 + 16

// Cursor returns the position as opaque text.
func (p Position) Cursor() string {
	raw := make([]byte, 0, cursorSize)
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.At.UnixMicro()))
	raw = append(raw, p.ID[:]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseCursor reads what Cursor wrote. It returns nil for an empty cursor.
func ParseCursor(cursor string) (*Position, error) {
	if cursor == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) != cursorSize {
		return nil, fault.New(fault.Malformed, "bad_cursor", "the cursor can't be read").
			WithField("cursor", "must be the next_cursor of an earlier answer")
	}
	return &Position{
		At: time.UnixMicro(int64(binary.BigEndian.Uint64(raw))).UTC(),
		ID: uuid.UUID(raw[8:]),
	}, nil
}
