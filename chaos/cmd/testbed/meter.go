package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// meter shows how far a build is: a bar that moves on a terminal, a line now and then elsewhere. It shows nothing until
// there is something to say.
type meter struct {
	out      io.Writer
	terminal bool
	label    string
	begun    time.Time
	quit     chan struct{}
	done     sync.WaitGroup

	mu    sync.Mutex
	now   testbed.BuildProgress
	shown bool // the ticker runs, and something is on the terminal's line
}

const (
	lineEvery = 30 * time.Second // where there is no terminal
	barEvery  = 200 * time.Millisecond
	barWidth  = 14
)

func newMeter(out io.Writer, label string) *meter {
	return &meter{out: out, terminal: isTerminal(out), label: label, begun: time.Now(), quit: make(chan struct{})}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// report may be called from any goroutine.
func (m *meter) report(now testbed.BuildProgress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = now
	if !m.shown {
		m.shown = true
		m.done.Add(1)
		go m.tick()
	}
}

// tick draws, so that the time goes on also while the linker says nothing.
func (m *meter) tick() {
	defer m.done.Done()
	every := lineEvery
	if m.terminal {
		every = barEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	m.draw()
	for {
		select {
		case <-ticker.C:
			m.draw()
		case <-m.quit:
			return
		}
	}
}

func (m *meter) draw() {
	m.mu.Lock()
	now := m.now
	m.mu.Unlock()
	elapsed := time.Since(m.begun).Round(time.Second)
	if m.terminal {
		fmt.Fprintf(m.out, "\r%s   %s %s  %s\x1b[K", m.label, bar(now), elapsed, phase(now))
		return
	}
	fmt.Fprintf(m.out, "%s: %s, %s\n", m.label, phase(now), elapsed)
}

// stop leaves the line as it ended, and returns how long it took; ok is false when nothing was shown.
func (m *meter) stop() (took time.Duration, ok bool) {
	close(m.quit)
	m.done.Wait()
	took = time.Since(m.begun)
	if m.shown && m.terminal {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
	return took, m.shown
}

func bar(p testbed.BuildProgress) string {
	full := 0
	if p.Of > 0 {
		full = min(barWidth, p.Packages*barWidth/p.Of)
	}
	return "▕" + strings.Repeat("█", full) + strings.Repeat(" ", barWidth-full) + "▏"
}

// phase says what is going on, in words that are true.
func phase(p testbed.BuildProgress) string {
	switch {
	case p.Waiting:
		return "another testbed builds the same"
	case p.Counting && p.Downloads > 0:
		return fmt.Sprintf("%d modules fetched", p.Downloads)
	case p.Counting:
		return "counting packages"
	case p.Downloads > 0:
		return fmt.Sprintf("%d of at most %d packages, %d modules fetched", p.Packages, p.Of, p.Downloads)
	}
	return fmt.Sprintf("%d of at most %d packages", p.Packages, p.Of)
}
