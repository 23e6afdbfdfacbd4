package startup

import (
	"os"
	"runtime"
	"runtime/debug"
)

// starting is how much a program may allocate before the garbage is collected for the first time, in percent of the runtime's own 4 MiB. The
// libraries fill about 8 MiB before main, all of which stays: collecting twice meanwhile took a third of a command's processor time.
const starting = 800

// usual is the runtime's own percentage, once it was replaced. Packages are initialised in the order of their paths, so this is before those of Kubernetes.
var usual = collectLater()

// collectLater has garbage collected for the first time late, and then as usual.
func collectLater() int {
	if asked() {
		return 0
	}
	usual := debug.SetGCPercent(starting)
	// The first collection finds it; what is smaller shares its memory with others, and may stay.
	runtime.AddCleanup(new([16]byte), func(percent int) { debug.SetGCPercent(percent) }, usual)
	return usual
}

// asked says that whoever started the program decides about its collector.
func asked() bool { return os.Getenv("GOGC") != "" }

// Lasts has garbage collected as in programs that last from the start on; a command ends before that is worth anything.
func Lasts() {
	if !asked() {
		debug.SetGCPercent(usual)
	}
}
