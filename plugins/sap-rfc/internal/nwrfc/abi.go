package nwrfc

import (
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// The structs of the library. Later patch levels may have appended members, so
// those that the library writes have room to spare.

// parameter is RFC_CONNECTION_PARAMETER.
type parameter struct{ name, value *uint16 }

// errorInfo is RFC_ERROR_INFO.
type errorInfo struct {
	code, group int32
	key         [128]uint16
	message     [512]uint16
	class       [21]uint16
	_           [2]uint16
	number      [4]uint16
	_           [4][51]uint16
	_           [512]uint32
}

// parameterDesc is RFC_PARAMETER_DESC.
type parameterDesc struct {
	name      [31]uint16
	_         [2]byte
	typ       int32
	direction int32
	nucLength uint32
	ucLength  uint32
	decimals  uint32
	_         uint32
	typeDesc  uintptr
	_         [31]uint16
	_         [80]uint16
	optional  byte
	_         [1]byte
	_         uintptr
	_         [64]uint64
}

// fieldDesc is RFC_FIELD_DESC.
type fieldDesc struct {
	name      [31]uint16
	_         [2]byte
	typ       int32
	nucLength uint32
	_         uint32
	ucLength  uint32
	_         uint32
	decimals  uint32
	_         uintptr
	_         uintptr
	_         [64]uint64
}

// Values of RFCTYPE.
const (
	typeChar, typeDate, typeBCD, typeTime = 0, 1, 2, 3
	typeTable, typeNum, typeInt           = 5, 6, 8
	typeStructure, typeString             = 17, 29
)

// kinds are the types that the connector uses, as package rfc names them.
var kinds = map[int32]string{
	typeChar: "C", typeDate: "D", typeBCD: "P", typeTime: "T", typeNum: "N",
	typeInt: "I", typeString: "STRING",
}

// Values of RFC_RC.
const (
	rcOK, rcCommunication, rcLogon, rcRuntime, rcMessage, rcException      = 0, 1, 2, 3, 4, 5
	rcClosed, rcCanceled, rcTimeout                                        = 6, 7, 8
	rcInvalidHandle, rcExternal, rcNotFound, rcInvalidParameter            = 13, 15, 17, 20
	rcCodepage, rcConversion, rcBufferTooSmall, rcAuthorization, rcAuthent = 21, 22, 23, 29, 30
)

// Values of RFC_ERROR_GROUP.
const (
	groupRuntime, groupLogon, groupCommunication, groupExternal, groupAuthorization = 2, 3, 4, 5, 7
)

// uc is a text for the library: UTF-16 with a zero at its end.
func uc(text string) []uint16 { return append(utf16.Encode([]rune(text)), 0) }

// text is a buffer of the library as text, up to a zero, without blanks at its
// end.
func text(buffer []uint16) string {
	if end := slices.Index(buffer, 0); end >= 0 {
		buffer = buffer[:end]
	}
	end := len(buffer)
	for end > 0 && buffer[end-1] == ' ' {
		end--
	}
	return string(utf16.Decode(buffer[:end]))
}

// failure makes an error of what the library reported. calling says that it
// was the call of a function itself, which SAP may have run. Secrets are left
// out, should the library name them.
func (e *errorInfo) failure(calling bool, secrets ...string) *rfc.Error {
	plain := func(text string) string {
		for _, secret := range secrets {
			text = strings.ReplaceAll(text, secret, "***")
		}
		return strings.Join(strings.Fields(text), " ")
	}
	f := &rfc.Error{
		Class: e.classify(), Key: plain(text(e.key[:])), Message: plain(text(e.message[:])), Sent: calling,
	}
	if class := text(e.class[:]); class != "" {
		f.MessageID = class + " " + text(e.number[:])
	}
	f.Broken = e.closes()
	if e.code == rcException && f.Class == rfc.FunctionMissing {
		f.Sent = false
	}
	return f
}

// closes says that the connection is gone with this error, or has to be taken
// for gone.
func (e *errorInfo) closes() bool {
	switch e.code {
	case rcCommunication, rcRuntime, rcMessage, rcExternal, rcClosed, rcCanceled, rcTimeout, rcInvalidHandle:
		return true
	case rcInvalidParameter, rcConversion, rcCodepage, rcBufferTooSmall, rcException, rcNotFound:
		return false
	}
	switch e.group {
	case groupRuntime, groupLogon, groupCommunication, groupExternal:
		return true
	}
	return e.code != rcAuthorization
}

func (e *errorInfo) classify() rfc.Class {
	key := text(e.key[:])
	switch {
	case e.code == rcException && key == "FU_NOT_FOUND", e.code == rcNotFound:
		return rfc.FunctionMissing
	case e.code == rcAuthorization, e.group == groupAuthorization, strings.Contains(key, "NO_AUTHORITY"):
		return rfc.NotAuthorized
	case e.code == rcException:
		return rfc.Raised
	case e.code == rcLogon, e.code == rcAuthent, e.group == groupLogon:
		return rfc.LogonRefused
	case e.code == rcCommunication && strings.Contains(text(e.message[:]), "conversations exceeded"):
		return rfc.Busy // CPIC_MAX_CONV
	case e.code == rcCanceled, e.code == rcTimeout:
		return rfc.TimedOut
	case e.code == rcRuntime, e.code == rcMessage:
		return rfc.Dumped
	case e.code == rcCommunication, e.code == rcClosed:
		return rfc.Unreachable
	case e.code == rcInvalidParameter, e.code == rcConversion, e.code == rcCodepage, e.code == rcBufferTooSmall:
		return rfc.BadValue
	default:
		return rfc.Other
	}
}
