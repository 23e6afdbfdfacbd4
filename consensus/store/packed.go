package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// packFrom is the size from which on an entry is worth the try.
	packFrom = 1 << 10
	// packGain is the part of an entry that must be saved: every member unpacks it.
	packGain = 8
)

// packers compress for whoever leads. A member at rest keeps none: the garbage collector takes them.
var packers = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(MaxEntry),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return z
}}

// unpacker is one for the whole program, as a member has one store. It is there before any test plays with time: what waits for it does not wait
// in virtual time.
var unpacker = mustUnpacker()

func mustUnpacker() *zstd.Decoder {
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxEntry), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return z
}

// packed is an entry as it goes into the log: compressed, when that makes it smaller by a good part.
func packed(entry []byte) ([]byte, error) {
	if len(entry) < packFrom {
		return entry, nil
	}
	body := entry[entryHead:]
	b := bytes.NewBuffer(make([]byte, 0, len(entry)/2))
	b.Write(binary.AppendUvarint([]byte{entryMagic, entryPacked}, uint64(len(body))))
	z := packers.Get().(*zstd.Encoder)
	defer packers.Put(z)
	z.Reset(b)
	if _, err := z.Write(body); err != nil {
		return nil, fmt.Errorf("compress entry: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress entry: %w", err)
	}
	if b.Len() > len(entry)-len(entry)/packGain {
		return entry, nil
	}
	return b.Bytes(), nil
}

// unpacked are the commands of a packed entry, as they were encoded. What says that it is larger than an entry may be, or is larger than it
// says, is refused before there is room for it.
func unpacked(body []byte) ([]byte, error) {
	size, n := binary.Uvarint(body)
	if n <= 0 || size > MaxEntry-entryHead {
		return nil, fmt.Errorf("entry of %d bytes, compressed: %w", size, ErrMalformed)
	}
	commands, err := unpacker.DecodeAll(body[n:], make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("compressed entry: %w: %w", ErrMalformed, err)
	}
	if uint64(len(commands)) != size {
		return nil, fmt.Errorf("compressed entry of %d bytes, which says %d: %w", len(commands), size, ErrMalformed)
	}
	return commands, nil
}
