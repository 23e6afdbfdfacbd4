// Package atresttest makes data keys for the tests of those that encrypt with one.
package atresttest

import (
	"testing"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/atrest"
)

// Key is of a data directory that is made for the test.
func Key(t testing.TB) *atrest.Key {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	key, err := atrest.Make(t.TempDir(), id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
