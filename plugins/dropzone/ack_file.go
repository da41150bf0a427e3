package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/orderport/orderport/sdk"
)

const (
	positivePrefix = "ack_"
	negativePrefix = "error_"
	// maxAck bounds an ack file. A real one has a few hundred bytes.
	maxAck = 1 << 20
)

// ackDocument is the content of an ack file. What else is in it is ignored.
type ackDocument struct {
	Status      string          `json:"status"`
	ERPOrderID  json.RawMessage `json:"erp_order_id"`
	ErrorCode   string          `json:"error_code"`
	Message     string          `json:"message"`
	ProcessedAt string          `json:"processed_at"`
}

// isAckName says whether the name is that of an ack file. Names that programs
// use while they write a file are not.
func isAckName(name string) bool {
	if !strings.HasPrefix(name, positivePrefix) && !strings.HasPrefix(name, negativePrefix) {
		return false
	}
	for _, suffix := range []string{".tmp", ".part", ".filepart"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return plainName(name)
}

// refOf returns the name of the export file that an ack file is about.
func refOf(name string) string {
	ref := strings.TrimPrefix(strings.TrimPrefix(name, positivePrefix), negativePrefix)
	return strings.ToValidUTF8(ref, "\uFFFD")
}

// hexHandle starts the handle of a file whose name is no UTF-8. No ack file's
// name starts with it.
const hexHandle = "hex:"

// handleOf returns the handle of an ack file: its name, where that is text.
func handleOf(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return hexHandle + hex.EncodeToString([]byte(name))
}

// nameOf returns the file name behind a handle. It accepts nothing that could
// be outside of the ack directory.
func nameOf(handle string) (string, error) {
	name := handle
	if encoded, ok := strings.CutPrefix(handle, hexHandle); ok {
		raw, err := hex.DecodeString(encoded)
		if err != nil {
			return "", errors.New("the handle is not one of this connector")
		}
		name = string(raw)
	}
	if !isAckName(name) {
		return "", errors.New("the handle is not the name of an ack file")
	}
	return name, nil
}

// parseAck reads an ack file. The error says why it can't be read.
func parseAck(name string, content []byte) (sdk.Ack, error) {
	ack := sdk.Ack{Handle: handleOf(name), ExternalRef: refOf(name)}
	if len(content) > maxAck {
		return ack, fmt.Errorf("it is larger than %d bytes", maxAck)
	}
	text, err := toUTF8(content)
	if err != nil {
		return ack, err
	}
	var doc ackDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return ack, fmt.Errorf("it is not the JSON of an ack: %w", err)
	}
	ack.ProcessedAt = parseTime(doc.ProcessedAt)
	ack.Answer, err = doc.answer(strings.HasPrefix(name, positivePrefix))
	return ack, err
}

func (d ackDocument) answer(positive bool) (sdk.Answer, error) {
	switch {
	case positive && d.Status == "ACKED":
		id, err := orderID(d.ERPOrderID)
		if err != nil {
			return nil, err
		}
		return sdk.Accepted{ERPOrderID: id}, nil
	case !positive && d.Status == "FAILED":
		return sdk.Declined{Code: d.ErrorCode, Message: d.Message}, nil
	case positive:
		return nil, fmt.Errorf("its name says ack, its status is %.40q, not ACKED", d.Status)
	default:
		return nil, fmt.Errorf("its name says error, its status is %.40q, not FAILED", d.Status)
	}
}

// orderID accepts a number, too, with exactly its digits: some programs write
// an order number without quotes.
func orderID(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		text = strings.TrimSpace(text)
	} else {
		var number json.Number
		if err := json.Unmarshal(raw, &number); err != nil {
			return "", errors.New("its erp_order_id is no text")
		}
		text = number.String()
	}
	if text == "" {
		return "", errors.New("it has no erp_order_id")
	}
	return text, nil
}

// parseTime returns the zero time for what is no time: an ack is not refused
// for that.
func parseTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

// toUTF8 takes byte order marks away and reads UTF-16 that has one, as
// programs on Windows write it.
func toUTF8(content []byte) ([]byte, error) {
	content = bytes.TrimPrefix(content, []byte("\xEF\xBB\xBF"))
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(content, []byte{0xFF, 0xFE}):
		order = binary.LittleEndian
	case bytes.HasPrefix(content, []byte{0xFE, 0xFF}):
		order = binary.BigEndian
	case !utf8.Valid(content):
		return nil, errors.New("it is not in UTF-8")
	default:
		return content, nil
	}
	if len(content)%2 != 0 {
		return nil, errors.New("it ends within a UTF-16 character")
	}
	units := make([]uint16, 0, len(content)/2)
	for i := 2; i < len(content); i += 2 {
		units = append(units, order.Uint16(content[i:]))
	}
	return []byte(string(utf16.Decode(units))), nil
}
