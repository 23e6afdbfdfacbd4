package secrets

import (
	"crypto/sha256"
	"maps"
	"slices"
)

// Mark tells one value from others. Who has it can try values: it stays in memory, as short as a value does.
type Mark [sha256.Size]byte

// Marks opens what is sealed and marks each of its values, in the order of their names; those of some names, which are no secret, apart.
func Marks(with Identity, t Target, sealed []byte, notSecret []string) (secret, public []Mark, err error) {
	data, err := Open(with, t, sealed)
	if err != nil {
		return nil, nil, err
	}
	defer Clear(data)
	for _, name := range slices.Sorted(maps.Keys(data)) {
		mark := Mark(sha256.Sum256(data[name]))
		if slices.Contains(notSecret, name) {
			public = append(public, mark)
		} else {
			secret = append(secret, mark)
		}
	}
	return secret, public, nil
}
