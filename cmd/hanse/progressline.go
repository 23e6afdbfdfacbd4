package main

import (
	"fmt"
	"io"
	"time"
)

// manyPlaces is from how many on they are counted, not named.
const manyPlaces = 12

// progressLine shows places as they get there, on one line: fra 0.09 s   iad 0.12 s   sin owed.
type progressLine struct {
	out   io.Writer
	begun time.Time
	// bundles is how many bundles there are; with more than one, each place says its own.
	bundles int
	said    map[place]bool
	open    bool // there are words on the line
	last    []standing
}

func newProgressLine(out io.Writer, begun time.Time, bundles int) *progressLine {
	return &progressLine{out: out, begun: begun, bundles: bundles, said: map[place]bool{}}
}

// show names every place that got there since it was last called.
func (l *progressLine) show(all []standing) {
	l.last = all
	if len(all) > manyPlaces {
		return
	}
	for _, s := range all {
		switch {
		case l.said[s.place]:
		case s.state == arrived:
			l.say(s, seconds(s.at.Sub(l.begun)))
		case s.state == withdrawn:
			l.say(s, "withdrawn "+seconds(s.at.Sub(l.begun)))
		}
	}
}

// finish names the places that did not get there, and ends the line.
func (l *progressLine) finish(all []standing) {
	l.show(all)
	if len(all) > manyPlaces {
		l.count(all)
		return
	}
	for _, s := range all {
		if l.said[s.place] {
			continue
		}
		l.say(s, map[state]string{owed: "owed", failing: "failed", held: "held", pending: "not yet"}[s.state])
	}
	if l.open {
		fmt.Fprintln(l.out)
	}
}

func (l *progressLine) say(s standing, words string) {
	if l.open {
		fmt.Fprint(l.out, "   ")
	}
	l.open, l.said[s.place] = true, true
	name := s.cluster
	if l.bundles > 1 {
		name = s.bundle + " " + name
	}
	fmt.Fprint(l.out, name, " ", words)
}

// count: 297 of 300 clusters, the last after 2.10 s   2 owed   1 failed.
func (l *progressLine) count(all []standing) {
	counts := map[state]int{}
	var last time.Duration
	for _, s := range all {
		counts[s.state]++
		if s.state == arrived || s.state == withdrawn {
			last = max(last, s.at.Sub(l.begun))
		}
	}
	done := counts[arrived] + counts[withdrawn]
	fmt.Fprintf(l.out, "%d of %d clusters", done, len(all))
	if done > 0 {
		fmt.Fprintf(l.out, ", the last after %s", seconds(last))
	}
	for _, rest := range []struct {
		state state
		words string
	}{{owed, "owed"}, {failing, "failed"}, {held, "held"}, {pending, "not yet"}} {
		if n := counts[rest.state]; n > 0 {
			fmt.Fprintf(l.out, "   %d %s", n, rest.words)
		}
	}
	fmt.Fprintln(l.out)
}
