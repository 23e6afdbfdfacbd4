package secrets

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Target is the Secret that what is sealed becomes. It can be opened as no other.
type Target struct{ Namespace, Name string }

// String is the target as the first line has it.
func (t Target) String() string { return t.Namespace + "/" + t.Name }

// Validate checks that it can be the place of a Secret.
func (t Target) Validate() error {
	if problems := validation.IsDNS1123Label(t.Namespace); len(problems) > 0 {
		return fmt.Errorf("namespace %q: %s", t.Namespace, problems[0])
	}
	if problems := validation.IsDNS1123Subdomain(t.Name); len(problems) > 0 {
		return fmt.Errorf("name %q: %s", t.Name, problems[0])
	}
	return nil
}

// Seal encrypts the data of a Secret for a group. It may become further Secrets, too.
func Seal(to Recipient, t Target, data map[string][]byte, also ...Bound) ([]byte, error) {
	if err := errors.Join(t.Validate(), checkData(data), checkBounds(t, also, data)); err != nil {
		return nil, err
	}
	var lines strings.Builder
	for _, b := range also {
		lines.WriteString(b.line())
	}
	sealed, err := encryptAll(to, t.String(), encode(lines.String(), data))
	if err == nil && len(sealed) > MaxSealed {
		return nil, fmt.Errorf("sealed it has %d bytes, more than the limit of %d; take fewer values", len(sealed), MaxSealed)
	}
	return sealed, err
}

// Open decrypts the data of a Secret that was sealed for this target. No error has any of it.
func Open(with Identity, t Target, sealed []byte) (map[string][]byte, error) {
	data, _, err := OpenBound(with, t, sealed)
	return data, err
}

// OpenBound is Open, with the further Secrets that it may become.
func OpenBound(with Identity, t Target, sealed []byte) (map[string][]byte, []Bound, error) {
	whole, err := decrypt(with, t.String(), sealed)
	if err != nil {
		return nil, nil, err
	}
	return readAll(whole)
}

// readAll reads what encode wrote, and clears it.
func readAll(whole []byte) (map[string][]byte, []Bound, error) {
	defer clear(whole)
	also, body, err := cutBounds(whole)
	if err != nil {
		return nil, nil, err
	}
	data, err := decode(body)
	return data, also, err
}

// Clear overwrites values that are needed no more.
func Clear(data map[string][]byte) {
	for _, value := range data {
		clear(value)
	}
}

func checkData(data map[string][]byte) error {
	if len(data) == 0 {
		return errors.New("it has no values; name one at least")
	}
	size, names := 0, 0
	for key, value := range data {
		if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
			return fmt.Errorf("a key of it cannot be one of a Secret: %s", strings.Join(problems, "; "))
		}
		size += len(value)
		names += len(key) + nameRoom
	}
	switch {
	case size > MaxData:
		return fmt.Errorf("its values have %d bytes, more than the limit of %d: no Secret of Kubernetes holds more; take several", size, MaxData)
	case names > MaxNames:
		return fmt.Errorf("it has %d values, and their names, with %d bytes more for each, have %d bytes, more than the limit of %d; take several", len(data), nameRoom, names, MaxNames)
	}
	return nil
}
