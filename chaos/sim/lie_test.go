package sim_test

import (
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/chaos/sim"
)

// TestAFleetLosesNothingToOneDiskThatLies lets one disk lose, and tear, what it had said was written. Its member notices, or catches
// up. Of a voter that holds only while the others are well: with two that have forgotten a write, it is lost.
func TestAFleetLosesNothingToOneDiskThatLies(t *testing.T) {
	const fleet = `length 12s
member fra eu
member iad us
member sin ap
member ams eu
member lim sa never
client 1 fra put
client 2 iad put
client 3 sin swap
client 4 fra get
client 5 sin list
client 6 lim get
`
	for name, happens := range map[string]string{
		"one that never votes, whatever else fails": "1s lie lim 2s\n2s isolate iad 3s\n5s lie lim 2s\n6s kill fra 1s\n8s lie lim 2s\n",
		"a voter, where nothing else does":          "2s lie iad 2s\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sim.Read(strings.NewReader(fleet + happens))
			if err != nil {
				t.Fatal(err)
			}
			for i := range rounds(3) {
				s.Seed = *seed + uint64(i)
				if out := sim.Play(t, s, nil); !clean(out) {
					t.Errorf("seed %d: %s", s.Seed, faults(out))
				}
			}
		})
	}
}
