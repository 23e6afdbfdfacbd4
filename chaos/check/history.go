package check

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Kind of an operation.
type Kind uint8

// The operations that clients make. Every value that is written is written once in a history.
const (
	Put  Kind = iota // of Value
	Swap             // of Old by Value; Old "" means that there was nothing
	Get              // of Seen
	List             // of Listed, all keys of an object
)

func (k Kind) String() string { return [...]string{"put", "swap", "get", "list"}[k] }

// Outcome of a write. Reads that failed are not recorded, and neither are writes that surely did not happen.
type Outcome uint8

// The outcomes.
const (
	Done    Outcome = iota
	Refused         // a Swap found another value
	Unknown         // it may have happened at any time after its call, or may still
)

// Op is one operation on a key of an object. What has an object of its own is judged alone.
type Op struct {
	Client      int
	Epoch       int // of the fleet, as of Log.Epoch
	Kind        Kind
	Object, Key string
	Old, Value  string
	Seen        string
	Listed      map[string]string
	Outcome     Outcome
	// Call and Return order the history: of two operations, one was over before the other began if its Return is
	// less than the other's Call.
	Call, Return int64
	// Revision that a write was said to have made.
	Revision uint64
}

func (o Op) String() string {
	switch o.Kind {
	case Put:
		return fmt.Sprintf("put %s=%s (%d)", o.Key, o.Value, o.Outcome)
	case Swap:
		return fmt.Sprintf("swap %s=%s→%s (%d)", o.Key, o.Old, o.Value, o.Outcome)
	case Get:
		return fmt.Sprintf("get %s=%s", o.Key, o.Seen)
	}
	return fmt.Sprintf("list %s=%v", o.Object, o.Listed)
}

// Linearizable says what is wrong with a history, "" for nothing. undecided is true when it took longer than patience, all
// objects together, to tell.
func Linearizable(history []Op, patience time.Duration) (wrong string, undecided bool) {
	end := time.Now().Add(patience)
	for object, ops := range byObject(history) {
		left := time.Until(end)
		if left <= 0 {
			return "", true
		}
		switch porcupine.CheckOperationsTimeout(model, operations(ops), left) {
		case porcupine.Illegal:
			return fmt.Sprintf("%s is not linearizable: %d operations%s", object, len(ops), describe(ops)), false
		case porcupine.Unknown:
			undecided = true
		}
	}
	return "", undecided
}

func byObject(history []Op) map[string][]Op {
	out := map[string][]Op{}
	for _, op := range history {
		out[op.Object] = append(out[op.Object], op)
	}
	return out
}

func operations(ops []Op) []porcupine.Operation {
	out := make([]porcupine.Operation, len(ops))
	for i, op := range ops {
		end := op.Return
		if op.Outcome == Unknown {
			end = math.MaxInt64
		}
		out[i] = porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: end}
	}
	return out
}

// model is one object: its keys and their values, as sorted lines.
var model = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) { return step(input.(Op), state.(string)) },
	DescribeOperation: func(input, _ any) string {
		return input.(Op).String()
	},
}

func step(op Op, state string) (bool, string) {
	now := parse(state)
	switch op.Kind {
	case Put:
		now[op.Key] = op.Value
		return true, format(now)
	case Swap:
		if op.Outcome == Refused {
			return now[op.Key] != op.Old, state
		}
		if now[op.Key] != op.Old {
			return op.Outcome == Unknown, state
		}
		now[op.Key] = op.Value
		return true, format(now)
	case Get:
		return now[op.Key] == op.Seen, state
	}
	return maps.Equal(now, op.Listed), state
}

func format(m map[string]string) string {
	lines := make([]string, 0, len(m))
	for k, v := range m {
		lines = append(lines, k+"="+v)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func parse(s string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(s) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		m[k] = v
	}
	return m
}

// shown bounds how much of a history is printed.
const shown = 40

// describe prints the end of a history, in the order of the calls.
func describe(ops []Op) string {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b Op) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range ops[max(0, len(ops)-shown):] {
		fmt.Fprintf(&b, "\n  %d–%d client %d: %s", op.Call, op.Return, op.Client, op)
	}
	return b.String()
}
