package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// sites are clusters that fleets are made of.
var sites = []Site{
	{Name: "fra", Region: "eu"}, {Name: "iad", Region: "us"}, {Name: "sin", Region: "ap"}, {Name: "ams", Region: "eu"},
	{Name: "pdx", Region: "us"}, {Name: "nrt", Region: "ap"}, {Name: "mad", Region: "eu"}, {Name: "yyz", Region: "us"},
}

// late are clusters that join while a schedule plays.
var late = []Site{{Name: "gru", Region: "sa"}, {Name: "cpt", Region: "af"}}

// Generate makes the schedule of a seed: three to six members over one to three regions, a load from all of them, and
// some things that happen.
func Generate(seed uint64) Schedule {
	rng := rand.New(rand.NewPCG(seed, 0))
	s := Schedule{Seed: seed, Length: time.Duration(15+rng.IntN(15)) * time.Second}
	s.Members = slices.Clone(sites[:3+rng.IntN(4)])
	s.Members = append(s.Members, Site{Name: "lim", Region: "sa", Never: true})
	for i, m := range s.Members {
		for j, does := range []string{"put", "swap", "get", "list"} {
			if !m.Never || does == "get" || does == "list" {
				s.Clients = append(s.Clients, Client{ID: i*4 + j, Member: m.Name, Does: does})
			}
		}
	}
	if len(s.Members) > 5 && rng.IntN(2) == 0 {
		s.Voters = 5
	}
	for range 3 + rng.IntN(8) {
		s.Events = append(s.Events, s.happening(rng))
	}
	slices.SortStableFunc(s.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return s
}

// menu is what happens in a run, the more often the more times it stands here.
var menu = []string{
	"isolate", "isolate", "isolate", "cut", "cut", "cut", "hold", "hold", "kill", "kill", "kill", "restart", "restart",
	"transfer", "transfer", "transfer", "loss", "late", "duplicates", "jitter", "region", "region-dies", "slow", "eio", "full",
	"stall", "join", "remove", "remove", "forge", "forge", "forge", "lose-disk", "lose-disk", "lose-disk", "all-die", "lag", "herald",
	"pause", "pause", "clock", "clock", "clock", "flood", "replace", "replace", "lie", "lie", "recover", "recover", "restore",
}

// happening draws one event.
func (s Schedule) happening(rng *rand.Rand) Event {
	member := func() string { return s.Members[rng.IntN(len(s.Members))].Name }
	e := Event{
		At:   time.Duration(rng.Int64N(int64(s.Length))).Round(time.Millisecond),
		What: menu[rng.IntN(len(menu))],
		Whom: member(),
		For:  time.Duration(200+rng.IntN(9000)) * time.Millisecond,
	}
	switch e.What {
	case "cut":
		e.Whom += ">" + member()
	case "region", "region-dies":
		e.Whom = s.Members[rng.IntN(len(s.Members))].Region
	case "transfer", "forge", "remove":
		e.For = 0
	case "join":
		e.Whom, e.For = late[rng.IntN(len(late))].Name, 0
	case "lie": // of a voter's disk nobody could promise anything
		e.Whom = s.Members[len(s.Members)-1].Name
	case "loss", "late", "duplicates", "jitter", "all-die", "recover", "restore":
		e.Whom = ""
	}
	return e
}
