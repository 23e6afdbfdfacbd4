package startup

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func percent() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// awaitPercent collects garbage, and waits for what that sets.
func awaitPercent(t *testing.T, want uint64) {
	for begun := time.Now(); percent() != want; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 5*time.Minute {
			t.Fatalf("the heap still grows by %d percent, not %d", percent(), want)
		}
		runtime.GC()
	}
}

func TestOnlyTheFirstCollectionIsLate(t *testing.T) {
	t.Setenv("GOGC", "")
	if percent() == starting {
		awaitPercent(t, 100) // since this program began
	}
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	if collectLater() != 70 || percent() != starting {
		t.Errorf("the first one is not late: %d percent", percent())
	}
	awaitPercent(t, 70)
	t.Setenv("GOGC", "50")
	if collectLater() != 0 || percent() != 70 {
		t.Errorf("the program decides, and not who started it: %d percent", percent())
	}
}
