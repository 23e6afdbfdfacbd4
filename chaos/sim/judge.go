package sim

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/check"
)

// Fault is one thing that a run found wrong.
type Fault struct {
	// Check that found it, and when in the life of the fleet.
	Check string
	At    time.Duration
	What  string
}

func (f Fault) String() string {
	return fmt.Sprintf("%s, %s: %s", f.At.Round(time.Millisecond), f.Check, f.What)
}

// judge collects what is wrong. It stands in for the test of a run, so that a run that fails is a value.
type judge struct {
	testing.TB
	begun time.Time

	mu     sync.Mutex
	faults []Fault
	terms  check.Terms
}

// manyFaults is how many are kept.
const manyFaults = 20

func (j *judge) wrong(by, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.faults) < manyFaults {
		j.faults = append(j.faults, Fault{Check: by, At: time.Since(j.begun), What: fmt.Sprintf(format, args...)})
	}
}

// leads takes that a member leads a term.
func (j *judge) leads(term uint64, member string) {
	j.mu.Lock()
	wrong := j.terms.Leads(term, member)
	j.mu.Unlock()
	if wrong != "" {
		j.wrong("one leader a term", "%s", wrong)
	}
}

// forgetTerms is for a new epoch, which does not know how far the terms of the lost majority went.
func (j *judge) forgetTerms() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.terms = check.Terms{}
}

// Errorf is for the Fleet.
func (j *judge) Errorf(format string, args ...any) { j.wrong("fleet", format, args...) }

// Fatalf is for the Fleet: it ends the run.
func (j *judge) Fatalf(format string, args ...any) {
	j.wrong("fleet", format, args...)
	runtime.Goexit()
}

// Fatal is Fatalf.
func (j *judge) Fatal(args ...any) { j.Fatalf("%s", fmt.Sprint(args...)) }

// Failed says whether anything is wrong.
func (j *judge) Failed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.faults) > 0
}

func (j *judge) verdict() []Fault {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Fault(nil), j.faults...)
}
