package backup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// A backup is an age file (age-encryption.org/v1, binary), so age itself decrypts it. Inside is:
//
//	bytes 0-6    "HANSEBK"
//	byte  7      version of this format, 1
//	bytes 8-11   length of the header, big endian
//	the header   JSON: a Header
//	the rest     the state, as store.Snapshot writes it
//
// The snapshot's last frame is the end mark, with a checksum of all frames before it. age authenticates every 64 KiB,
// and which of them is the last, so a backup that lost its end, or a bit of which was turned, is never taken for whole.
//
// History: 1, the first.
const (
	magic     = "HANSEBK"
	version   = 1
	headSize  = len(magic) + 1 + 4
	maxHeader = 64 << 10
)

// Header says what a backup is of. It is inside of the encryption, too.
type Header struct {
	Fleet string `json:"fleet"`
	// Member is the cluster whose member made the backup, with the version of hanse it ran.
	Member  string `json:"member"`
	Version string `json:"version,omitempty"`
	Epoch   uint64 `json:"epoch"`
	EpochID string `json:"epochID"`
	// Revision of the state.
	Revision store.Revision `json:"revision"`
	Made     time.Time      `json:"made"`
}

// Errors about what is no backup that can be read. Each is wrapped with what is known besides.
var (
	ErrNotABackup = errors.New("not a backup of a fleet")
	ErrDamaged    = errors.New("damaged: it ends early, or was changed")
	ErrNewer      = errors.New("written by a newer version of hanse")
	ErrWrongKey   = errors.New("not encrypted to any of these identities")
)

// Write encrypts a state to recipients as it goes: nothing but ciphertext comes to w. The header's epoch and revision are
// those of the state, and the size is what came to w. What came there before an error is no backup, and no reader takes it for one.
func Write(w io.Writer, to []age.Recipient, h Header, s *store.Snapshot) (size int64, err error) {
	v := s.View()
	h.Epoch, h.EpochID, h.Revision = v.Epoch().Number, v.Epoch().ID, v.Revision()
	head, err := h.encode()
	if err != nil {
		return 0, err
	}
	counted := &counter{to: w}
	sealed, err := age.Encrypt(counted, to...)
	if err != nil {
		return 0, fmt.Errorf("encrypt backup: %w", err)
	}
	if _, err := sealed.Write(head); err != nil {
		return 0, fmt.Errorf("write backup: %w", err)
	}
	if _, err := s.WriteTo(sealed); err != nil {
		return 0, err
	}
	if err := sealed.Close(); err != nil {
		return 0, fmt.Errorf("write backup: %w", err)
	}
	return counted.n, nil
}

func (h Header) encode() ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode backup's header: %w", err)
	}
	head := append([]byte(magic), version)
	head = binary.BigEndian.AppendUint32(head, uint32(len(text)))
	return append(head, text...), nil
}

// Read decrypts a backup and returns the state in it, whole; a backup of which anything is missing or changed is refused.
func Read(r io.Reader, identities ...age.Identity) (Header, *store.View, error) {
	open, err := decrypt(r, identities)
	if err != nil {
		return Header{}, nil, err
	}
	h, err := readHeader(open)
	if err != nil {
		return h, nil, err
	}
	s := store.New(nil)
	switch err := s.Restore(open); {
	case errors.Is(err, store.ErrNewerVersion):
		return h, nil, fmt.Errorf("%w: %w", ErrNewer, err)
	case err != nil:
		return h, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if v := s.View(); v.Revision() != h.Revision || v.Epoch().ID != h.EpochID || v.Epoch().Number != h.Epoch {
		return h, nil, fmt.Errorf("%w: its header is of another state", ErrDamaged)
	}
	return h, s.View(), nil
}

// ageIntro begins every age file, ageArmor one as text.
const (
	ageIntro = "age-encryption.org/"
	ageArmor = "-----BEGIN AGE"
)

func decrypt(r io.Reader, identities []age.Identity) (io.Reader, error) {
	sealed := bufio.NewReader(r)
	intro, err := sealed.Peek(len(ageIntro))
	switch {
	case bytes.HasPrefix(intro, []byte(ageArmor)):
		return nil, fmt.Errorf("%w: it is armored; take the armor off with age first", ErrNotABackup)
	case string(intro) != ageIntro:
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, ErrNotABackup
	}
	open, err := age.Decrypt(sealed, identities...)
	var nobody *age.NoIdentityMatchError
	switch {
	case errors.As(err, &nobody):
		return nil, ErrWrongKey
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return open, nil
}

func readHeader(r io.Reader) (h Header, err error) {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return h, shortened(err)
	}
	size := binary.BigEndian.Uint32(head[len(magic)+1:])
	switch is := head[len(magic)]; {
	case string(head[:len(magic)]) != magic || is == 0:
		return h, fmt.Errorf("%w: there is something else in it", ErrNotABackup)
	case is > version:
		return h, fmt.Errorf("%w: format %d", ErrNewer, is)
	case size > maxHeader:
		return h, fmt.Errorf("%w: header of %d bytes", ErrDamaged, size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, shortened(err)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	return h, nil
}

// shortened is an error of reading what should be there: a stranger's file that is too short is no backup.
func shortened(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrNotABackup
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}
