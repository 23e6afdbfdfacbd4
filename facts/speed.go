package facts

import (
	"bufio"
	"bytes"
	"context"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// sorted is how many numbers one run sorts: 256 KiB, what the second cache of a core holds.
	sorted = 1 << 15
	// runs are tried, runPause apart, and the fastest counts: whatever else the machine does, or a limit on CPU, only ever
	// makes a run slower. A run takes a few milliseconds, so that even a tenth of a core holds one.
	runs     = 9
	runPause = 500 * time.Millisecond
	// reference is what a run takes on a common server's core of 2020: that is 100 percent.
	reference = 3 * time.Millisecond
)

// MeasureSpeed takes some seconds, nearly all of them waiting, and says how fast a core is that runs this process, in percent
// of the reference: how soon it has sorted 32,768 numbers without order. That is branches that nobody foresees and memory
// that is near, as in most services; it says nothing of vectors, cryptography or memory that is far. 0: ctx ended.
func MeasureSpeed(ctx context.Context) int32 {
	numbers, scratch := unordered(), make([]uint64, sorted)
	best := time.Duration(math.MaxInt64)
	for range runs {
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(runPause):
		}
		best = min(best, run(numbers, scratch))
	}
	return int32(100 * reference / best)
}

// run is how long a core takes to sort the numbers, in scratch.
func run(numbers, scratch []uint64) time.Duration {
	copy(scratch, numbers)
	began := time.Now()
	slices.Sort(scratch)
	return max(time.Since(began), time.Microsecond)
}

// unordered are the same numbers each time: a run is worth comparing with those of other machines.
func unordered() []uint64 {
	all, x := make([]uint64, sorted), uint64(1)
	for i := range all {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		all[i] = x
	}
	return all
}

// SpeedClass sorts speeds into classes, each 1.25 times as fast as the one below; the reference is in class 10, and what is
// slower than a tenth of it in class 0. Speeds of the same machine differ by less than half a class.
func SpeedClass(speed int32) int32 {
	if speed <= 0 {
		return 0
	}
	return max(0, 10+int32(math.Round(math.Log(float64(speed)/100)/math.Log(1.25))))
}

// Cores is how many threads this machine can run at once.
func Cores() int32 { return int32(runtime.NumCPU()) }

// ProcessorModel is what this machine calls its processor, or at least of which kind it is.
func ProcessorModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	return modelIn(data)
}

// modelIn reads /proc/cpuinfo. ARM gives no name there, but numbers of who made it and what.
func modelIn(cpuinfo []byte) string {
	said := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(cpuinfo)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if key = strings.TrimSpace(key); said[key] == "" {
			said[key] = strings.TrimSpace(value)
		}
	}
	switch {
	case said["model name"] != "":
		return cut(said["model name"])
	case said["CPU part"] != "":
		return cut(runtime.GOARCH + " " + said["CPU implementer"] + "/" + said["CPU part"])
	}
	return runtime.GOARCH
}

// cut keeps a text within its bound.
func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxText)], "") }
