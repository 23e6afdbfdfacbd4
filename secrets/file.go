package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// An age file of ours is binary, for one recipient, and its content begins with a line that says what it is of:
//
//	hanse/v1 NAMESPACE/NAME           a Secret's data; the lines behind it may name further Secrets, which it may become as well
//	hanse/v1 key FLEET/GROUP/EPOCH    the private key of a group
//
// Who opens one says what it must be of, so one that was moved to another place is refused.
const line = "hanse/v1 "

const (
	// MaxData is how many bytes the values of one secret may have together: what Kubernetes keeps in one Secret.
	MaxData = 1 << 20
	// MaxNames is how many bytes their names may have together, with nameRoom more for each: what etcd keeps beside so large values, as a Secret has
	// each name twice, once in metadata.managedFields.
	MaxNames = 128 << 10
	nameRoom = 16
	// MaxSealed is how many bytes what is sealed may have. Values that are no text take a third more.
	MaxSealed = MaxData*4/3 + 128<<10
	// maxHeader is more than the header of a file for one recipient has.
	maxHeader = 4096
	stanza    = "mlkem768x25519"
)

// ErrWrongKey means that what is sealed is not for the key that was to open it.
var ErrWrongKey = errors.New("it is sealed for another key")

// ErrDamaged means that what is sealed was changed since, or is only a part.
var ErrDamaged = errors.New("it is damaged, or not all of it is there")

// encrypt makes a file of what it is of and its content.
func encrypt(to Recipient, of string, content []byte) ([]byte, error) {
	if to.key == nil {
		return nil, errors.New("there is no recipient")
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to.key)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	for _, part := range [][]byte{[]byte(line + of + "\n"), content} {
		if _, err := w.Write(part); err != nil {
			return nil, fmt.Errorf("encrypt: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return sealed.Bytes(), nil
}

// encryptAll is encrypt, and clears the content.
func encryptAll(to Recipient, of string, content []byte) ([]byte, error) {
	defer clear(content)
	return encrypt(to, of, content)
}

// decrypt opens a file that must be of this, and returns its content. The caller clears it. No error has any of it.
func decrypt(with Identity, of string, sealed []byte) ([]byte, error) {
	content, ok, err := decryptIf(with, func(is string) bool { return is == of }, sealed)
	if err == nil && !ok {
		err = fmt.Errorf("it is not of %s: its first line must be %q", of, line+of)
	}
	return content, err
}

// decryptIf opens a file, and returns its content if what it is of is right.
func decryptIf(with Identity, right func(of string) bool, sealed []byte) (content []byte, ok bool, err error) {
	if err := Check(sealed); err != nil {
		return nil, false, err
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), with.key)
	if err != nil {
		if errors.As(err, new(*age.NoIdentityMatchError)) {
			return nil, false, ErrWrongKey
		}
		return nil, false, ErrDamaged
	}
	// The content is no longer than the file, so this is never grown: no copy is left behind.
	whole := make([]byte, 0, len(sealed))
	buf := bytes.NewBuffer(whole)
	if _, err := io.Copy(buf, io.LimitReader(r, int64(len(sealed)))); err != nil {
		clear(whole[:cap(whole)])
		return nil, false, ErrDamaged
	}
	whole = buf.Bytes()
	first, content, found := bytes.Cut(whole, []byte("\n"))
	of, ours := bytes.CutPrefix(bytes.TrimSuffix(first, []byte("\r")), []byte(line))
	if found && ours && right(string(of)) {
		return content, true, nil
	}
	clear(whole)
	return nil, false, nil
}

// Check says whether bytes are an age file as it may be sealed for a group: whole as far as one sees without the key, binary, and for one
// post-quantum recipient.
func Check(sealed []byte) error {
	switch {
	case len(sealed) == 0:
		return errors.New("it is empty; make it with hanse seal")
	case len(sealed) > MaxSealed:
		return fmt.Errorf("it has %d bytes, more than the limit of %d: the values of a secret may have %d KiB together", len(sealed), MaxSealed, MaxData>>10)
	case bytes.HasPrefix(bytes.TrimSpace(sealed), []byte(armor.Header)):
		return errors.New("it is an armored age file; without the armor it is right: age without -a, or hanse seal")
	}
	header, err := age.ExtractHeader(bytes.NewReader(sealed[:min(len(sealed), maxHeader)]))
	if err != nil {
		return errors.New("it is no age file for one recipient; make it with hanse seal")
	}
	var kinds []string
	for l := range strings.Lines(string(header)) {
		if args, is := strings.CutPrefix(l, "-> "); is {
			kind, _, _ := strings.Cut(strings.TrimSpace(args), " ")
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 || kinds[0] != stanza {
		return errors.New("it must be encrypted to the recipient of the group alone, which begins with age1pq1; make it with hanse seal")
	}
	return nil
}
