package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

func TestAStoryIsPlainText(t *testing.T) {
	var out bytes.Buffer
	s := story{out: &out, steps: 2}
	s.begin("start eu/fra")
	s.end(seconds(2100 * time.Millisecond))
	s.begin("make the fleet")
	s.end(seconds(900 * time.Millisecond))
	s.command("hanse init", "")
	s.command("hanse join", "and sin")
	s.say("leader %s", "fra")
	want := `[1/2] start eu/fra                                                2.1 s
[2/2] make the fleet                                              0.90 s
        $ hanse init
        $ hanse join                                              # and sin
        leader fra
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTimesAreSaidShortly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		31 * time.Millisecond:   "0.03 s",
		1240 * time.Millisecond: "1.2 s",
		292 * time.Second:       "4m52s",
	} {
		if got := seconds(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
	if got := short(31 * time.Millisecond); got != "31 ms" {
		t.Errorf("got %q", got)
	}
}

func TestABuildSaysHowFarItIs(t *testing.T) {
	for want, p := range map[string]testbed.BuildProgress{
		"counting packages":                             {Counting: true, Of: 12},
		"0 of at most 12 packages":                      {Of: 12},
		"31 modules fetched":                            {Counting: true, Downloads: 31, Of: 12},
		"710 of at most 1420 packages":                  {Packages: 710, Of: 1420},
		"7 of at most 1420 packages, 3 modules fetched": {Packages: 7, Of: 1420, Downloads: 3},
		"another testbed builds the same":               {Waiting: true},
	} {
		if got := phase(p); got != want {
			t.Errorf("%+v is %q, not %q", p, got, want)
		}
	}
	for want, p := range map[string]testbed.BuildProgress{
		"▕              ▏": {},
		"▕███████       ▏": {Packages: 710, Of: 1420},
		"▕██████████████▏": {Packages: 1500, Of: 1420},
	} {
		if got := bar(p); got != want {
			t.Errorf("%+v is %q, not %q", p, got, want)
		}
	}
}

func TestABuildThatIsPipedSaysPlainLines(t *testing.T) {
	var out bytes.Buffer
	m := newMeter(&out, "build")
	m.report(testbed.BuildProgress{Packages: 1, Of: 2})
	if _, shown := m.stop(); !shown {
		t.Error("nothing was shown")
	}
	if got := out.String(); strings.ContainsAny(got, "\r\x1b▕") || !strings.HasPrefix(got, "build: 1 of at most 2 packages") {
		t.Errorf("got %q", got)
	}
	quiet := newMeter(&out, "build")
	if _, shown := quiet.stop(); shown {
		t.Error("there was nothing to build, and something was shown")
	}
}

func TestWhatRunsIsSaidInAWord(t *testing.T) {
	all := map[string]int{}
	for _, name := range testbed.Programs {
		all[name] = 7
	}
	if got := runs(all); got != "all" {
		t.Errorf("got %q", got)
	}
	if got := runs(nil); got != "nothing" {
		t.Errorf("got %q", got)
	}
	delete(all, testbed.Member)
	if got := runs(all); got != "all but hanse" {
		t.Errorf("got %q", got)
	}
}
