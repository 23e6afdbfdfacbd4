package consensus

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Forwarded writes and reads travel as frames on streams of the kinds "propose" and "read". A stream carries one
// request and one answer at a time, any number of times; the side that opened it closes it.
//
//	frame   = length body
//	length  = 4 bytes, big endian, of the body; at most maxFrame
//	body    = one CBOR data item, integer keys
//
//	propose request  {1: version, 2: [command, ...]}
//	propose answer   {1: code, 2: [result, ...], 3: milliseconds to wait, 4: who is about to lead}
//	                 as many as commands when done, each as store.EncodeResult writes it
//	read request     {1: version}
//	read answer      {1: code, 2: revision}
//
// History: version 1, the first.
const (
	frameVersion = 1
	// maxFrame fits the largest entry, stamped and wrapped, and the answers to all its commands.
	maxFrame = store.MaxEntry + 64<<10
)

// code is the outcome of a request as a whole.
type code uint8

const (
	// codeDone: the commands were applied; each has its result.
	codeDone code = 1
	// codeNotLeading: this member does not lead, or has no quorum. Surely nothing was appended.
	codeNotLeading code = 2
	// codeUncertain: the commands were appended, and whether they will be applied is not known.
	codeUncertain code = 3
	// codeRefused: the request is not one that this member answers. Surely nothing was appended; repeating it helps
	// nobody.
	codeRefused code = 4
	// codeSlowDown: the member is over its quota; it may ask again after a while. Surely nothing was appended.
	codeSlowDown code = 5
)

type proposeRequest struct {
	Version  uint            `cbor:"1,keyasint"`
	Commands []store.Command `cbor:"2,keyasint"`
}

type proposeAnswer struct {
	Code    code     `cbor:"1,keyasint"`
	Results [][]byte `cbor:"2,keyasint,omitempty"` // as store.EncodeResult writes them
	After   uint64   `cbor:"3,keyasint,omitempty"` // milliseconds, with codeSlowDown
	Heir    MemberID `cbor:"4,keyasint,omitempty"` // when the commands were not applied here
}

type readRequest struct {
	Version uint `cbor:"1,keyasint"`
}

type readAnswer struct {
	Code     code           `cbor:"1,keyasint"`
	Revision store.Revision `cbor:"2,keyasint,omitempty"`
}

// strict refuses what a peer of ours would not send.
var strict = mustMode(cbor.DecOptions{
	DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
	MaxNestedLevels: 16, MaxArrayElements: 1 << 17, MaxMapPairs: 1 << 10,
}.DecMode())

func mustMode(m cbor.DecMode, err error) cbor.DecMode {
	if err != nil {
		panic(err) // the options are constants
	}
	return m
}

// writeFrame sends one message in one write.
func writeFrame(w io.Writer, message any) error { return writeFrameWithin(w, maxFrame, message) }

// readFrame receives one message. It takes memory only for bytes that arrived.
func readFrame(r io.Reader, message any) error { return readFrameWithin(r, maxFrame, message) }

func writeFrameWithin(w io.Writer, most int, message any) error {
	body, err := cbor.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(body) > most {
		return fmt.Errorf("frame of %d bytes is larger than %d", len(body), most)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))), body...))
	return err
}

func readFrameWithin(r io.Reader, most int, message any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if int64(size) > int64(most) {
		return fmt.Errorf("frame of %d bytes is larger than %d", size, most)
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(size)))
	if err != nil {
		return err
	}
	if len(body) != int(size) {
		return io.ErrUnexpectedEOF
	}
	if err := strict.Unmarshal(body, message); err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	return nil
}

func encodeResults(results []store.Result) ([][]byte, error) {
	out := make([][]byte, len(results))
	for i, r := range results {
		b, err := store.EncodeResult(r)
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}

func decodeResults(encoded [][]byte) ([]store.Result, error) {
	out := make([]store.Result, len(encoded))
	for i, b := range encoded {
		r, err := store.DecodeResult(b)
		if err != nil {
			return nil, err
		}
		out[i] = r
	}
	return out, nil
}
