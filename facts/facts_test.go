package facts

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden file anew: that changes the protocol between members")

func whole(now time.Time) Facts {
	at := func(ago time.Duration) Reading { return Reading{At: now.Add(-ago)} }
	return Facts{
		Kubernetes:   &Kubernetes{at(time.Minute), "v1.34.1"},
		Capacity:     &Capacity{at(2 * time.Minute), 3, 2, 40, Amount{24000, 96 << 30}, Amount{7300, 21 << 30}},
		Storage:      &Storage{at(time.Minute), []Class{{"fast", "csi.example.com", true}}},
		Processor:    &Processor{at(time.Hour), "EPYC", 16, 118},
		Disk:         &Disk{at(0), 3.58},
		Trips:        []Trip{{at(0), "m2", 1.5, 3}},
		Aggregated:   &Condition{at(0), "False", "NotAvailable", "no route"},
		ControlPlane: &Condition{at(0), "True", ReasonReady, "it is ready"},
	}
}

func TestTheBytesOfFactsStay(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	data, err := whole(now).Encode(now)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "facts.json")
	if *update {
		if err := os.WriteFile(golden, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(was), string(data)); diff != "" {
		t.Errorf("members of other versions read and write this differently: %s", diff)
	}
}

func TestWhatMakesNoConditionIsRefused(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, a := range []*Condition{
		NewCondition(now, "Maybe", "Registered", ""), NewCondition(now, "True", "not a reason", ""), NewCondition(now, "True", "", ""),
		{Status: "True", Reason: "Registered", Message: strings.Repeat("x", maxText+1)},
	} {
		data, err := Facts{Aggregated: a}.Encode(now)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := Decode(data, now); err == nil {
			t.Errorf("taken: %+v", f.Aggregated)
		}
	}
	long := NewCondition(now, "False", "NotAvailable", strings.Repeat("ä", maxText))
	data, err := Facts{Aggregated: long}.Encode(now)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Decode(data, now); err != nil || f.Aggregated.Message != long.Message {
		t.Errorf("a long message, cut: %v", err)
	}
}

func TestAgesTravelNotTimes(t *testing.T) {
	theirs, ours := time.Unix(1_000_000, 0), time.Unix(9_000_000, 0)
	data, err := whole(theirs).Encode(theirs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data, ours)
	if err != nil {
		t.Fatal(err)
	}
	want := whole(ours)
	want.each(func(r *Reading) { r.Age = ours.Sub(r.At).Milliseconds() })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFactsThatNoMemberTellsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":               `hello`,
		"too long":              `{"kubernetes":{"version":"` + strings.Repeat("x", maxEncoded) + `"}}`,
		"a long text":           `{"kubernetes":{"version":"` + strings.Repeat("x", maxText+1) + `"}}`,
		"of the future":         `{"disk":{"age":-1,"fsyncP999":7}}`,
		"longer than time":      `{"disk":{"age":0,"fsyncP999":1e300}}`,
		"less than nothing":     `{"capacity":{"age":0,"has":{"cpu":-5}}}`,
		"fewer than no nodes":   `{"capacity":{"age":0,"nodes":-5}}`,
		"an age beyond measure": `{"trips":[{"age":9223372036854775807,"peer":"m2"}]}`,
		"many storage classes":  `{"storage":{"age":0,"classes":[` + strings.Repeat(`{},`, maxClasses) + `{}]}}`,
	} {
		if f, err := Decode([]byte(text), time.Now()); err == nil {
			t.Errorf("%s: %+v", name, f)
		} else if diff := cmp.Diff(Facts{}, f); diff != "" {
			t.Errorf("%s: something is believed: %s", name, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	now := time.Unix(1_000_000, 0)
	seed, err := whole(now).Encode(now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode(data, now)
		if err != nil {
			return
		}
		got.each(func(r *Reading) {
			if r.At.After(now) {
				t.Errorf("taken at %s, in the future", r.At)
			}
		})
		if again, err := json.Marshal(got); err != nil || len(again) > 8*maxEncoded {
			t.Errorf("%d bytes, %v", len(again), err)
		}
	})
}

func TestWhatDiffersIsTold(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		change func(*Facts)
		want   bool
	}{
		"nothing":                      {func(*Facts) {}, false},
		"ages alone":                   {func(f *Facts) { f.each(func(r *Reading) { r.At = now.Add(-time.Hour) }) }, false},
		"a disk that is a bit slower":  {func(f *Facts) { f.Disk.FsyncP999 *= 1.2 }, false},
		"a disk that is much slower":   {func(f *Facts) { f.Disk.FsyncP999 *= 2 }, true},
		"a disk that is not known":     {func(f *Facts) { f.Disk = nil }, true},
		"a node that is not ready":     {func(f *Facts) { f.Capacity.ReadyNodes-- }, true},
		"a pod more":                   {func(f *Facts) { f.Capacity.Pods++ }, false},
		"twice as many requests":       {func(f *Facts) { f.Capacity.Asked.CPU *= 2 }, true},
		"another version":              {func(f *Facts) { f.Kubernetes.Version = "v1.35.0" }, true},
		"a control plane that is ill":  {func(f *Facts) { f.ControlPlane.Status = "False" }, true},
		"another neighbour":            {func(f *Facts) { f.Trips[0].Peer = "m3" }, true},
		"a default class that is none": {func(f *Facts) { f.Storage.Classes[0].Default = false }, true},
	} {
		a, b := whole(now), whole(now)
		c.change(&b)
		if got := Differ(a, b); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSpeedClassesAreStepsOfAQuarter(t *testing.T) {
	for speed, want := range map[int32]int32{0: 0, 1: 0, 50: 7, 80: 9, 100: 10, 105: 10, 125: 11, 156: 12, 400: 16} {
		if got := SpeedClass(speed); got != want {
			t.Errorf("%d %% is class %d, not %d", speed, got, want)
		}
	}
}

func TestAProcessorHasANameOnEveryMachine(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n":               "AMD EPYC",
		"processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\nCPU part : 1": "0x41/0xd0c",
	} {
		if got := modelIn([]byte(text)); !strings.HasSuffix(got, want) {
			t.Errorf("%q", got)
		}
	}
	if modelIn(nil) == "" || len(modelIn(bytes.Repeat([]byte("model name : xx"), 9000))) > maxText {
		t.Error("no name, or too much of one")
	}
}
