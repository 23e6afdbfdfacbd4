package testbed

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func describe(all []Site) []string {
	var lines []string
	for _, s := range all {
		lines = append(lines, fmt.Sprintf("%s/%s %s", s.Region, s.Name, s.Address))
	}
	return lines
}

func TestEveryClusterHasItsPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		base, regions, perRegion int
		want                     []string
		err                      string
	}{
		"three regions":            {0, 3, 1, []string{"eu/fra 127.1.1.1", "us/iad 127.2.1.1", "ap/sin 127.3.1.1"}, ""},
		"two clusters in a region": {0, 2, 2, []string{"eu/fra 127.1.1.1", "eu/ams 127.1.2.1", "us/iad 127.2.1.1", "us/pdx 127.2.2.1"}, ""},
		"another base":             {2, 1, 1, []string{"eu/fra 127.21.1.1"}, ""},
		"more than have names":     {0, 1, 6, []string{"eu/fra 127.1.1.1", "eu/ams 127.1.2.1", "eu/par 127.1.3.1", "eu/dub 127.1.4.1", "eu/eu5 127.1.5.1", "eu/eu6 127.1.6.1"}, ""},
		"no region":                {0, 0, 1, nil, "0 regions"},
		"too many regions":         {0, 10, 1, nil, "10 regions"},
		"too many clusters":        {0, 1, 21, nil, "21 clusters per region"},
		"no cluster":               {0, 3, 0, nil, "0 clusters per region"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sites(tc.base, tc.regions, tc.perRegion)
			if diff := cmp.Diff(tc.want, describe(got)); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got error %v, want one with %q", err, tc.err)
			}
		})
	}
}

func TestNoTwoClustersShareANameOrAnAddress(t *testing.T) {
	names, addresses := map[string]bool{}, map[string]bool{}
	for base := range maxBase + 1 {
		all, err := sites(base, maxRegions, maxClustersPerRegion)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if base == 0 && names[s.Name] || addresses[s.Address.String()] || !s.Address.IsLoopback() {
				t.Errorf("base %d: %+v", base, s)
			}
			names[s.Name], addresses[s.Address.String()] = true, true
		}
	}
}

func TestATestbedGrowsAndKeepsWhatItHas(t *testing.T) {
	two, _ := sites(1, 2, 1)
	more, _ := sites(1, 3, 2)
	want := []string{
		"eu/fra 127.11.1.1", "eu/ams 127.11.2.1", "us/iad 127.12.1.1", "us/pdx 127.12.2.1", "ap/sin 127.13.1.1", "ap/nrt 127.13.2.1",
	}
	if diff := cmp.Diff(want, describe(merge(two, more))); diff != "" {
		t.Error("grown:", diff)
	}
	if diff := cmp.Diff(want, describe(merge(more, two))); diff != "" {
		t.Error("asked for less:", diff)
	}
}

// chosen is a base that is the test's until it ends.
func chosen(t *testing.T) (base int, all []Site) {
	t.Helper()
	base, all, reserved, err := chooseBase(3, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reserved.Close() })
	return base, all
}

func TestTwoTestbedsThatStartAtTheSameTimeDoNotMeet(t *testing.T) {
	one, _ := chosen(t)
	two, _ := chosen(t)
	if one == two {
		t.Errorf("both got base %d, and neither has started a program yet", one)
	}
}

func TestAPortThatSomebodyElseHasMovesTheTestbed(t *testing.T) {
	base, before, reserved, err := chooseBase(3, 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", before[1].hostport(portAPIServer))
	reserved.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	again, after := chosen(t)
	if again <= base || after[0].Address == before[0].Address {
		t.Errorf("%s is taken, and the testbed goes to %v", l.Addr(), describe(after))
	}
	if err := before[1].allFree(); err == nil || !strings.Contains(err.Error(), "port "+l.Addr().String()+" is taken") {
		t.Errorf("got %v", err)
	}
}
