package atrest

import (
	"bytes"
	"io"

	"filippo.io/age"
)

const (
	stanzaType  = "hanse-data-key"
	placeStream = "stream"

	// What an age file has behind its header: a nonce, and chunks, each with a tag, of which the last may be shorter.
	ageNonce = 16
	ageChunk = 64 << 10
	ageTag   = 16

	// maxHeader is more than the header of a stream has.
	maxHeader = 4 << 10
)

// wrapping lets age encrypt with a Key.
type wrapping struct{ key *Key }

// Wrap implements age.Recipient.
func (w wrapping) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: stanzaType, Body: w.key.Encrypt(fileKey, placeStream)}}, nil
}

// Unwrap implements age.Identity.
func (w wrapping) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != stanzaType {
		return nil, age.ErrIncorrectIdentity
	}
	return w.key.Decrypt(stanzas[0].Body, placeStream)
}

// Writer encrypts a stream. All of it has been written once it is closed, which does not close what it writes to.
func (k *Key) Writer(to io.Writer) (io.WriteCloser, error) { return age.Encrypt(to, wrapping{k}) }

// Reader decrypts a stream of so many bytes, and says how many it holds. It gives out nothing that is not as it was written, and its end
// only when that was the end.
func (k *Key) Reader(from io.Reader, size int64) (clear io.Reader, length int64, err error) {
	var ahead bytes.Buffer
	header, err := age.ExtractHeader(io.TeeReader(io.LimitReader(from, maxHeader), &ahead))
	if err != nil {
		return nil, 0, err
	}
	if clear, err = age.Decrypt(io.MultiReader(&ahead, from), wrapping{k}); err != nil {
		return nil, 0, err
	}
	chunks := size - int64(len(header)) - ageNonce
	if chunks < ageTag {
		return nil, 0, errSealed
	}
	return clear, chunks - (chunks+ageChunk+ageTag-1)/(ageChunk+ageTag)*ageTag, nil
}
