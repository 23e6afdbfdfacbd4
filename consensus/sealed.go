package consensus

import (
	"encoding/binary"
	"hash/crc64"
	"maps"
	"math"
	"slices"

	"github.com/hashicorp/raft"
)

// What lies on the disk carries checksums of ours, in three formats. All integers are big endian. A checksum is the
// CRC-64 (ECMA) of the label of its format and then of what is listed: eight bytes, so that one damage in 2^64 goes by,
// and none at all that touches up to 64 bits in a row. Nobody is kept from computing it: it is against rot, not malice.
//
//	entry   raft.Log as it is, and at the end of its Extensions
//	          byte 1      version of the format, 1
//	          bytes 2-9   checksum of 'E', index, term, type, time (seconds, nanoseconds), length and bytes of the
//	                      extensions before, length and bytes of the data
//	        They are taken off when the entry is read: they never leave the member.
//	head    an entry of the index 0, whose term is the last entry's, with the data
//	          bytes 1-8   first index in the log    bytes 9-16   last index; both 0: the log is empty
//	          bytes 17-32 first and last index of what is being cut off, or was
//	          bytes 33-40 how often the log was written
//	          bytes 41-48 how often the values were written, as far as this write knows
//	          byte 49     1 once the values are there, too
//	values  one value, under the key "HanseValues", in place of many
//	          byte 1      version of the format, 1
//	          bytes 2-9   how often the values were written
//	          bytes 10-17 how often the log was written, as far as this write knows
//	          then by key length of the key (2 bytes), key, length of the value (4 bytes), value
//	          at the end  checksum of 'V' and everything before
//
// The head is written in one transaction with the entries, so a log that lost its end, or its beginning, is known by
// it. That the values are one record means that none of them can be missing. Head and values count each other's
// writes, so that neither can be an older one of itself for long.
//
// History: 1, the first.
const (
	sealVersion = 1
	sealSize    = 1 + 8
	headSize    = 6*8 + 1
)

var sumTable = crc64.MakeTable(crc64.ECMA)

// sumOf is the checksum of a label, numbers, and byte strings with their lengths.
func sumOf(label byte, numbers []uint64, parts ...[]byte) uint64 {
	head := make([]byte, 0, 128)
	head = append(head, label)
	for _, n := range numbers {
		head = binary.BigEndian.AppendUint64(head, n)
	}
	for _, p := range parts {
		head = binary.BigEndian.AppendUint64(head, uint64(len(p)))
	}
	sum := crc64.Update(0, sumTable, head)
	for _, p := range parts {
		sum = crc64.Update(sum, sumTable, p)
	}
	return sum
}

func sumLog(l *raft.Log) uint64 {
	at := l.AppendedAt
	numbers := []uint64{l.Index, l.Term, uint64(l.Type), uint64(at.Unix()), uint64(at.Nanosecond())}
	return sumOf('E', numbers, l.Extensions, l.Data)
}

// seal returns a copy of an entry that carries its checksum.
func seal(l *raft.Log) *raft.Log {
	sealed := *l
	sealed.AppendedAt = l.AppendedAt.Round(0).UTC()
	sealed.Extensions = append(slices.Clip(slices.Clone(l.Extensions)), sealVersion)
	sealed.Extensions = binary.BigEndian.AppendUint64(sealed.Extensions, sumLog(l))
	return &sealed
}

// unseal checks an entry that was read under an index, and takes the checksum off.
func unseal(index uint64, l *raft.Log) error {
	n := len(l.Extensions) - sealSize
	if n < 0 || l.Extensions[n] != sealVersion {
		return damagedLog(index, "it has no checksum")
	}
	want := binary.BigEndian.Uint64(l.Extensions[n+1:])
	l.Extensions = l.Extensions[:n:n]
	if n == 0 {
		l.Extensions = nil
	}
	l.AppendedAt = l.AppendedAt.UTC()
	if sumLog(l) != want {
		return damagedLog(index, "its checksum differs")
	}
	if l.Index != index {
		return damagedLog(index, "entry %d is in its place", l.Index)
	}
	return nil
}

// head says what the log has to be.
type head struct {
	first, last      uint64
	cutFrom, cutTo   uint64
	writes, ofValues uint64
	term             uint64 // of the last entry
	begun            bool
}

func (h head) log() *raft.Log {
	var data []byte
	for _, n := range []uint64{h.first, h.last, h.cutFrom, h.cutTo, h.writes, h.ofValues} {
		data = binary.BigEndian.AppendUint64(data, n)
	}
	begun := byte(0)
	if h.begun {
		begun = 1
	}
	return &raft.Log{Term: h.term, Type: raft.LogNoop, Data: append(data, begun)}
}

func parseHead(l *raft.Log) (head, error) {
	if len(l.Data) != headSize || l.Data[headSize-1] > 1 {
		return head{}, damagedLog(0, "it is no head of a log")
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(l.Data[8*i:]) }
	h := head{
		first: n(0), last: n(1), cutFrom: n(2), cutTo: n(3), writes: n(4), ofValues: n(5),
		term: l.Term, begun: l.Data[headSize-1] == 1,
	}
	if h.first > h.last || (h.first == 0) != (h.last == 0) || h.last == math.MaxUint64 {
		return head{}, damagedLog(0, "it is no head of a log")
	}
	return h, nil
}

// values is the record of the stable store.
type values struct {
	writes, ofLog uint64
	byKey         map[string][]byte
}

func (v values) encode() []byte {
	b := []byte{sealVersion}
	b = binary.BigEndian.AppendUint64(b, v.writes)
	b = binary.BigEndian.AppendUint64(b, v.ofLog)
	for _, k := range slices.Sorted(maps.Keys(v.byKey)) {
		b = binary.BigEndian.AppendUint16(b, uint16(len(k)))
		b = append(b, k...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(v.byKey[k])))
		b = append(b, v.byKey[k]...)
	}
	return binary.BigEndian.AppendUint64(b, sumOf('V', nil, b))
}

func parseValues(b []byte) (values, error) {
	n := len(b) - 8
	if n < 17 || b[0] != sealVersion {
		return values{}, damagedValues("their record", "it is no record of values")
	}
	if sumOf('V', nil, b[:n]) != binary.BigEndian.Uint64(b[n:]) {
		return values{}, damagedValues("their record", "the checksum differs")
	}
	v := values{writes: binary.BigEndian.Uint64(b[1:]), ofLog: binary.BigEndian.Uint64(b[9:]), byKey: map[string][]byte{}}
	for rest := b[17:n]; len(rest) > 0; {
		key, after, ok := cutBytes(rest, 2)
		value, after, okValue := cutBytes(after, 4)
		if !ok || !okValue {
			return values{}, damagedValues("their record", "it ends early")
		}
		v.byKey[string(key)] = slices.Clone(value)
		rest = after
	}
	return v, nil
}

// cutBytes takes a length of so many bytes, and as many bytes, off the front.
func cutBytes(b []byte, size int) (field, rest []byte, ok bool) {
	if len(b) < size {
		return nil, nil, false
	}
	n := 0
	for _, c := range b[:size] {
		n = n<<8 | int(c)
	}
	if b = b[size:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
