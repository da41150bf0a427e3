package payload

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"time"
)

// journalMagic starts every journal; its last digit is the format's version.
const journalMagic = "opayjnl1"

// recordHeader is the size of a record without key and data: checksum (4),
// time in nanoseconds (8), length of the key (2) and of the data (4), all
// little-endian. The checksum covers everything after it.
const recordHeader = 18

// maxPayload bounds one payload: the length has 32 bits.
const maxPayload = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one Put in a journal.
type record struct {
	at   time.Time
	key  string
	data []byte
}

func (r *record) encode() []byte {
	b := make([]byte, 4, recordHeader+len(r.key)+len(r.data))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.at.UnixNano()))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(r.key)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.data)))
	b = append(b, r.key...)
	b = append(b, r.data...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// errForeignJournal says that a journal is of another version.
var errForeignJournal = errors.New("journal is not of a version that this program knows")

// readJournal calls apply for each whole record, from the first to the last.
// A record that is cut or damaged ends the journal: it was being written when
// the machine stopped, so its Put never returned.
func readJournal(file *os.File, apply func(record) error) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	left := info.Size()
	in := bufio.NewReaderSize(io.NewSectionReader(file, 0, left), 1<<20)
	magic := make([]byte, len(journalMagic))
	if _, err := io.ReadFull(in, magic); err != nil {
		return endOfJournal(err)
	}
	if string(magic) != journalMagic {
		return errForeignJournal
	}
	left -= int64(len(magic))
	for {
		r, size, err := readRecord(in, left)
		if err != nil || size == 0 {
			return err
		}
		left -= size
		if err := apply(r); err != nil {
			return err
		}
	}
}

// endOfJournal tells the end of a file from a failure to read it.
func endOfJournal(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// readRecord returns a size of 0 at the end of the journal. left is how much
// of the file is left, which bounds what a damaged length can make it do.
func readRecord(in io.Reader, left int64) (r record, size int64, err error) {
	head := make([]byte, recordHeader)
	if _, err := io.ReadFull(in, head); err != nil {
		return record{}, 0, endOfJournal(err)
	}
	keySize := int64(binary.LittleEndian.Uint16(head[12:]))
	size = recordHeader + keySize + int64(binary.LittleEndian.Uint32(head[14:]))
	if size > left {
		return record{}, 0, nil
	}
	body := make([]byte, size-recordHeader)
	if _, err := io.ReadFull(in, body); err != nil {
		return record{}, 0, endOfJournal(err)
	}
	sum := crc32.Update(crc32.Checksum(head[4:], castagnoli), castagnoli, body)
	if sum != binary.LittleEndian.Uint32(head) {
		return record{}, 0, nil
	}
	return record{
		at:   time.Unix(0, int64(binary.LittleEndian.Uint64(head[4:]))),
		key:  string(body[:keySize]),
		data: body[keySize:],
	}, size, nil
}
