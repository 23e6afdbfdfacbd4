package secrets

import (
	"crypto/sha256"
	"maps"
	"slices"
)

// Mark tells one value from others. Who has it can try values: it stays in memory, as short as a value does.
type Mark [sha256.Size]byte

// Marks opens what is sealed and marks each of its values, in the order of their names, but those that are no secret.
func Marks(with Identity, t Target, sealed []byte, but []string) ([]Mark, error) {
	data, err := Open(with, t, sealed)
	if err != nil {
		return nil, err
	}
	defer Clear(data)
	marks := []Mark{}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if !slices.Contains(but, name) {
			marks = append(marks, sha256.Sum256(data[name]))
		}
	}
	return marks, nil
}
