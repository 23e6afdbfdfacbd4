package testbed

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Ports on a cluster's own address. They are the ones that people know the programs by.
const (
	portEtcd              = 2379
	portEtcdPeer          = 2380
	portAPIServer         = 6443
	portControllerManager = 10257
	portMember            = 7946 // UDP, for other members
	portMemberAPI         = 7947 // TCP, for people
)

// Site is one cluster's place in the testbed. It never changes: certificates and the fleet's membership name it.
type Site struct {
	Name    string     `json:"name"`
	Region  string     `json:"region"`
	Address netip.Addr `json:"address"`
}

func (s Site) hostport(port int) string {
	return netip.AddrPortFrom(s.Address, uint16(port)).String()
}

// geography is the regions and clusters in the order in which they are used.
var geography = []struct {
	region   string
	clusters []string
}{
	{"eu", []string{"fra", "ams", "par", "dub"}},
	{"us", []string{"iad", "pdx", "ord", "dfw"}},
	{"ap", []string{"sin", "nrt", "bom", "icn"}},
	{"sa", []string{"gru", "scl", "bog", "lim"}},
	{"af", []string{"jnb", "cpt", "nbo", "los"}},
	{"me", []string{"dxb", "bah", "ruh", "doh"}},
	{"au", []string{"syd", "mel", "per", "akl"}},
	{"ca", []string{"yul", "yyz", "yvr", "yyc"}},
	{"no", []string{"osl", "arn", "hel", "cph"}},
}

// The bounds of a testbed: regions of one base must not reach into the next base's addresses.
const (
	maxRegions           = 9
	maxClustersPerRegion = 20
	maxBase              = 24
)

// sites places regions × perRegion clusters at a base: region R of base B is at 127.(R+10B).C.1.
func sites(base, regions, perRegion int) ([]Site, error) {
	if regions < 1 || regions > maxRegions {
		return nil, fmt.Errorf("%d regions: a testbed has 1 to %d", regions, maxRegions)
	}
	if perRegion < 1 || perRegion > maxClustersPerRegion {
		return nil, fmt.Errorf("%d clusters per region: a testbed has 1 to %d", perRegion, maxClustersPerRegion)
	}
	var all []Site
	for r := range regions {
		for c := range perRegion {
			all = append(all, Site{
				Name:    clusterName(r, c),
				Region:  geography[r].region,
				Address: netip.AddrFrom4([4]byte{127, byte(r + 1 + 10*base), byte(c + 1), 1}),
			})
		}
	}
	return all, nil
}

func clusterName(region, cluster int) string {
	g := geography[region]
	if cluster < len(g.clusters) {
		return g.clusters[cluster]
	}
	return g.region + strconv.Itoa(cluster+1)
}

// merge adds the sites that are not there yet, and keeps the order of regions.
func merge(old, more []Site) []Site {
	all := slices.Clone(old)
	for _, s := range more {
		if !slices.ContainsFunc(all, func(o Site) bool { return o.Name == s.Name }) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Site) int { return a.Address.Compare(b.Address) })
	return all
}
