package agetest

import (
	"testing"

	"filippo.io/age"
)

func TestAKeyIsOneAndTheSameEachTime(t *testing.T) {
	seen := map[string]bool{}
	for _, of := range []byte{0, 1, 0x42, 0xff} {
		id, err := age.ParseHybridIdentity(Key(of))
		if err != nil {
			t.Fatalf("%d: %v", of, err)
		}
		if id.String() != Key(of) || seen[Key(of)] {
			t.Errorf("%d makes another key, or that of another byte", of)
		}
		seen[Key(of)] = true
	}
}
